"""The ways in which a handler awaits a call that ends its own subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias


async def directly(call: Callable[[], Awaitable[None]]) -> None:
    await call()


async def with_a_time_limit(call: Callable[[], Awaitable[None]]) -> None:
    # Python 3.11 runs it in another task, later versions in the same one.
    await asyncio.wait_for(call(), 5)


async def in_a_task_group(call: Callable[[], Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(call())


Way: TypeAlias = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
WAYS: list[Way] = [directly, with_a_time_limit, in_a_task_group]
