"""How memory is freed when keys expire or are removed: the sweep, its timer, the tables."""

# pyright: reportPrivateUsage=false
# No result of the adapter shows that memory is freed.

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import Entry
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract import ManualClock

LIMIT = 30.0


async def _until(holds: Callable[[], bool], failure: str) -> None:
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.01)


@pytest.mark.clause("KV-6")
async def test_expired_keys_are_removed_without_access(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    await adapter.mset(
        [Entry(f"key:{number}", b"value", 10.0 + number % 7) for number in range(5_000)]
    )
    await adapter.set("stays", b"value")

    clock.advance(30)

    assert list(adapter._keyspace.values) == ["stays"]
    assert adapter._keyspace.deadlines == {}


async def test_the_tables_shrink_when_their_keys_have_expired(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    await adapter.mset([Entry(f"key:{number}", b"value", 10.0) for number in range(50_000)])
    large = sys.getsizeof(adapter._keyspace.values) + sys.getsizeof(adapter._keyspace.deadlines)

    clock.advance(11)

    assert (
        sys.getsizeof(adapter._keyspace.values) + sys.getsizeof(adapter._keyspace.deadlines)
        < large / 1000
    )


async def test_the_tables_shrink_when_their_keys_are_removed(adapter: MemoryAdapter) -> None:
    names = [f"key:{number}" for number in range(50_000)]
    await adapter.mset([Entry(name, b"value") for name in names])
    large = sys.getsizeof(adapter._keyspace.values)

    await adapter.delete(names[:-3])

    assert sys.getsizeof(adapter._keyspace.values) < large / 10
    assert await adapter.mget(names[-4:]) == [None, b"value", b"value", b"value"]


@pytest.mark.clause("KV-4", "KV-8", "KV-9")
async def test_key_with_replaced_ttl_survives_its_first_deadline(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    await adapter.set("longer", b"1", ttl=5)
    await adapter.set("for good", b"2", ttl=5)
    await adapter.set("persisted", b"3", ttl=5)
    await adapter.set("shorter", b"4", ttl=50)
    await adapter.expire("longer", 20)
    await adapter.set("for good", b"2")
    await adapter.persist("persisted")
    await adapter.expire("shorter", 6)

    clock.advance(10)

    assert await adapter.mget(["longer", "for good", "persisted", "shorter"]) == [
        b"1",
        b"2",
        b"3",
        None,
    ]


async def test_renewing_a_ttl_keeps_the_heap_small(
    adapter: MemoryAdapter,
) -> None:
    await adapter.set("session", b"1", ttl=60)

    for _ in range(20_000):
        await adapter.expire("session", 60)

    assert len(adapter._keyspace._heap) < 3_000


async def test_sweep_also_runs_in_real_time() -> None:
    adapter = MemoryAdapter()
    await adapter.set("gone", b"1", ttl=0.01)
    await adapter.set("stays", b"2")

    await _until(
        lambda: "gone" not in adapter._keyspace.values, "the expired key is still in memory"
    )

    assert list(adapter._keyspace.values) == ["stays"]


def test_sweep_continues_in_another_event_loop() -> None:
    adapter = MemoryAdapter()

    async def leave_a_timer_behind() -> None:
        await adapter.set("first", b"1", ttl=0.02)

    async def see_both_go() -> None:
        await adapter.set("second", b"2", ttl=0.02)
        await _until(lambda: not adapter._keyspace.values, "expired keys are still in memory")

    asyncio.run(leave_a_timer_behind())
    asyncio.run(see_both_go())

    assert adapter._keyspace.values == {}


async def test_long_ttl_does_not_keep_adapter_alive() -> None:
    """The keyspace of a dropped adapter is freed, although a TTL of a day is pending."""
    adapter = MemoryAdapter()
    await adapter.set("key", b"value", ttl=86_400)
    keyspace = weakref.ref(adapter._keyspace)

    del adapter
    gc.collect()

    assert keyspace() is None


async def test_dropped_adapter_is_freed_after_use() -> None:
    adapter = MemoryAdapter()
    await adapter.set("key", b"1", ttl=0.5)
    await adapter.subscribe("channel", lambda _channel, _payload: None)
    used = weakref.ref(adapter)

    del adapter
    gc.collect()

    assert used() is None
