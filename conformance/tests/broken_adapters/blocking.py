"""Broken blocked reads: they miss an entry, their timeout, or the end of their group."""

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
    """Hide the blocked readers of these groups, so that the code inside doesn't wake them."""
    waiting = [(group, group.waiters) for group in groups]
    for group, _ in waiting:
        group.waiters = deque()
    try:
        yield
    finally:
        for group, waiters in waiting:
            group.waiters = waiters


def groups_of(adapter: MemoryAdapter, key: str) -> list[Group]:
    """Return the groups of the stream under a key, or none if it holds no stream."""
    log = bare(adapter).find(key)
    return list(log.groups.values()) if isinstance(log, Log) else []


class BlockedReadSleepsUntilTimeout(Broken):
    """A blocked read sleeps for its whole `block` time, and only then reads again."""

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
    """The adapter rounds `block` down to whole seconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await super()._wait(group, consumer, count, block // 1)


class ShortBlockNeverTimesOut(Broken):
    """The adapter rounds `block` down to milliseconds, and waits forever if the result is 0."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await super()._wait(group, consumer, count, block * 1_000 // 1 / 1_000 or 1e9)


class BlockedReadsUseUpThePool(Broken):
    """Blocked reads hold the connections of a pool of ten, which `ping` uses, too."""

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


class CancelledReaderStaysQueued(Broken):
    """A cancelled reader stays in the queue and receives the next entry."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        return await asyncio.shield(super()._wait(group, consumer, count, block))


class TimedOutReaderStaysQueued(Broken):
    """A reader stays queued after its timeout and receives an entry that no call returns."""

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


class CancelledReaderLosesItsEntries(Broken):
    """A cancelled blocked read removes all pending entries of its consumer."""

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
    """A new entry wakes only the readers of the stream's first group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        with unheard(groups_of(self, stream)[1:]):
            return await super().xadd(stream, fields, **options)


class WakesAllStreams(Broken):
    """A new entry also ends the blocked reads of other streams, which return no entries."""

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


class TrimmingAppendWakesNoReader(Broken):
    """`xadd` with `max_len` doesn't wake the blocked readers."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})
    limit: ClassVar[float | None] = 2.0

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        with unheard(groups_of(self, stream) if options.get("max_len") is not None else ()):
            return await super().xadd(stream, fields, **options)


class DestroyWakesNoReader(Broken):
    """`xgroup_destroy` doesn't wake the blocked readers of the group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        with unheard(groups_of(self, stream)):
            return await super().xgroup_destroy(stream, group)


class DeleteWakesNoReader(Broken):
    """`delete` doesn't wake the blocked readers of a stream, as on Redis 6."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def delete(self, keys: Sequence[str]) -> int:
        with unheard([group for key in keys for group in groups_of(self, key)]):
            return await super().delete(keys)


class ExpiryWakesNoReader(Unswept):
    """The adapter removes an expired stream only on access, so expiry wakes no reader."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0


class SetWakesNoReader(Broken):
    """`set` replaces a stream, but doesn't wake its blocked readers."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-13"})
    limit: ClassVar[float | None] = 2.0

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        with unheard(groups_of(self, key)):
            return await super().set(key, value, ttl=ttl, only_if=only_if)
