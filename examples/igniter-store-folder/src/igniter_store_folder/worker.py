"""The thread in which an adapter accesses its files, so that no disk blocks the event loop.

Rule: one thread runs one step at a time, in the order of the calls. A step that outlives its
    cancelled call is done before the next one begins.
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
        """Return or raise the result of `step`.

        When the call is cancelled, a running step is finished, and a queued one is dropped.
        """
        return await asyncio.wrap_future(self._pool.submit(step))

    def abandon(self) -> None:
        """End the thread without waiting for it, because the event loop is closed."""
        self._pool.shutdown(wait=False)

    async def end(self) -> None:
        """Finish the queued steps, and end the thread.

        This happens even if the call is cancelled; a second call waits for it.
        """
        if self._last is None:
            self._last = self._pool.submit(lambda: None)
            self._pool.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(self._last))
        self._pool.shutdown()  # waits for a thread that has nothing left to do
