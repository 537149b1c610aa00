"""Scans in the order of keys: a cursor is the last key that was looked at, so that no deletion shifts what is still to come."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import START, ErrorCode, Pattern, Scan, ScanPage, store_error
from sqlalchemy import bindparam, delete, select

from igniter_store_sqlite.errors import NAME
from igniter_store_sqlite.keyspace import LIVE
from igniter_store_sqlite.statements import NONE, sql
from igniter_store_sqlite.tables import KEYS

if TYPE_CHECKING:
    from igniter_store_sqlite.worker import Session, Worker

_BEYOND: Final = b"\xff"  # greater than every key, since UTF-8 has no such byte
_SPECIAL: Final = re.compile(rb"[*?\[\\]")
_STEP: Final = 1_000  # keys that delete_prefix removes before it lets others have their turn
_MARK: Final = "k"  # what a cursor begins with

_PAGE: Final = sql(
    select(KEYS.c.key)
    .where(KEYS.c.key > bindparam("after"), KEYS.c.key >= bindparam("first"), KEYS.c.key < bindparam("beyond"), LIVE)
    .order_by(KEYS.c.key)
    .limit(bindparam("count"))
    .offset(NONE)
)
_NEXT: Final = (
    select(KEYS.c.key).where(KEYS.c.key >= bindparam("first"), KEYS.c.key < bindparam("beyond")).limit(bindparam("count")).offset(NONE)
)
_DELETE: Final = sql(delete(KEYS).where(KEYS.c.key.in_(_NEXT)).returning(KEYS.c.deadline))


class SQLiteScan(Scan):
    """`Scan` over a table."""

    _reads: Worker
    _writes: Worker

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        first = _SPECIAL.split(pattern.encode(), maxsplit=1)[0]  # what every key that matches begins with
        keys = await self._reads.call(_page, _after(cursor), first, count)
        matches = Pattern(pattern).matches
        page = [key for key in map(bytes.decode, keys) if matches(key)]
        return ScanPage(START if len(keys) < count else _cursor(keys[-1]), page)

    async def delete_prefix(self, prefix: str) -> int:
        deleted = 0
        while True:
            removed, live = await self._writes.call(_delete_some, prefix.encode())
            deleted += live
            if removed < _STEP:
                return deleted


def _page(session: Session, after: bytes, first: bytes, count: int) -> list[bytes]:
    parameters = {"after": after, "first": first, "beyond": first + _BEYOND, "count": count, "now": session.now}
    return [key for (key,) in session.execute(_PAGE, parameters)]


def _delete_some(session: Session, prefix: bytes) -> tuple[int, int]:
    """Remove a step of keys; how many, and how many of them were live."""
    rows = session.execute(_DELETE, {"first": prefix, "beyond": prefix + _BEYOND, "count": _STEP}).fetchall()
    return len(rows), sum(deadline is None or deadline > session.now for (deadline,) in rows)


def _cursor(key: bytes) -> str:
    return f"{_MARK}{base64.urlsafe_b64encode(key).decode()}"


def _after(cursor: str) -> bytes:
    if cursor == START:
        return b""
    try:
        key = base64.b64decode(cursor.removeprefix(_MARK).encode(), altchars=b"-_", validate=True)
        key.decode()
    except (binascii.Error, ValueError):
        key = b""
    if not key or _cursor(key) != cursor:
        message = 'No scan has given this cursor. Go on with the cursor of the page before, or begin again with "0".'
        raise store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=NAME)
    return key
