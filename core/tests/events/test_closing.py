"""Closing a store ends its subscriptions and listeners."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from igniter_store import ErrorCode, EventContext, RecordingAdapter, Store, StoreError
from igniter_store.contract import Subscription

from .inbox import Inbox, others, soon, turns
from .ways import WAYS, Way


@pytest.mark.clause("LIF-5")
async def test_close_raises_store_closed_in_listeners(igniter_store: Store[str]) -> None:
    live = asyncio.Event()

    async def listen() -> None:
        async with igniter_store.events.listen("e") as stream:
            live.set()
            await anext(stream)

    listening = asyncio.ensure_future(listen())
    await soon(live)

    await igniter_store.close()

    with pytest.raises(StoreError) as caught:
        await listening
    assert caught.value.code == ErrorCode.STORE_CLOSED


@pytest.mark.clause("LIF-5")
async def test_close_cancels_handlers_and_leaves_no_task(
    igniter_store: Store[str],
) -> None:
    started, was_cancelled = asyncio.Event(), False

    async def handle(_: EventContext[Any]) -> None:
        nonlocal was_cancelled
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    subscription = await igniter_store.events.subscribe("e", handle)
    await igniter_store.scope("org", 1).events.subscribe("*", Inbox())
    await igniter_store.events.publish("e", 1)
    await soon(started)

    await igniter_store.close()

    assert was_cancelled is True
    assert subscription.is_live is False
    assert others() == set()


async def test_subscription_can_be_cancelled_after_store_closes(
    igniter_store: Store[str],
) -> None:
    subscription = await igniter_store.events.subscribe("e", Inbox())
    await igniter_store.close()

    await subscription.cancel()

    assert subscription.is_live is False


@pytest.mark.parametrize("way", WAYS)
async def test_a_handler_can_close_the_store(way: Way, igniter_store: Store[str]) -> None:
    finished = asyncio.Event()

    async def handle(_: EventContext[Any]) -> None:
        await way(igniter_store.close)
        finished.set()

    await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.subscribe("e", Inbox())
    await igniter_store.events.publish("e", 1)

    await soon(finished)
    await turns()
    assert igniter_store.is_open is False
    assert others() == set()


async def test_two_handlers_can_close_the_store_at_once(igniter_store: Store[str]) -> None:
    async def handle(_: EventContext[Any]) -> None:
        await igniter_store.close()

    await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.subscribe("e", handle)

    await igniter_store.events.publish("e", 1)
    await turns()

    assert igniter_store.is_open is False
    assert others() == set()


class Stuck(RecordingAdapter):
    """An adapter whose subscriptions can't be cancelled."""

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super().pass_on(method, *args, **kwargs)
        return StuckSubscription() if isinstance(answer, Subscription) else answer


class StuckSubscription(Subscription):
    async def cancel(self) -> None:
        raise ConnectionError


async def test_close_completes_when_cancelling_subscription_fails(
    igniter_recorder: RecordingAdapter,
) -> None:
    """The error reaches the caller, and the adapter is closed."""
    store = Store.create().with_adapter(Stuck(igniter_recorder)).with_service("test").build()
    await store.events.subscribe("e", Inbox())
    await store.events.subscribe("e", Inbox())

    with pytest.raises(StoreError) as caught:
        await store.close()
    await turns()

    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
    assert (store.is_open, igniter_recorder.is_open) == (False, False)
    assert others() == set()


async def test_reopened_store_does_not_revive_subscriptions(
    igniter_store: Store[str],
) -> None:
    old, new = Inbox(), Inbox()
    await igniter_store.events.subscribe("e", old)
    await igniter_store.close()

    await igniter_store.open()
    await igniter_store.events.subscribe("e", new)
    await igniter_store.events.publish("e", 1)

    assert await new.data(1) == [1]
    assert old.got == []
