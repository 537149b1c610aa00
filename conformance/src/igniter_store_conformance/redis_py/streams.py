"""Streams: Redis's X commands.

Rule: ids are checked here. The server checks them only once it has found the stream and the group,
    and returns 0 if it hasn't.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import (
    ErrorCode,
    GroupInfo,
    PendingEntry,
    StoreError,
    StreamEntry,
    Streams,
)
from igniter_store.contract.stream_ids import lower_bound, parse, upper_bound

from igniter_store_conformance.redis_py.errors import malformed_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_conformance.redis_py.calls import Calls

_PAGE: Final = 500  # pending entries in one round trip
# Seconds that a reader blocks at the server before it asks again: Redis 6.2 doesn't wake a reader
# whose stream is deleted.
_SLICE: Final = 0.5


class RedisPyStreams(Streams):
    """`Streams` over redis-py."""

    _calls: Calls

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        limit = [] if max_len is None else ["MAXLEN", _sign(approximate=approximate), max_len]
        added: bytes = await self._calls.tell(
            "XADD", stream, *limit, "*", *[word for pair in fields.items() for word in pair]
        )
        return added.decode()

    async def xlen(self, stream: str) -> int:
        return int(await self._calls.ask("XLEN", stream))

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return int(
            await self._calls.tell(
                "XTRIM", stream, "MAXLEN", _sign(approximate=approximate), max_len
            )
        )

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        _check(ids, ErrorCode.STORE_OPERATION_FAILED)
        return (
            int(await self._calls.tell("XDEL", stream, *ids))
            if ids
            else await self._none_of(stream)
        )

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        _check_bounds(start, end)
        return _entries(
            await self._calls.ask(
                "XRANGE",
                stream,
                start,
                end,
                *_count(count),
                code=ErrorCode.STORE_STREAM_READ_FAILED,
            )
        )

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        _check_bounds(start, end)
        return _entries(
            await self._calls.ask(
                "XREVRANGE",
                stream,
                end,
                start,
                *_count(count),
                code=ErrorCode.STORE_STREAM_READ_FAILED,
            )
        )

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        code = ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED
        if start != "$":
            _check([start], code)
        try:
            await self._calls.tell("XGROUP", "CREATE", stream, group, start, "MKSTREAM", code=code)
        except StoreError as error:
            if error.details.get("word") == "BUSYGROUP":
                return False
            raise
        return True

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        return bool(await self._calls.run("xgroup_destroy", [stream], group))

    async def xreadgroup(  # noqa: PLR0913 - the contract's
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        reader = ("XREADGROUP", "GROUP", group, consumer)
        if history:
            return await self._history(reader, stream, count)
        if not block:
            return _of_stream(
                await self._calls.tell(*reader, *_count(count), "STREAMS", stream, ">")
            )
        return await self._blocking((*reader, *_count(count)), stream, block)

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        groups = [_group(flat) for flat in await self._calls.see("xgroups", [stream])]
        return sorted(groups, key=lambda group: group.name)

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        _check(ids, ErrorCode.STORE_STREAM_ACK_FAILED)
        return (
            int(await self._calls.tell("XACK", stream, group, *ids))
            if ids
            else await self._none_of(stream)
        )

    async def xpending(
        self,
        stream: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[PendingEntry]:
        idle: list[Any] = [] if min_idle is None else ["IDLE", math.ceil(min_idle * 1000)]
        whose = [] if consumer is None else [consumer]
        found: list[PendingEntry] = []
        start = "-"
        while True:
            wanted = _PAGE if count is None else min(_PAGE, count - len(found))
            page = await self._calls.ask(
                "XPENDING", stream, group, *idle, start, "+", wanted, *whose
            )
            found += [_pending(flat) for flat in page]
            if len(page) < wanted or len(found) == count:
                return found
            start = f"({found[-1].id}"

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        idle = math.ceil(min_idle * 1000)
        claimed: list[StreamEntry] = []
        start = "-"
        while True:
            wanted = _PAGE if count is None else count - len(claimed)
            last, entries = await self._calls.run(
                "xautoclaim", [stream], group, consumer, idle, start, _PAGE, wanted
            )
            claimed += _entries(entries)
            if not last or len(claimed) == count:
                return claimed
            start = f"({last.decode()}"

    async def _none_of(self, stream: str) -> int:
        # The server accepts no empty list of ids. A key that doesn't hold a stream must raise an
        # error all the same.
        await self.xlen(stream)
        return 0

    async def _history(
        self, reader: tuple[str, ...], stream: str, count: int | None
    ) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        start = "0"
        while True:
            wanted = None if count is None else count - len(found)
            # Kept for the ids: deleted entries are listed without fields, and are omitted only
            # after they were counted.
            page: list[Any] = _listed(
                await self._calls.tell(*reader, *_count(wanted), "STREAMS", stream, start)
            )
            found += _entries(page)
            if count is None or not page or len(found) == count:
                return found
            start = page[-1][0].decode()

    async def _blocking(
        self, reader: tuple[Any, ...], stream: str, block: float
    ) -> list[StreamEntry]:
        loop = asyncio.get_running_loop()
        end = loop.time() + block
        while True:
            left = end - loop.time()
            wait = max(0.001, min(left, _SLICE))
            # A lost connection ends the wait: entries may have been in flight, and are pending now
            # (maybe_applied).
            answer = await self._calls.wait(
                wait, *reader, "BLOCK", math.ceil(wait * 1000), "STREAMS", stream, ">"
            )
            if answer is not None or left <= _SLICE:
                return _of_stream(answer)


def _sign(*, approximate: bool) -> str:
    return "~" if approximate else "="


def _count(count: int | None) -> list[Any]:
    return [] if count is None else ["COUNT", count]


def _check(ids: Sequence[str], code: ErrorCode) -> None:
    if None in map(parse, ids):
        raise malformed_id(code)


def _check_bounds(start: str, end: str) -> None:
    if lower_bound(start) is None or upper_bound(end) is None:
        raise malformed_id(ErrorCode.STORE_STREAM_READ_FAILED)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # foreign writers may store any bytes


def _entries(listed: Sequence[Any]) -> list[StreamEntry]:
    return [StreamEntry(id.decode(), _fields(flat)) for id, flat in listed if flat is not None]


def _fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {_text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _listed(answer: Any) -> list[Any]:
    # The request names one stream, so the reply has one or none.
    return [] if answer is None else answer[0][1]


def _of_stream(answer: Any) -> list[StreamEntry]:
    return _entries(_listed(answer))


def _group(flat: Sequence[Any]) -> GroupInfo:
    facts = dict(zip(flat[::2], flat[1::2], strict=True))
    # Redis 6.2 doesn't report the lag; later servers omit it when entries in the middle were
    # deleted.
    return GroupInfo(
        _text(facts[b"name"]),
        facts[b"consumers"],
        facts[b"pending"],
        facts[b"last-delivered-id"].decode(),
        facts.get(b"lag"),
    )


def _pending(flat: Sequence[Any]) -> PendingEntry:
    id, consumer, idle, deliveries = flat
    return PendingEntry(id.decode(), _text(consumer), idle / 1000, deliveries)
