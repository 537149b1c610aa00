"""Broken scans and deletions by prefix."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, ClassVar

from igniter_store.contract import START, ErrorCode, Pattern, ScanPage, store_error
from igniter_store_memory.log import Log

from broken_adapters.breaking import Broken, Unswept, bare

if TYPE_CHECKING:
    from igniter_store_memory import MemoryAdapter


def live_keys(adapter: MemoryAdapter, prefix: str = "") -> list[str]:
    """Return the live keys that begin with the prefix."""
    data = bare(adapter)
    return [
        key for key in list(data.values) if key.startswith(prefix) and data.find(key) is not None
    ]


def number(cursor: str) -> int:
    """Return a cursor as a number, or raise `STORE_SCAN_FAILED`."""
    if not re.fullmatch("[0-9]{1,18}", cursor):
        raise store_error(ErrorCode.STORE_SCAN_FAILED, "no such cursor")
    return int(cursor)


def matching(pattern: str, keys: list[str]) -> list[str]:
    """Return the keys that match a pattern."""
    matches = Pattern(pattern).matches
    return [key for key in keys if matches(key)]


class ScanEndsAfterOnePage(Broken):
    """A scan ends after its first page."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        return ScanPage(START, (await super().scan(pattern, cursor=cursor, count=count)).keys)


class ScanByOffset(Broken):
    """A cursor is an offset in the list of keys, which deletions shift."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1", "SCN-7"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        begin, keys = number(cursor), sorted(live_keys(self))
        end = begin + count
        return ScanPage(str(end) if end < len(keys) else START, matching(pattern, keys[begin:end]))


class CursorIsAKey(Broken):
    """A cursor is the last key of its page, and becomes invalid when that key is deleted."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1", "SCN-7"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        keys = sorted(live_keys(self))
        if cursor != START and cursor not in keys:
            raise store_error(ErrorCode.STORE_SCAN_FAILED, "no such cursor")
        begin = 0 if cursor == START else keys.index(cursor) + 1
        end = begin + count
        return ScanPage(
            keys[end - 1] if end < len(keys) else START, matching(pattern, keys[begin:end])
        )


class ScanStateInTheClient(Broken):
    """The client stores the position of the scan, so concurrent scans share it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        place = vars(self).get("place", START) if number(cursor) else START
        page = await super().scan(pattern, cursor=place, count=count)
        vars(self)["place"] = page.cursor
        return ScanPage(START if page.cursor == START else "1", page.keys)


class ScanIgnoresExpiry(Unswept):
    """`scan` returns expired keys that are still in memory."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        data = bare(self)
        deadlines, data.deadlines = data.deadlines, {}
        try:
            return await super().scan(pattern, cursor=cursor, count=count)
        finally:
            data.deadlines = deadlines


class ScanSkipsStreams(Broken):
    """`scan` skips streams."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-1"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        page = await super().scan(pattern, cursor=cursor, count=count)
        return ScanPage(
            page.cursor, [key for key in page.keys if not isinstance(bare(self).find(key), Log)]
        )


class ScanByFnmatch(Broken):
    """`scan` matches keys with Python's `fnmatch`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-2"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        page = await super().scan("*", cursor=cursor, count=count)
        return ScanPage(
            page.cursor, [key for key in page.keys if fnmatch.fnmatchcase(key, pattern)]
        )


class StarsStopAtNewlines(Broken):
    """Wildcards don't match newlines, like `.` in a regular expression."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-2"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        page = await super().scan(pattern, cursor=cursor, count=count)
        return ScanPage(
            page.cursor, [key for key in page.keys if "\n" in pattern or "\n" not in key]
        )


class EmptyPageEndsAScan(Broken):
    """A scan ends at its first page without keys."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-3"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        page = await super().scan(pattern, cursor=cursor, count=count)
        return page if page.keys else ScanPage(START, [])


class CursorCountsPages(Broken):
    """A cursor is the number of a page, although `count` may change between calls."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-3"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        turn, keys = number(cursor), sorted(live_keys(self))
        end = (turn + 1) * count
        return ScanPage(
            str(turn + 1) if end < len(keys) else START, matching(pattern, keys[turn * count : end])
        )


class MalformedCursorRaisesValueError(Broken):
    """`scan` raises `ValueError` for a malformed cursor."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-4"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        for part in cursor.split("-", 1):
            int(part)
        return await super().scan(pattern, cursor=cursor, count=count)


class PurgeByGlob(Broken):
    """`delete_prefix` treats the prefix as a glob pattern."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-5"})

    async def delete_prefix(self, prefix: str) -> int:
        return await self.delete(matching(f"{prefix}*", live_keys(self)))


class PurgeByLike(Broken):
    """`delete_prefix` uses SQL's LIKE: `_` and `%` are wildcards, and case is ignored."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-5"})

    async def delete_prefix(self, prefix: str) -> int:
        like = re.compile(
            re.escape(prefix).replace("_", ".").replace("%", ".*"), re.IGNORECASE | re.DOTALL
        )
        return await self.delete([key for key in live_keys(self) if like.match(key)])


class PurgeDeletesNeighbours(Broken):
    """`delete_prefix` drops a colon at the end, so `org:1:` also deletes `org:10:`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-5"})

    async def delete_prefix(self, prefix: str) -> int:
        return await super().delete_prefix(prefix.rstrip(":"))


class PurgeReturnsZero(Broken):
    """`delete_prefix` always returns 0."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-5"})

    async def delete_prefix(self, prefix: str) -> int:
        await super().delete_prefix(prefix)
        return 0


class WholeKeyspaceInAPage(Broken):
    """`scan` returns all keys in one page, as KEYS does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-6"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        return await super().scan(pattern, cursor=cursor, count=10**9)


class PurgeInOneStep(Broken):
    """`delete_prefix` deletes all keys in one step, and blocks other callers meanwhile."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-6"})

    async def delete_prefix(self, prefix: str) -> int:
        return await self.delete(live_keys(self, prefix))


class ScanOfAGrowingList(Broken):
    """A scan doesn't end while other callers add keys."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-7"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        ever: dict[str, None] = bare(self).__dict__.setdefault("ever", {})
        ever.update(dict.fromkeys(live_keys(self)))
        begin, keys = number(cursor), list(ever)
        end = begin + count
        page = [
            key for key in matching(pattern, keys[begin:end]) if bare(self).find(key) is not None
        ]
        return ScanPage(str(end) if end < len(keys) else START, page)
