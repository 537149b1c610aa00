"""Streams: a key holds a log."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from igniter_store.contract import (
    ErrorCode,
    GroupInfo,
    PendingEntry,
    StreamEntry,
    Streams,
    name_from_bytes,
    name_to_bytes,
)
from igniter_store.contract.stream_ids import StreamId, lower_bound, parse, upper_bound

from igniter_store_sqlite import log as logs
from igniter_store_sqlite.errors import ERRORS
from igniter_store_sqlite.log import NO_LIMIT, Log, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_sqlite.change_watch import Changes
    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

# Seconds after which a waiting reader checks that its group still exists: nothing wakes it when the
# stream expires
_LOOK: Final = 0.5


class SQLiteStreams(Streams):
    """`Streams` on the tables."""

    _reads: Worker
    _writes: Worker
    _changes: Changes

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        copied = {name: bytes(value) for name, value in fields.items()}
        return await self._writes.call(_xadd, name_to_bytes(stream), copied, max_len, approximate)

    async def xlen(self, stream: str) -> int:
        log = await self._reads.call(logs.find, name_to_bytes(stream))
        return 0 if log is None else log.length

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return await self._writes.call(_xtrim, name_to_bytes(stream), max_len, approximate)

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        return await self._writes.call(
            _xdel, name_to_bytes(stream), _parse_all(ids, ErrorCode.STORE_OPERATION_FAILED)
        )

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await self._between(stream, start, end, count, is_reverse=False)

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        return await self._between(stream, start, end, count, is_reverse=True)

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        position = None if start == "$" else parse(start)
        if position is None and start != "$":
            raise ERRORS.malformed_id(ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED)
        return await self._writes.call(
            _xgroup_create, name_to_bytes(stream), name_to_bytes(group), position
        )

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        return await self._writes.call(_xgroup_destroy, name_to_bytes(stream), name_to_bytes(group))

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
        key, name = name_to_bytes(stream), name_to_bytes(group)
        loop = asyncio.get_running_loop()
        until = loop.time() + (0.0 if history else block or 0.0)
        with self._changes.waiting() as changes:
            while True:
                entries = await self._writes.call(
                    _xreadgroup, key, name, name_to_bytes(consumer), count, history
                )
                if entries or loop.time() >= until:
                    return entries
                while not await self._reads.call(_has_news, key, name):
                    if loop.time() >= until:
                        return []
                    await changes.until(min(until, loop.time() + _LOOK))

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        rows = await self._reads.call(_xgroups, name_to_bytes(stream))
        return [
            GroupInfo(name_from_bytes(name), consumers, pending, unpack(position), lag)
            for name, consumers, pending, position, lag in rows
        ]

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        packed = [pack(one) for one in _parse_all(ids, ErrorCode.STORE_STREAM_ACK_FAILED)]
        return await self._writes.call(_xack, name_to_bytes(stream), name_to_bytes(group), packed)

    async def xpending(
        self,
        stream: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[PendingEntry]:
        owner = None if consumer is None else name_to_bytes(consumer)
        return await self._reads.call(
            _xpending, name_to_bytes(stream), name_to_bytes(group), min_idle, owner, count
        )

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        return await self._writes.call(
            _xautoclaim,
            name_to_bytes(stream),
            name_to_bytes(group),
            name_to_bytes(consumer),
            min_idle,
            count,
        )

    async def _between(
        self, stream: str, start: str, end: str, count: int | None, *, is_reverse: bool
    ) -> list[StreamEntry]:
        low, high = lower_bound(start), upper_bound(end)
        if low is None or high is None:
            raise ERRORS.malformed_id(ErrorCode.STORE_STREAM_READ_FAILED)
        return await self._reads.call(_xrange, name_to_bytes(stream), low, high, count, is_reverse)


def _xadd(
    session: Session,
    key: bytes,
    fields: Mapping[str, bytes],
    max_len: int | None,
    approximate: bool,  # noqa: FBT001 - a flag of the call
) -> str:
    log = logs.find_or_add(session, key)
    added = logs.append(session, log, fields)
    if max_len is not None:
        logs.trim(session, log, max_len, approximate=approximate)
    return added


# The flag is an argument of the call.
def _xtrim(session: Session, key: bytes, max_len: int, approximate: bool) -> int:  # noqa: FBT001
    log = logs.find(session, key)
    return 0 if log is None else logs.trim(session, log, max_len, approximate=approximate)


def _xdel(session: Session, key: bytes, ids: list[StreamId]) -> int:
    log = logs.find(session, key)
    return 0 if log is None else logs.remove(session, log, ids)


def _xrange(  # noqa: PLR0913, PLR0917 - the contract's arguments
    # The arguments of the call
    session: Session,
    key: bytes,
    low: StreamId,
    high: StreamId,
    count: int | None,
    is_reverse: bool,  # noqa: FBT001
) -> list[StreamEntry]:
    log = logs.find(session, key)
    return (
        []
        if log is None
        else logs.between(session, log, low, high, _limit(count), is_reverse=is_reverse)
    )


def _xgroup_create(session: Session, key: bytes, group: bytes, position: StreamId | None) -> bool:
    log = logs.find_or_add(session, key)
    return logs.add_group(session, log, group, log.last if position is None else pack(position))


def _xgroup_destroy(session: Session, key: bytes, group: bytes) -> bool:
    found = _number_of_group(session, key, group)
    if found is not None:
        logs.remove_group(session, found)
    return found is not None


def _xreadgroup(  # noqa: PLR0913, PLR0917 - the contract's arguments
    # The arguments of the call
    session: Session,
    key: bytes,
    group: bytes,
    consumer: bytes,
    count: int | None,
    history: bool,  # noqa: FBT001
) -> list[StreamEntry]:
    log, found = _log_and_group(session, key, group)
    logs.know_consumer(session, found[0], consumer)
    if history:
        return logs.deliver_again(session, log, found[0], consumer, _limit(count))
    return logs.deliver(session, log, found, consumer, _limit(count))


def _has_news(session: Session, key: bytes, group: bytes) -> bool:
    log, (_, position) = _log_and_group(session, key, group)
    return logs.has_news(session, log, position)


def _xgroups(session: Session, key: bytes) -> list[tuple[bytes, int, int, bytes, int]]:
    log = logs.find(session, key)
    return [] if log is None else logs.groups(session, log)


def _xack(session: Session, key: bytes, group: bytes, ids: list[bytes]) -> int:
    found = _number_of_group(session, key, group)
    return 0 if found is None else logs.settle(session, found, ids)


def _xpending(  # noqa: PLR0913, PLR0917 - the contract's arguments
    session: Session,
    key: bytes,
    group: bytes,
    min_idle: float | None,
    consumer: bytes | None,
    count: int | None,
) -> list[PendingEntry]:
    _, (number, _) = _log_and_group(session, key, group)
    since = None if min_idle is None else _idle_since(session, min_idle)
    return [
        PendingEntry(
            unpack(stream_id),
            name_from_bytes(owner),
            max(session.now - at, 0) / 1_000_000,
            deliveries,
        )
        for stream_id, owner, at, deliveries in logs.pending(
            session, number, since, consumer, _limit(count)
        )
    ]


def _xautoclaim(  # noqa: PLR0913, PLR0917 - the contract's arguments
    session: Session, key: bytes, group: bytes, consumer: bytes, min_idle: float, count: int | None
) -> list[StreamEntry]:
    log, (number, _) = _log_and_group(session, key, group)
    logs.know_consumer(session, number, consumer)
    return logs.claim(session, log, number, consumer, _idle_since(session, min_idle), count)


def _log_and_group(session: Session, key: bytes, group: bytes) -> tuple[Log, tuple[int, bytes]]:
    log = logs.find(session, key)
    found = None if log is None else logs.find_group(session, log, group)
    if log is None or found is None:
        raise ERRORS.group_missing()
    return log, found


def _number_of_group(session: Session, key: bytes, group: bytes) -> int | None:
    log = logs.find(session, key)
    found = None if log is None else logs.find_group(session, log, group)
    return None if found is None else found[0]


def _idle_since(session: Session, min_idle: float) -> int:
    return session.now - math.ceil(min_idle * 1_000_000)


def _limit(count: int | None) -> int:
    return NO_LIMIT if count is None else count


def _parse_all(ids: Sequence[str], code: ErrorCode) -> list[StreamId]:
    parsed = [parse(text) for text in ids]
    if None in parsed:
        raise ERRORS.malformed_id(code)
    return [one for one in parsed if one is not None]
