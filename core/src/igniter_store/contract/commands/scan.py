"""Scans: SCAN, and removal by prefix.

Rule: a cursor is the server's with a checksum behind it. The server would take any number, and begin somewhere (SCN-4).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract.commands.keyvalue import all_of
from igniter_store.contract.errors import ErrorCode, store_error
from igniter_store.contract.patterns import escape
from igniter_store.contract.scan import START, Scan, ScanPage

if TYPE_CHECKING:
    from igniter_store.contract.commands.commands import Commands

_STEP: Final = 1000  # keys that delete_prefix looks at in one trip


class CommandScan(Scan):
    """`Scan` on commands."""

    _commands: Commands

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        following, keys = await self._commands.scan(_opened(cursor, self.name), pattern, count, ErrorCode.STORE_SCAN_FAILED)
        # Keys of others may be no UTF-8; they must not spoil the page.
        return ScanPage(_sealed(following), [key.decode("utf-8", "surrogateescape") for key in keys])

    async def delete_prefix(self, prefix: str) -> int:
        commands, pattern = self._commands, f"{escape(prefix)}*"
        deleted, cursor = 0, START
        while True:
            cursor, keys = await commands.scan(cursor, pattern, _STEP, ErrorCode.STORE_OPERATION_FAILED)
            removing = [commands.tell("UNLINK", *[keys[place] for place in group]) for group in commands.together(keys)]
            removed: list[int] = await all_of(removing, write=True)
            deleted += sum(removed)
            if cursor == START:
                return deleted


def _sealed(cursor: str) -> str:
    return cursor if cursor == START else f"{cursor}-{zlib.crc32(cursor.encode()):08x}"


def _opened(cursor: str, backend: str) -> str:
    own = cursor if cursor == START else cursor.rpartition("-")[0]
    if _sealed(own) != cursor:
        message = 'No scan gives such a cursor. Go on with the cursor of the page before, or begin again with "0".'
        raise store_error(ErrorCode.STORE_SCAN_FAILED, message, backend=backend)
    return own
