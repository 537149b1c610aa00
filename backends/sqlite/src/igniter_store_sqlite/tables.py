"""What stands in the database: keys with their values and deadlines, the logs of streams, and
messages on their way.

Rule: times are microseconds since 1970, in whole numbers. A deadline that has passed means that the
    row isn't there any more.
`since` is the moment at which the deadline was set: a deadline that is further away than it was
then shows that the clock was set back.
Rule: names are bytes of UTF-8, and ids of stream entries sixteen bytes that order as ids do: so
    equality and order are those of bytes in
any database, whatever its collation.
Rule: a key that holds a stream names it by number. What a stream leaves behind when its key goes is
    nobody's any more, and is swept.
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
# Numbers that are never given twice. SQLite counts on only in a column that is called INTEGER.
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
    Column(
        "number", BigInteger, primary_key=True, autoincrement=False
    ),  # chosen at random by the listener
    Column("position", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column(
        "doubted", BigInteger
    ),  # when its silence was noticed, in microseconds of the machine's monotonic clock
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
