"""Counters: exact sums of 64 bits, whatever runs beside them, in text that everybody can read."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, ManualClock

if TYPE_CHECKING:
    from igniter_store_memory import MemoryAdapter

MAX = 2**63 - 1
MIN = -(2**63)


@pytest.mark.clause("CTR-1")
@pytest.mark.parametrize("delta", [1, 7, 0, -3, MAX, MIN])
async def test_a_missing_counter_counts_from_zero(adapter: MemoryAdapter, delta: int) -> None:
    assert await adapter.increment("a", delta) == delta
    assert await adapter.get("a") == str(delta).encode()


@pytest.mark.clause("CTR-1")
async def test_each_increment_returns_the_new_value(adapter: MemoryAdapter) -> None:
    steps = [await adapter.increment("a", delta) for delta in (1, 9, -20, 0, 5)]

    assert steps == [1, 10, -10, -10, -5]
    assert await adapter.increment("a") == -4


@pytest.mark.clause("CTR-1")
async def test_an_expired_counter_counts_from_zero(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.increment("a", 41, ttl=1)
    clock.advance(1)

    assert await adapter.increment("a", 2) == 2
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("CTR-2")
async def test_concurrent_increments_return_each_number_once(adapter: MemoryAdapter) -> None:
    async def count() -> list[int]:
        numbers: list[int] = []
        for _ in range(20):
            numbers.append(await adapter.increment("a"))
            await asyncio.sleep(0)
        return numbers

    counted = await asyncio.gather(*(count() for _ in range(50)))

    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 1_001))


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize(
    ("stored", "delta"), [(MAX, 1), (MAX - 1, 2), (1, MAX), (MIN, -1), (MIN + 1, -2), (-1, MIN), (MAX, MAX), (MIN, MIN)]
)
async def test_leaving_the_range_is_refused_and_changes_nothing(adapter: MemoryAdapter, stored: int, delta: int) -> None:
    await adapter.set("a", str(stored).encode(), ttl=8)

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", delta, ttl=100)
    assert await adapter.get("a") == str(stored).encode()
    assert await adapter.ttl("a") == 8


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize(("stored", "delta", "reached"), [(MAX - 1, 1, MAX), (MIN + 1, -1, MIN), (MAX, MIN, -1), (MIN, MAX, -1)])
async def test_the_ends_of_the_range_can_be_reached_and_left_inwards(adapter: MemoryAdapter, stored: int, delta: int, reached: int) -> None:
    await adapter.set("a", str(stored).encode())

    assert await adapter.increment("a", delta) == reached


@pytest.mark.clause("CTR-4")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"abc",
        b"1.0",
        b" 1",
        b"1 ",
        b"1\n",
        b"\n1",
        b"01",
        b"-01",
        b"+1",
        b"-0",
        b"-",
        b"--1",
        b"0x10",
        b"1e3",
        b"1_000",
        b"1\x00",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"99999999999999999999",
        "\u0661".encode(),  # a digit of another alphabet, which int() takes
        b"\xff",
    ],
)
async def test_what_is_no_integer_is_refused_and_left_as_it_is(adapter: MemoryAdapter, text: bytes) -> None:
    await adapter.set("a", text, ttl=8)

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", 0, ttl=100)
    assert await adapter.get("a") == text
    assert await adapter.ttl("a") == 8


@pytest.mark.clause("CTR-4")
@pytest.mark.parametrize(("text", "delta"), [(b"9223372036854775808", -1), (b"-9223372036854775809", 1)])
async def test_a_text_beyond_the_range_is_no_integer_though_the_sum_would_be_one(adapter: MemoryAdapter, text: bytes, delta: int) -> None:
    await adapter.set("a", text)

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", delta)
    assert await adapter.get("a") == text


@pytest.mark.clause("CTR-4", "KV-14")
async def test_incrementing_a_stream_is_refused_and_leaves_it(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"1"})

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a")
    assert await adapter.xlen("a") == 1


@pytest.mark.clause("CTR-4")
async def test_a_refusal_never_shows_what_the_key_holds(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"hunter2")

    with pytest.raises(BackendFailed) as raised:
        await adapter.increment("a")
    assert "hunter2" not in f"{raised.value!r} {raised.value.details}"


@pytest.mark.clause("CTR-5")
async def test_increment_keeps_a_ttl_and_never_renews_it(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("a", b"1", ttl=8)
    clock.advance(2)
    await adapter.increment("a")
    await adapter.increment("a", ttl=100)

    assert await adapter.ttl("a") == 6


@pytest.mark.clause("CTR-5")
async def test_a_ttl_given_to_increment_is_set_where_there_is_none(adapter: MemoryAdapter) -> None:
    await adapter.set("lasting", b"1")
    await adapter.increment("lasting", ttl=4)
    await adapter.increment("new", ttl=8)

    assert await adapter.ttl("lasting") == 4
    assert await adapter.ttl("new") == 8


@pytest.mark.clause("CTR-5")
async def test_a_window_of_a_rate_limit_ends_when_its_first_increment_said(adapter: MemoryAdapter, clock: ManualClock) -> None:
    counted: list[int] = []
    for _ in range(6):
        counted.append(await adapter.increment("a", ttl=2))
        clock.advance(0.5)

    assert counted == [1, 2, 3, 4, 1, 2]


@pytest.mark.clause("CTR-5")
async def test_increment_without_a_ttl_makes_a_key_that_stays(adapter: MemoryAdapter) -> None:
    await adapter.increment("a")

    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("CTR-6")
async def test_a_counter_reads_as_its_decimal_text(adapter: MemoryAdapter) -> None:
    await adapter.increment("a", 1_000)
    await adapter.increment("b", -1_000)
    await adapter.increment("c", 0)

    assert await adapter.mget(["a", "b", "c"]) == [b"1000", b"-1000", b"0"]


@pytest.mark.clause("CTR-6")
@pytest.mark.parametrize("number", [0, 9, 10, -1, -10, MAX - 1, MIN])
async def test_a_decimal_text_that_was_set_can_be_incremented(adapter: MemoryAdapter, number: int) -> None:
    await adapter.set("a", str(number).encode())

    assert await adapter.increment("a") == number + 1
