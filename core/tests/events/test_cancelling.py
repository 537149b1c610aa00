"""Cancelling a subscription, from outside and inside of its handler."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from .inbox import Inbox, others, soon, turns
from .ways import WAYS, Way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store import EventContext, Store


CANCELS: dict[str, Callable[[Any], Awaitable[None]]] = {
    "cancel": lambda subscription: subscription.cancel(),
    "call": lambda subscription: subscription(),
    "exit": lambda subscription: subscription.__aexit__(None, None, None),
}


@pytest.mark.clause("PUB-5")
@pytest.mark.parametrize("how", CANCELS)
async def test_nothing_is_delivered_once_a_subscription_was_cancelled(
    how: str, igniter_store: Store[str]
) -> None:
    inbox = Inbox()
    subscription = await igniter_store.events.subscribe("e", inbox)
    await igniter_store.events.publish("e", 1)

    await CANCELS[how](subscription)

    assert await igniter_store.events.publish("e", 2) == 0
    await turns()
    assert inbox.got == []
    assert subscription.is_live is False
    assert others() == set()


@pytest.mark.clause("PUB-5")
async def test_cancelling_twice_is_fine(igniter_store: Store[str]) -> None:
    subscription = await igniter_store.events.subscribe("e", Inbox())
    await subscription.cancel()

    await asyncio.gather(subscription.cancel(), subscription())

    assert subscription.is_live is False


async def test_leaving_its_block_cancels_a_subscription(igniter_store: Store[str]) -> None:
    async with await igniter_store.events.subscribe("e", Inbox()) as subscription:
        live = await igniter_store.events.publish("e", 1)

    assert live == 1
    assert subscription.is_live is False
    assert await igniter_store.events.publish("e", 1) == 0


@pytest.mark.clause("PUB-4")
async def test_cancelling_one_leaves_the_others(igniter_store: Store[str]) -> None:
    inbox = Inbox()
    first = await igniter_store.events.subscribe("e", Inbox())
    await igniter_store.events.subscribe("e", inbox)

    await first.cancel()
    await igniter_store.events.publish("e", 1)

    assert await inbox.data(1) == [1]


async def test_cancelling_waits_for_the_handler_that_is_running(igniter_store: Store[str]) -> None:
    started, may_go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_: EventContext[Any]) -> None:
        started.set()
        await may_go_on.wait()
        finished.set()

    subscription = await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.publish("e", 1)
    await soon(started)
    cancelling = asyncio.ensure_future(subscription.cancel())
    await turns()
    assert cancelling.done() is False

    may_go_on.set()
    await cancelling

    assert finished.is_set()


@pytest.mark.clause("PUB-5")
@pytest.mark.parametrize("way", WAYS)
async def test_a_handler_can_cancel_its_own_subscription(
    way: Way, igniter_store: Store[str]
) -> None:
    finished, calls = asyncio.Event(), 0

    async def handle(_: EventContext[Any]) -> None:
        nonlocal calls
        calls += 1
        await way(subscription.cancel)
        finished.set()

    subscription = await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.publish("e", 1)
    await igniter_store.events.publish("e", 2)

    await soon(finished)
    await turns()
    assert calls == 1
    assert others() == set()


async def test_handler_waits_when_cancelling_another_subscription(
    igniter_store: Store[str],
) -> None:
    started, finished, order = asyncio.Event(), asyncio.Event(), list[str]()

    async def slow(_: EventContext[Any]) -> None:
        started.set()
        await asyncio.sleep(0)
        order.append("slow")

    async def handle(_: EventContext[Any]) -> None:
        await soon(started)
        await other.cancel()
        order.append("cancelled")
        finished.set()

    other = await igniter_store.events.subscribe("e", slow)
    await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.publish("e", 1)

    await soon(finished)
    assert order == ["slow", "cancelled"]


async def test_subscription_made_in_handler_receives_events(
    igniter_store: Store[str],
) -> None:
    inbox, made = Inbox(), asyncio.Event()

    async def handle(_: EventContext[Any]) -> None:
        await igniter_store.events.subscribe("inner", inbox)
        made.set()

    outer = await igniter_store.events.subscribe("outer", handle)
    await igniter_store.events.publish("outer", 1)
    await soon(made)
    await outer.cancel()

    await igniter_store.events.publish("inner", 2)

    assert await inbox.data(1) == [2]
