"""The life cycle: clauses LIF-1, LIF-2, LIF-4, LIF-5, LIF-7, LIF-8."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import Adapter, Entry, ErrorCode, StoreClosed
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

OPERATIONS: dict[str, Callable[[MemoryAdapter], Coroutine[Any, Any, Any]]] = {
    "ping": lambda a: a.ping(),
    "get": lambda a: a.get("key"),
    "getdel": lambda a: a.getdel("key"),
    "set": lambda a: a.set("key", b"1"),
    "set if absent": lambda a: a.set("key", b"1", only_if="absent"),
    "delete": lambda a: a.delete(["key"]),
    "exists": lambda a: a.exists("key"),
    "expire": lambda a: a.expire("key", 1),
    "persist": lambda a: a.persist("key"),
    "ttl": lambda a: a.ttl("key"),
    "mget": lambda a: a.mget(["key"]),
    "mset": lambda a: a.mset([Entry("key", b"1")]),
    "increment": lambda a: a.increment("counter"),
    "set_nx": lambda a: a.set_nx("claim", b"me"),
    "compare_delete": lambda a: a.compare_delete("claim", b"me"),
    "compare_expire": lambda a: a.compare_expire("claim", b"me", 1),
    "acquire": lambda a: a.acquire("claim", b"me", 1, token_key="token"),
    "publish": lambda a: a.publish("channel", b"1"),
    "subscribe": lambda a: a.subscribe("channel", lambda _channel, _payload: None),
    "psubscribe": lambda a: a.psubscribe("*", lambda _channel, _payload: None),
    "scan": lambda a: a.scan("*"),
    "delete_prefix": lambda a: a.delete_prefix("key"),
    "xadd": lambda a: a.xadd("stream", {"data": b"1"}),
    "xlen": lambda a: a.xlen("stream"),
    "xtrim": lambda a: a.xtrim("stream", 5),
    "xdel": lambda a: a.xdel("stream", ["1-1"]),
    "xrange": lambda a: a.xrange("stream"),
    "xrevrange": lambda a: a.xrevrange("stream"),
    "xgroup_create": lambda a: a.xgroup_create("stream", "group"),
    "xreadgroup": lambda a: a.xreadgroup("stream", "group", "me"),
    "xgroups": lambda a: a.xgroups("stream"),
    "xack": lambda a: a.xack("stream", "group", ["1-1"]),
    "xpending": lambda a: a.xpending("stream", "group"),
    "xautoclaim": lambda a: a.xautoclaim("stream", "group", "me", 0),
    "xgroup_destroy": lambda a: a.xgroup_destroy("stream", "group"),
}


def test_every_operation_of_the_contract_is_in_the_table() -> None:
    life_cycle = {"open", "close"}

    covered = {name.split()[0] for name in OPERATIONS}

    assert covered == {name for owner in MemoryAdapter.__mro__ for name in getattr(owner, "__abstractmethods__", ())} - life_cycle
    assert Adapter.__abstractmethods__ == life_cycle | {"ping"}


@pytest.mark.clause("LIF-1")
async def test_opening_twice_closing_twice_and_closing_first_are_no_errors() -> None:
    adapter = MemoryAdapter()

    await adapter.close()
    await adapter.close()
    await adapter.open()
    await adapter.open()
    assert adapter.is_open
    await asyncio.gather(adapter.close(), adapter.close())

    assert not adapter.is_open


@pytest.mark.clause("LIF-2")
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
async def test_after_close_every_operation_says_so_and_does_nothing(
    operation: Callable[[MemoryAdapter], Coroutine[Any, Any, Any]],
) -> None:
    adapter = MemoryAdapter()
    await adapter.open()
    await adapter.set("key", b"before")
    await adapter.close()

    with pytest.raises(StoreClosed) as caught:
        await operation(adapter)

    assert caught.value.code == ErrorCode.STORE_CLOSED
    assert not adapter.is_open
    await adapter.open()
    assert (await adapter.scan("*")).keys == ["key"]
    assert await adapter.get("key") == b"before"


@pytest.mark.clause("LIF-8")
async def test_every_operation_works_before_open_and_after_opening_anew() -> None:
    adapter = MemoryAdapter()

    for operation in OPERATIONS.values():
        await operation(adapter)
    await adapter.close()
    await adapter.open()
    for operation in OPERATIONS.values():
        await operation(adapter)


@pytest.mark.clause("LIF-8")
async def test_data_ttls_groups_and_tokens_outlive_close() -> None:
    adapter = MemoryAdapter()
    await adapter.set("key", b"value", ttl=1_000)
    token = await adapter.acquire("claim", b"me", 1_000, token_key="token")
    await adapter.xgroup_create("stream", "group")
    added = await adapter.xadd("stream", {"data": b"1"})
    await adapter.xreadgroup("stream", "group", "me")

    await adapter.close()
    await adapter.open()

    assert await adapter.get("key") == b"value"
    assert 990 < (await adapter.ttl("key") or 0) <= 1_000
    await adapter.compare_delete("claim", b"me")
    assert (await adapter.acquire("claim", b"me", 1_000, token_key="token") or 0) > (token or 0)
    assert [entry.id for entry in await adapter.xpending("stream", "group")] == [added]


@pytest.mark.clause("LIF-5")
async def test_close_wakes_blocked_readers() -> None:
    adapter = MemoryAdapter()
    await adapter.xgroup_create("stream", "group")
    readings = [asyncio.create_task(adapter.xreadgroup("stream", "group", f"c{number}", block=3_600)) for number in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)

    await adapter.close()

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*readings, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreClosed] * 3


@pytest.mark.clause("LIF-5", "PUB-5")
async def test_close_ends_subscriptions_and_cancelling_them_afterwards_is_fine() -> None:
    adapter = MemoryAdapter()
    heard: list[bytes] = []
    subscriptions = [
        await adapter.subscribe("channel", lambda _channel, payload: heard.append(payload)),
        await adapter.psubscribe("*", lambda _channel, payload: heard.append(payload)),
    ]

    await adapter.close()
    for subscription in subscriptions:
        await subscription.cancel()
    await adapter.open()

    assert await adapter.publish("channel", b"1") == 0
    assert heard == []


@pytest.mark.clause("LIF-5")
async def test_close_leaves_no_task_and_no_thread() -> None:
    before = (asyncio.all_tasks(), threading.enumerate())
    adapter = MemoryAdapter()
    await adapter.open()
    await adapter.set("key", b"1", ttl=1_000)
    await adapter.subscribe("channel", lambda _channel, _payload: None)
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "me", block=3_600))
    await asyncio.sleep(0)

    await adapter.close()
    await asyncio.wait({reading})

    assert isinstance(reading.exception(), StoreClosed)
    assert (asyncio.all_tasks(), threading.enumerate()) == before


@pytest.mark.clause("LIF-4")
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
async def test_after_a_cancelled_operation_the_next_gets_its_own_answer(
    operation: Callable[[MemoryAdapter], Coroutine[Any, Any, Any]],
) -> None:
    adapter = MemoryAdapter()
    await adapter.set("other", b"mine")
    await adapter.xgroup_create("stream", "group")

    cancelled = asyncio.create_task(operation(adapter))
    cancelled.cancel()
    await asyncio.wait({cancelled})

    assert cancelled.cancelled()
    assert await adapter.get("other") == b"mine"
    assert await adapter.increment("count") == 1


@pytest.mark.clause("LIF-7")
async def test_two_users_of_one_adapter_see_each_others_writes_at_once() -> None:
    adapter = MemoryAdapter()

    async def write() -> None:
        await adapter.set("key", b"value")

    await asyncio.create_task(write())

    assert await adapter.get("key") == b"value"


async def test_an_adapter_that_was_used_and_dropped_leaves_nothing() -> None:
    adapter = MemoryAdapter()
    await adapter.set("key", b"1", ttl=0.5)
    await adapter.subscribe("channel", lambda _channel, _payload: None)
    used = weakref.ref(adapter)

    del adapter
    gc.collect()

    assert used() is None


WITH_NOTHING_RIGHT: dict[str, Callable[[MemoryAdapter], Coroutine[Any, Any, Any]]] = {
    "scan": lambda a: a.scan("*", cursor="nowhere"),
    "xack": lambda a: a.xack("stream", "group", ["nonsense"]),
    "xdel": lambda a: a.xdel("stream", ["nonsense"]),
    "xrange": lambda a: a.xrange("stream", "nonsense"),
    "xgroup_create": lambda a: a.xgroup_create("stream", "group", "nonsense"),
    "delete": lambda a: a.delete([]),
    "mget": lambda a: a.mget([]),
}


@pytest.mark.clause("LIF-2")
@pytest.mark.parametrize("operation", WITH_NOTHING_RIGHT.values(), ids=WITH_NOTHING_RIGHT.keys())
async def test_that_it_is_closed_is_said_before_anything_else(operation: Callable[[MemoryAdapter], Coroutine[Any, Any, Any]]) -> None:
    adapter = MemoryAdapter()
    await adapter.close()

    with pytest.raises(StoreClosed):
        await operation(adapter)
