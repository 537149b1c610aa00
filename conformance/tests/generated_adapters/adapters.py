"""Every generated adapter: one operation or capability, and one mutator."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from broken_adapters.breaking import Broken
from igniter_store.contract import CAPABILITIES, Claims, Counters, KeyValue, PubSub, Scan, Streams
from igniter_store_conformance.spec.operations import PARAMETERS, Kind
from igniter_store_memory import MemoryAdapter
from msgspec import Struct

from generated_adapters import behaviours, mutators
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

EQUIVALENT: Final[dict[str, str]] = {
    f"{method} · behaviour · is sent twice": "the same call twice has the same effect as once"
    for method in ("expire", "mset", "compare_expire")
} | {
    f"acquire · key · cuts at {length}": "a token key has the claim's key in it, and at most 1 KiB"
    for length in ("1000", "1023")
}
"""Adapters that keep the contract all the same, with the reason."""

_STORING: Final = (KeyValue, Counters, Claims, Streams, Scan, PubSub)
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
    return [*_of_arguments(), *_of_results(), *_of_lists(), *_of_behaviour()]


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
    Kind.CHANNEL: mutators.NAMES,
    Kind.PATTERN: mutators.NAMES,
    Kind.PAYLOAD: mutators.BYTES,
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


_FLAGS: Final = (
    "set",
    "exists",
    "expire",
    "persist",
    "set_nx",
    "compare_delete",
    "compare_expire",
    "xgroup_create",
    "xgroup_destroy",
)
_NUMBERS: Final = ("delete", "increment", "xlen", "xtrim", "xdel", "xack", "delete_prefix")
_TYPED: Final = ("get", "getdel", "increment", "set_nx", "acquire", "xadd", "xrange")
_REFUSED: Final = (
    "get",
    "getdel",
    "increment",
    "compare_delete",
    "compare_expire",
    "xadd",
    "xlen",
    "xtrim",
    "xdel",
    "xrange",
    "xrevrange",
    "xgroup_create",
    "xgroup_destroy",
    "xreadgroup",
    "xgroups",
    "xack",
    "xpending",
    "xautoclaim",
)


def _of_behaviour() -> Iterator[Generated]:
    for method in behaviours.READS:
        for keeps in ("hits", "misses", "all"):
            yield _cache(method, keeps)
    simple: dict[str, tuple[tuple[str, ...], Any]] = {
        "clears the TTL": (behaviours.KEEPING, behaviours.clearing_ttl),
        "renews the TTL": (behaviours.KEEPING, behaviours.renewing_ttl),
        "keeps the old TTL": (("set", "mset", "expire"), behaviours.keeping_ttl),
        "is sent twice": (behaviours.WRITES, behaviours.twice),
        "swallows errors": (_REFUSED, behaviours.swallowing),
        "raises another code": (_REFUSED, behaviours.other_code),
        "names the key in errors": (_REFUSED, behaviours.naming_the_key),
        "leaves the backend out of errors": (_REFUSED, behaviours.without_backend),
        "returns the opposite": (_FLAGS, behaviours.negating),
        "returns 1 and 0": (_FLAGS, behaviours.number_text),
        "returns one more": (_NUMBERS, behaviours.off_by_one),
        "does nothing now and then": (_FLAGS, behaviours.silent),
        "returns True": (_FLAGS, functools.partial(behaviours.always, True)),
        "returns False": (_FLAGS, functools.partial(behaviours.always, False)),
        "returns 1": (_NUMBERS, functools.partial(behaviours.always, 1)),
        "returns None": (_NUMBERS + _FLAGS, functools.partial(behaviours.always, None)),
    }
    for mutator, (methods, replace) in simple.items():
        for method in methods:
            yield Generated((method,), "behaviour", mutator, replace)
    for method, replacement in behaviours.SPLIT.items():
        yield Generated(
            (method,), "behaviour", "acts in two steps", functools.partial(_replaced, replacement)
        )


def _replaced(replacement: Any, method: str, original: Method) -> Method:
    del method, original
    return replacement  # type: ignore[no-any-return]


def _cache(method: str, keeps: str) -> Generated:
    def replace(name: str, original: Method) -> Method:
        if name == method:
            return behaviours.cached(name, original, keeps=keeps)
        return behaviours.forgetting_cache(name, original)

    return Generated(
        (method, *(each for each in behaviours.WRITES if each != method)),
        f"cache of {method}",
        f"keeps {keeps}",
        replace,
    )
