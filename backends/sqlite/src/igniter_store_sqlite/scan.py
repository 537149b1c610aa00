"""Scans keys in order.

A cursor is the last key of the previous page, so a deletion doesn't shift the following pages.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import (
    START,
    ErrorCode,
    Pattern,
    Scan,
    ScanPage,
    name_from_bytes,
    name_to_bytes,
    store_error,
)
from sqlalchemy import bindparam, delete, select

from igniter_store_sqlite.errors import NAME
from igniter_store_sqlite.keyspace import LIVE
from igniter_store_sqlite.statements import NONE, sql
from igniter_store_sqlite.tables import KEYS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_SPECIAL: Final = re.compile(rb"[*?\[\\]")
_STEP: Final = 1_000  # keys that delete_prefix removes before other calls get their turn
_MARK: Final = "k"  # prefix of every cursor

_BEGINS: Final = KEYS.c.key >= bindparam("first")
_BEYOND: Final = KEYS.c.key < bindparam("beyond")


def _page_of(*where: ColumnElement[bool]) -> str:
    page = (
        select(KEYS.c.key).where(KEYS.c.key > bindparam("after"), *where, LIVE).order_by(KEYS.c.key)
    )
    return sql(page.limit(bindparam("count")).offset(NONE))


def _deletion_of(*where: ColumnElement[bool]) -> str:
    step = select(KEYS.c.key).where(*where).limit(bindparam("count")).offset(NONE)
    return sql(delete(KEYS).where(KEYS.c.key.in_(step)).returning(KEYS.c.deadline))


_PAGE: Final = _page_of(_BEGINS, _BEYOND)
_LAST_PAGE: Final = _page_of(_BEGINS)  # if the prefix has no upper bound
_DELETE: Final = _deletion_of(_BEGINS, _BEYOND)
_DELETE_LAST: Final = _deletion_of(_BEGINS)


class SQLiteScan(Scan):
    """`Scan` on a table."""

    _reads: Worker
    _writes: Worker

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        # The prefix of every key that matches
        first = _SPECIAL.split(name_to_bytes(pattern), maxsplit=1)[0]
        keys = await self._reads.call(_page, _after(cursor), first, count)
        matches = Pattern(pattern).matches
        page = [key for key in map(name_from_bytes, keys) if matches(key)]
        return ScanPage(START if len(keys) < count else _cursor(keys[-1]), page)

    async def delete_prefix(self, prefix: str) -> int:
        deleted = 0
        while True:
            removed, live = await self._writes.call(_delete_some, name_to_bytes(prefix))
            deleted += live
            if removed < _STEP:
                return deleted


def _page(session: Session, after: bytes, first: bytes, count: int) -> list[bytes]:
    beyond = _beyond(first)
    parameters = {
        "after": after,
        "first": first,
        "beyond": beyond,
        "count": count,
        "now": session.now,
    }
    return [key for (key,) in session.execute(_LAST_PAGE if beyond is None else _PAGE, parameters)]


def _delete_some(session: Session, prefix: bytes) -> tuple[int, int]:
    """Remove a batch of keys; return how many, and how many of them were live."""
    beyond = _beyond(prefix)
    statement = _DELETE_LAST if beyond is None else _DELETE
    rows = session.execute(
        statement, {"first": prefix, "beyond": beyond, "count": _STEP}
    ).fetchall()
    return len(rows), sum(deadline is None or deadline > session.now for (deadline,) in rows)


def _beyond(prefix: bytes) -> bytes | None:
    """The smallest key greater than all keys with this prefix; `None` if there is none."""
    rest = prefix.rstrip(b"\xff")
    return rest[:-1] + bytes([rest[-1] + 1]) if rest else None


def _cursor(key: bytes) -> str:
    return f"{_MARK}{base64.urlsafe_b64encode(key).decode()}"


def _after(cursor: str) -> bytes:
    if cursor == START:
        return b""
    try:
        key = base64.b64decode(cursor.removeprefix(_MARK).encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or _cursor(key) != cursor:
        message = (
            "The cursor is invalid. Continue with the cursor of the previous page, or restart with "
            '"0".'
        )
        raise store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=NAME)
    return key
