"""Streams: Redis's X commands.

Rule: ids are checked here. The server checks them only after it has found the stream and the group,
    and otherwise returns 0.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract.errors import ErrorCode, StoreError, malformed_id
from igniter_store.contract.stream_ids import lower_bound, parse, upper_bound
from igniter_store.contract.streams import GroupInfo, PendingEntry, StreamEntry, Streams
from igniter_store.redis_commands.blocking import LONGEST_WAIT
from igniter_store.redis_commands.replies import (
    claimed,
    entries,
    flag,
    groups,
    listed_of_stream,
    of_stream,
    ok,
    pending,
    stream_id,
    there,
)
from igniter_store.redis_commands.replies import count as number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store.redis_commands.client import CommandClient

_PAGE: Final = 500  # pending entries in one round trip


class CommandStreams(Streams):
    """Implements `Streams` with commands."""

    _commands: CommandClient

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        limit = [] if max_len is None else ["MAXLEN", _sign(approximate=approximate), max_len]
        words = [word for pair in fields.items() for word in pair]
        return await self._commands.write("XADD", stream, *limit, "*", *words, read=stream_id)

    async def xlen(self, stream: str) -> int:
        return await self._commands.read("XLEN", stream, read=number)

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return await self._commands.write(
            "XTRIM", stream, "MAXLEN", _sign(approximate=approximate), max_len, read=number
        )

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        self._check(ids, ErrorCode.STORE_OPERATION_FAILED)
        return (
            await self._commands.write("XDEL", stream, *ids, read=number)
            if ids
            else await self._none_of(stream)
        )

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        self._check_bounds(start, end)
        code = ErrorCode.STORE_STREAM_READ_FAILED
        return await self._commands.read(
            "XRANGE", stream, start, end, *_count(count), read=entries, code=code
        )

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        self._check_bounds(start, end)
        code = ErrorCode.STORE_STREAM_READ_FAILED
        return await self._commands.read(
            "XREVRANGE", stream, end, start, *_count(count), read=entries, code=code
        )

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        code = ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED
        if start != "$":
            self._check([start], code)
        try:
            await self._commands.write(
                "XGROUP", "CREATE", stream, group, start, "MKSTREAM", read=ok, code=code
            )
        except StoreError as error:
            if error.details.get("word") == "BUSYGROUP":
                return False
            raise
        return True

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        return await self._commands.run_write_script("xgroup_destroy", [stream], group, read=flag)

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
        reader = ("XREADGROUP", "GROUP", group, consumer)
        if history:
            return await self._history(reader, stream, count)
        if not block:
            return (
                await self._commands.write(
                    *reader, *_count(count), "STREAMS", stream, ">", read=of_stream
                )
                or []
            )
        return await self._blocking((*reader, *_count(count)), stream, block)

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        return sorted(
            await self._commands.run_read_script("xgroups", [stream], read=groups),
            key=lambda group: group.name,
        )

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        self._check(ids, ErrorCode.STORE_STREAM_ACK_FAILED)
        return (
            await self._commands.write("XACK", stream, group, *ids, read=number)
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
            page = await self._commands.read(
                "XPENDING", stream, group, *idle, start, "+", wanted, *whose, read=pending
            )
            found += page
            if len(page) < wanted or len(found) == count:
                return found
            start = f"({found[-1].id}"

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        idle = math.ceil(min_idle * 1000)
        taken: list[StreamEntry] = []
        start = "-"
        while True:
            wanted = _PAGE if count is None else count - len(taken)
            last, more = await self._commands.run_write_script(
                "xautoclaim", [stream], group, consumer, idle, start, _PAGE, wanted, read=claimed
            )
            taken += more
            if not last or len(taken) == count:
                return taken
            start = f"({last}"

    def _check(self, ids: Sequence[str], code: ErrorCode) -> None:
        if None in map(parse, ids):
            raise malformed_id(code, self.name)

    def _check_bounds(self, start: str, end: str) -> None:
        if lower_bound(start) is None or upper_bound(end) is None:
            raise malformed_id(ErrorCode.STORE_STREAM_READ_FAILED, self.name)

    async def _none_of(self, stream: str) -> int:
        # The server doesn't accept an empty list of ids. A key that doesn't hold a stream is an
        # error here too.
        await self.xlen(stream)
        return 0

    async def _history(
        self, reader: tuple[str, ...], stream: str, count: int | None
    ) -> list[StreamEntry]:
        found: list[StreamEntry] = []
        start = "0"
        while True:
            wanted = None if count is None else count - len(found)
            # Deleted entries are listed without fields. Their ids count here, and they are dropped
            # afterwards.
            page = await self._commands.write(
                *reader, *_count(wanted), "STREAMS", stream, start, read=listed_of_stream
            )
            found += there(page)
            if count is None or not page or len(found) == count:
                return found
            start, _ = page[-1]

    async def _blocking(
        self, reader: tuple[Any, ...], stream: str, block: float
    ) -> list[StreamEntry]:
        self._commands.require_open()
        # Repeats the command, because Redis 6.2 doesn't wake a reader whose stream is deleted.
        loop = asyncio.get_running_loop()
        end = loop.time() + block
        while True:
            left = end - loop.time()
            wait = max(0.001, min(left, LONGEST_WAIT))
            try:
                answer = await self._commands.block(
                    *reader, "BLOCK", math.ceil(wait * 1000), "STREAMS", stream, ">", read=of_stream
                )
            except StoreError as error:
                if error.details.get("word") != "UNBLOCKED":
                    raise
                # The stream was deleted, or the server is a replica now. A non-blocking read
                # reports which of the two it is.
                return (
                    await self._commands.write(*reader, "STREAMS", stream, ">", read=of_stream)
                    or []
                )
            if answer is not None or left <= LONGEST_WAIT:
                return answer or []


def _sign(*, approximate: bool) -> str:
    return "~" if approximate else "="


def _count(count: int | None) -> list[Any]:
    return [] if count is None else ["COUNT", count]
