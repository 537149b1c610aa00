"""Streams: a key whose value is a log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from igniter_store.contract import ErrorCode, GroupInfo, PendingEntry, StreamEntry, Streams
from igniter_store.contract.stream_ids import (
    FIRST,
    StreamId,
    lower_bound,
    parse,
    spell,
    upper_bound,
)

from igniter_store_memory.errors import ERRORS
from igniter_store_memory.log import Group, Log, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from igniter_store_memory.keyspace import Keyspace


class MemoryStreams(Streams):
    """`Streams` over a keyspace."""

    _keyspace: Keyspace
    _waiting: dict[asyncio.Future[list[StreamEntry]], tuple[Group, Waiter]]
    _bind: Callable[[], None]

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        keyspace = self._keyspace
        log = self._log_or_new(stream)
        added = log.append(fields, keyspace.milliseconds())
        # Before trimming: waiting readers receive the entry even if it is trimmed at once.
        log.serve_waiters(keyspace.now())
        if max_len is not None:
            log.trim(max_len, approximate=approximate)
        return spell(added)

    async def xlen(self, stream: str) -> int:
        return len(self._keyspace.find_log(stream) or ())

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        log = self._keyspace.find_log(stream)
        return 0 if log is None else log.trim(max_len, approximate=approximate)

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        log = self._keyspace.find_log(stream)
        parsed = _parse_all(ids, ErrorCode.STORE_OPERATION_FAILED)
        return 0 if log is None else log.delete(parsed)

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return self._between(stream, start, end, count, newest_first=False)

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        return self._between(stream, start, end, count, newest_first=True)

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        log = self._keyspace.find_log(stream)
        position = _position(start, FIRST if log is None else log.last)
        log = self._log_or_new(stream)
        if group in log.groups:
            return False
        log.groups[group] = Group(position)
        return True

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        log = self._keyspace.find_log(stream)
        if log is None or group not in log.groups:
            return False
        log.groups.pop(group).vanish()
        return True

    async def xreadgroup(  # noqa: PLR0913 - the signature of the contract
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        log, reading = self._group(stream, group)
        reading.consumers.add(consumer)
        if history:
            return log.deliver_again(reading, consumer, count, self._keyspace.now())
        entries = log.deliver(reading, consumer, count, self._keyspace.now())
        if entries or not block:
            return entries
        return await self._wait(reading, consumer, count, block)

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        log = self._keyspace.find_log(stream)
        if log is None:
            return []
        return [
            GroupInfo(
                name,
                len(group.consumers),
                len(group.pending),
                spell(group.position),
                log.lag(group),
            )
            for name, group in sorted(log.groups.items())
        ]

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        log = self._keyspace.find_log(stream)
        parsed = _parse_all(ids, ErrorCode.STORE_STREAM_ACK_FAILED)
        if log is None or group not in log.groups:
            return 0
        pending = log.groups[group].pending
        return sum(pending.pop(stream_id, None) is not None for stream_id in parsed)

    async def xpending(
        self,
        stream: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[PendingEntry]:
        _, reading = self._group(stream, group)
        now = self._keyspace.now()
        found: list[PendingEntry] = []
        for stream_id, delivery in reading.pending.items():
            if len(found) == count:
                break
            # The comparison is the same as in xautoclaim, since rounding may make `now - at`
            # slightly less than the time that has passed.
            if (consumer is None or delivery.consumer == consumer) and (
                min_idle is None or delivery.at <= now - min_idle
            ):
                found.append(
                    PendingEntry(
                        spell(stream_id),
                        delivery.consumer,
                        max(now - delivery.at, 0.0),
                        delivery.count,
                    )
                )
        return found

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        log, reading = self._group(stream, group)
        reading.consumers.add(consumer)
        now = self._keyspace.now()
        return log.claim(reading, consumer, now - min_idle, count, now)

    def _log_or_new(self, stream: str) -> Log:
        log = self._keyspace.find_log(stream)
        if log is None:
            log = Log()
            self._keyspace.put(stream, log, None)
        return log

    def _group(self, stream: str, group: str) -> tuple[Log, Group]:
        log = self._keyspace.find_log(stream)
        if log is None or group not in log.groups:
            raise ERRORS.group_missing()
        return log, log.groups[group]

    def _between(
        self, stream: str, start: str, end: str, count: int | None, *, newest_first: bool
    ) -> list[StreamEntry]:
        log = self._keyspace.find_log(stream)
        low, high = lower_bound(start), upper_bound(end)
        if low is None or high is None:
            raise ERRORS.malformed_id(ErrorCode.STORE_STREAM_READ_FAILED)
        return [] if log is None else log.between(low, high, count, newest_first=newest_first)

    async def _wait(
        self, group: Group, consumer: str, count: int | None, block: float
    ) -> list[StreamEntry]:
        self._bind()
        answer: asyncio.Future[list[StreamEntry]] = asyncio.get_running_loop().create_future()
        waiter = Waiter(consumer, count, answer)
        group.waiters.append(waiter)
        self._waiting[answer] = (group, waiter)
        timer = self._keyspace.call_later(
            block, lambda: None if answer.done() else answer.set_result([])
        )
        try:
            return await answer
        finally:
            timer.cancel()
            self._waiting.pop(answer, None)
            if waiter in group.waiters:
                group.waiters.remove(waiter)


def _parse_all(ids: Sequence[str], code: ErrorCode) -> list[StreamId]:
    parsed = [parse(text) for text in ids]
    if None in parsed:
        raise ERRORS.malformed_id(code)
    return [stream_id for stream_id in parsed if stream_id is not None]


def _position(start: str, last: StreamId) -> StreamId:
    position = last if start == "$" else parse(start)
    if position is None:
        raise ERRORS.malformed_id(ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED)
    return position
