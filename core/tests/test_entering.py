"""`async with` on a store: the last block to end closes it; a scope or an actor closes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, RecordingAdapter, Store, StoreError
from igniter_store.backends import adapter_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract import Adapter

DERIVED: dict[str, Callable[[Store[str]], Store[str]]] = {
    "scope": lambda store: store.scope("org", 1),
    "actor": lambda store: store.as_actor(1),
    "nested": lambda store: store.scope("org", 1).as_actor(1).scope("workspace", 2),
}


@pytest.mark.parametrize("derived", DERIVED)
async def test_derived_store_closes_nothing(derived: str, igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", 1)
    received: asyncio.Queue[Any] = asyncio.Queue()
    await igniter_store.events.subscribe("e", received.put_nowait)

    async with DERIVED[derived](igniter_store) as tenant:
        await tenant.kv.set("k", 2)

    assert igniter_store.is_open
    assert await igniter_store.kv.get("k") == (2 if derived == "actor" else 1)
    await igniter_store.events.publish("e", 1)
    assert (await received.get()).data == 1


@pytest.mark.parametrize("derived", DERIVED)
async def test_derived_store_opens(derived: str, igniter_store: Store[str]) -> None:
    async with DERIVED[derived](igniter_store):
        assert igniter_store.is_open

    assert igniter_store.is_open


@pytest.mark.parametrize("derived", DERIVED)
async def test_derived_store_inside_keeps_store_open(
    derived: str, igniter_store: Store[str]
) -> None:
    tenant = DERIVED[derived](igniter_store)

    async with tenant:
        async with igniter_store:
            pass
        await tenant.kv.set("k", 1)

    assert igniter_store.is_open is False


async def test_first_task_to_leave_closes_nothing(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    may_leave = asyncio.Event()

    async def stays() -> int | None:
        async with igniter_store:
            await may_leave.wait()
            await igniter_store.kv.set("k", 1)
            return await igniter_store.kv.get("k", int)

    async def leaves() -> None:
        async with igniter_store:
            await igniter_store.kv.set("k", 0)

    staying = asyncio.create_task(stays())
    await asyncio.gather(*(leaves() for _ in range(3)))
    may_leave.set()

    assert await staying == 1
    assert igniter_store.is_open is False
    assert [call.method for call in igniter_recorder.named("open", "close")] == ["open", "close"]


async def test_store_can_be_entered_within_itself(igniter_store: Store[str]) -> None:
    async with igniter_store:
        async with igniter_store:
            pass
        assert igniter_store.is_open
        await igniter_store.kv.set("k", 1)

    assert igniter_store.is_open is False


async def test_store_can_be_entered_again_after_leaving(igniter_store: Store[str]) -> None:
    for number in range(3):
        async with igniter_store:
            await igniter_store.kv.set("k", number)
        assert igniter_store.is_open is False


async def test_close_within_block_closes_at_once(igniter_store: Store[str]) -> None:
    async with igniter_store, igniter_store.scope("org", 1):
        await igniter_store.close()
        with pytest.raises(StoreError) as caught:
            await igniter_store.kv.get("k")
        assert caught.value.code == ErrorCode.STORE_CLOSED

    assert igniter_store.is_open is False


class SlowToOpen(RecordingAdapter):
    """Waits for `may_open`, and raises if `fails` is set."""

    def __init__(self, inner: Adapter) -> None:
        super().__init__(inner)
        self.may_open = asyncio.Event()
        self.fails = False

    async def open(self) -> None:
        await self.may_open.wait()
        if self.fails:
            raise ConnectionError
        await super().open()


def over(adapter: RecordingAdapter) -> Store[str]:
    return Store.create().with_adapter(adapter).with_service("test").build()


async def test_failed_entering_is_not_counted() -> None:
    adapter = SlowToOpen(adapter_from_url("memory://"))
    adapter.fails = True
    adapter.may_open.set()
    store = over(adapter)
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.__aenter__()
    adapter.fails = False

    async with store:
        await store.kv.set("k", 1)

    assert store.is_open is False


async def test_cancelled_entering_is_not_counted() -> None:
    adapter = SlowToOpen(adapter_from_url("memory://"))
    store = over(adapter)
    entering = [asyncio.create_task(store.__aenter__()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in entering:
        task.cancel()
    await asyncio.wait(entering)
    adapter.may_open.set()

    async with store:
        await store.kv.set("k", 1)

    assert store.is_open is False


async def test_entering_while_last_block_ends_finds_open_store(igniter_store: Store[str]) -> None:
    """The entering task opens the store again, and the leaving task doesn't close it again."""

    async def comes_and_goes() -> None:
        async with igniter_store:
            await asyncio.sleep(0)
            await igniter_store.kv.set("k", 1)
            await asyncio.sleep(0)
            assert await igniter_store.kv.get("k") == 1

    for _ in range(20):
        async with asyncio.TaskGroup() as group:
            for turns in range(5):
                group.create_task(comes_and_goes())
                for _ in range(turns):
                    await asyncio.sleep(0)

    assert igniter_store.is_open is False


def test_unfinished_block_of_closed_loop_is_not_counted(igniter_store: Store[str]) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(igniter_store.__aenter__())
    loop.close()

    async def use() -> None:
        async with igniter_store:
            await igniter_store.kv.set("k", 1)
        assert igniter_store.is_open is False

    asyncio.run(use())
