"""Events: names, patterns, both ways to declare them, handlers and listeners, and their end."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pydantic
import pytest
from igniter_store import (
    Actor,
    ErrorCode,
    EventContext,
    EventGroup,
    Events,
    RecordingAdapter,
    Scope,
    Store,
    StoreError,
    event,
    group,
)
from igniter_store.contract import Subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Inbox:
    """A handler that keeps its events; a test can wait for them."""

    def __init__(self) -> None:
        self.got: list[EventContext[Any]] = []
        self._more = asyncio.Event()

    def __call__(self, context: EventContext[Any]) -> None:
        self.got.append(context)
        self._more.set()

    async def take(self, number: int) -> list[EventContext[Any]]:
        async with asyncio.timeout(5):
            while len(self.got) < number:
                self._more.clear()
                await self._more.wait()
        return self.got

    async def data(self, number: int) -> list[Any]:
        return [context.data for context in await self.take(number)]


async def soon(condition: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await condition.wait()


async def turns() -> None:
    """Run the event loop long enough for pending callbacks to finish."""
    for _ in range(20):
        await asyncio.sleep(0)


def others() -> set[asyncio.Task[Any]]:
    """Return the tasks that run besides the test."""
    return asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task is not None}


class Email(msgspec.Struct):
    address: str


class UserCreated(msgspec.Struct):
    id: int
    name: str = "unnamed"


class Order(pydantic.BaseModel):
    id: int


class Positive:
    """A schema that is neither a type nor a model."""

    def validate(self, value: Any) -> Any:
        if value <= 0:
            raise ValueError
        return value * 10


class NotificationEvents(EventGroup):
    email = event(Email)
    password_reset = event(str, name="password-reset")


class AccountEvents(EventGroup):
    notifications = group(NotificationEvents)


class UserEvents(EventGroup, namespace="user"):
    created = event(UserCreated)
    ordered = event(Order)
    notifications = group(NotificationEvents)
    account = group(AccountEvents, name="my-account")


FLUENT = (
    Events.create("user")
    .event("created", UserCreated)
    .event("scored", Positive())
    .group(
        "notifications",
        lambda g: g.event("email", Email).group("urgent", lambda u: u.event("sms", str)),
    )
    .build()
)


@pytest.fixture
def registered(igniter_recorder: RecordingAdapter) -> Store[str]:
    return (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT)
        .build()
    )


# --- By name and by pattern -----------------------------------------------------------------------


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
    done = asyncio.Event()

    async def later() -> None:
        done.set()

    await igniter_store.events.subscribe("e", lambda _: later())
    await igniter_store.events.publish("e", 1)

    await soon(done)


async def test_bound_method_is_accepted_as_handler(igniter_store: Store[str]) -> None:
    got: asyncio.Queue[Any] = asyncio.Queue()
    await igniter_store.events.subscribe("e", got.put)

    await igniter_store.events.publish("e", 1)

    async with asyncio.timeout(5):
        assert (await got.get()).data == 1


# --- Attributes of an event -----------------------------------------------------------------------


async def test_event_context_has_name_time_and_data(igniter_store: Store[str]) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("user:*", inbox)
    before = datetime.now(UTC)

    await igniter_store.events.publish("user:created", {"id": 1})

    [context] = await inbox.take(1)
    assert (context.type, context.data, context.scope, context.scopes, context.actor) == (
        "user:created",
        {"id": 1},
        None,
        (),
        None,
    )
    # Its time is truncated to milliseconds.
    assert before - timedelta(milliseconds=1) <= context.timestamp <= datetime.now(UTC)
    assert context.timestamp.tzinfo is UTC


async def test_event_context_has_scope_chain_and_innermost_scope(
    igniter_store: Store[str],
) -> None:
    inbox = Inbox()
    store = igniter_store.scope("org", "o1").scope("workspace", 7)
    await store.events.subscribe("e", inbox)

    await store.events.publish("e", 1)

    [context] = await inbox.take(1)
    assert context.scope == Scope("workspace", "7")
    assert context.scopes == (Scope("org", "o1"), Scope("workspace", "7"))


@pytest.mark.parametrize(
    ("id", "type", "actor"),
    [
        ("u1", "user", Actor("u1", "user")),
        ("u1", None, Actor("u1")),
        (7, None, Actor("7")),
        ("é", "ü", Actor("é", "ü")),
    ],
)
async def test_event_context_names_actor(
    id: str | int, type: str | None, actor: Actor, igniter_store: Store[str]
) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("e", inbox)

    await igniter_store.as_actor(id, type=type).events.publish("e", 1)

    [context] = await inbox.take(1)
    assert context.actor == actor


async def test_scopes_of_acting_store_inherit_actor(
    igniter_store: Store[str],
) -> None:
    """The original store still publishes without an actor."""
    inbox = Inbox()
    await igniter_store.scope("org", 1).events.subscribe("e", inbox)
    acting = igniter_store.as_actor("u1")

    await acting.scope("org", 1).events.publish("e", 1)
    await igniter_store.scope("org", 1).events.publish("e", 2)

    assert [context.actor for context in await inbox.take(2)] == [Actor("u1"), None]


def test_an_event_context_is_immutable() -> None:
    context: Any = EventContext("e", 1, datetime.now(UTC))

    with pytest.raises(dataclasses.FrozenInstanceError):
        context.data = 2


# --- Listening ------------------------------------------------------------------------------------


async def test_listening_gives_events_in_order(igniter_store: Store[str]) -> None:
    async with igniter_store.events.listen("user:*") as stream:
        for number in range(3):
            await igniter_store.events.publish("user:created", number)
        got = [(await anext(stream)).data for _ in range(3)]

    assert got == [0, 1, 2]


async def test_listening_ends_with_its_block(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    async with igniter_store.events.listen("e"):
        pass

    assert await igniter_store.events.publish("e", 1) == 0
    assert others() == set()


async def test_listening_ends_when_its_block_fails(igniter_store: Store[str]) -> None:
    with pytest.raises(RuntimeError):
        async with igniter_store.events.listen("e"):
            raise RuntimeError

    assert await igniter_store.events.publish("e", 1) == 0


async def test_exited_event_stream_yields_no_events(igniter_store: Store[str]) -> None:
    async with igniter_store.events.listen("e") as stream:
        await igniter_store.events.publish("e", 1)

    assert [context async for context in stream] == []


async def test_a_listener_that_is_cancelled_leaves_nothing_behind(
    igniter_store: Store[str],
) -> None:
    live = asyncio.Event()

    async def listen() -> None:
        async with igniter_store.events.listen("e") as stream:
            live.set()
            await anext(stream)

    task = asyncio.ensure_future(listen())
    await soon(live)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await igniter_store.events.publish("e", 1) == 0


async def test_a_stream_is_entered_once(igniter_store: Store[str]) -> None:
    stream = igniter_store.events.listen("e")
    async with stream:
        with pytest.raises(StoreError) as twice:
            await stream.__aenter__()
    with pytest.raises(StoreError) as again:
        await stream.__aenter__()

    assert {twice.value.code, again.value.code} == {ErrorCode.STORE_SUBSCRIBE_FAILED}
    assert await igniter_store.events.publish("e", 1) == 0


async def test_event_stream_raises_when_not_entered(
    igniter_store: Store[str],
) -> None:
    """It doesn't wait forever."""
    with pytest.raises(StoreError) as caught:
        await anext(igniter_store.events.listen("e"))

    assert caught.value.code == ErrorCode.STORE_SUBSCRIBE_FAILED


async def test_idle_listener_keeps_newest_events(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with igniter_store.events.listen("e", max_queue=2) as stream:
        for number in range(5):
            await igniter_store.events.publish("e", number)
        got = [(await anext(stream)).data for _ in range(2)]

    assert got == [3, 4]
    assert stream.dropped == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_undecodable_message_is_logged_and_skipped(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    adapter: Any = igniter_store.adapter
    async with igniter_store.events.listen("e") as stream:
        await adapter.publish("igniter:store:test:events:e", b"{")
        await igniter_store.events.publish("e", "right")
        got = (await anext(stream)).data

    assert got == "right"
    assert "can't be decoded" in caplog.text


# --- Slow and failing handlers --------------------------------------------------------------------


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


# --- The end of a subscription --------------------------------------------------------------------


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


async def cancel_directly(cancel: Callable[[], Awaitable[None]]) -> None:
    await cancel()


async def cancel_with_a_time_limit(cancel: Callable[[], Awaitable[None]]) -> None:
    # Python 3.11 runs it in another task, later versions in the same one.
    await asyncio.wait_for(cancel(), 5)


async def cancel_in_a_task_group(cancel: Callable[[], Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(cancel())


@pytest.mark.clause("PUB-5")
@pytest.mark.parametrize("way", [cancel_directly, cancel_with_a_time_limit, cancel_in_a_task_group])
async def test_a_handler_can_cancel_its_own_subscription(
    way: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]], igniter_store: Store[str]
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


# --- The end of a store ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("way", [cancel_directly, cancel_with_a_time_limit, cancel_in_a_task_group])
async def test_a_handler_can_close_the_store(
    way: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]], igniter_store: Store[str]
) -> None:
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


# --- The fluent registry --------------------------------------------------------------------------


async def test_a_registered_event_is_an_attribute(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.user.created.subscribe(inbox)

    await registered.events.user.created.publish({"id": 1})

    [context] = await inbox.take(1)
    assert (context.type, context.data) == ("user:created", {"id": 1, "name": "unnamed"})


async def test_groups_nest(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.subscribe("user:notifications:*", inbox)

    await registered.events.user.notifications.email.publish({"address": "a@b.c"})
    await registered.events.user.notifications.urgent.sms.publish("now")

    assert [context.type for context in await inbox.take(2)] == [
        "user:notifications:email",
        "user:notifications:urgent:sms",
    ]


async def test_registered_event_is_accessible_as_item(
    igniter_recorder: RecordingAdapter,
) -> None:
    """Item access also works for a name that can't be an attribute."""
    events = (
        Events.create("my-app").group("sub-group", lambda g: g.event("password-reset", str)).build()
    )
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events)
        .build()
    )
    inbox = Inbox()
    await store.events["my-app"]["sub-group"]["password-reset"].subscribe(inbox)

    await store.events["my-app"]["sub-group"]["password-reset"].publish("x")

    assert await inbox.data(1) == ["x"]


async def test_a_registered_event_can_be_listened_to(registered: Store[str]) -> None:
    async with registered.events.user.created.listen() as stream:
        await registered.events.publish("user:created", {"id": 2})
        got = (await anext(stream)).data

    assert got == {"id": 2, "name": "unnamed"}


def test_hasattr_returns_false_for_unknown_event(
    registered: Store[str],
) -> None:
    events = registered.events

    assert (hasattr(events, "user"), hasattr(events, "missing"), hasattr(events, "_user")) == (
        True,
        False,
        False,
    )
    assert (
        hasattr(events.user, "created"),
        hasattr(events.user, "deleted"),
        hasattr(events.user, "__wrapped__"),
    ) == (True, False, False)
    assert getattr(events.user, "deleted", None) is None


def test_unknown_event_error_lists_known_events(registered: Store[str]) -> None:
    with pytest.raises(StoreError) as caught:
        _ = registered.events.user.craeted

    assert "user:created" in caught.value.message
    assert caught.value.details["event"] == "user:craeted"


def test_the_events_of_a_store_can_be_copied(registered: Store[str]) -> None:
    assert copy.copy(registered.events).user.created.name == "user:created"


async def test_events_outside_of_every_registered_namespace_are_free(
    registered: Store[str],
) -> None:
    inbox = Inbox()
    await registered.events.subscribe("anything", inbox)

    await registered.events.publish("anything", object.__doc__)

    assert len(await inbox.take(1)) == 1


async def test_a_store_without_a_registry_takes_every_name(igniter_store: Store[str]) -> None:
    assert await igniter_store.events.publish("user:created", {"no": "schema"}) == 0


def test_a_builder_of_events_is_immutable() -> None:
    base = Events.create("user").event("created", int)

    base.event("deleted", int)
    base.group("mail", lambda g: g.event("sent", int))

    assert set(base.build().schemas) == {"user:created"}


# --- Declared events ------------------------------------------------------------------------------


async def test_bound_event_is_received_as_declared_type(
    igniter_store: Store[str],
) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await users.created.subscribe(inbox)

    await users.created.publish(UserCreated(1, "Avery"))

    assert await inbox.data(1) == [UserCreated(1, "Avery")]


async def test_bound_event_is_received_as_pydantic_model(igniter_store: Store[str]) -> None:
    users = igniter_store.events.bind(UserEvents)

    async with users.ordered.listen() as stream:
        await users.ordered.publish(Order(id=7))
        got = (await anext(stream)).data

    assert got == Order(id=7)


async def test_bound_groups_nest_and_keep_their_given_names(igniter_store: Store[str]) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await igniter_store.events.subscribe("user:*", inbox)

    await users.notifications.email.publish(Email("a@b.c"))
    await users.account.notifications.password_reset.publish("x")

    assert [context.type for context in await inbox.take(2)] == [
        "user:notifications:email",
        "user:my-account:notifications:password-reset",
    ]


async def test_bound_event_refuses_invalid_payload(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    users: Any = igniter_store.events.bind(UserEvents)

    with pytest.raises(StoreError) as caught:
        await users.created.publish({"id": "one"})

    assert caught.value.code == ErrorCode.STORE_SCHEMA_VALIDATION_FAILED
    assert igniter_recorder.named("publish") == []


async def test_bound_subscription_logs_and_skips_invalid_payload(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await users.created.subscribe(inbox)

    await igniter_store.events.publish("user:created", {"id": "one"})
    await users.created.publish(UserCreated(1))

    assert await inbox.data(1) == [UserCreated(1)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_bound_class_works_in_its_stores_scope(igniter_store: Store[str]) -> None:
    inbox, elsewhere = Inbox(), Inbox()
    await igniter_store.scope("org", 1).events.bind(UserEvents).created.subscribe(inbox)
    await igniter_store.events.bind(UserEvents).created.subscribe(elsewhere)

    await igniter_store.scope("org", 1).events.bind(UserEvents).created.publish(UserCreated(1))

    assert await inbox.data(1) == [UserCreated(1)]
    await turns()
    assert elsewhere.got == []


async def test_a_declared_class_can_be_registered(igniter_recorder: RecordingAdapter) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(UserEvents)
        .build()
    )
    inbox = Inbox()
    await store.events.user.notifications.email.subscribe(inbox)

    await store.events.publish("user:notifications:email", {"address": "a@b.c"})

    assert await inbox.data(1) == [{"address": "a@b.c"}]


def test_declaration_becomes_event_when_bound(
    igniter_store: Store[str],
) -> None:
    users = igniter_store.events.bind(UserEvents)

    assert type(UserEvents.created).__name__ == "EventDeclaration"
    assert users.created.name == "user:created"
    assert users.notifications.password_reset.name == "user:notifications:password-reset"


def test_a_declared_class_can_be_extended(igniter_store: Store[str]) -> None:
    class MoreUserEvents(UserEvents):
        deleted = event(int)

    users = igniter_store.events.bind(MoreUserEvents)

    assert (users.created.name, users.deleted.name) == ("user:created", "user:deleted")


# --- Validation -----------------------------------------------------------------------------------


GOOD, BAD = {"id": 1}, {"id": "one"}
CONVERTED = UserCreated(1)


@pytest.mark.parametrize("validate_publish", [True, False])
@pytest.mark.parametrize("validate_subscribe", [True, False])
@pytest.mark.parametrize("throw", [True, False])
@pytest.mark.parametrize("payload", [GOOD, BAD], ids=["good", "bad"])
async def test_every_combination_of_the_switches(
    *,
    validate_publish: bool,
    validate_subscribe: bool,
    throw: bool,
    payload: Any,
    igniter_recorder: RecordingAdapter,
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(
            FLUENT,
            validate_publish=validate_publish,
            validate_subscribe=validate_subscribe,
            throw_on_validation_error=throw,
        )
        .build()
    )
    inbox = Inbox()
    await store.events.subscribe("user:created", inbox)
    is_bad = payload is BAD

    code: ErrorCode | None = None

    try:
        await store.events.publish("user:created", payload)
    except StoreError as error:
        code = error.code
    await turns()

    assert code == (
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED if is_bad and validate_publish and throw else None
    )
    published = {"id": 1, "name": "unnamed"} if validate_publish and not is_bad else payload
    expected: Any = CONVERTED if validate_subscribe and not is_bad else published
    is_kept_back = is_bad and throw and (validate_publish or validate_subscribe)
    assert [context.data for context in inbox.got] == ([] if is_kept_back else [expected])


@pytest.mark.parametrize(
    ("validate_publish", "code"), [(True, ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND), (False, None)]
)
async def test_names_are_checked_where_payloads_are(
    *, validate_publish: bool, code: ErrorCode | None, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT, validate_publish=validate_publish)
        .build()
    )
    raised: ErrorCode | None = None

    try:
        await store.events.publish("user:unknown", 1)
    except StoreError as error:
        raised = error.code

    assert raised == code


async def test_publish_sends_value_returned_by_schema(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.subscribe("user:scored", inbox)

    await registered.events.user.scored.publish(4)

    assert await inbox.data(1) == [40]


async def test_pattern_subscription_validates_with_schema_of_event(
    igniter_recorder: RecordingAdapter,
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT, validate_subscribe=True)
        .build()
    )
    inbox = Inbox()
    await store.events.subscribe("*", inbox)

    await store.events.publish("user:created", {"id": 1})
    await store.events.publish("user:notifications:email", {"address": "a@b.c"})
    await store.events.publish("free", {"a": 1})

    assert await inbox.data(3) == [UserCreated(1), Email("a@b.c"), {"a": 1}]


def test_validation_switch_applies_to_all_namespaces(igniter_recorder: RecordingAdapter) -> None:
    """A later `add_events` without the switch keeps its value."""
    builder = Store.create().with_adapter(igniter_recorder).with_service("test")

    store = (
        builder.add_events(FLUENT, validate_publish=False)
        .add_events(Events.create("other").event("done", int).build(), validate_subscribe=True)
        .build()
    )

    # No public attribute exposes it.
    registry = store._configuration.events  # pyright: ignore[reportPrivateUsage]
    assert (
        registry.validate_publish,
        registry.validate_subscribe,
        registry.throw_on_validation_error,
    ) == (False, True, True)


# --- Concurrency ----------------------------------------------------------------------------------


async def test_many_subscriptions_come_and_go_and_leave_nothing(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
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
