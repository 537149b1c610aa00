"""`store.counter`, above the contract."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, StoreError

if TYPE_CHECKING:
    from igniter_store import Store
    from igniter_store.contract import ManualClock


@pytest.mark.clause("CTR-1")
async def test_missing_counter_starts_at_zero_with_any_step(igniter_store: Store[str]) -> None:
    answers = [
        await igniter_store.counter.increment("n"),
        await igniter_store.counter.increment("n", 10),
        await igniter_store.counter.increment("n", -3),
        await igniter_store.counter.decrement("n"),
        await igniter_store.counter.decrement("n", 20),
        await igniter_store.counter.increment("n", 0),
    ]

    assert answers == [1, 11, 8, 7, -13, -13]
    assert await igniter_store.counter.get("n") == -13


async def test_get_distinguishes_missing_counter_from_zero(igniter_store: Store[str]) -> None:
    await igniter_store.counter.increment("zero", 0)

    assert await igniter_store.counter.get("missing") is None
    assert await igniter_store.counter.get("zero") == 0


@pytest.mark.clause("CTR-2")
async def test_concurrent_steps_are_all_counted(igniter_store: Store[str]) -> None:
    answers = await asyncio.gather(*(igniter_store.counter.increment("n") for _ in range(200)))

    assert sorted(answers) == list(range(1, 201))


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize("by", [2**63 - 1, -(2**63)])
async def test_leaving_64_bit_is_refused_and_changes_nothing(
    by: int, igniter_store: Store[str]
) -> None:
    await igniter_store.counter.increment("n", by)

    with pytest.raises(StoreError) as caught:
        await igniter_store.counter.increment("n", 1 if by > 0 else -1)

    assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
    assert await igniter_store.counter.get("n") == by


async def test_the_largest_step_down_is_taken(igniter_store: Store[str]) -> None:
    assert await igniter_store.counter.decrement("n", 2**63) == -(2**63)


@pytest.mark.clause("CTR-4")
async def test_non_integer_value_is_not_counted(igniter_store: Store[str]) -> None:
    adapter: Any = igniter_store.adapter
    await adapter.set("igniter:store:test:counter:n", b"many")

    with pytest.raises(StoreError) as counted:
        await igniter_store.counter.increment("n")
    with pytest.raises(StoreError) as read:
        await igniter_store.counter.get("n")

    assert (counted.value.code, read.value.code) == (
        ErrorCode.STORE_INCREMENT_FAILED,
        ErrorCode.STORE_DESERIALIZATION_FAILED,
    )


@pytest.mark.clause("CTR-5")
@pytest.mark.parametrize("method", ["increment", "decrement"])
async def test_a_rate_limits_window_is_one_call(
    method: str, igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    count = getattr(igniter_store.counter, method)
    await count("n", ttl=60)
    igniter_clock.advance(40)

    within = await count("n", ttl=60)
    igniter_clock.advance(20)
    after = await count("n", ttl=60)

    assert (abs(within), abs(after)) == (2, 1)


async def test_counter_supports_expire_and_remove(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.counter.increment("a")
    await igniter_store.counter.increment("b")

    answers = [
        await igniter_store.counter.expire("a", 5),
        await igniter_store.counter.expire("missing", 5),
        await igniter_store.counter.remove("b"),
        await igniter_store.counter.remove("b"),
    ]
    igniter_clock.advance(5)

    assert answers == [True, False, True, False]
    assert await igniter_store.counter.get("a") is None


@pytest.mark.clause("CTR-7")
async def test_counter_ttl_returns_remaining_seconds(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    counter = igniter_store.counter
    await counter.increment("window", ttl=60)
    await counter.increment("lasting")
    igniter_clock.advance(20)

    assert await counter.ttl("window") == pytest.approx(40)
    assert await counter.ttl("lasting") is None
    assert await counter.ttl("missing") is None
    igniter_clock.advance(40)
    assert await counter.ttl("window") is None


async def test_counter_ttl_stays_in_its_scope(igniter_store: Store[str]) -> None:
    await igniter_store.scope("org", 1).counter.increment("n", ttl=60)

    assert await igniter_store.scope("org", 10).counter.ttl("n") is None
    assert await igniter_store.kv.ttl("n") is None
    assert await igniter_store.scope("org", 1).counter.ttl("n") is not None


async def test_counters_are_other_keys_than_values(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("n", "text")

    assert await igniter_store.counter.increment("n") == 1
    assert await igniter_store.kv.get("n") == "text"
