"""Keys as every capability sees them: finding, storing and removing them.

Rule: every statement that reads keys contains `LIVE`: an expired key is missing, whether it was
    swept or not (KV-6).
Rule: these functions run within a transaction, in the connection's thread.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.dialects.sqlite import insert

from igniter_store_sqlite.errors import other_kind
from igniter_store_sqlite.statements import sql
from igniter_store_sqlite.tables import KEYS

if TYPE_CHECKING:
    from igniter_store_sqlite.session import Session

LIVE: Final = or_(KEYS.c.deadline.is_(None), KEYS.c.deadline > bindparam("now"))

_FIND: Final = sql(
    select(KEYS.c.value, KEYS.c.stream, KEYS.c.deadline, KEYS.c.since).where(
        KEYS.c.key == bindparam("key"), LIVE
    )
)
_LOOK: Final = sql(
    select(KEYS.c.stream, KEYS.c.deadline, KEYS.c.since).where(KEYS.c.key == bindparam("key"), LIVE)
)
_DELETE: Final = sql(delete(KEYS).where(KEYS.c.key == bindparam("key")))
_added = insert(KEYS)
PUT: Final = sql(
    _added.on_conflict_do_update(
        index_elements=[KEYS.c.key],
        set_={name: _added.excluded[name] for name in ("value", "stream", "deadline", "since")},
    )
)


def find(
    session: Session, key: bytes
) -> tuple[bytes | None, int | None, int | None, int | None] | None:
    """Return a live key's value, stream number, deadline, and the time the deadline was set.

    It returns `None` if the key is missing.
    """
    found: tuple[bytes | None, int | None, int | None, int | None] | None = session.execute(
        _FIND, {"key": key, "now": session.now}
    ).fetchone()
    return found


def look(session: Session, key: bytes) -> tuple[int | None, int | None, int | None] | None:
    """Do as `find`, without reading the value, which may be large."""
    found: tuple[int | None, int | None, int | None] | None = session.execute(
        _LOOK, {"key": key, "now": session.now}
    ).fetchone()
    return found


def find_value(session: Session, key: bytes) -> bytes | None:
    """Return the value of a live key.

    Raises:
        BackendFailed: the key holds a stream.
    """
    found = find(session, key)
    if found is None:
        return None
    if found[1] is not None:
        raise other_kind()
    return found[0]


def put(
    session: Session,
    key: bytes,
    value: bytes | None,
    deadline: int | None,
    stream: int | None = None,
) -> None:
    """Store this under `key`, and replace its old content."""
    since = None if deadline is None else session.now
    session.execute(
        PUT, {"key": key, "value": value, "stream": stream, "deadline": deadline, "since": since}
    )


def remove(session: Session, key: bytes) -> None:
    """Remove `key`."""
    session.execute(_DELETE, {"key": key})


def deadline(session: Session, ttl: float | None) -> int | None:
    """The time `ttl` seconds from now, rounded up to a microsecond."""
    return None if ttl is None else session.now + math.ceil(ttl * 1_000_000)


def bounded(session: Session, deadline: int, since: int | None) -> int:
    """The deadline, or an earlier one if the clock was set back.

    The remaining time is never longer than it was when the deadline was set.
    """
    return deadline if since is None or since <= session.now else session.now + deadline - since
