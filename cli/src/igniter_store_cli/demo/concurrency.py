"""Letting many act in the same moment, and waiting for what others do.

Rule: nobody begins before everybody is there. Started one after the other, the first would be done
    before the last came, and a race
that is there would never show.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Seconds to wait for something that comes within milliseconds on a backend that works."""


async def at_once(actions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all `actions` as tasks that are let go together, and return what each returned, in order."""
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
            action.close()  # one that was cancelled at the gate has never begun
    return [task.result() for task in running]


@asynccontextmanager
async def meanwhile(action: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Run `action` while the block runs, then cancel it; if it failed before, its error is raised."""
    task = asyncio.create_task(action)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def a_moment() -> None:
    """Let all others have their turn: the gap between reading and acting, in which a service that
    checks first goes wrong.
    """
    await asyncio.sleep(0)


async def until(condition: Callable[[], bool], *, patience: float | None = None) -> bool:
    """Wait until `condition` holds, and say whether it came to that."""
    end = asyncio.get_running_loop().time() + (PATIENCE if patience is None else patience)
    while not condition():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.005)
    return True


async def until_true(
    question: Callable[[], Coroutine[Any, Any, bool]], *, patience: float | None = None
) -> bool:
    """As `until`, for a condition that has to be asked for."""
    end = asyncio.get_running_loop().time() + (PATIENCE if patience is None else patience)
    while not await question():
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(0.005)
    return True
