"""Scans over a snapshot of the keys.

Rule: The snapshot is taken when a scan begins, so a deletion doesn't shift the remaining keys.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import START, ErrorCode, Pattern, Scan, ScanPage, store_error

from igniter_store_memory.errors import NAME

if TYPE_CHECKING:
    from igniter_store_memory.keyspace import Keyspace

_CURSOR: Final = re.compile(r"([1-9][0-9]{0,18})-([1-9][0-9]{0,18})", re.ASCII)
_STEP: Final = 10_000  # keys that delete_prefix checks before it yields to the event loop
_NUMBERS: Final = itertools.count(1)


class MemoryScan(Scan):
    """`Scan` over a keyspace.

    A cursor contains the number of the scan and a position in its list.
    """

    _keyspace: Keyspace

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        keyspace = self._keyspace
        scans = keyspace.scans
        if cursor == START:
            number, at, names = next(_NUMBERS), 0, list(keyspace.values)
        else:
            number, at = _place(cursor)
            names = scans.get(number, [])
            if at >= len(names):
                raise _wrong_cursor()
        matches, find = Pattern(pattern).matches, keyspace.find
        page = [name for name in names[at : at + count] if matches(name) and find(name) is not None]
        if at + count >= len(names):
            scans.pop(number, None)
            return ScanPage(START, page)
        scans[number] = names
        return ScanPage(f"{number}-{at + count}", page)

    async def delete_prefix(self, prefix: str) -> int:
        keyspace = self._keyspace
        names = list(keyspace.values)
        deleted = 0
        for begin in range(0, len(names), _STEP):
            if begin:
                await asyncio.sleep(0)
            for name in names[begin : begin + _STEP]:
                if name.startswith(prefix) and keyspace.find(name) is not None:
                    keyspace.remove(name)
                    deleted += 1
        return deleted


def _place(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise _wrong_cursor()
    return int(match[1]), int(match[2])


def _wrong_cursor() -> Exception:
    return store_error(
        ErrorCode.STORE_SCAN_FAILED,
        "The cursor is unknown. Continue with the cursor of the previous page, or restart with "
        '"0".',
        backend=NAME,
    )
