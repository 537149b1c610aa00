"""Broken groups: creating and destroying them, reading in them, pending lists and acks."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import (
    BackendFailed,
    ErrorCode,
    GroupInfo,
    PendingEntry,
    StreamEntry,
    store_error,
)
from msgspec.structs import replace

from broken_adapters.breaking import Broken, bare, others_turn
from broken_adapters.streams import log_of, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CreateRewinds(Broken):
    """`xgroup_create` moves an existing group to the given start."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        log, reading = self._group(stream, group)
        reading.position = log.last if start == "$" else numbers(start)
        return made


class CreateClearsPending(Broken):
    """`xgroup_create` clears the pending list of an existing group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        self._group(stream, group)[1].pending.clear()
        return made


class CreateInTwoSteps(Broken):
    """`xgroup_create` checks for the group, lets other tasks run, and returns a stale result."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        there = group in {info.name for info in await self.xgroups(stream)}
        await others_turn()
        await super().xgroup_create(stream, group, start)
        return not there


class CreateNeedsTheStream(Broken):
    """`xgroup_create` raises if the stream is missing, as XGROUP does without MKSTREAM."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        if bare(self).find(stream) is None:
            raise store_error(ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED, "the key has to exist")
        return await super().xgroup_create(stream, group, start)


class StartIsIncluded(Broken):
    """A new group starts at the entry with the start id instead of after it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-5"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        reading = self._group(stream, group)[1]
        milliseconds, sequence = reading.position
        if made and "-" in start:
            reading.position = (
                (milliseconds, sequence - 1) if sequence else (milliseconds - 1, 2**64 - 1)
            )
        return made


class DollarIsZero(Broken):
    """A group that starts at `$` reads the whole stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-5"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        return await super().xgroup_create(stream, group, "0" if start == "$" else start)


class RefusedStartCreatesAGroup(Broken):
    """`xgroup_create` raises for a malformed start, but creates the group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-5"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        try:
            return await super().xgroup_create(stream, group, start)
        except BackendFailed:
            await super().xgroup_create(stream, group)
            raise


class PositionOfEachConsumer(Broken):
    """Each consumer of a group has its own position, so each one reads all entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        if made:
            positions = bare(self).__dict__.setdefault("positions", {})
            positions[stream, group] = {"": self._group(stream, group)[1].position}
        return made

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        own = bare(self).__dict__["positions"][stream, group]
        reading.position = own.get(consumer, own[""])
        found = await super().xreadgroup(stream, group, consumer, **options)
        own[consumer] = reading.position
        return found


class GroupsShareAPosition(Broken):
    """A read in one group moves the positions of the stream's other groups, too."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        found = await super().xreadgroup(stream, group, consumer, **options)
        log, reading = self._group(stream, group)
        for other in log.groups.values():
            other.position = max(other.position, reading.position)
        return found


class ReadInTwoSteps(Broken):
    """`xreadgroup` gets the position, lets other tasks run, and reads from the old position."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        position = reading.position
        await others_turn()
        reading.position = position
        return await super().xreadgroup(stream, group, consumer, **options)


class AppendsAppearOutOfOrder(Broken):
    """`xadd` assigns an id before its entry is visible, so readers skip slow entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        added = await super().xadd(stream, fields, **options)
        log, stream_id = log_of(self, stream), numbers(added)
        if stream_id[1] % 2:
            log._ids.remove(stream_id)
            await others_turn()
            insort(log._ids, stream_id)
        return added


class GroupReadIgnoresCount(Broken):
    """`xreadgroup` ignores `count` when it reads new entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-20"})
    limit: ClassVar[float | None] = 2.0

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        if not options.get("history"):
            options["count"] = None
        return await super().xreadgroup(stream, group, consumer, **options)


class ZeroBlockNeverTimesOut(Broken):
    """`xreadgroup` with `block=0` waits forever, as in Redis."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-20"})
    limit: ClassVar[float | None] = 2.0

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        block = options.pop("block", None)
        return await super().xreadgroup(
            stream, group, consumer, block=1e9 if block == 0 else block, **options
        )


class GroupReadOfAThousand(Broken):
    """`xreadgroup` without `count` returns at most 1,000 entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        options.setdefault("count", 1_000)
        return await super().xreadgroup(stream, group, consumer, **options)


class PendingByConsumer(Broken):
    """`xpending` sorts its result by consumer."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-8"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return sorted(
            await super().xpending(stream, group, **options), key=lambda entry: entry.consumer
        )


class IdleInMilliseconds(Broken):
    """`xpending` returns idle times in milliseconds, as Redis does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-8"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return [
            replace(entry, idle=entry.idle * 1_000)
            for entry in await super().xpending(stream, group, **options)
        ]


class PendingCountsBeforeItFilters(Broken):
    """`xpending` applies `count` before it filters by `consumer` and `min_idle`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-8"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        looked_at = {
            entry.id
            for entry in await super().xpending(stream, group, count=options.pop("count", None))
        }
        return [
            entry
            for entry in await super().xpending(stream, group, **options)
            if entry.id in looked_at
        ]


class AckCountsAllIds(Broken):
    """`xack` returns the number of ids that the caller passed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        await super().xack(stream, group, ids)
        return len(ids)


class AckReachesAllGroups(Broken):
    """`xack` removes the entries from the pending lists of all groups."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = await super().xack(stream, group, ids)
        for info in await self.xgroups(stream):
            await super().xack(stream, info.name, ids)
        return acknowledged


class AckOneByOne(Broken):
    """`xack` acknowledges the ids that precede a malformed one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = 0
        for text in ids:
            acknowledged += await super().xack(stream, group, [text])
        return acknowledged


class AckOfOneConsumer(Broken):
    """`xack` acknowledges only the entries of the first id's consumer."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        log = log_of(self, stream)
        owners = (
            {}
            if log is None or group not in log.groups
            else {entry.id: entry.consumer for entry in await self.xpending(stream, group)}
        )
        first = next((owners[text] for text in ids if text in owners), None)
        return await super().xack(
            stream, group, [text for text in ids if owners.get(text, first) == first]
        )


class AckDeletesTheEntry(Broken):
    """`xack` deletes the entries from the stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = await super().xack(stream, group, ids)
        if acknowledged:
            await self.xdel(stream, ids)
        return acknowledged


class MissingGroupIsEmpty(Broken):
    """`xreadgroup` returns no entries if the group doesn't exist."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        try:
            return await super().xreadgroup(stream, group, consumer, **options)
        except BackendFailed as error:
            if error.code is not ErrorCode.STORE_STREAM_GROUP_MISSING:
                raise
            return []


class LastIdOfTheStream(Broken):
    """`xgroups` returns the stream's newest id as the last delivered id of each group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-19"})

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        newest = [entry.id for entry in await self.xrevrange(stream, count=1)]
        found = await super().xgroups(stream)
        return [replace(info, last_delivered_id=newest[0] if newest else "0-0") for info in found]


class DestroyAlwaysReturnsTrue(Broken):
    """`xgroup_destroy` returns True for a missing group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-22"})

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        await super().xgroup_destroy(stream, group)
        return True


class DestroyDeletesTheEntries(Broken):
    """`xgroup_destroy` deletes the entries of the stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-22"})

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        destroyed = await super().xgroup_destroy(stream, group)
        if destroyed:
            await self.xtrim(stream, 0, approximate=False)
        return destroyed


class DestroyKeepsThePendingList(Broken):
    """A group that is created again gets the pending list of its destroyed predecessor."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-22"})

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        log = log_of(self, stream)
        if log is not None and group in log.groups:
            bare(self).__dict__.setdefault("left", {})[stream, group] = log.groups[group].pending
        return await super().xgroup_destroy(stream, group)

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        if made:
            self._group(stream, group)[1].pending.update(
                bare(self).__dict__.get("left", {}).get((stream, group), {})
            )
        return made


class PendingOfOnePage(Broken):
    """`xpending` returns only the first page of 1,000 entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-25"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return (await super().xpending(stream, group, **options))[:1_000]


class GroupNamesAreStripped(Broken):
    """`xgroup_create` strips blanks from the ends of a group's name."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-26"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        return await super().xgroup_create(stream, group.strip(), start)
