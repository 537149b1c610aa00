"""Validates replies before the adapter uses them.

Rule: each command is sent with a reader of its reply. A reader returns the parsed reply, or raises
    one of `MALFORMED`. The caller then gets an error that names the command and quotes nothing of
    the reply. So a proxy's greeting is never returned as a value, and a number never counts as a
    claim.
Rule: replies have the types of RESP 2, as the clients return them: bytes, int, None, and lists of
    these.
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
"""The exceptions that a reader raises."""

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
    """Create the error for a reply that its reader rejected.

    Args:
        words: the command and its arguments.
        reply: the reply.
        code: the error's code.
        backend: the adapter's name.
        writes: whether the command changes data.
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


def believed(  # noqa: PLR0913 - each is a part of the error message
    read: Reader[T],
    reply: Any,
    words: tuple[Any, ...],
    code: ErrorCode,
    *,
    backend: str,
    writes: bool,
) -> T:
    """Parse a reply with its reader.

    Args:
        read: the reader.
        reply: the reply.
        words: the command and its arguments.
        code: the error code for a reply that the reader rejects.
        backend: the adapter's name.
        writes: whether the command changes data.

    Raises:
        StoreError: if the reader rejects the reply.
    """
    try:
        return read(reply)
    except MALFORMED:
        pass  # the exception contains the reply, so it must not become the cause
    raise unexpected(words, reply, code, backend=backend, writes=writes)


def ok(reply: Any) -> bool:
    """Return True for OK, the only valid reply."""
    if reply != b"OK":
        raise ValueError
    return True


def ok_or_none(reply: Any) -> bool:
    """Return True for OK, False for nil."""
    return reply is not None and ok(reply)


def pong(reply: Any) -> None:
    """Check the reply to PING."""
    if reply != b"PONG":
        raise ValueError


def data(reply: Any) -> bytes:
    """Read a byte string."""
    if type(reply) is not bytes:
        raise TypeError
    return reply


def data_or_none(reply: Any) -> bytes | None:
    """Read a byte string or nil."""
    if reply is not None and type(reply) is not bytes:
        raise TypeError
    return reply


def integer(reply: Any) -> int:
    """Read an integer."""
    if type(reply) is not int:
        raise TypeError
    return reply


def count(reply: Any) -> int:
    """Read a number that isn't negative."""
    if type(reply) is not int or reply < 0:
        raise ValueError
    return reply


def flag(reply: Any) -> bool:
    """Read 1 or 0."""
    if type(reply) is not int or reply not in {0, 1}:
        raise ValueError
    return reply == 1


def decimal(reply: Any) -> int:
    """Read an integer as text, which scripts return."""
    if _NUMBER.fullmatch(data(reply)) is None:
        raise ValueError
    return int(reply)


def decimal_or_none(reply: Any) -> int | None:
    """Read an integer as text, or nil."""
    return None if reply is None else decimal(reply)


def milliseconds_left(reply: Any) -> int:
    """Read a number of milliseconds; -1 without a TTL, -2 without a key."""
    if integer(reply) < _NO_KEY:
        raise ValueError
    return int(reply)


def values(number: int) -> Reader[list[bytes | None]]:
    """Create a reader for `number` byte strings or nils."""

    def read(reply: Any) -> list[bytes | None]:
        found: list[bytes | None] = _listed(reply)
        if len(found) != number or not _VALUE_TYPES.issuperset(map(type, found)):
            raise ValueError
        return found

    return read


def page(reply: Any) -> tuple[str, list[bytes]]:
    """Read the next cursor and the keys of a page."""
    cursor, keys = _listed(reply)
    if _CURSOR.fullmatch(data(cursor)) is None or not _KEY_TYPES.issuperset(
        map(type, _listed(keys))
    ):
        raise ValueError
    return cursor.decode(), keys


def stream_id(reply: Any) -> str:
    """Read the id of an entry."""
    if _STREAM_ID.fullmatch(data(reply)) is None:
        raise ValueError
    return str(reply, "ascii")


def listed_entries(reply: Any) -> list[tuple[str, dict[str, bytes] | None]]:
    """Read entries with their ids; deleted entries that are still pending have no fields."""
    return [(stream_id(id), None if flat is None else _fields(flat)) for id, flat in _listed(reply)]


def entries(reply: Any) -> list[StreamEntry]:
    """Read entries, without deleted ones."""
    return there(listed_entries(reply))


def there(listed: list[tuple[str, dict[str, bytes] | None]]) -> list[StreamEntry]:
    """Return the entries that weren't deleted."""
    return [StreamEntry(id, fields) for id, fields in listed if fields is not None]


def listed_of_stream(reply: Any) -> list[tuple[str, dict[str, bytes] | None]]:
    """Like `listed_entries`, for the one stream of the command; nil is an empty list."""
    if reply is None or reply == []:
        return []
    [(name, listed)] = _listed(reply)
    data(name)
    return listed_entries(listed)


def of_stream(reply: Any) -> list[StreamEntry] | None:
    """Like `entries`, for the one stream of the command; nil is `None`."""
    return None if reply is None else there(listed_of_stream(reply))


def groups(reply: Any) -> list[GroupInfo]:
    """Read the groups of a stream."""
    return [_group(flat) for flat in _listed(reply)]


def pending(reply: Any) -> list[PendingEntry]:
    """Read entries that were delivered and not acknowledged."""
    return [
        PendingEntry(stream_id(id), text(consumer), count(idle) / 1000, count(deliveries))
        for id, consumer, idle, deliveries in _listed(reply)
    ]


def claimed(reply: Any) -> tuple[str, list[StreamEntry]]:
    """Read the id at which the script stopped ("" at the end), and the entries."""
    last, listed = _listed(reply)
    return (stream_id(last) if data(last) else ""), entries(listed)


def text(reply: Any) -> str:
    """Read a name, which may contain any bytes of other software."""
    return data(reply).decode("utf-8", "surrogateescape")


def _listed(reply: Any) -> list[Any]:
    if type(reply) is not list:
        raise TypeError
    return reply  # pyright: ignore[reportUnknownVariableType]  # the element type is unknown


def _fields(flat: Any) -> dict[str, bytes]:
    words = _listed(flat)
    return {text(name): data(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _group(flat: Any) -> GroupInfo:
    words = _listed(flat)
    facts = dict(zip(words[::2], words[1::2], strict=True))
    # Redis 6.2 doesn't report the lag. Later servers report nil if entries in the middle were
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
