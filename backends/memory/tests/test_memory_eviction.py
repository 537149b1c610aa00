"""`max_keys` evicts plain values, least recently used first; claims, counters and streams stay."""

# no clause: `max_keys` is an option of this backend.

# pyright: reportPrivateUsage=false
# Only the table shows which keys are left without using one.

from __future__ import annotations

from igniter_store.contract import Entry
from igniter_store_memory import MemoryAdapter


async def test_max_keys_evicts_least_recently_used_values() -> None:
    adapter = MemoryAdapter(max_keys=3)
    for name in ("a", "b", "c"):
        await adapter.set(name, name.encode())
    await adapter.get("a")

    await adapter.set("d", b"d")

    assert await adapter.mget(["a", "b", "c", "d"]) == [b"a", None, b"c", b"d"]


async def test_max_keys_never_evicts_claims_counters_or_streams() -> None:
    adapter = MemoryAdapter(max_keys=4)
    await adapter.set_nx("claim", b"me")
    await adapter.increment("counter", 7)
    stream = await adapter.xadd("stream", {"data": b"1"})
    await adapter.acquire("lease", b"me", 60, token_key="token")
    await adapter.set("counted", b"5")
    await adapter.increment("counted")

    for number in range(50):
        await adapter.set(f"value:{number}", b"x")

    assert await adapter.get("claim") == b"me"
    assert await adapter.get("counter") == b"7"
    assert [entry.id for entry in await adapter.xrange("stream")] == [stream]
    assert await adapter.get("lease") == b"me"
    assert await adapter.get("counted") == b"6"
    assert await adapter.exists("token")


async def test_max_keys_keeps_the_value_just_written() -> None:
    adapter = MemoryAdapter(max_keys=1)
    await adapter.set_nx("claim", b"me")

    await adapter.set("value", b"1")

    assert await adapter.get("value") == b"1"


async def test_batch_above_max_keys_keeps_its_last_entries() -> None:
    adapter = MemoryAdapter(max_keys=10)

    await adapter.mset([Entry(f"key:{number}", b"x") for number in range(1_000)])

    assert list(adapter._keyspace.values) == [f"key:{number}" for number in range(990, 1_000)]


async def test_conditional_set_counts_as_use_for_eviction() -> None:
    """A conditional write also stays within `max_keys`."""
    adapter = MemoryAdapter(max_keys=2)
    await adapter.set("a", b"1")
    await adapter.set("b", b"2")
    await adapter.set("a", b"3", only_if="present")

    await adapter.set("c", b"4", only_if="absent")

    assert await adapter.mget(["a", "b", "c"]) == [b"3", None, b"4"]
