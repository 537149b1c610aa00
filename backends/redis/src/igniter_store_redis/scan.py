"""Scans: SCAN, and removal by prefix.

Rule: a cursor is the server's with a checksum behind it. The server would take any number, and begin somewhere (SCN-4).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract import START, ErrorCode, Scan, ScanPage, escape, store_error

from igniter_store_redis.errors import NAME

if TYPE_CHECKING:
    from igniter_store_redis.line import Line

_STEP: Final = 1000  # keys that delete_prefix looks at in one trip


class RedisScan(Scan):
    """`Scan` on a line."""

    _line: Line

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        words = ("SCAN", _opened(cursor), "MATCH", pattern, "COUNT", count)
        following, keys = await self._line.ask(*words, code=ErrorCode.STORE_SCAN_FAILED)
        # Keys of others may be no UTF-8; they must not spoil the page.
        return ScanPage(_sealed(following.decode()), [key.decode("utf-8", "surrogateescape") for key in keys])

    async def delete_prefix(self, prefix: str) -> int:
        deleted, cursor = 0, START.encode()
        while True:
            cursor, keys = await self._line.ask("SCAN", cursor, "MATCH", f"{escape(prefix)}*", "COUNT", _STEP)
            if keys:
                deleted += await self._line.tell("UNLINK", *keys)
            if cursor == START.encode():
                return deleted


def _sealed(cursor: str) -> str:
    return cursor if cursor == START else f"{cursor}-{zlib.crc32(cursor.encode()):08x}"


def _opened(cursor: str) -> str:
    number = cursor.partition("-")[0]
    if _sealed(number) != cursor:
        message = 'No scan gives such a cursor. Go on with the cursor of the page before, or begin again with "0".'
        raise store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=NAME)
    return number
