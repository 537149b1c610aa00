"""Injected clocks: one that goes back, and one that only returns the time.

The start of ids and tokens depends on the clock, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import TOKEN_LIFETIME
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock


@pytest.mark.clause("STR-1")
async def test_an_id_begins_with_the_clocks_milliseconds(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    clock.now = 1_700_000_123.456

    first, second = (
        await adapter.xadd("stream", {"data": b"1"}),
        await adapter.xadd("stream", {"data": b"2"}),
    )

    assert (first, second) == ("1700000123456-0", "1700000123456-1")


@pytest.mark.clause("STR-1")
async def test_ids_grow_when_the_clock_goes_back() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    before = await adapter.xadd("stream", {"data": b"1"})

    times[0] = 1_000.0

    assert before == "2000000-0"
    assert await adapter.xadd("stream", {"data": b"2"}) == "2000000-1"


@pytest.mark.clause("STR-1", "STR-14")
async def test_emptied_stream_ids_grow_when_clock_goes_back() -> None:
    """The last entry is deleted, and the other one is trimmed."""
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    await adapter.xadd("stream", {"data": b"1"})
    last = await adapter.xadd("stream", {"data": b"2"})
    await adapter.xdel("stream", [last])
    await adapter.xtrim("stream", 0, approximate=False)

    times[0] = 1_000.0

    assert await adapter.xadd("stream", {"data": b"3"}) == "2000000-2"


@pytest.mark.clause("STR-1")
async def test_deleted_stream_restarts_its_ids() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    await adapter.xadd("stream", {"data": b"1"})
    await adapter.delete(["stream"])

    times[0] = 1_000.0

    assert await adapter.xadd("stream", {"data": b"2"}) == "1000000-0"


@pytest.mark.clause("CLM-5")
async def test_tokens_grow_when_the_clock_goes_back() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    before = await adapter.acquire("a", b"me", 8, token_key="token")
    await adapter.compare_delete("a", b"me")

    times[0] = 1_000.0

    assert before is not None
    assert await adapter.acquire("a", b"me", 8, token_key="token") == before + 1


@pytest.mark.clause("CLM-5")
async def test_first_token_starts_at_clock_in_milliseconds(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    token = await adapter.acquire("a", b"me", 8, token_key="token")

    assert token is not None
    assert 0 <= token - int(clock.now * 1_000) <= 1


@pytest.mark.clause("CLM-5")
async def test_token_grows_after_its_counter_expired(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """The key of the token counter expires 30 days after the last acquire."""
    for _ in range(1_000):
        await adapter.acquire("a", b"me", 8, token_key="token")
        await adapter.compare_delete("a", b"me")
    last = await adapter.acquire("a", b"me", 8, token_key="token")
    clock.advance(TOKEN_LIFETIME)

    assert not await adapter.exists("token")
    token = await adapter.acquire("a", b"me", 8, token_key="token")
    assert token is not None
    assert last is not None
    assert token > last


@pytest.mark.clause("STR-7")
async def test_blocking_read_waits_real_time_with_function_clock() -> None:
    """A function as clock can't wake the reader, so the block takes real time."""
    adapter = MemoryAdapter(clock=lambda: 5.0)
    await adapter.xgroup_create("stream", "group")

    async with asyncio.timeout(30):
        assert await adapter.xreadgroup("stream", "group", "consumer", block=0.02) == []
