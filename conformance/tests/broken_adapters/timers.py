"""Broken clients of a server, with wrong timers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from igniter_store.contract import ErrorCode, store_error

from broken_adapters.servers import BrokenClient

if TYPE_CHECKING:
    from igniter_store.contract import StreamEntry


class GetHasAnAsyncioTimeout(BrokenClient):
    """`get` uses `asyncio.timeout`, which discards a reply if the event loop was blocked."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-10"})
    limit: ClassVar[float | None] = 120.0

    async def get(self, key: str) -> bytes | None:
        try:
            async with asyncio.timeout(1.0):
                return await super().get(key)
        except TimeoutError as error:
            raise store_error(
                ErrorCode.STORE_TIMEOUT,
                "The server didn't answer within 1 second. Try again.",
                backend=self.name,
            ) from error


class BlockedReadHasAnAsyncioTimeout(BrokenClient):
    """A blocked read uses `asyncio.timeout`, which discards an entry if the loop was blocked."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-10"})
    limit: ClassVar[float | None] = 120.0

    async def xreadgroup(  # noqa: PLR0913 - as in the contract
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        try:
            async with asyncio.timeout(block):
                return await super().xreadgroup(
                    stream, group, consumer, count=count, block=block, history=history
                )
        except TimeoutError:
            return []
