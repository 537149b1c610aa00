"""Broken groups: making and removing them, reading in them, pending lists and acks."""

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
    """Creating a group again moves it to the start that is asked for."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        log, reading = self._group(stream, group)
        reading.position = log.last if start == "$" else numbers(start)
        return made


class CreateForgetsPending(Broken):
    """Creating a group again empties its pending list."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        made = await super().xgroup_create(stream, group, start)
        self._group(stream, group)[1].pending.clear()
        return made


class CreateLooksThenMakes(Broken):
    """Creating a group looks whether it is there, lets others run, and says what it saw."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        there = group in {info.name for info in await self.xgroups(stream)}
        await others_turn()
        await super().xgroup_create(stream, group, start)
        return not there


class CreateNeedsTheStream(Broken):
    """A group of a stream that isn't there is refused, as without Redis's MKSTREAM."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-4"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        if bare(self).find(stream) is None:
            raise store_error(ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED, "the key has to exist")
        return await super().xgroup_create(stream, group, start)


class StartIsIncluded(Broken):
    """A group begins with the entry that its start names, not after it."""

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
    """A group that begins at `$` reads everything."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-5"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        return await super().xgroup_create(stream, group, "0" if start == "$" else start)


class RefusedStartMakesAGroup(Broken):
    """A group whose start is refused is there all the same."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-5"})

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        try:
            return await super().xgroup_create(stream, group, start)
        except BackendFailed:
            await super().xgroup_create(stream, group)
            raise


class PositionOfEachConsumer(Broken):
    """Every consumer of a group has a position of its own, and so reads everything."""

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
    """What one group has read is read for all of them."""

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
    """A group read looks up the position, lets others run, and reads from what it saw."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        position = reading.position
        await others_turn()
        reading.position = position
        return await super().xreadgroup(stream, group, consumer, **options)


class SomeAppendsTakeLonger(Broken):
    """Ids are given when an append begins, and entries appear when it ends: readers step over those
    that took longer.
    """

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
    """New entries are read without regard to `count`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-20"})
    limit: ClassVar[float | None] = 2.0

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        if not options.get("history"):
            options["count"] = None
        return await super().xreadgroup(stream, group, consumer, **options)


class ZeroIsForEver(Broken):
    """A `block` of 0 waits until something comes, as Redis's does."""

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
    """A group read without `count` gives a thousand entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-15"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        options.setdefault("count", 1_000)
        return await super().xreadgroup(stream, group, consumer, **options)


class PendingByConsumer(Broken):
    """The pending list comes consumer by consumer."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-8"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return sorted(
            await super().xpending(stream, group, **options), key=lambda entry: entry.consumer
        )


class IdleInMilliseconds(Broken):
    """Idle times are milliseconds, as Redis's are."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-8"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return [
            replace(entry, idle=entry.idle * 1_000)
            for entry in await super().xpending(stream, group, **options)
        ]


class PendingCountsBeforeItNarrows(Broken):
    """`count` limits the pending list before `consumer` and `min_idle` do."""

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


class AckCountsWhatWasAsked(Broken):
    """`xack` says how many ids it was given."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        await super().xack(stream, group, ids)
        return len(ids)


class AckReachesAllGroups(Broken):
    """An ack takes the entry off the lists of all groups."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = await super().xack(stream, group, ids)
        for info in await self.xgroups(stream):
            await super().xack(stream, info.name, ids)
        return acknowledged


class AckOneByOne(Broken):
    """`xack` has acknowledged the ids before a malformed one when it meets it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = 0
        for text in ids:
            acknowledged += await super().xack(stream, group, [text])
        return acknowledged


class AckOfOneConsumer(Broken):
    """Of the entries of several consumers an ack takes those that belong to the first one's."""

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
    """An ack takes the entry out of the stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-9"})

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        acknowledged = await super().xack(stream, group, ids)
        if acknowledged:
            await self.xdel(stream, ids)
        return acknowledged


class MissingGroupIsEmpty(Broken):
    """A read in a group that isn't there gives nothing."""

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
    """`xgroups` gives the stream's last id as that of each group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-19"})

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        newest = [entry.id for entry in await self.xrevrange(stream, count=1)]
        found = await super().xgroups(stream)
        return [replace(info, last_delivered_id=newest[0] if newest else "0-0") for info in found]


class DestroySaysTrue(Broken):
    """Destroying a group that isn't there says True."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-22"})

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        await super().xgroup_destroy(stream, group)
        return True


class DestroyTakesTheEntries(Broken):
    """Destroying a group removes the entries of its stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-22"})

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        destroyed = await super().xgroup_destroy(stream, group)
        if destroyed:
            await self.xtrim(stream, 0, approximate=False)
        return destroyed


class DestroyLeavesThePendingList(Broken):
    """A group that is made again has the pending list that it had."""

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
    """`xpending` asks for one page of a thousand entries, and takes it for the whole list."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-25"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        return (await super().xpending(stream, group, **options))[:1_000]
