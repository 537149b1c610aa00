"""Changes of the arguments and the results of a method, by the kinds of the contract's table."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from igniter_store.contract import CAPABILITIES, Adapter, Entry, StreamEntry
from igniter_store_conformance.spec.operations import PARAMETERS, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Method: TypeAlias = Callable[..., Awaitable[Any]]
    Change: TypeAlias = Callable[[Any], Any]


@functools.cache
def capability_of(method: str) -> type[Adapter]:
    """Return the capability that has a method."""
    return next(each for each in CAPABILITIES if method in each.__abstractmethods__)


@functools.cache
def _signature(method: str) -> inspect.Signature:
    return inspect.signature(getattr(capability_of(method), method))


def with_arguments(
    method: str, original: Method, change: Callable[[Any, dict[str, Any]], None]
) -> Method:
    """Return a method that calls the original with changed arguments."""

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = _signature(method).bind(self, *args, **kwargs)
        change(self, bound.arguments)
        return await original(*bound.args, **bound.kwargs)

    return changed


def with_result(original: Method, change: Change) -> Method:
    """Return a method that changes the original's result."""

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(await original(self, *args, **kwargs))

    return changed


def mapped(method: str, kind: Kind, change: Change) -> Callable[[Any, dict[str, Any]], None]:
    """Return a function that changes each argument of a kind."""

    def apply(self: Any, arguments: dict[str, Any]) -> None:
        del self
        for name, kinds in PARAMETERS[method].items():
            if kind in kinds and arguments.get(name) is not None:
                arguments[name] = _mapped(arguments[name], kind, change)

    return apply


def _mapped(value: Any, kind: Kind, change: Change) -> Any:
    match value:
        case Entry():
            return Entry(
                change(value.key) if kind is Kind.KEY else value.key,
                change(value.value) if kind is Kind.VALUE else value.value,
                change(value.ttl) if kind is Kind.TTL and value.ttl is not None else value.ttl,
            )
        case dict():
            fields = cast("dict[str, bytes]", value)
            if kind is Kind.FIELD:
                return {change(name): each for name, each in fields.items()}
            return {name: change(each) for name, each in fields.items()}
        case list() | tuple():
            return [_mapped(each, kind, change) for each in cast("list[Any]", value)]
        case _:
            return change(value)


def bytes_mapped(change: Change) -> Change:
    """Return a function that changes all bytes in a result."""

    def apply(result: Any) -> Any:
        match result:
            case bytes():
                return change(result)
            case list():
                return [apply(each) for each in cast("list[Any]", result)]
            case StreamEntry():
                return StreamEntry(
                    result.id, {name: change(each) for name, each in result.fields.items()}
                )
            case _:
                return result

    return apply
