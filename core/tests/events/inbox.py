"""A handler that keeps its events, and waiting for what handlers do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from igniter_store import EventContext


class Inbox:
    """A handler that keeps its events; a test can wait for them."""

    def __init__(self) -> None:
        self.got: list[EventContext[Any]] = []
        self._more = asyncio.Event()

    def __call__(self, context: EventContext[Any]) -> None:
        self.got.append(context)
        self._more.set()

    async def take(self, number: int) -> list[EventContext[Any]]:
        """Wait for this many events, at most five seconds, and return all that arrived."""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while len(self.got) < number:
                    self._more.clear()
                    await self._more.wait()
        return self.got

    async def data(self, number: int) -> list[Any]:
        return [context.data for context in await self.take(number)]


async def soon(condition: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(5):
            await condition.wait()
    except TimeoutError:
        pytest.fail("The event that the test waits for didn't happen within five seconds.")


async def turns() -> None:
    """Run the event loop long enough for pending callbacks to finish."""
    for _ in range(20):
        await asyncio.sleep(0)


def others() -> set[asyncio.Task[Any]]:
    """Return the tasks that run besides the test."""
    return asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task is not None}
