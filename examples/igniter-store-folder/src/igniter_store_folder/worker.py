"""The thread in which an adapter touches its files, so that no disk ever blocks the event loop.

Rule: one thread, one step at a time, in the order of the calls: a step that outlives its cancelled
    call is over before the next begins.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Worker:
    """One thread, from the first step until `end`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="igniter-store-folder")
        self._last: Future[None] | None = None

    async def run(self, step: Callable[[], T]) -> T:
        """What `step` returns or raises.

        When the call is cancelled, a step that has begun is finished, and one that waits is
        dropped.
        """
        return await asyncio.wrap_future(self._pool.submit(step))

    def abandon(self) -> None:
        """As `end`, without waiting for it: the event loop is closed."""
        self._pool.shutdown(wait=False)

    async def end(self) -> None:
        """Let the steps that wait be done, and the thread end.

        Cancelled, this happens all the same; a second call waits for it.
        """
        if self._last is None:
            self._last = self._pool.submit(lambda: None)
            self._pool.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(self._last))
        self._pool.shutdown()  # waits for a thread that has nothing left to do
