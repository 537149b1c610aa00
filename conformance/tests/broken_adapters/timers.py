"""Broken clients of a server whose timers are wrong."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from igniter_store.contract import ErrorCode, store_error

from broken_adapters.servers import BrokenClient


class JudgesByTheClock(BrokenClient):
    """A `get` has a timeout of asyncio, which ends it in an event loop that was blocked, although its answer is there."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-10"})
    limit: ClassVar[float | None] = 120.0

    async def get(self, key: str) -> bytes | None:
        try:
            async with asyncio.timeout(1.0):
                return await super().get(key)
        except TimeoutError as error:
            raise store_error(ErrorCode.STORE_TIMEOUT, "The server didn't answer within 1 second. Try again.", backend=self.name) from error
