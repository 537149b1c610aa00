"""The tables: keys with their values and deadlines, the logs of streams, and pending messages.

Rule: times are whole microseconds since 1970. A row whose deadline has passed counts as missing.
    `since` is the time at which the deadline was set. If the deadline is further away from now than
    it was then, the clock was set back.
Rule: names are UTF-8 bytes, and ids of stream entries are sixteen bytes that sort as ids do. So
    equality and order are those of bytes in any database, whatever its collation.
Rule: a key that holds a stream refers to it by number. If the key is removed, the rows of its
    stream belong to no key, and the sweeper removes them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

METADATA: Final = MetaData()
# Numbers that are never reused. SQLite guarantees this only for a column of type INTEGER.
_NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")

SCHEMA: Final = Table("igniter_schema", METADATA, Column("version", Integer, primary_key=True))

KEYS: Final = Table(
    "igniter_keys",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary),
    Column("stream", BigInteger),
    Column("deadline", BigInteger),
    Column("since", BigInteger),
    sqlite_with_rowid=False,
)
_HAS_DEADLINE: Final = KEYS.c.deadline.is_not(None)
DEADLINES: Final = Index(
    "igniter_keys_deadline",
    KEYS.c.deadline,
    KEYS.c.since,
    sqlite_where=_HAS_DEADLINE,
    postgresql_where=_HAS_DEADLINE,
)

STREAMS: Final = Table(
    "igniter_streams",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("last_id", LargeBinary, nullable=False),
    Column("length", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

ENTRIES: Final = Table(
    "igniter_entries",
    METADATA,
    Column("stream", BigInteger, primary_key=True),
    Column("id", LargeBinary, primary_key=True),
    Column("fields", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

GROUPS: Final = Table(
    "igniter_groups",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("stream", BigInteger, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("position", LargeBinary, nullable=False),
    UniqueConstraint("stream", "name"),
    sqlite_autoincrement=True,
)

CONSUMERS: Final = Table(
    "igniter_consumers",
    METADATA,
    Column("group", BigInteger, primary_key=True),
    Column("name", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)

PENDING: Final = Table(
    "igniter_pending",
    METADATA,
    Column("group", BigInteger, primary_key=True),
    Column("id", LargeBinary, primary_key=True),
    Column("consumer", LargeBinary, nullable=False),
    Column("delivered_at", BigInteger, nullable=False),
    Column("deliveries", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

LISTENERS: Final = Table(
    "igniter_listeners",
    METADATA,
    # Chosen at random by the listener
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    # When its silence was noticed, in microseconds of the machine's monotonic clock
    Column("doubted", BigInteger),
)

SUBSCRIPTIONS: Final = Table(
    "igniter_subscriptions",
    METADATA,
    Column("listener", BigInteger, primary_key=True),
    Column("name", LargeBinary, primary_key=True),
    Column("is_pattern", Boolean, primary_key=True),
    sqlite_with_rowid=False,
)

MESSAGES: Final = Table(
    "igniter_messages",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("channel", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
