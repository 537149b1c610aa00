"""Slow and failing handlers: they are logged, and affect no other subscription."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import EventContext, RecordingAdapter, Store

from .inbox import Inbox, soon, turns

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.clause("PUB-6")
async def test_slow_handler_delays_no_other_handler_or_command(igniter_store: Store[str]) -> None:
    may_go_on, inbox = asyncio.Event(), Inbox()

    async def slow(_: EventContext[Any]) -> None:
        await may_go_on.wait()

    await igniter_store.events.subscribe("e", slow)
    await igniter_store.events.subscribe("e", inbox)

    await igniter_store.events.publish("e", 1)
    await igniter_store.events.publish("e", 2)

    assert await inbox.data(2) == [1, 2]
    assert await igniter_store.kv.set("k", 1) is True
    may_go_on.set()
    await turns()


def failing(_: EventContext[Any]) -> None:
    raise RuntimeError("the handler's own")


async def failing_later(_: EventContext[Any]) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("the handler's own")


async def cancelling_itself(_: EventContext[Any]) -> None:
    # Awaiting a task that was cancelled elsewhere raises this, too. The subscription itself wasn't
    # cancelled.
    raise asyncio.CancelledError


async def awaiting_cancelled_future(_: EventContext[Any]) -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.clause("PUB-6")
@pytest.mark.parametrize(
    "bad", [failing, failing_later, cancelling_itself, awaiting_cancelled_future]
)
async def test_failing_handler_is_logged_and_receives_next_event(
    bad: Callable[[EventContext[Any]], Any],
    igniter_store: Store[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    got, inbox = Inbox(), Inbox()

    async def handle(context: EventContext[Any]) -> None:
        got(context)
        result = bad(context)
        if result is not None:
            await result

    subscription = await igniter_store.events.subscribe("e", handle)
    await igniter_store.events.subscribe("e", inbox)

    await igniter_store.events.publish("e", 1)
    await igniter_store.events.publish("e", 2)

    assert await got.data(2) == await inbox.data(2) == [1, 2]
    await turns()
    assert subscription.is_live is True
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "wasn't handled" in caplog.text


async def test_failing_handler_is_logged_with_traceback(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    await igniter_store.events.subscribe("e", failing)

    await igniter_store.events.publish("e", 1)
    await turns()

    [record] = caplog.records
    assert record.name == "igniter_store"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


async def test_handler_failure_is_logged_to_store_logger(
    igniter_recorder: RecordingAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_logger(logging.getLogger("mine"))
        .build()
    )
    await store.events.subscribe("e", failing)

    await store.events.publish("e", 1)
    await turns()

    assert [record.name for record in caplog.records] == ["mine"]


async def test_full_queue_drops_oldest_events_and_warns_once(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    """`dropped` counts the dropped events."""
    may_go_on, started, inbox = asyncio.Event(), asyncio.Event(), Inbox()

    async def slow(context: EventContext[Any]) -> None:
        started.set()
        await may_go_on.wait()
        inbox(context)

    subscription = await igniter_store.events.subscribe("e", slow, max_queue=3)
    await igniter_store.events.publish("e", 0)
    await soon(started)

    for number in range(1, 11):
        await igniter_store.events.publish("e", number)
    may_go_on.set()

    assert await inbox.data(4) == [0, 8, 9, 10]
    assert subscription.dropped == 7
    assert [record.getMessage() for record in caplog.records] == [
        (
            "The handler of the subscription to 'e' is too slow: its queue is full, so the oldest "
            "events are dropped. Raise max_queue, or speed up the handler."
        )
    ]
