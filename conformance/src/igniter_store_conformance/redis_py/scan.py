"""Scans: SCAN, and removal by prefix.

Rule: a cursor is the server's cursor followed by a checksum. The server would accept any number,
    and begin at an arbitrary place (SCN-4).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract import START, ErrorCode, Scan, ScanPage, StoreError, escape, store_error

from igniter_store_conformance.redis_py.errors import NAME

if TYPE_CHECKING:
    from igniter_store_conformance.redis_py.calls import Calls

_STEP: Final = 1000  # keys that delete_prefix examines in one round trip


class RedisPyScan(Scan):
    """`Scan` over redis-py."""

    _calls: Calls

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        following, keys = await self._calls.ask(
            "SCAN",
            _opened(cursor),
            "MATCH",
            pattern,
            "COUNT",
            count,
            code=ErrorCode.STORE_SCAN_FAILED,
        )
        # Foreign keys may not be UTF-8; they must not break the page.
        return ScanPage(
            _sealed(following.decode()), [key.decode("utf-8", "surrogateescape") for key in keys]
        )

    async def delete_prefix(self, prefix: str) -> int:
        deleted, cursor = 0, START.encode()
        while True:
            cursor, keys = await self._calls.ask(
                "SCAN", cursor, "MATCH", f"{escape(prefix)}*", "COUNT", _STEP
            )
            if keys:
                deleted += await self._calls.tell("UNLINK", *keys)
            if cursor == START.encode():
                return deleted


def _sealed(cursor: str) -> str:
    return cursor if cursor == START else f"{cursor}-{zlib.crc32(cursor.encode()):08x}"


def _opened(cursor: str) -> str:
    number = cursor.partition("-")[0]
    if _sealed(number) != cursor:
        raise _wrong_cursor()
    return number


def _wrong_cursor() -> StoreError:
    message = (
        'The cursor is invalid. Continue with the cursor of the previous page, or restart with "0".'
    )
    return store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=NAME)
