"""Delivery: which handlers receive an event, by name and by pattern, and in which order."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import EventContext, RecordingAdapter, Store

from .inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.events.subscription import Handler


@pytest.mark.clause("PUB-1")
async def test_live_subscriber_receives_published_event(
    igniter_store: Store[str],
) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("user:created", inbox)

    await igniter_store.events.publish("user:created", {"id": 1})

    assert await inbox.data(1) == [{"id": 1}]


async def test_publishing_says_how_many_got_it(igniter_store: Store[str]) -> None:
    await igniter_store.events.subscribe("e", Inbox())
    await igniter_store.events.subscribe("*", Inbox())

    assert await igniter_store.events.publish("e", 1) == 2
    assert await igniter_store.events.publish("other", 1) == 1


@pytest.mark.clause("PUB-11")
async def test_nothing_is_kept_for_later_subscribers(igniter_store: Store[str]) -> None:
    inbox = Inbox()
    await igniter_store.events.publish("e", "early")

    await igniter_store.events.subscribe("e", inbox)
    await igniter_store.events.publish("e", "late")

    assert await inbox.data(1) == ["late"]


@pytest.mark.clause("PUB-7")
@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("user:*", ["user:created", "user:1", "user:*"]),
        ("user:?", ["user:1", "user:*"]),
        ("user:[1-3]", ["user:1"]),
        ("user:\\*", ["user:*"]),
        ("*", ["user:created", "user:1", "user:*", "order"]),
    ],
)
async def test_a_pattern_is_a_redis_glob(
    pattern: str, wanted: list[str], igniter_store: Store[str]
) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe(pattern, inbox)
    adapter: Any = igniter_store.adapter

    for name in ("user:created", "user:1", "user:*", "order"):
        await adapter.publish(f"igniter:store:test:events:{name}", b"1")

    assert [context.type for context in await inbox.take(len(wanted))] == wanted


async def test_pattern_stays_within_service_and_namespace(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("*", inbox)
    another = Store.create().with_adapter(igniter_recorder).with_service("test2").build()
    adapter: Any = igniter_store.adapter

    await another.events.publish("e", "another service")
    await adapter.publish("igniter:store:test:kv:e", b"1")
    await igniter_store.events.publish("e", "here")

    assert await inbox.data(1) == ["here"]


@pytest.mark.clause("PUB-8")
async def test_name_and_pattern_subscriptions_both_receive_event(igniter_store: Store[str]) -> None:
    by_name, by_pattern = Inbox(), Inbox()
    await igniter_store.events.subscribe("user:created", by_name)
    await igniter_store.events.subscribe("user:*", by_pattern)

    await igniter_store.events.publish("user:created", 1)

    assert await by_name.data(1) == await by_pattern.data(1) == [1]


@pytest.mark.clause("PUB-2")
async def test_events_are_handled_in_order_without_overlap(igniter_store: Store[str]) -> None:
    running, most, got = 0, 0, Inbox()

    async def handle(context: EventContext[Any]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        got(context)

    await igniter_store.events.subscribe("e", handle)
    for number in range(50):
        await igniter_store.events.publish("e", number)

    assert await got.data(50) == list(range(50))
    assert most == 1


async def test_awaitable_returned_by_handler_is_awaited(igniter_store: Store[str]) -> None:
    inbox = Inbox()

    async def later(context: EventContext[Any]) -> None:
        await asyncio.sleep(0)
        inbox(context)

    def handle(context: EventContext[Any]) -> Any:
        return later(context)

    await igniter_store.events.subscribe("e", handle)

    await igniter_store.events.publish("e", 1)

    assert await inbox.data(1) == [1]


class Recorder:
    """Records events in a coroutine method."""

    def __init__(self) -> None:
        self.inbox = Inbox()

    async def handle(self, context: EventContext[Any]) -> None:
        self.inbox(context)


HANDLERS: dict[str, Callable[[Recorder], Handler[Any]]] = {
    "bound method": lambda recorder: recorder.handle,
    "partial": lambda recorder: functools.partial(Recorder.handle, recorder),
}


@pytest.mark.parametrize("kind", HANDLERS)
async def test_bound_method_or_partial_is_accepted_as_handler(
    kind: str, igniter_store: Store[str]
) -> None:
    recorder = Recorder()
    await igniter_store.events.subscribe("e", HANDLERS[kind](recorder))

    await igniter_store.events.publish("e", 1)

    assert await recorder.inbox.data(1) == [1]
