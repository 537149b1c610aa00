"""Failures around operations.

They involve other event loops, errors while something ends, handlers that misbehave, and many
concurrent callers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from igniter_store import MSGPACK, EventContext, RecordingAdapter, Store, StoreClosed, StoreError
from igniter_store.contract import ErrorCode, ManualClock, Subscription, store_error
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store.contract import GapCallback, MessageCallback


class Unreachable(MemoryAdapter):
    """A backend that fails to open, after some time, until `is_reachable` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reachable = False
        self.attempts = 0

    async def open(self) -> None:
        self.attempts += 1
        await asyncio.sleep(0.001)
        if not self.is_reachable:
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, "the server is unreachable"
            ) from OSError("refused")
        await super().open()


class StickySubscription(Subscription):
    """A subscription whose first cancellation fails."""

    def __init__(self, inner: Subscription) -> None:
        self._inner = inner
        self._attempts = 0

    async def cancel(self) -> None:
        self._attempts += 1
        if self._attempts == 1:
            raise store_error(ErrorCode.STORE_CONNECTION_FAILED, "the connection is gone")
        await self._inner.cancel()


class Sticky(MemoryAdapter):
    """A backend where the first cancellation of each subscription fails."""

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return StickySubscription(await super().subscribe(channel, callback, on_gap=on_gap))


class Busy:
    """A handler that runs until it is released, and reports when it has ended."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.has_ended = False

    async def __call__(self, context: EventContext[Any]) -> None:
        self.began.set()
        try:
            await self.may_end.wait()
        finally:
            self.has_ended = True


def store_on(adapter: MemoryAdapter) -> Store[str]:
    return Store.create().with_adapter(adapter).with_service("test").build()


def ignore(context: EventContext[Any]) -> None:
    pass


async def ticks(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_subscription_of_ended_loop_does_not_block_close() -> None:
    store = store_on(MemoryAdapter())

    asyncio.run(store.events.subscribe("user:created", ignore))
    asyncio.run(store.close())

    assert not store.is_open


def test_subscription_of_ended_loop_can_be_cancelled() -> None:
    store = store_on(MemoryAdapter())

    subscription = asyncio.run(store.events.subscribe("user:created", ignore))
    asyncio.run(subscription.cancel())

    assert asyncio.run(store.events.publish("user:created", 1)) == 0


def test_concurrent_callers_can_open_again_in_next_loop() -> None:
    adapter = Unreachable()
    store = store_on(adapter)

    async def read_two() -> list[Any]:
        return list(
            await asyncio.gather(store.kv.get("a"), store.kv.get("b"), return_exceptions=True)
        )

    first = asyncio.run(read_two())
    adapter.is_reachable = True
    second = asyncio.run(read_two())

    assert [error.code for error in first] == ["STORE_CONNECTION_FAILED", "STORE_CONNECTION_FAILED"]
    assert second == [None, None]


async def test_concurrent_first_operations_share_one_failed_opening() -> None:
    adapter = Unreachable()
    store = store_on(adapter)

    errors: list[Any] = await asyncio.gather(
        *(store.kv.get("a") for _ in range(20)), return_exceptions=True
    )

    assert adapter.attempts == 1
    assert {error.code for error in errors} == {"STORE_CONNECTION_FAILED"}
    assert len({id(error) for error in errors}) == 20
    assert all(isinstance(error.__cause__, OSError) for error in errors)


async def test_operation_retries_opening_after_failure() -> None:
    adapter = Unreachable()
    store = store_on(adapter)

    with pytest.raises(StoreError):
        await store.kv.get("a")
    adapter.is_reachable = True

    assert await store.kv.get("a") is None


async def test_next_caller_opens_when_opening_caller_is_cancelled() -> None:
    adapter = Unreachable()
    adapter.is_reachable = True
    store = store_on(adapter)

    first, second = asyncio.create_task(store.kv.get("a")), asyncio.create_task(store.kv.get("b"))
    await asyncio.sleep(0)
    first.cancel()

    assert await second is None
    assert adapter.attempts == 2


async def test_store_reopens_after_owner_closed_adapter() -> None:
    adapter = MemoryAdapter()
    owner, other = store_on(adapter), store_on(adapter)
    await owner.open()
    await other.open()
    await owner.close()

    await other.open()

    assert await other.kv.get("a") is None


async def test_republishing_handler_does_not_starve_event_loop() -> None:
    store = store_on(MemoryAdapter())
    handled = 0

    async def again(context: EventContext[int]) -> None:
        nonlocal handled
        handled += 1
        if handled < 10_000:
            await store.events.publish("tick", handled)

    async with await store.events.subscribe("tick", again):
        await store.events.publish("tick", 0)
        await ticks()

        assert 0 < handled < 100


async def test_republishing_listener_does_not_starve_event_loop() -> None:
    store = store_on(MemoryAdapter())
    received = 0

    async def echo() -> None:
        nonlocal received
        async with store.events.listen("tick") as stream:
            await store.events.publish("tick", 0)
            async for _ in stream:
                received += 1
                if received < 10_000:
                    await store.events.publish("tick", received)

    echoing = asyncio.create_task(echo())
    await ticks()
    echoing.cancel()

    assert 0 < received < 100


def test_handler_that_replaces_cancellation_does_not_block_exit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        store = store_on(MemoryAdapter())
        began = asyncio.Event()

        async def fails_to_clean_up(context: EventContext[Any]) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                message = "can't clean up"
                raise RuntimeError(message)

        await store.events.subscribe("user:created", fails_to_clean_up)
        await store.events.publish("user:created", 1)
        await began.wait()
        (task,) = asyncio.all_tasks() - {asyncio.current_task()}

        task.cancel()
        await ticks()

        assert task.done()

    asyncio.run(main())

    assert "RuntimeError" in caplog.text


async def test_close_ends_handlers_when_unsubscribing_fails() -> None:
    store = store_on(Sticky())
    handler = Busy()
    await store.events.subscribe("user:created", handler)
    await store.events.publish("user:created", 1)
    await handler.began.wait()

    with pytest.raises(StoreError):
        await store.close()

    assert handler.has_ended


async def test_failed_cancel_can_be_repeated() -> None:
    store = store_on(Sticky())
    subscription = await store.events.subscribe("user:created", ignore)

    with pytest.raises(StoreError):
        await subscription.cancel()
    await subscription.cancel()

    assert await store.events.publish("user:created", 1) == 0


async def test_close_repeats_failed_cancel_on_lent_adapter() -> None:
    adapter = Sticky()
    await adapter.open()
    store = store_on(adapter)
    subscription = await store.events.subscribe("user:created", ignore)
    with pytest.raises(StoreError):
        await subscription.cancel()

    await store.close()

    assert await store_on(adapter).events.publish("user:created", 1) == 0


async def test_close_ends_handler_that_cancelled_its_own_subscription() -> None:
    store = store_on(MemoryAdapter())
    busy = Busy()

    async def once(context: EventContext[Any]) -> None:
        await subscription.cancel()
        await busy(context)

    subscription = await store.events.subscribe("user:created", once)
    await store.events.publish("user:created", 1)
    await busy.began.wait()

    await store.close()

    assert busy.has_ended


async def test_subscription_cancelled_by_its_handler_is_forgotten() -> None:
    store = store_on(MemoryAdapter())

    async def once(context: EventContext[Any]) -> None:
        await subscription.cancel()

    subscription = await store.events.subscribe("user:created", once)
    await store.events.publish("user:created", 1)
    await ticks()

    # No public attribute exposes it.
    assert subscription not in store._connection._closables  # pyright: ignore[reportPrivateUsage]


async def test_handlers_that_cancel_each_other_do_not_deadlock() -> None:
    store = store_on(MemoryAdapter())
    both_run = asyncio.Barrier(2)
    done: list[str] = []

    async def first_of_two(context: EventContext[Any]) -> None:
        await both_run.wait()
        await asyncio.gather(paid.cancel(), refused.cancel())
        done.append(context.type)

    paid = await store.events.subscribe("order:paid", first_of_two)
    refused = await store.events.subscribe("order:refused", first_of_two)
    await store.events.publish("order:paid", 1)
    await store.events.publish("order:refused", 1)
    await ticks()

    assert sorted(done) == ["order:paid", "order:refused"]


async def test_cancelling_other_subscription_waits_for_its_handler() -> None:
    store = store_on(MemoryAdapter())
    busy = Busy()
    seen: list[bool] = []
    other = await store.events.subscribe("other", busy)

    async def stop_other(context: EventContext[Any]) -> None:
        await other.cancel()
        seen.append(busy.has_ended)

    await store.events.subscribe("stop", stop_other)
    await store.events.publish("other", 1)
    await busy.began.wait()
    await store.events.publish("stop", 1)
    await ticks()
    busy.may_end.set()
    await ticks()
    await store.close()

    assert seen == [True]


async def test_subscription_is_not_live_after_task_cancellation() -> None:
    store = store_on(MemoryAdapter())

    async def cancels_itself(context: EventContext[Any]) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    subscription = await store.events.subscribe("user:created", cancels_itself)
    await store.events.publish("user:created", 1)
    await ticks()

    assert not subscription.is_live
    await store.close()


async def test_recorder_leaves_open_adapter_open() -> None:
    adapter = MemoryAdapter()
    await adapter.open()

    async with (
        Store.create().with_adapter(RecordingAdapter(adapter)).with_service("test").build() as store
    ):
        await store.kv.set("a", 1)

    assert adapter.is_open


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
async def test_type_with_unhashable_annotation_is_accepted(serializer: str) -> None:
    builder = Store.create().with_adapter(MemoryAdapter()).with_service("test")
    store = (builder.with_serializer(MSGPACK) if serializer == "msgpack" else builder).build()
    await store.kv.set("a", 1)

    assert await store.kv.get("a", Annotated[int, {"unit": "seconds"}]) == 1


def test_manual_clock_never_goes_back_after_nested_advance() -> None:
    """A timer may itself advance the clock."""
    clock = ManualClock(0)
    clock.call_later(1, lambda: clock.advance(10))

    clock.advance(2)

    assert clock() == 11


class _SlowToLetGo(MemoryAdapter):
    """Cleans up when a read is cancelled, like a driver with a connection."""

    async def xreadgroup(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().xreadgroup(*args, **kwargs)
        except asyncio.CancelledError:
            for _ in range(5):
                await asyncio.sleep(0)
            raise


async def test_repeated_close_succeeds_while_blocked_read_ends() -> None:
    adapter = _SlowToLetGo()
    await adapter.open()
    store = Store.create().with_adapter(adapter).with_service("test").build()
    group = store.streams.group("g", "c")
    await group.ensure("s")
    reading = asyncio.create_task(group.read("s", block=3_600))
    await asyncio.sleep(0.01)

    for _ in range(4):
        await store.close()
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        with pytest.raises(StoreClosed):
            await reading
    await adapter.close()


async def test_reader_cancelled_during_close_raises_cancelled_error() -> None:
    store = store_on(MemoryAdapter())
    group = store.streams.group("group", "worker")
    await group.ensure("jobs")
    for _ in range(20):
        await store.events.subscribe("user:created", lambda _: None)
    reading = [asyncio.create_task(group.read("jobs", block=30)) for _ in range(20)]
    await ticks()
    for task in reading:
        task.cancel()
    await store.close()

    ended = await asyncio.gather(*reading, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in ended)
