"""Timeouts end a call that takes too long.

They don't end a call because of time that the event loop spent blocked.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from igniter_store.adapter_tools.timeouts import FairTimeout, wait_for_any


async def test_fair_timeout_ends_slow_call() -> None:
    limit = FairTimeout(0.05)
    with pytest.raises(TimeoutError):
        async with limit:
            await asyncio.Event().wait()

    assert limit.expired()


async def test_fair_timeout_ignores_time_of_blocked_loop() -> None:
    async with FairTimeout(0.05) as limit:
        arriving = asyncio.create_task(asyncio.sleep(0.01, "answer"))
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - it blocks the event loop on purpose
        assert await arriving == "answer"
        await asyncio.sleep(0.01)  # a second step, as when connecting

    assert not limit.expired()


async def test_fair_timeout_ends_when_expired_by_hand() -> None:
    limit = FairTimeout(3_600)

    async def wait() -> None:
        async with limit:
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    limit.expire()
    limit.expire()
    with pytest.raises(TimeoutError):
        await waiting


async def test_fair_timeout_passes_a_cancellation_on() -> None:
    async def wait() -> None:
        async with FairTimeout(3_600):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_waiting_for_any_ends_without_one() -> None:
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    assert await wait_for_any([never], 0.05) is False
    assert not never.cancelled()


async def test_wait_for_any_ignores_time_of_blocked_loop() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    waiting = asyncio.create_task(wait_for_any([future], 0.05))
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - see above
    loop.call_later(0.01, future.set_result, None)

    assert await waiting is True
