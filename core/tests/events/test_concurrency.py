"""Concurrent, cancelled and abandoned subscriptions leave no task behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import RecordingAdapter, Store

from .inbox import Inbox, others, soon, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def test_many_subscriptions_come_and_go_and_leave_nothing(
    igniter_store: Store[str],
) -> None:
    async def one(number: int) -> int:
        inbox = Inbox()
        async with await igniter_store.events.subscribe(f"e{number % 5}", inbox):
            await igniter_store.events.publish(f"e{number % 5}", number)
            return len(await inbox.take(1))

    numbers = await asyncio.gather(*(one(number) for number in range(100)))

    assert min(numbers) >= 1
    assert others() == set()
    assert await igniter_store.events.publish("e0", 1) == 0


async def test_cancelled_subscribe_leaves_no_task_or_subscription(
    igniter_recorder: RecordingAdapter,
) -> None:
    reached = asyncio.Event()

    class Slow(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "subscribe":
                reached.set()
                await asyncio.Event().wait()
            return await super().pass_on(method, *args, **kwargs)

    store = Store.create().with_adapter(Slow(igniter_recorder)).with_service("test").build()
    subscribing = asyncio.ensure_future(store.events.subscribe("e", Inbox()))
    await soon(reached)

    subscribing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await subscribing

    assert others() == set()
    assert await store.events.publish("e", 1) == 0


async def test_an_async_generator_over_a_listener_closes_it(igniter_store: Store[str]) -> None:
    async def numbers() -> AsyncIterator[Any]:
        async with igniter_store.events.listen("e") as stream:
            async for context in stream:
                yield context.data

    generator: Any = numbers()
    first = asyncio.ensure_future(anext(generator))
    await turns()
    await igniter_store.events.publish("e", 1)
    got = await first

    await generator.aclose()

    assert got == 1
    assert await igniter_store.events.publish("e", 2) == 0
