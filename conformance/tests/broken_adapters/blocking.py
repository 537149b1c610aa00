"""Broken waits: group reads with `block` that miss their entry, their end, or each other."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store_memory.log import Group, Log, Waiter

from broken_adapters.breaking import Broken, Unswept, bare

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from igniter_store.contract import Condition, StreamEntry
    from igniter_store_memory import MemoryAdapter


@contextmanager
def unheard(groups: Iterable[Group]) -> Generator[None]:
    """Those who wait in these groups don't hear of what happens in here."""
    waiting = [(group, group.waiters) for group in groups]
    for group, _ in waiting:
        group.waiters = deque()
    try:
        yield
    finally:
        for group, waiters in waiting:
            group.waiters = waiters


def groups_of(adapter: MemoryAdapter, key: str) -> list[Group]:
    """The groups of what a key holds."""
    log = bare(adapter).find(key)
    return list(log.groups.values()) if isinstance(log, Log) else []


class LooksAgainAtTheEnd(Broken):
    """A waiting read looks once, sleeps for the whole time, and looks again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7", "STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        over = asyncio.Event()
        timer = bare(self).call_later(block, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
        log = next(
            (
                log
                for log in bare(self).values.values()
                if isinstance(log, Log) and group in log.groups.values()
            ),
            None,
        )
        return [] if log is None else log.deliver(group, consumer, count, bare(self).now())


class BlockInWholeSeconds(Broken):
    """`block` is rounded down to seconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await super()._wait(group, consumer, count, block // 1)


class ShortBlockIsForEver(Broken):
    """`block` is rounded down to milliseconds, and 0 of them are for ever."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await super()._wait(group, consumer, count, block * 1_000 // 1 / 1_000 or 1e9)


class WaitsUseUpThePool(Broken):
    """Reads that wait take connections from a pool of ten, which other calls use, too."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        async with vars(self).setdefault("pool", asyncio.Semaphore(10)):
            return await super()._wait(group, consumer, count, block)

    async def ping(self) -> float:
        async with vars(self).setdefault("pool", asyncio.Semaphore(10)):
            return await super().ping()


class CancelledStayInLine(Broken):
    """A reader that was cancelled is given the next entry all the same."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await asyncio.shield(super()._wait(group, consumer, count, block))


class LateStayInLine(Broken):
    """A reader whose time is over is given the next entry, and nobody hears of it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        found = await super()._wait(group, consumer, count, block)
        if not found:
            group.waiters.append(
                Waiter(consumer, count, asyncio.get_running_loop().create_future())
            )
        return found


class CancelledTakeTheirEntryAlong(Broken):
    """An entry that was just given to a reader which is cancelled is neither new nor pending."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        try:
            return await super()._wait(group, consumer, count, block)
        except asyncio.CancelledError:
            group.pending = {
                key: delivery
                for key, delivery in group.pending.items()
                if delivery.consumer != consumer
            }
            raise


class WakesOneGroup(Broken):
    """An entry wakes readers of one group alone."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        with unheard(groups_of(self, stream)[1:]):
            return await super().xadd(stream, fields, **options)


class WakesAllStreams(Broken):
    """An entry ends the waits of all streams, and readers answer without looking again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        added = await super().xadd(stream, fields, **options)
        for group in [
            group
            for key in list(bare(self).values)
            if key != stream
            for group in groups_of(self, key)
        ]:
            for waiter in group.waiters:
                if not waiter.answer.done():
                    waiter.answer.set_result([])
        return added


class TrimmingAppendWakesNobody(Broken):
    """An append with `max_len` goes another way, on which no reader is woken."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        with unheard(groups_of(self, stream) if options.get("max_len") is not None else ()):
            return await super().xadd(stream, fields, **options)


class DestroyTellsNobody(Broken):
    """Readers whose group is destroyed sleep on."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        with unheard(groups_of(self, stream)):
            return await super().xgroup_destroy(stream, group)


class DeleteTellsNobody(Broken):
    """Readers whose stream is deleted sleep on, as on Redis 6."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def delete(self, keys: Sequence[str]) -> int:
        with unheard([group for key in keys for group in groups_of(self, key)]):
            return await super().delete(keys)


class ExpiryTellsNobody(Unswept):
    """A stream whose time is over is missed by whoever asks for it next, and by no reader that
    waits.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0


class SetTellsNobody(Broken):
    """Readers whose stream becomes a value sleep on."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        with unheard(groups_of(self, key)):
            return await super().set(key, value, ttl=ttl, only_if=only_if)
