"""Broken `xautoclaim` and history reads, and pending lists after crashes and deletions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import PendingEntry, StreamEntry
from igniter_store.contract.stream_ids import spell

from broken_adapters.breaking import Broken, bare, others_turn
from broken_adapters.streams import log_of, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from igniter_store.contract.stream_ids import StreamId
    from igniter_store_memory import MemoryAdapter


def deleted_of(adapter: MemoryAdapter, stream: str, group: str) -> dict[StreamId, Any]:
    """Return the pending entries of a group that the stream no longer has."""
    log = log_of(adapter, stream)
    return {
        stream_id: delivery
        for stream_id, delivery in log.groups[group].pending.items()
        if stream_id not in log._fields
    }


def with_empty(entries: list[StreamEntry], ids: Iterable[StreamId]) -> list[StreamEntry]:
    """Return the entries, and one without fields for each id, in the order of their ids."""
    return sorted(
        [*entries, *(StreamEntry(spell(stream_id), {}) for stream_id in ids)],
        key=lambda entry: numbers(entry.id),
    )


class ClaimIdleInMilliseconds(Broken):
    """`xautoclaim` reads `min_idle` as milliseconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        return await super().xautoclaim(stream, group, consumer, min_idle / 1_000, count=count)


class ClaimKeepsIdle(Broken):
    """`xautoclaim` doesn't reset the idle time, so the next caller claims the same entry."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10", "STR-11"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        pending = self._group(stream, group)[1].pending
        times = {stream_id: delivery.at for stream_id, delivery in pending.items()}
        claimed = await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        for entry in claimed:
            pending[numbers(entry.id)].at = times[numbers(entry.id)]
        return claimed


class ClaimKeepsTheConsumer(Broken):
    """`xautoclaim` returns entries, but leaves them pending for their old consumer."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        pending = self._group(stream, group)[1].pending
        owners = {stream_id: delivery.consumer for stream_id, delivery in pending.items()}
        claimed = await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        for entry in claimed:
            pending[numbers(entry.id)].consumer = owners[numbers(entry.id)]
        return claimed


class ClaimMovesMoreThanItReturns(Broken):
    """`xautoclaim` limits its result to `count`, but moves all idle entries to the caller."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        return (await super().xautoclaim(stream, group, consumer, min_idle))[:count]


class ClaimIgnoresTheCursor(Broken):
    """`xautoclaim` checks only `10 * count` entries, as if it ignored XAUTOCLAIM's cursor."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        looked_at = list(reading.pending.items())
        rest = [] if count is None else looked_at[10 * count :]
        reading.pending = dict(looked_at[: len(looked_at) - len(rest)])
        claimed = await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        reading.pending.update(rest)
        return claimed


class ClaimSkipsItsOwnEntries(Broken):
    """`xautoclaim` skips entries that already belong to the calling consumer."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        own = {
            stream_id: delivery
            for stream_id, delivery in reading.pending.items()
            if delivery.consumer == consumer
        }
        reading.pending = {
            stream_id: delivery
            for stream_id, delivery in reading.pending.items()
            if stream_id not in own
        }
        claimed = await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        reading.pending = dict(sorted((reading.pending | own).items()))
        return claimed


class ClaimReadsNewEntries(Broken):
    """`xautoclaim` reads new entries if it finds no idle entry."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-10"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        claimed = await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        return claimed or await self.xreadgroup(stream, group, consumer, count=count)


class ClaimInTwoSteps(Broken):
    """`xautoclaim` reads the idle times, lets other tasks run, and claims by the old times."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-11"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        pending = self._group(stream, group)[1].pending
        times = {stream_id: delivery.at for stream_id, delivery in pending.items()}
        await others_turn()
        for stream_id in times.keys() & pending.keys():
            pending[stream_id].at = times[stream_id]
        return await super().xautoclaim(stream, group, consumer, min_idle, count=count)


class ClaimReturnsDeletedEntries(Broken):
    """`xautoclaim` returns deleted entries, without fields."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-12"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        deleted = deleted_of(self, stream, group)
        return with_empty(
            await super().xautoclaim(stream, group, consumer, min_idle, count=count), deleted
        )


class ClaimCountsDeletedEntries(Broken):
    """`xautoclaim` counts deleted entries towards `count`, as one XAUTOCLAIM call does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-12"})

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        pending, deleted = self._group(stream, group)[1].pending, deleted_of(self, stream, group)
        if count is not None:
            first = [stream_id for stream_id in list(pending)[:count] if stream_id in deleted]
            count -= len(first)
            await self.xack(stream, group, [spell(stream_id) for stream_id in first])
        return (
            []
            if count == 0
            else await super().xautoclaim(stream, group, consumer, min_idle, count=count)
        )


class XdelAcknowledges(Broken):
    """`xdel` also removes the entries from the pending lists of all groups."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-12"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        deleted = await super().xdel(stream, ids)
        for info in await self.xgroups(stream):
            await self.xack(stream, info.name, ids)
        return deleted


class DeletedEntriesAreRead(Broken):
    """`xreadgroup` returns entries that were deleted before they were read, without fields."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-12"})

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        there = {entry.id for entry in await self.xrange(stream)}
        deleted = await super().xdel(stream, ids)
        bare(self).__dict__.setdefault("marked", set()).update(
            (stream, numbers(text)) for text in ids if text in there
        )
        return deleted

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        reading = self._group(stream, group)[1]
        begin = reading.position
        found = await super().xreadgroup(stream, group, consumer, **options)
        marked = bare(self).__dict__.get("marked", ())
        return with_empty(
            found,
            [
                stream_id
                for name, stream_id in marked
                if name == stream and begin < stream_id < reading.position
            ],
        )


class HistoryOfAllConsumers(Broken):
    """A history read returns the pending entries of all consumers."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-18"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        if not options.get("history"):
            return await super().xreadgroup(stream, group, consumer, **options)
        owners = {entry.consumer for entry in await self.xpending(stream, group)}
        found = [
            entry
            for owner in owners
            for entry in await super().xreadgroup(stream, group, owner, history=True)
        ]
        return with_empty(found, ())[: options.get("count")]


class HistoryReadsNewEntries(Broken):
    """A history read returns new entries if the consumer has no pending ones."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-18"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        found = await super().xreadgroup(stream, group, consumer, **options)
        if found or not options.get("history"):
            return found
        return await super().xreadgroup(stream, group, consumer, count=options.get("count"))


class HistoryKeepsIdle(Broken):
    """A history read counts as a delivery, but doesn't reset the idle time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-18"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        pending = self._group(stream, group)[1].pending
        times = {stream_id: delivery.at for stream_id, delivery in pending.items()}
        found = await super().xreadgroup(stream, group, consumer, **options)
        for entry in found if options.get("history") else ():
            pending[numbers(entry.id)].at = times[numbers(entry.id)]
        return found


class XpendingCountsAsADelivery(Broken):
    """`xpending` with a consumer reads its history, which counts as a delivery."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-18"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        found = await super().xpending(stream, group, **options)
        if options.get("consumer") is not None:
            await self.xreadgroup(stream, group, options["consumer"], history=True)
        return found


class HistoryReturnsDeletedEntries(Broken):
    """A history read returns deleted entries without fields, as Redis does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-18"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        found = await super().xreadgroup(stream, group, consumer, **options)
        if not options.get("history"):
            return found
        return with_empty(
            found,
            (
                key
                for key, delivery in deleted_of(self, stream, group).items()
                if delivery.consumer == consumer
            ),
        )


class CloseAcknowledgesEntries(Broken):
    """`close` acknowledges all entries that the client has read."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-16"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        found = await super().xreadgroup(stream, group, consumer, **options)
        vars(self).setdefault("had", []).extend((stream, group, entry.id) for entry in found)
        return found

    async def close(self) -> None:
        for stream, group, text in vars(self).pop("had", ()):
            await self.xack(stream, group, [text])
        await super().close()


class ReadThenPending(Broken):
    """`xreadgroup` makes entries pending one step late, so a cancelled read loses them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-16"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        found = await super().xreadgroup(stream, group, consumer, **options)
        if options.get("history"):
            return found
        reading = self._group(stream, group)[1]
        taken = {
            key: reading.pending.pop(key)
            for entry in found
            if (key := numbers(entry.id)) in reading.pending
        }
        await others_turn()
        reading.pending = dict(sorted((reading.pending | taken).items()))
        return found
