"""Broken streams: ids, ranges, lengths, and the contents of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import ErrorCode, StoreError, StreamEntry
from igniter_store.contract.stream_ids import FIRST, StreamId, parse

from broken_adapters.breaking import Broken, bare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_memory import MemoryAdapter
    from igniter_store_memory.keyspace import Keyspace


def log_of(adapter: MemoryAdapter, stream: str) -> Any:
    """Return the log of a stream, or `None` if the stream doesn't exist."""
    return bare(adapter).find_log(stream)


def numbers(text: str) -> StreamId:
    """Return the numbers of a well-formed id."""
    stream_id = parse(text)
    assert stream_id is not None
    return stream_id


class XdelResetsTheLastId(Broken):
    """`xdel` resets the last id to that of the newest remaining entry, so ids repeat."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1", "STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        if deleted:
            log = log_of(self, stream)
            log.last = log._ids[-1] if log._ids else FIRST
        return deleted


class EmptyStreamIsDeleted(Broken):
    """`xdel` and `xtrim` delete a stream that has no entries left, with its groups."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        if deleted and not await self.xlen(stream):
            await self.delete([stream])
        return deleted

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        trimmed = await super().xtrim(stream, max_len, approximate=approximate)
        if trimmed and not await self.xlen(stream):
            await self.delete([stream])
        return trimmed


class IdsOfTheClient(Broken):
    """Each client counts its own ids, so two clients may assign the same id."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        own, log = vars(self).setdefault("own", {}), self._log_or_new(stream)
        log.last = own.get(stream, FIRST)
        added = await super().xadd(stream, fields, **options)
        own[stream] = log.last
        return added


class IdsFollowTheClock(Broken):
    """Ids follow the clock, so they repeat when the clock goes back."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        log, now = self._log_or_new(stream), bare(self).milliseconds()
        if log.last[0] > now:
            log.last = (now, 0)
        return await super().xadd(stream, fields, **options)


class IdsInSeconds(Broken):
    """Ids and tokens contain seconds instead of milliseconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    def use(self, keyspace: Keyspace) -> None:
        vars(keyspace)["milliseconds"] = lambda: int(keyspace.now())
        super().use(keyspace)


class RangeNeedsAnExistingStart(Broken):
    """`xrange` returns no entries if no entry has the start id."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        log, begin = log_of(self, stream), parse(start) if "-" in start else None
        if log is not None and begin is not None and begin not in log._fields:
            return []
        return await super().xrange(stream, start, end, count=count)


class RangeInOrderOfText(Broken):
    """`xrange` sorts ids as text, so `9-10` comes before `9-9`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return sorted(await super().xrange(stream, start, end), key=lambda entry: entry.id)[:count]


class ParenthesisIsIgnored(Broken):
    """`xrange` ignores the `(` of an exclusive bound."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await super().xrange(
            stream, start.removeprefix("("), end.removeprefix("("), count=count
        )


class ReverseOfTheOldest(Broken):
    """`xrevrange` takes the oldest `count` entries, and reverses them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        return (await self.xrange(stream, start, end, count=count))[::-1]


class MalformedBoundReturnsNothing(Broken):
    """`xrange` returns no entries for a malformed bound."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        try:
            return await super().xrange(stream, start, end, count=count)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_STREAM_READ_FAILED:
                raise
            return []


class RangeOfAMissingStreamRaises(Broken):
    """`xrange` raises if the stream doesn't exist."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        found = await super().xrange(stream, start, end, count=count)
        if log_of(self, stream) is None:
            raise KeyError(stream)
        return found


class XlenCreatesTheStream(Broken):
    """`xlen` creates a missing stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xlen(self, stream: str) -> int:
        return len(self._log_or_new(stream))


class TrimsBeforeItAdds(Broken):
    """`xadd` trims to `max_len` before it adds the entry, so one entry too many remains."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        if max_len is not None:
            await self.xtrim(stream, max_len, approximate=approximate)
        return await super().xadd(stream, fields)


class AlwaysApproximate(Broken):
    """`xtrim` ignores `approximate=False`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return await super().xtrim(stream, max_len)


class ApproximateRemovesTooMuch(Broken):
    """An approximate `xtrim` rounds up to whole nodes, and so removes too many entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        length = await self.xlen(stream)
        if approximate and length > max_len:
            max_len = max(length - -(-(length - max_len) // 100) * 100, 0)
        return await super().xtrim(stream, max_len, approximate=False)


class MaxLenIsIgnored(Broken):
    """`xadd` ignores `max_len`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        return await super().xadd(stream, fields)


class TrimReturnsTheLength(Broken):
    """`xtrim` returns the number of remaining entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        await super().xtrim(stream, max_len, approximate=approximate)
        return await self.xlen(stream)


class XdelCountsAllIds(Broken):
    """`xdel` returns the number of ids that the caller passed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        await super().xdel(stream, ids)
        return len(ids)


class XdelOneByOne(Broken):
    """`xdel` deletes the ids that precede a malformed one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = 0
        for text in ids:
            deleted += await super().xdel(stream, [text])
        return deleted


class LengthIgnoresDeletions(Broken):
    """`xlen` counts entries that the client has deleted."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        counts = vars(self).setdefault("deleted", {})
        counts[stream] = counts.get(stream, 0) + deleted
        return deleted

    async def xlen(self, stream: str) -> int:
        length: int = vars(self).get("deleted", {}).get(stream, 0)
        return length + await super().xlen(stream)


class FieldsAreStripped(Broken):
    """`xadd` strips white space from both ends of field values."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name: bytes(value).strip() for name, value in fields.items()}, **options
        )


class FieldsAreTruncated(Broken):
    """`xadd` truncates field values to 64 KiB."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name: value[:65_536] for name, value in fields.items()}, **options
        )


class RangeOfAThousand(Broken):
    """`xrange` without `count` returns at most 1,000 entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await super().xrange(stream, start, end, count=1_000 if count is None else count)


class EntriesAreShared(Broken):
    """`xrange` returns the stored fields, not a copy."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        found = await super().xrange(stream, start, end, count=count)
        return [
            StreamEntry(entry.id, log_of(self, stream)._fields[parse(entry.id)]) for entry in found
        ]


class FieldNamesAreFolded(Broken):
    """`xadd` converts field names to lower case."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-17"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name.lower(): value for name, value in fields.items()}, **options
        )


class FieldsAreSorted(Broken):
    """`xadd` sorts the fields by name."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-21"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(stream, dict(sorted(fields.items())), **options)


class AppendDropsTheTtl(Broken):
    """`xadd` removes the stream's TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-21"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        added = await super().xadd(stream, fields, **options)
        await self.persist(stream)
        return added


class AppendReplacesAValue(Broken):
    """`xadd` replaces a value with a stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-23"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        if isinstance(bare(self).find(stream), bytes):
            await self.delete([stream])
        return await super().xadd(stream, fields, **options)
