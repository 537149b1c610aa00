"""Every generated adapter: one operation or capability, and one mutator."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from broken_adapters.breaking import Broken
from igniter_store.contract import CAPABILITIES, Claims, Counters, KeyValue, Scan, Streams
from igniter_store_conformance.spec.operations import PARAMETERS, Kind
from igniter_store_memory import MemoryAdapter
from msgspec import Struct

from generated_adapters import mutators
from generated_adapters.changes import (
    bytes_mapped,
    capability_of,
    mapped,
    with_arguments,
    with_result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from generated_adapters.changes import Method

_STORING: Final = (KeyValue, Counters, Claims, Streams, Scan)
_METHODS: Final = [
    method
    for capability in CAPABILITIES
    if capability in _STORING
    for method in sorted(capability.__abstractmethods__ - {"open", "close", "ping"})
]
_BYTES_OUT: Final = ("get", "getdel", "mget", "xrange", "xrevrange", "xreadgroup", "xautoclaim")
_LISTS_OUT: Final = (
    "mget",
    "xrange",
    "xrevrange",
    "xreadgroup",
    "xautoclaim",
    "xpending",
    "xgroups",
)
_LISTS_IN: Final = {
    "delete": "keys",
    "mget": "keys",
    "mset": "entries",
    "xdel": "ids",
    "xack": "ids",
}


class Generated(Struct, frozen=True):
    """One generated adapter.

    Attributes:
        methods: the methods that are mutated.
        part: what is mutated, such as the kind of an argument.
        mutator: what the mutation does.
        replace: makes the mutated method out of a method's name and the original.
    """

    methods: tuple[str, ...]
    part: str
    mutator: str
    replace: Callable[[str, Method], Method]

    @property
    def name(self) -> str:
        """Identifies the adapter."""
        where = self.methods[0] if len(self.methods) == 1 else "+".join(self.methods[:2]) + "…"
        return f"{where} · {self.part} · {self.mutator}"

    def adapter_class(self) -> type[Broken]:
        """Return the adapter, over memory."""
        members: dict[str, Any] = {
            method: self.replace(method, getattr(MemoryAdapter, method)) for method in self.methods
        }
        return type("GeneratedAdapter", (Broken,), members)


def generated() -> list[Generated]:
    """Return all generated adapters."""
    return [*_of_arguments(), *_of_results(), *_of_lists()]


_OF_KINDS: Final = {
    **dict.fromkeys(
        (Kind.KEY, Kind.STREAM, Kind.GROUP, Kind.CONSUMER, Kind.FIELD, Kind.PREFIX), mutators.NAMES
    ),
    Kind.VALUE: mutators.BYTES,
    Kind.OWNER: mutators.BYTES,
    Kind.TTL: mutators.TTLS,
    Kind.MIN_IDLE: mutators.IDLE_TIMES,
    Kind.DELTA: mutators.DELTAS,
    Kind.COUNT: mutators.COUNTS,
}


def _of_arguments() -> Iterator[Generated]:
    for kind, changes in _OF_KINDS.items():
        methods = [method for method in _METHODS if _takes(method, kind) and method != "scan"]
        scopes: list[tuple[str, ...]] = [(method,) for method in methods]
        for capability in CAPABILITIES:
            several = tuple(each for each in methods if capability_of(each) is capability)
            if len(several) > 1 and kind not in {Kind.COUNT, Kind.MIN_IDLE}:
                scopes.append(several)
        for scope in scopes:
            for mutator, change in changes.items():
                yield Generated(
                    scope, kind.value, mutator, functools.partial(_changed, kind, change)
                )


def _changed(kind: Kind, change: Any, method: str, original: Method) -> Method:
    return with_arguments(method, original, mapped(method, kind, change))


def _takes(method: str, kind: Kind) -> bool:
    return any(kind in kinds for kinds in PARAMETERS[method].values())


def _of_results() -> Iterator[Generated]:
    for method in _BYTES_OUT:
        for mutator, change in {**mutators.BYTES, **mutators.RESULTS}.items():
            yield Generated(
                (method,), "result", mutator, functools.partial(_resulting, bytes_mapped(change))
            )


def _resulting(change: Any, method: str, original: Method) -> Method:
    del method
    return with_result(original, change)


def _of_lists() -> Iterator[Generated]:
    for method in _LISTS_OUT:
        for mutator, change in mutators.LISTS.items():
            yield Generated(
                (method,), "list result", mutator, functools.partial(_resulting, change)
            )
    for method, parameter in _LISTS_IN.items():
        for mutator, change in mutators.LISTS.items():
            yield Generated(
                (method,), "list", mutator, functools.partial(_listed, parameter, change)
            )


def _listed(parameter: str, change: Any, method: str, original: Method) -> Method:
    def apply(self: Any, arguments: dict[str, Any]) -> None:
        del self
        arguments[parameter] = change(arguments[parameter])

    return with_arguments(method, original, apply)
