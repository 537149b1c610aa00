"""The wire format of events: one object with type, data, time and origin.

Rule: the Python and the TypeScript library read and write the same format.
Rule: a message in another format was published by other software. It is delivered all the same, as
    the data of an event with the name of its channel and the time of its arrival.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from msgspec import Struct

from igniter_store.scopes import Scope
from igniter_store.serialization import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store.serialization import Codec

T = TypeVar("T")


class Actor(Struct, frozen=True):
    """The user or process that caused an event."""

    id: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class EventContext(Generic[T]):
    """One event, as handlers and `listen` receive it.

    Attributes:
        type: the full name under which the event was published ("user:created").
        data: the payload, as plain data, or as the schema's type if conversion was requested.
        timestamp: the time of publishing, in UTC with milliseconds.
        scope: the publisher's innermost scope, or `None`.
        scopes: the publisher's whole chain, outermost first. Events of the TypeScript library have
            only the innermost scope.
        actor: the actor that the publisher acted for, or `None`.
    """

    type: str
    data: T
    timestamp: datetime
    scope: Scope | None = None
    scopes: tuple[Scope, ...] = ()
    actor: Actor | None = None

    def with_data(self, data: Any) -> EventContext[Any]:
        """Return the same event with converted data."""
        return replace(cast("EventContext[Any]", self), data=data)


class Wrapper:
    """Creates the messages published in one scope.

    Args:
        codec: the store's codec.
        scopes: the publisher's chain, outermost first.
        actor: the actor that the publisher acts for.
    """

    __slots__ = ("_codec", "_end", "_origin")

    def __init__(self, codec: Codec, scopes: Sequence[Scope], actor: Actor | None) -> None:
        origin: dict[str, Any] = {}
        if scopes:
            origin["scope"] = scopes[-1]
            origin["scopes"] = list(scopes)
        if actor is not None:
            origin["actor"] = (
                {"id": actor.id} if actor.type is None else {"id": actor.id, "type": actor.type}
            )
        self._codec: Final = codec
        self._origin: Final = origin
        self._end: Final = b"," + JSON.encode(origin)[1:] if origin else b"}"

    def wrap(self, event: str, data: Any) -> bytes:
        """Return the message of an event."""
        milliseconds = time_ns() // 1_000_000
        if self._codec.writes_json:
            # Only the data is encoded here; the other parts are precomputed or cached.
            return _head(event) + self._codec.encode(data) + _stamp(milliseconds) + self._end
        return self._codec.encode(
            {"type": event, "data": data, "timestamp": _timestamp(milliseconds), **self._origin}
        )


def unwrap(message: Any, event: str) -> EventContext[Any]:
    """Return the event of a decoded message from the channel of `event`."""
    envelope = cast("dict[str, Any] | None", message if isinstance(message, dict) else None)
    if envelope is not None:
        name, timestamp = envelope.get("type"), _time(envelope.get("timestamp"))
        if isinstance(name, str) and timestamp is not None:
            scope = _scope(envelope.get("scope"))
            return EventContext(
                name,
                envelope.get("data"),
                timestamp,
                scope,
                _scopes(envelope.get("scopes"), scope),
                _actor(envelope.get("actor")),
            )
    return EventContext(event, cast("Any", message), datetime.now(UTC))


@lru_cache(maxsize=1024)  # a service publishes few different events, each very often
def _head(event: str) -> bytes:
    return b'{"type":' + JSON.encode(event) + b',"data":'


@lru_cache(maxsize=1)  # thousands of events may share a millisecond
def _stamp(milliseconds: int) -> bytes:
    return b',"timestamp":"' + _timestamp(milliseconds).encode() + b'"'


def _timestamp(milliseconds: int) -> str:
    return (
        datetime.fromtimestamp(milliseconds / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _time(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # not a time, or one before the year 1 in UTC
        return None


def _scope(scope: Any) -> Scope | None:
    if not isinstance(scope, dict):
        return None
    fields = cast("Mapping[str, Any]", scope)
    if not {"key", "identifier"} <= fields.keys():
        return None
    return Scope(str(fields["key"]), str(fields["identifier"]))


def _scopes(scopes: Any, innermost: Scope | None) -> tuple[Scope, ...]:
    if not isinstance(scopes, list):
        return () if innermost is None else (innermost,)
    parsed = (_scope(scope) for scope in cast("list[Any]", scopes))
    return tuple(scope for scope in parsed if scope is not None)


def _actor(actor: Any) -> Actor | None:
    if not isinstance(actor, dict):
        return None
    fields = cast("Mapping[str, Any]", actor)
    if "id" not in fields:
        return None
    kind = fields.get("type")
    return Actor(str(fields["id"]), None if kind is None else str(kind))
