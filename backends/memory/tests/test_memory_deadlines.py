"""The exact moment at which something expires.

The kit checks some milliseconds before and after it, when the sweep has run.
"""

# pyright: reportPrivateUsage=false
# No result of the adapter shows that a key was not swept yet.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import Entry, StoreError
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import ManualClock

QUESTIONS: dict[str, Callable[[MemoryAdapter], Awaitable[Any]]] = {
    "get": lambda a: a.get("key"),
    "getdel": lambda a: a.getdel("key"),
    "set": lambda a: a.set("key", b"new"),
    "set if absent": lambda a: a.set("key", b"new", ttl=8, only_if="absent"),
    "set if present": lambda a: a.set("key", b"new", ttl=8, only_if="present"),
    "delete": lambda a: a.delete(["key"]),
    "exists": lambda a: a.exists("key"),
    "expire": lambda a: a.expire("key", 8),
    "persist": lambda a: a.persist("key"),
    "ttl": lambda a: a.ttl("key"),
    "mget": lambda a: a.mget(["key"]),
    "mset": lambda a: a.mset([Entry("key", b"new")]),
    "increment": lambda a: a.increment("key", 2),
    "increment with a TTL": lambda a: a.increment("key", 2, ttl=8),
    "set_nx": lambda a: a.set_nx("key", b"me"),
    "compare_delete": lambda a: a.compare_delete("key", b"41"),
    "compare_expire": lambda a: a.compare_expire("key", b"41", 8),
    "acquire": lambda a: a.acquire("key", b"me", 8, token_key="token"),
    "acquire with a forgotten token": lambda a: a.acquire("claim", b"me", 8, token_key="key"),
    "scan": lambda a: a.scan("*"),
    "delete_prefix": lambda a: a.delete_prefix("k"),
    "xadd": lambda a: a.xadd("key", {"data": b"new"}),
    "xlen": lambda a: a.xlen("key"),
    "xtrim": lambda a: a.xtrim("key", 0, approximate=False),
    "xdel": lambda a: a.xdel("key", ["1700000000000-0"]),
    "xrange": lambda a: a.xrange("key"),
    "xrevrange": lambda a: a.xrevrange("key"),
    "xgroup_create": lambda a: a.xgroup_create("key", "group", "$"),
    "xgroup_destroy": lambda a: a.xgroup_destroy("key", "group"),
    "xreadgroup": lambda a: a.xreadgroup("key", "group", "me"),
    "xreadgroup of the history": lambda a: a.xreadgroup("key", "group", "me", history=True),
    "xgroups": lambda a: a.xgroups("key"),
    "xack": lambda a: a.xack("key", "group", ["1700000000000-0"]),
    "xpending": lambda a: a.xpending("key", "group"),
    "xautoclaim": lambda a: a.xautoclaim("key", "group", "heir", 0),
}


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _answer(question: Awaitable[Any]) -> Any:
    try:
        return await question
    except StoreError as error:
        return error.code


async def _all(adapter: MemoryAdapter) -> list[Any]:
    keys = sorted((await adapter.scan("*")).keys)
    return [
        (
            key,
            await adapter.ttl(key),
            await _answer(adapter.get(key)),
            await _answer(adapter.xrange(key)),
            await _answer(adapter.xgroups(key)),
        )
        for key in keys
    ]


@pytest.mark.clause(
    "KV-6", "KV-8", "KV-10", "KV-16", "CTR-1", "CLM-2", "CLM-3", "CLM-4", "SCN-1", "SCN-5", "STR-13"
)
@pytest.mark.parametrize("held", ["value", "stream"])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
async def test_expired_key_behaves_like_a_missing_key(
    adapter: MemoryAdapter,
    clock: ManualClock,
    held: str,
    question: Callable[[MemoryAdapter], Awaitable[Any]],
) -> None:
    """This holds at the exact deadline, while no sweep has removed the key yet."""
    if held == "value":
        await adapter.set("key", b"41", ttl=1)
    else:
        await adapter.xadd("key", {"data": b"1"})
        await adapter.xgroup_create("key", "group")
        await adapter.xreadgroup("key", "group", "me")
        await adapter.expire("key", 1)
    clock.advance(1)
    empty = MemoryAdapter(clock=clock)

    assert "key" in adapter._keyspace.values  # no sweep removed it
    assert await _answer(question(adapter)) == await _answer(question(empty))
    assert await _all(adapter) == await _all(empty)


@pytest.mark.clause("KV-7", "KV-9")
@pytest.mark.parametrize("ttl", [0.05, 0.4, 1.5, 3_600.0, 10.0**10])
async def test_key_exists_until_last_millisecond_of_its_ttl(
    adapter: MemoryAdapter, clock: ManualClock, ttl: float
) -> None:
    await adapter.set("a", b"1", ttl=ttl)

    clock.advance(ttl - 0.001)
    assert await adapter.get("a") == b"1"
    assert await adapter.ttl("a") == pytest.approx(0.001, abs=0.0001 if ttl < 10**9 else 0.001)
    clock.advance(0.002)
    assert await adapter.get("a") is None


@pytest.mark.clause("KV-9")
async def test_ttl_stays_positive_while_the_clock_advances() -> None:
    """Each reading of the clock advances it, so the key may expire during `ttl`."""
    now = 0.0

    def running() -> float:
        nonlocal now
        now += 0.25
        return now

    adapter = MemoryAdapter(clock=running)
    remaining: list[float | None] = []
    for quarters in range(1, 9):
        await adapter.set("a", b"1", ttl=quarters / 4)
        remaining.append(await adapter.ttl("a"))

    assert [left for left in remaining if left is not None and left <= 0] == []
    assert remaining[-1] is not None


@pytest.mark.clause("CTR-5")
async def test_first_increment_sets_when_a_window_ends(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """Later increments in a rate-limit window don't extend it."""
    counted: list[int] = []
    for _ in range(6):
        counted.append(await adapter.increment("a", ttl=2))
        clock.advance(0.5)

    assert counted == [1, 2, 3, 4, 1, 2]


@pytest.mark.clause("STR-7")
async def test_blocking_read_returns_nothing_exactly_when_block_elapses(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=5))
    await settle()

    clock.advance(4.999)
    await settle()
    assert not reading.done()
    clock.advance(0.001)

    async with asyncio.timeout(30):
        assert await reading == []


@pytest.mark.clause("STR-8", "STR-10", "STR-18")
async def test_idle_times_are_exact(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(4)]
    await adapter.xgroup_create("stream", "group")
    await adapter.xreadgroup("stream", "group", "a", count=3)
    clock.advance(10)
    await adapter.xreadgroup("stream", "group", "b", count=1)
    clock.advance(5)

    assert [(entry.id, entry.idle) for entry in await adapter.xpending("stream", "group")] == list(
        zip(ids, [15, 15, 15, 5], strict=True)
    )
    await adapter.xreadgroup("stream", "group", "a", count=1, history=True)
    await adapter.xautoclaim("stream", "group", "heir", 15, count=1)
    clock.advance(0.25)
    assert [entry.idle for entry in await adapter.xpending("stream", "group")] == [
        0.25,
        0.25,
        15.25,
        5.25,
    ]


@pytest.mark.clause("STR-8", "STR-10")
@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 0.7, 1.1, 60])
async def test_min_idle_is_inclusive(
    adapter: MemoryAdapter, clock: ManualClock, seconds: float
) -> None:
    """An entry that was idle for exactly `min_idle` is listed and claimed."""
    await adapter.xgroup_create("stream", "group")
    added = await adapter.xadd("stream", {"a": b"1"})
    await adapter.xreadgroup("stream", "group", "first")
    clock.advance(seconds)

    assert await adapter.xpending("stream", "group", min_idle=seconds + 0.001) == []
    assert await adapter.xautoclaim("stream", "group", "second", seconds + 0.001) == []
    listed = await adapter.xpending("stream", "group", min_idle=seconds)
    claimed = await adapter.xautoclaim("stream", "group", "second", seconds)

    assert [entry.id for entry in listed] == [entry.id for entry in claimed] == [added]
