"""Runs many actions at the same moment, and waits for conditions.

Rule: No action starts before all of them are ready. If they were started one after the other, the
    first would finish before the last one started, and a race would never show.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Seconds to wait for an event that takes milliseconds on a backend that works."""


async def at_once(actions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Start all `actions` together as tasks, and return their results in order."""
    crowd = list(actions)
    gate = asyncio.Barrier(max(len(crowd), 1))

    async def act(action: Coroutine[Any, Any, T]) -> T:
        await gate.wait()
        return await action

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(act(action)) for action in crowd]
    finally:
        for action in crowd:
            action.close()  # an action that was cancelled at the gate was never started
    return [task.result() for task in running]


@asynccontextmanager
async def meanwhile(action: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Run `action` while the block runs, then cancel it; if it failed first, raise its error."""
    task = asyncio.create_task(action)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def a_moment() -> None:
    """Let all other tasks run.

    This is the gap between reading and acting, in which a service that checks first has its race.
    """
    await asyncio.sleep(0)


async def until(condition: Callable[[], bool], *, patience: float | None = None) -> bool:
    """Wait until `condition` holds, and return False after a timeout."""
    end = asyncio.get_running_loop().time() + (PATIENCE if patience is None else patience)
    while not condition():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.005)
    return True


async def until_true(
    question: Callable[[], Coroutine[Any, Any, bool]], *, patience: float | None = None
) -> bool:
    """Like `until`, for an asynchronous condition."""
    end = asyncio.get_running_loop().time() + (PATIENCE if patience is None else patience)
    while not await question():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.005)
    return True
