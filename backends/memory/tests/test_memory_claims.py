"""Claims: one owner at a time, whatever comes late, and tokens that only grow."""

from __future__ import annotations

import asyncio
import math

import pytest
from igniter_store.contract import TOKEN_LIFETIME, BackendFailed, ManualClock, StoreClosed
from igniter_store_memory import MemoryAdapter


@pytest.mark.clause("CLM-1")
async def test_of_many_concurrent_claims_one_wins_and_is_the_one_that_is_held(adapter: MemoryAdapter) -> None:
    won = await asyncio.gather(*(adapter.set_nx("a", b"%d" % n, ttl=8) for n in range(50)))

    assert won.count(True) == 1
    assert await adapter.get("a") == b"%d" % won.index(True)


@pytest.mark.clause("CLM-1", "LIF-7")
async def test_of_claims_through_two_adapters_of_one_database_one_wins() -> None:
    adapters = [MemoryAdapter.from_url("memory://claims-of-two") for _ in range(2)]

    won = await asyncio.gather(*(adapters[n % 2].set_nx("a", b"%d" % n) for n in range(50)))

    assert won.count(True) == 1


@pytest.mark.clause("CLM-1")
async def test_a_live_claim_refuses_its_own_holder_too_and_keeps_its_ttl(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"me", ttl=8)
    clock.advance(2)

    assert not await adapter.set_nx("a", b"me", ttl=100)
    assert await adapter.ttl("a") == 6


@pytest.mark.clause("CLM-1")
async def test_an_owner_of_no_bytes_holds_its_claim(adapter: MemoryAdapter) -> None:
    assert await adapter.set_nx("a", b"")

    assert not await adapter.set_nx("a", b"me")
    assert not await adapter.compare_delete("a", b"me")
    assert await adapter.compare_delete("a", b"")


@pytest.mark.clause("CLM-2")
async def test_a_claim_ends_with_its_ttl_and_not_before(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"me", ttl=1)

    clock.advance(0.75)
    assert not await adapter.set_nx("a", b"you")
    clock.advance(0.25)
    assert await adapter.set_nx("a", b"you")


@pytest.mark.clause("CLM-2")
async def test_a_claim_without_a_ttl_stays(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"me")
    clock.advance(10.0**9)

    assert not await adapter.set_nx("a", b"you")


@pytest.mark.clause("CLM-3")
@pytest.mark.parametrize("other", [b"you", b"m", b"me ", b"ME", b""])
async def test_only_the_same_owner_bytes_release_a_claim(adapter: MemoryAdapter, other: bytes) -> None:
    await adapter.set_nx("a", b"me")

    assert not await adapter.compare_delete("a", other)
    assert await adapter.get("a") == b"me"
    assert await adapter.compare_delete("a", b"me")
    assert not await adapter.compare_delete("a", b"me")
    assert not await adapter.exists("a")


@pytest.mark.clause("CLM-3")
async def test_a_late_release_never_removes_the_new_owners_claim(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"former", ttl=1)
    clock.advance(1)
    await adapter.set_nx("a", b"new", ttl=8)

    assert not await adapter.compare_delete("a", b"former")
    assert await adapter.get("a") == b"new"
    assert await adapter.ttl("a") == 8


@pytest.mark.clause("CLM-3")
async def test_releasing_an_expired_claim_says_that_it_was_gone(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"me", ttl=1)
    clock.advance(1)

    assert not await adapter.compare_delete("a", b"me")


@pytest.mark.clause("CLM-3")
async def test_of_many_concurrent_releases_one_removes_the_claim(adapter: MemoryAdapter) -> None:
    await adapter.set_nx("a", b"me")

    released = await asyncio.gather(*(adapter.compare_delete("a", b"me") for _ in range(20)))

    assert released.count(True) == 1


@pytest.mark.clause("CLM-4")
@pytest.mark.parametrize("ttl", [2.0, 100.0])
async def test_the_owner_renews_to_the_ttl_from_now_shorter_or_longer(adapter: MemoryAdapter, clock: ManualClock, ttl: float) -> None:
    await adapter.set_nx("a", b"me", ttl=8)
    clock.advance(1)

    assert await adapter.compare_expire("a", b"me", ttl)
    assert await adapter.ttl("a") == ttl


@pytest.mark.clause("CLM-4")
async def test_another_owner_renews_nothing(adapter: MemoryAdapter) -> None:
    await adapter.set_nx("a", b"me", ttl=8)

    assert not await adapter.compare_expire("a", b"you", 100)
    assert await adapter.get("a") == b"me"
    assert await adapter.ttl("a") == 8


@pytest.mark.clause("CLM-4")
async def test_renewing_neither_revives_an_expired_claim_nor_makes_one(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set_nx("a", b"me", ttl=1)
    clock.advance(1)

    assert not await adapter.compare_expire("a", b"me", 8)
    assert not await adapter.compare_expire("missing", b"me", 8)
    assert await adapter.set_nx("a", b"you")
    assert not await adapter.exists("missing")


@pytest.mark.clause("CLM-3", "CLM-4", "KV-14")
async def test_a_stream_is_no_claim(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"me"})

    assert not await adapter.set_nx("a", b"me")
    assert await adapter.acquire("a", b"me", 8, token_key="token") is None
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.compare_delete("a", b"me")
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.compare_expire("a", b"me", 8)
    assert await adapter.xlen("a") == 1
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("CLM-5")
async def test_tokens_grow_over_release_expiry_and_new_clients(clock: ManualClock) -> None:
    adapter = MemoryAdapter.from_url("memory://tokens", clock=clock)
    other = MemoryAdapter.from_url("memory://tokens")
    tokens = [await adapter.acquire("a", b"me", 8, token_key="token")]
    await adapter.compare_delete("a", b"me")
    tokens.append(await adapter.acquire("a", b"me", 1, token_key="token"))
    clock.advance(1)
    tokens.append(await other.acquire("a", b"you", 8, token_key="token"))
    await other.compare_delete("a", b"you")
    await adapter.close()
    await adapter.open()
    tokens.append(await adapter.acquire("a", b"me", 8, token_key="token"))

    first, *rest = [token for token in tokens if token is not None]
    assert rest == [first + 1, first + 2, first + 3]


@pytest.mark.clause("CLM-5")
async def test_the_first_token_begins_at_the_clock_in_milliseconds(adapter: MemoryAdapter, clock: ManualClock) -> None:
    token = await adapter.acquire("a", b"me", 8, token_key="token")

    assert token is not None
    assert 0 <= token - int(clock.now * 1_000) <= 1


@pytest.mark.clause("CLM-5")
async def test_a_token_that_was_forgotten_after_thirty_days_is_followed_by_a_greater_one(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
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


@pytest.mark.clause("CLM-5")
async def test_every_use_gives_a_token_counter_thirty_days_more(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.acquire("a", b"me", 1, token_key="token")
    clock.advance(TOKEN_LIFETIME - 1)
    await adapter.acquire("a", b"me", 1, token_key="token")

    assert await adapter.ttl("token") == TOKEN_LIFETIME


@pytest.mark.clause("CLM-5")
async def test_a_refused_acquire_counts_no_token_and_renews_none(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.acquire("a", b"me", 100, token_key="token")
    counted = await adapter.get("token")
    clock.advance(8)

    assert await adapter.acquire("a", b"you", 8, token_key="token") is None
    assert await adapter.get("token") == counted
    assert await adapter.ttl("token") == TOKEN_LIFETIME - 8


@pytest.mark.clause("CLM-5", "CLM-6")
async def test_an_acquire_whose_token_cannot_be_counted_takes_no_claim(adapter: MemoryAdapter) -> None:
    await adapter.set("token", b"no number")

    with pytest.raises(BackendFailed):
        await adapter.acquire("a", b"me", 8, token_key="token")
    assert not await adapter.exists("a")
    assert await adapter.get("token") == b"no number"


@pytest.mark.clause("CLM-6")
async def test_under_contention_no_two_leases_overlap_and_tokens_grow(adapter: MemoryAdapter) -> None:
    holders: set[bytes] = set()
    tokens: list[int] = []
    most = 0

    async def contend(owner: bytes) -> None:
        nonlocal most
        held = 0
        while held < 5:
            token = await adapter.acquire("a", owner, 8, token_key="token")
            if token is None:
                await asyncio.sleep(0)
                continue
            held += 1
            holders.add(owner)
            tokens.append(token)
            most = max(most, len(holders))
            await asyncio.sleep(0)
            holders.remove(owner)
            await adapter.compare_delete("a", owner)
            await asyncio.sleep(0)

    await asyncio.gather(*(contend(b"%d" % n) for n in range(8)))

    assert most == 1
    assert len(tokens) == 40
    assert tokens == sorted(set(tokens))


@pytest.mark.clause("CLM-6", "LIF-4")
async def test_a_cancelled_acquire_leaves_a_whole_claim_or_none(adapter: MemoryAdapter) -> None:
    acquiring = [asyncio.create_task(adapter.acquire("a", b"%d" % n, 8, token_key="token")) for n in range(20)]
    for n, task in enumerate(acquiring):
        if n % 3:
            task.cancel()
    answers = await asyncio.gather(*acquiring, return_exceptions=True)

    tokens = [answer for answer in answers if isinstance(answer, int)]
    assert len(tokens) == 1
    assert await adapter.ttl("a") == 8
    assert await adapter.acquire("a", b"next", 8, token_key="token") is None


@pytest.mark.clause("CLM-7")
async def test_claiming_where_nothing_can_be_reached_raises(adapter: MemoryAdapter) -> None:
    await adapter.close()

    with pytest.raises(StoreClosed):
        await adapter.set_nx("a", b"me")
    with pytest.raises(StoreClosed):
        await adapter.acquire("a", b"me", 8, token_key="token")
    with pytest.raises(StoreClosed):
        await adapter.compare_expire("a", b"me", 8)
    with pytest.raises(StoreClosed):
        await adapter.compare_delete("a", b"me")


@pytest.mark.clause("CLM-5", "CLM-6")
async def test_acquire_and_set_nx_exclude_each_other(adapter: MemoryAdapter) -> None:
    await adapter.set_nx("plain", b"me")
    await adapter.acquire("fenced", b"me", 8, token_key="token")

    assert await adapter.acquire("plain", b"you", 8, token_key="token") is None
    assert not await adapter.set_nx("fenced", b"you")
    assert await adapter.compare_expire("fenced", b"me", 4)
    assert await adapter.ttl("fenced") == 4
