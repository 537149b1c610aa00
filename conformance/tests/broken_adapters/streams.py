"""Broken streams: ids, ranges, lengths, and what entries hold."""

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
    """The entries and groups of a stream; `None` when there is none."""
    return bare(adapter).find_log(stream)


def numbers(text: str) -> StreamId:
    """An id, which is none of those that are malformed on purpose, as numbers."""
    stream_id = parse(text)
    assert stream_id is not None
    return stream_id


class IdReadOffTheEntries(Broken):
    """The last id is that of the last entry which is left, so that a deleted one comes again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1", "STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        if deleted:
            log = log_of(self, stream)
            log.last = log._ids[-1] if log._ids else FIRST
        return deleted


class EmptyStreamVanishes(Broken):
    """A stream goes with its last entry, groups and all."""

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
    """Each client counts on from the last id that it gave itself, so that two clients give the same
    one.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        own, log = vars(self).setdefault("own", {}), self._log_or_new(stream)
        log.last = own.get(stream, FIRST)
        added = await super().xadd(stream, fields, **options)
        own[stream] = log.last
        return added


class IdsFollowTheClock(Broken):
    """An id is the clock's milliseconds, with a number behind for those that are equal: it comes
    again when the clock goes back.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        log, now = self._log_or_new(stream), bare(self).milliseconds()
        if log.last[0] > now:
            log.last = (now, 0)
        return await super().xadd(stream, fields, **options)


class IdsInSeconds(Broken):
    """Ids begin with seconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-1"})

    def use(self, keyspace: Keyspace) -> None:
        vars(keyspace)["milliseconds"] = lambda: int(keyspace.now())
        super().use(keyspace)


class BoundIsLookedUp(Broken):
    """A range that begins with an id which is no entry gives nothing."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        log, begin = log_of(self, stream), parse(start) if "-" in start else None
        if log is not None and begin is not None and begin not in log._fields:
            return []
        return await super().xrange(stream, start, end, count=count)


class RangeInOrderOfText(Broken):
    """Ids are compared as text, so that `9-10` comes before `9-9`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return sorted(await super().xrange(stream, start, end), key=lambda entry: entry.id)[:count]


class ParenthesisIsIgnored(Broken):
    """`(` before a bound is taken and not looked at."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await super().xrange(
            stream, start.removeprefix("("), end.removeprefix("("), count=count
        )


class ReverseOfTheOldest(Broken):
    """`xrevrange` takes `count` of the oldest, and turns them round."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        return (await self.xrange(stream, start, end, count=count))[::-1]


class MalformedBoundIsNothing(Broken):
    """A malformed bound gives an empty list."""

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


class RangeOfNothingRaises(Broken):
    """Reading a stream that isn't there raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        found = await super().xrange(stream, start, end, count=count)
        if log_of(self, stream) is None:
            raise KeyError(stream)
        return found


class LookingMakesAStream(Broken):
    """Asking for a length makes the stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-2"})

    async def xlen(self, stream: str) -> int:
        return len(self._log_or_new(stream))


class TrimsBeforeItAdds(Broken):
    """`max_len` trims first and adds then, so that one more is left."""

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
    """`approximate=False` is not passed on."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return await super().xtrim(stream, max_len)


class ApproximateRemovesTooMuch(Broken):
    """Approximate trimming removes the block that holds the oldest entry which has to stay, too."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-3"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        length = await self.xlen(stream)
        if approximate and length > max_len:
            max_len = max(length - -(-(length - max_len) // 100) * 100, 0)
        return await super().xtrim(stream, max_len, approximate=False)


class MaxLenIsIgnored(Broken):
    """`max_len` of an append is ignored."""

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


class TrimSaysWhatIsLeft(Broken):
    """`xtrim` says how many entries are left."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        await super().xtrim(stream, max_len, approximate=approximate)
        return await self.xlen(stream)


class XdelCountsWhatWasAsked(Broken):
    """`xdel` says how many ids it was given."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        await super().xdel(stream, ids)
        return len(ids)


class XdelOneByOne(Broken):
    """`xdel` has deleted the ids before a malformed one when it meets it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = 0
        for text in ids:
            deleted += await super().xdel(stream, [text])
        return deleted


class LengthForgetsDeletions(Broken):
    """`xlen` answers from a count that `xdel` doesn't touch."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-14"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        counts = vars(self).setdefault("deleted", {})
        counts[stream] = counts.get(stream, 0) + deleted
        return deleted

    async def xlen(self, stream: str) -> int:
        length: int = vars(self).get("deleted", {}).get(stream, 0)
        return length + await super().xlen(stream)


class EntriesAreTrimmed(Broken):
    """Fields of entries lose the white space at their ends."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name: bytes(value).strip() for name, value in fields.items()}, **options
        )


class EntriesAreCut(Broken):
    """Fields of entries end at 64 KiB."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name: value[:65_536] for name, value in fields.items()}, **options
        )


class RangeOfAThousand(Broken):
    """`xrange` without `count` gives a thousand entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await super().xrange(stream, start, end, count=1_000 if count is None else count)


class EntriesAreShared(Broken):
    """The fields that are handed out are those that are stored, not a copy."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        found = await super().xrange(stream, start, end, count=count)
        return [
            StreamEntry(entry.id, log_of(self, stream)._fields[parse(entry.id)]) for entry in found
        ]


class FieldNamesAreFolded(Broken):
    """Names of fields lose their capitals."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-17"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(
            stream, {name.lower(): value for name, value in fields.items()}, **options
        )


class FieldsAreSorted(Broken):
    """Fields come in the order of their names."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-21"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        return await super().xadd(stream, dict(sorted(fields.items())), **options)


class AppendDropsTheTtl(Broken):
    """An append takes the stream's TTL away."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-21"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        added = await super().xadd(stream, fields, **options)
        await self.persist(stream)
        return added


class AppendReplacesAValue(Broken):
    """An append to a key that holds a value makes it a stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-23"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        if isinstance(bare(self).find(stream), bytes):
            await self.delete([stream])
        return await super().xadd(stream, fields, **options)
