"""What a reply has to look like before it is believed.

Rule: each command is sent with a reader of its reply. A reader returns what the reply means, or
    raises one of `MALFORMED`; then the caller
gets an error that names the command, and nothing of the reply. So a proxy's greeting is never a
value, and a number never a claim.
Rule: replies are RESP 2's, as the clients hand them on: bytes, int, None, and lists of those.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from igniter_store.contract.errors import StoreError, store_error
from igniter_store.contract.streams import GroupInfo, PendingEntry, StreamEntry
from igniter_store.redis_commands.needs import command_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract.errors import ErrorCode

T = TypeVar("T")

MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What a reader raises."""

_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")
_STREAM_ID: Final = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")
_CURSOR: Final = re.compile(rb"[0-9]{1,20}")
_NO_KEY: Final = -2
_KEY_TYPES: Final = frozenset({bytes})
_VALUE_TYPES: Final = frozenset({bytes, type(None)})

if TYPE_CHECKING:
    Reader: TypeAlias = Callable[[Any], T]


def unexpected(
    words: tuple[Any, ...], reply: object, code: ErrorCode, *, backend: str, writes: bool
) -> StoreError:
    """The error for a reply that its reader refused.

    Args:
        words: the command and its arguments.
        reply: what came.
        code: the error's.
        backend: the adapter's name.
        writes: whether the command changes something.
    """
    command, kind = command_of(words), type(reply).__name__
    message = (
        f"The server sent an unexpected reply to {command} (of type {kind}). Check that the URL "
        "points to a Redis or Valkey server, and that no proxy replies in its place."
    )
    return store_error(
        code,
        message,
        backend=backend,
        details={"command": command, "reply": kind},
        maybe_applied=writes,
    )


def believed(  # noqa: PLR0913 - what is known of a call
    read: Reader[T],
    reply: Any,
    words: tuple[Any, ...],
    code: ErrorCode,
    *,
    backend: str,
    writes: bool,
) -> T:
    """What a reply means.

    Args:
        read: its reader.
        reply: what came.
        words: the command and its arguments.
        code: for a reply that the reader refuses.
        backend: the adapter's name.
        writes: whether the command changes something.

    Raises:
        StoreError: for a reply that the reader refuses.
    """
    try:
        return read(reply)
    except MALFORMED:
        pass  # it holds the reply, so it is no cause
    raise unexpected(words, reply, code, backend=backend, writes=writes)


def ok(reply: Any) -> bool:
    """True; there is no other answer."""
    if reply != b"OK":
        raise ValueError
    return True


def ok_or_none(reply: Any) -> bool:
    """True for OK, False for nil."""
    return reply is not None and ok(reply)


def pong(reply: Any) -> None:
    """The answer to PING."""
    if reply != b"PONG":
        raise ValueError


def data(reply: Any) -> bytes:
    """A string of bytes."""
    if type(reply) is not bytes:
        raise TypeError
    return reply


def data_or_none(reply: Any) -> bytes | None:
    """A string of bytes, or nil."""
    if reply is not None and type(reply) is not bytes:
        raise TypeError
    return reply


def integer(reply: Any) -> int:
    """A number."""
    if type(reply) is not int:
        raise TypeError
    return reply


def count(reply: Any) -> int:
    """How many."""
    if type(reply) is not int or reply < 0:
        raise ValueError
    return reply


def flag(reply: Any) -> bool:
    """1 or 0."""
    if type(reply) is not int or reply not in {0, 1}:
        raise ValueError
    return reply == 1


def decimal(reply: Any) -> int:
    """A number as text, which a script answers."""
    if _NUMBER.fullmatch(data(reply)) is None:
        raise ValueError
    return int(reply)


def decimal_or_none(reply: Any) -> int | None:
    """A number as text, or nil."""
    return None if reply is None else decimal(reply)


def milliseconds_left(reply: Any) -> int:
    """A number of milliseconds; -1 without a TTL, -2 without a key."""
    if integer(reply) < _NO_KEY:
        raise ValueError
    return int(reply)


def values(number: int) -> Reader[list[bytes | None]]:
    """The reader of so many strings or nils."""

    def read(reply: Any) -> list[bytes | None]:
        found: list[bytes | None] = _listed(reply)
        if len(found) != number or not _VALUE_TYPES.issuperset(map(type, found)):
            raise ValueError
        return found

    return read


def page(reply: Any) -> tuple[str, list[bytes]]:
    """The next cursor and the keys of a page."""
    cursor, keys = _listed(reply)
    if _CURSOR.fullmatch(data(cursor)) is None or not _KEY_TYPES.issuperset(
        map(type, _listed(keys))
    ):
        raise ValueError
    return cursor.decode(), keys


def stream_id(reply: Any) -> str:
    """The id of an entry."""
    if _STREAM_ID.fullmatch(data(reply)) is None:
        raise ValueError
    return str(reply, "ascii")


def listed_entries(reply: Any) -> list[tuple[str, dict[str, bytes] | None]]:
    """Entries by id; deleted ones, which a consumer still has, are without fields."""
    return [(stream_id(id), None if flat is None else _fields(flat)) for id, flat in _listed(reply)]


def entries(reply: Any) -> list[StreamEntry]:
    """Entries, without those that were deleted."""
    return there(listed_entries(reply))


def there(listed: list[tuple[str, dict[str, bytes] | None]]) -> list[StreamEntry]:
    """Those of these entries that weren't deleted."""
    return [StreamEntry(id, fields) for id, fields in listed if fields is not None]


def listed_of_stream(reply: Any) -> list[tuple[str, dict[str, bytes] | None]]:
    """As `listed_entries`, of the one stream that was asked for; nil is none."""
    if reply is None or reply == []:
        return []
    [(name, listed)] = _listed(reply)
    data(name)
    return listed_entries(listed)


def of_stream(reply: Any) -> list[StreamEntry] | None:
    """As `entries`, of the one stream that was asked for; nothing for nil."""
    return None if reply is None else there(listed_of_stream(reply))


def groups(reply: Any) -> list[GroupInfo]:
    """The groups of a stream."""
    return [_group(flat) for flat in _listed(reply)]


def pending(reply: Any) -> list[PendingEntry]:
    """Entries that were handed out and not acknowledged."""
    return [
        PendingEntry(stream_id(id), text(consumer), count(idle) / 1000, count(deliveries))
        for id, consumer, idle, deliveries in _listed(reply)
    ]


def claimed(reply: Any) -> tuple[str, list[StreamEntry]]:
    """The id at which the script stopped, "" for the end, and the entries."""
    last, listed = _listed(reply)
    return (stream_id(last) if data(last) else ""), entries(listed)


def text(reply: Any) -> str:
    """A name, whatever bytes others have put into it."""
    return data(reply).decode("utf-8", "surrogateescape")


def _listed(reply: Any) -> list[Any]:
    if type(reply) is not list:
        raise TypeError
    return reply  # pyright: ignore[reportUnknownVariableType]  # of whatever


def _fields(flat: Any) -> dict[str, bytes]:
    words = _listed(flat)
    return {text(name): data(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _group(flat: Any) -> GroupInfo:
    words = _listed(flat)
    facts = dict(zip(words[::2], words[1::2], strict=True))
    # Redis 6.2 doesn't tell the lag; later servers tell none when entries in the middle were
    # deleted.
    lag = facts.get(b"lag")
    last = stream_id(facts[b"last-delivered-id"])
    return GroupInfo(
        text(facts[b"name"]),
        count(facts[b"consumers"]),
        count(facts[b"pending"]),
        last,
        None if lag is None else count(lag),
    )
