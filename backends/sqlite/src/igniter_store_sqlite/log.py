"""One stream in the tables: finding, appending, trimming, and the pending entries of its groups.

Rule: an id is stored as sixteen bytes, so that the database orders ids correctly.
Rule: these functions run within a transaction, in the connection's thread.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import StreamEntry, name_from_bytes, name_to_bytes
from igniter_store.contract.stream_ids import FIRST, StreamId, spell
from msgspec import ValidationError, msgpack
from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from igniter_store_sqlite import keyspace
from igniter_store_sqlite.errors import other_kind
from igniter_store_sqlite.keyspace import LIVE
from igniter_store_sqlite.statements import NONE, constant, sql
from igniter_store_sqlite.tables import CONSUMERS, ENTRIES, GROUPS, KEYS, PENDING, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from igniter_store_sqlite.session import Session

NO_LIMIT: Final = -1  # the value for SQLite's LIMIT
# Entries in one node of a Redis stream by default; approximate trimming removes whole nodes
_NODE: Final = 100
_ID: Final = struct.Struct(">QQ")
_decode: Final = msgpack.Decoder(dict[str, bytes]).decode
_decode_bytes: Final = msgpack.Decoder(dict[bytes, bytes]).decode
_encode: Final = msgpack.Encoder().encode

_OF_STREAM: Final = ENTRIES.c.stream == bindparam("number")
_OF_GROUP: Final = PENDING.c.group == bindparam("number")
_BETWEEN: Final = (_OF_STREAM, ENTRIES.c.id >= bindparam("low"), ENTRIES.c.id <= bindparam("high"))

_FIND: Final = sql(
    select(KEYS.c.stream, STREAMS.c.last_id, STREAMS.c.length)
    .select_from(KEYS.outerjoin(STREAMS, STREAMS.c.number == KEYS.c.stream))
    .where(KEYS.c.key == bindparam("key"), LIVE)
)
_ADD_STREAM: Final = sql(
    insert(STREAMS)
    .values(key=bindparam("key"), last_id=bindparam("last_id"), length=constant(0))
    .returning(STREAMS.c.number)
)
_APPENDED: Final = sql(
    update(STREAMS)
    .where(STREAMS.c.number == bindparam("stream"))
    .values(last_id=bindparam("last"), length=STREAMS.c.length + constant(1))
)
_SHORTENED: Final = sql(
    update(STREAMS)
    .where(STREAMS.c.number == bindparam("stream"))
    .values(length=STREAMS.c.length - bindparam("removed"))
)
_ADD_ENTRY: Final = sql(insert(ENTRIES))
_OLDEST: Final = (
    select(ENTRIES.c.id)
    .where(_OF_STREAM)
    .order_by(ENTRIES.c.id)
    .limit(bindparam("count"))
    .offset(NONE)
)
_TRIM: Final = sql(delete(ENTRIES).where(_OF_STREAM, ENTRIES.c.id.in_(_OLDEST)))
_DELETE_ENTRY: Final = sql(delete(ENTRIES).where(_OF_STREAM, ENTRIES.c.id == bindparam("entry")))
_ENTRY: Final = select(ENTRIES.c.id, ENTRIES.c.fields).limit(bindparam("count")).offset(NONE)
_RANGE: Final = sql(_ENTRY.where(*_BETWEEN).order_by(ENTRIES.c.id))
_RANGE_BACK: Final = sql(_ENTRY.where(*_BETWEEN).order_by(ENTRIES.c.id.desc()))
_NEXT: Final = sql(
    _ENTRY.where(_OF_STREAM, ENTRIES.c.id > bindparam("position")).order_by(ENTRIES.c.id)
)

_FIND_GROUP: Final = sql(
    select(GROUPS.c.number, GROUPS.c.position).where(
        GROUPS.c.stream == bindparam("stream_number"), GROUPS.c.name == bindparam("group_name")
    )
)
_ADD_GROUP: Final = sql(
    insert(GROUPS).values(
        stream=bindparam("stream"), name=bindparam("name"), position=bindparam("position")
    )
)
_MOVE_GROUP: Final = sql(
    update(GROUPS)
    .where(GROUPS.c.number == bindparam("group_number"))
    .values(position=bindparam("to"))
)
_DELETE_GROUP: Final = sql(delete(GROUPS).where(GROUPS.c.number == bindparam("group_number")))
_DELETE_CONSUMERS: Final = sql(
    delete(CONSUMERS).where(CONSUMERS.c.group == bindparam("group_number"))
)
_DELETE_PENDING: Final = sql(delete(PENDING).where(PENDING.c.group == bindparam("group_number")))
_GROUPS: Final = sql(
    select(
        GROUPS.c.name,
        select(func.count()).where(CONSUMERS.c.group == GROUPS.c.number).scalar_subquery(),
        select(func.count()).where(PENDING.c.group == GROUPS.c.number).scalar_subquery(),
        GROUPS.c.position,
        select(func.count())
        .where(ENTRIES.c.stream == GROUPS.c.stream, ENTRIES.c.id > GROUPS.c.position)
        .scalar_subquery(),
    )
    .where(GROUPS.c.stream == bindparam("number"))
    .order_by(GROUPS.c.name)
)
_FIND_CONSUMER: Final = sql(
    select(CONSUMERS.c.name).where(
        CONSUMERS.c.group == bindparam("group_number"),
        CONSUMERS.c.name == bindparam("consumer_name"),
    )
)
_ADD_CONSUMER: Final = sql(insert(CONSUMERS))
_DELIVER: Final = sql(insert(PENDING))
_DELIVER_AGAIN: Final = sql(
    update(PENDING)
    .where(_OF_GROUP, PENDING.c.id == bindparam("entry"))
    .values(
        consumer=bindparam("to"),
        delivered_at=bindparam("at"),
        deliveries=PENDING.c.deliveries + constant(1),
    )
)
_NO_LATER_THAN_NOW: Final = sql(
    update(PENDING)
    .where(_OF_GROUP, PENDING.c.delivered_at > bindparam("now"))
    .values(delivered_at=bindparam("now"))
)
_SETTLE: Final = sql(delete(PENDING).where(_OF_GROUP, PENDING.c.id == bindparam("entry")))
_THEIR_ENTRIES: Final = PENDING.outerjoin(
    ENTRIES, and_(ENTRIES.c.stream == bindparam("stream"), ENTRIES.c.id == PENDING.c.id)
)
_OWN: Final = sql(
    select(PENDING.c.id, ENTRIES.c.fields)
    .select_from(_THEIR_ENTRIES)
    .where(_OF_GROUP, PENDING.c.consumer == bindparam("owner"), ENTRIES.c.fields.is_not(None))
    .order_by(PENDING.c.id)
    .limit(bindparam("count"))
    .offset(NONE)
)
_IDLE_OR_DELETED: Final = sql(
    select(PENDING.c.id, ENTRIES.c.fields)
    .select_from(_THEIR_ENTRIES)
    .where(_OF_GROUP, or_(PENDING.c.delivered_at <= bindparam("since"), ENTRIES.c.fields.is_(None)))
    .order_by(PENDING.c.id)
)
_PENDING: Final = sql(
    select(PENDING.c.id, PENDING.c.consumer, PENDING.c.delivered_at, PENDING.c.deliveries)
    .where(
        _OF_GROUP,
        or_(bindparam("since").is_(None), PENDING.c.delivered_at <= bindparam("since")),
        or_(bindparam("owner").is_(None), PENDING.c.consumer == bindparam("owner")),
    )
    .order_by(PENDING.c.id)
    .limit(bindparam("count"))
    .offset(NONE)
)


def pack(stream_id: StreamId) -> bytes:
    """Convert an id to its stored form."""
    return _ID.pack(*stream_id)


def unpack(stored: bytes) -> str:
    """Convert a stored id to text."""
    return spell(_ID.unpack(stored))


@dataclass(slots=True)
class Log:
    """An existing stream.

    Attributes:
        number: its number in the tables.
        last: the last id that was assigned.
        length: the number of entries.
    """

    number: int
    last: bytes
    length: int


def find(session: Session, key: bytes) -> Log | None:
    """Return the stream that a live key holds; `None` if the key is missing.

    Raises:
        BackendFailed: the key holds a value.
    """
    row = session.execute(_FIND, {"key": key, "now": session.now}).fetchone()
    if row is None:
        return None
    if row[0] is None:
        raise other_kind()
    return Log(*row)


def find_or_add(session: Session, key: bytes) -> Log:
    """Return the stream that a live key holds, or create one."""
    log = find(session, key)
    if log is None:
        last = pack(FIRST)
        [number] = session.execute(_ADD_STREAM, {"key": key, "last_id": last}).fetchone()
        keyspace.put(session, key, None, None, number)
        log = Log(number, last, 0)
    return log


def append(session: Session, log: Log, fields: Mapping[str, bytes]) -> str:
    """Append an entry after all others, whatever the clock shows, and return its id."""
    milliseconds, sequence = _ID.unpack(log.last)
    now = session.now // 1000
    given = (now, 0) if now > milliseconds else (milliseconds, sequence + 1)
    log.last = pack(given)
    log.length += 1
    session.execute(_ADD_ENTRY, {"stream": log.number, "id": log.last, "fields": _packed(fields)})
    session.execute(_APPENDED, {"stream": log.number, "last": log.last})
    return spell(given)


def trim(session: Session, log: Log, max_len: int, *, approximate: bool) -> int:
    """Remove the oldest entries and return how many were removed."""
    surplus = log.length - max_len
    if approximate:
        surplus -= surplus % _NODE
    if surplus <= 0:
        return 0
    session.execute(_TRIM, {"number": log.number, "count": surplus})
    return _shortened(session, log, surplus)


def remove(session: Session, log: Log, ids: Iterable[StreamId]) -> int:
    """Remove entries and return how many of them existed."""
    removed = session.execute_many(
        _DELETE_ENTRY, [{"number": log.number, "entry": pack(one)} for one in ids]
    ).rowcount
    return _shortened(session, log, max(removed, 0))


def between(  # noqa: PLR0913 - the arguments of XRANGE
    session: Session, log: Log, low: StreamId, high: StreamId, count: int, *, is_reverse: bool
) -> list[StreamEntry]:
    """Return the entries from `low` to `high`, both included."""
    parameters = {"number": log.number, "low": pack(low), "high": pack(high), "count": count}
    return _entries(session.execute(_RANGE_BACK if is_reverse else _RANGE, parameters))


def find_group(session: Session, log: Log, group: bytes) -> tuple[int, bytes] | None:
    """Return number and position of a group; `None` if it is missing."""
    found: tuple[int, bytes] | None = session.execute(
        _FIND_GROUP, {"stream_number": log.number, "group_name": group}
    ).fetchone()
    return found


def add_group(session: Session, log: Log, group: bytes, position: bytes) -> bool:
    """Create a group; return False if the name exists."""
    if find_group(session, log, group) is not None:
        return False
    session.execute(_ADD_GROUP, {"stream": log.number, "name": group, "position": position})
    return True


def remove_group(session: Session, number: int) -> None:
    """Remove a group with its consumers and pending entries."""
    for statement in (_DELETE_PENDING, _DELETE_CONSUMERS, _DELETE_GROUP):
        session.execute(statement, {"group_number": number})


def groups(session: Session, log: Log) -> list[tuple[bytes, int, int, bytes, int]]:
    """Name, consumer count, pending count, position and lag of each group, ordered by name."""
    return session.execute(_GROUPS, {"number": log.number}).fetchall()


def has_news(session: Session, log: Log, position: bytes) -> bool:
    """Whether there is an entry after this position."""
    return (
        log.last > position
        and session.execute(
            _NEXT, {"number": log.number, "position": position, "count": 1}
        ).fetchone()
        is not None
    )


def deliver(
    session: Session, log: Log, group: tuple[int, bytes], consumer: bytes, count: int
) -> list[StreamEntry]:
    """Deliver new entries to `consumer`."""
    number, position = group
    rows = session.execute(
        _NEXT, {"number": log.number, "position": position, "count": count}
    ).fetchall()
    if rows:
        session.execute_many(
            _DELIVER,
            [
                {
                    "group": number,
                    "id": row[0],
                    "consumer": consumer,
                    "delivered_at": session.now,
                    "deliveries": 1,
                }
                for row in rows
            ],
        )
        session.execute(_MOVE_GROUP, {"group_number": number, "to": rows[-1][0]})
    return _entries(rows)


def deliver_again(
    session: Session, log: Log, group: int, consumer: bytes, count: int
) -> list[StreamEntry]:
    """Deliver `consumer` its own pending entries again, except deleted ones (STR-18)."""
    rows = session.execute(
        _OWN, {"number": group, "stream": log.number, "owner": consumer, "count": count}
    ).fetchall()
    _hand_over(session, group, consumer, [row[0] for row in rows])
    return _entries(rows)


def claim(  # noqa: PLR0913, PLR0917 - the arguments of XAUTOCLAIM
    session: Session, log: Log, group: int, consumer: bytes, idle_since: int, count: int | None
) -> list[StreamEntry]:
    """Move entries that have been idle since `idle_since` to `consumer`.

    Deleted entries are dropped from the pending list (STR-10, STR-12).
    """
    # An entry with a delivery time in the future was delivered before the clock was set back. It
    # counts as idle from now on; otherwise it would never become idle.
    session.execute(_NO_LATER_THAN_NOW, {"number": group, "now": session.now})
    claimed: list[tuple[bytes, bytes]] = []
    deleted: list[bytes] = []
    for stream_id, fields in session.execute(
        _IDLE_OR_DELETED, {"number": group, "stream": log.number, "since": idle_since}
    ):
        if len(claimed) == count:
            break
        if fields is None:  # however young: Redis 7 checks this first, too
            deleted.append(stream_id)
        else:
            claimed.append((stream_id, fields))
    settle(session, group, deleted)
    _hand_over(session, group, consumer, [stream_id for stream_id, _ in claimed])
    return _entries(claimed)


def settle(session: Session, group: int, ids: Iterable[bytes]) -> int:
    """Remove entries from a group's pending list, and return how many were on it."""
    return max(
        session.execute_many(_SETTLE, [{"number": group, "entry": one} for one in ids]).rowcount, 0
    )


def pending(
    session: Session, group: int, since: int | None, consumer: bytes | None, count: int
) -> list[tuple[bytes, bytes, int, int]]:
    """Id, consumer, delivery time and delivery count of pending entries, in order of id."""
    return session.execute(
        _PENDING, {"number": group, "since": since, "owner": consumer, "count": count}
    ).fetchall()


def know_consumer(session: Session, group: int, consumer: bytes) -> None:
    """Create the consumer if it is missing."""
    if (
        session.execute(
            _FIND_CONSUMER, {"group_number": group, "consumer_name": consumer}
        ).fetchone()
        is None
    ):
        session.execute(_ADD_CONSUMER, {"group": group, "name": consumer})


def _hand_over(session: Session, group: int, consumer: bytes, ids: Iterable[bytes]) -> None:
    session.execute_many(
        _DELIVER_AGAIN,
        [{"number": group, "entry": one, "to": consumer, "at": session.now} for one in ids],
    )


def _shortened(session: Session, log: Log, removed: int) -> int:
    if removed:
        log.length -= removed
        session.execute(_SHORTENED, {"stream": log.number, "removed": removed})
    return removed


def _entries(rows: Iterable[tuple[Any, ...]] | Iterator[Any]) -> list[StreamEntry]:
    return [StreamEntry(unpack(stream_id), _unpacked(fields)) for stream_id, fields in rows]


def _packed(fields: Mapping[str, bytes]) -> bytes:
    try:
        return _encode(fields)
    except UnicodeEncodeError:  # names written by other software that aren't UTF-8
        return _encode({name_to_bytes(name): value for name, value in fields.items()})


def _unpacked(fields: bytes) -> dict[str, bytes]:
    try:
        return _decode(fields)
    except ValidationError:
        return {name_from_bytes(name): value for name, value in _decode_bytes(fields).items()}
