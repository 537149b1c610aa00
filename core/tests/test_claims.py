"""`store.claim`, above the contract."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, RecordingAdapter, Store, StoreError

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock


@pytest.mark.clause("CLM-1")
async def test_concurrent_claims_have_one_winner(igniter_store: Store[str]) -> None:
    answers = await asyncio.gather(
        *(igniter_store.claim.once("lock", number) for number in range(50))
    )

    assert answers.count(True) == 1
    assert await igniter_store.claim.owner("lock") == answers.index(True)


async def test_free_claim_has_no_owner(igniter_store: Store[str]) -> None:
    assert await igniter_store.claim.owner("lock") is None


async def test_a_live_claim_refuses_its_own_holder_too(igniter_store: Store[str]) -> None:
    await igniter_store.claim.once("lock", "w1")

    assert await igniter_store.claim.once("lock", "w1") is False


@pytest.mark.clause("CLM-2")
async def test_claim_expires_only_with_ttl(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.claim.once("short", "w1", ttl=30)
    await igniter_store.claim.once("long", "w1")

    igniter_clock.advance(30)

    assert await igniter_store.claim.once("short", "w2") is True
    assert await igniter_store.claim.once("long", "w2") is False


@pytest.mark.clause("CLM-3")
async def test_late_release_keeps_claim_of_new_owner(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.claim.once("lock", "w1", ttl=30)
    igniter_clock.advance(30)
    await igniter_store.claim.once("lock", "w2")

    assert await igniter_store.claim.release("lock", "w1") is False
    assert await igniter_store.claim.owner("lock") == "w2"


async def test_a_release_says_whether_it_ended_the_claim(igniter_store: Store[str]) -> None:
    await igniter_store.claim.once("lock", "w1")

    answers = [await igniter_store.claim.release("lock", owner) for owner in ("w2", "w1", "w1")]

    assert answers == [False, True, False]
    assert await igniter_store.claim.once("lock", "w2") is True


@pytest.mark.clause("CLM-4")
async def test_only_the_owner_renews_and_nothing_is_revived(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    await igniter_store.claim.once("lock", "w1", ttl=30)
    igniter_clock.advance(20)

    answers = [
        await igniter_store.claim.renew("lock", "w2", 30),
        await igniter_store.claim.renew("lock", "w1", 30),
    ]
    igniter_clock.advance(29)
    still = await igniter_store.claim.owner("lock")
    igniter_clock.advance(1)

    assert answers == [False, True]
    assert still == "w1"
    assert await igniter_store.claim.renew("lock", "w1", 30) is False
    assert await igniter_store.claim.owner("lock") is None


@pytest.mark.parametrize("owner", [0, False, "", [], {"host": "a", "pid": 7}, 1.5], ids=repr)
async def test_an_owner_is_any_value_but_none(owner: Any, igniter_store: Store[str]) -> None:
    await igniter_store.claim.once("lock", owner)

    assert await igniter_store.claim.owner("lock") == owner
    assert await igniter_store.claim.release("lock", owner) is True


async def test_owners_that_only_look_alike_are_others(igniter_store: Store[str]) -> None:
    await igniter_store.claim.once("lock", 1)

    answers = [await igniter_store.claim.release("lock", owner) for owner in ("1", 1.5, True, [1])]

    assert answers == [False, False, False, False]


@pytest.mark.clause("CLM-7")
@pytest.mark.parametrize("method", ["once", "release", "renew"])
async def test_claim_raises_when_backend_is_unreachable(
    method: str, igniter_recorder: RecordingAdapter
) -> None:
    """It never returns True."""

    class Gone(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            raise ConnectionError

    store = Store.create().with_adapter(Gone(igniter_recorder)).with_service("test").build()
    arguments = ("lock", "w1", 30) if method == "renew" else ("lock", "w1")

    with pytest.raises(StoreError) as caught:
        await getattr(store.claim, method)(*arguments)

    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED


async def test_claims_are_other_keys_than_values(igniter_store: Store[str]) -> None:
    await igniter_store.claim.once("x", "w1")

    assert await igniter_store.kv.get("x") is None
    assert await igniter_store.kv.remove("x") is False
    assert await igniter_store.claim.owner("x") == "w1"


async def test_claim_ttl_returns_remaining_seconds(
    igniter_store: Store[str], igniter_clock: ManualClock
) -> None:
    claim = igniter_store.claim
    await claim.once("short", "w1", ttl=30)
    await claim.once("lasting", "w1")
    igniter_clock.advance(10)

    assert await claim.ttl("short") == pytest.approx(20)
    assert await claim.ttl("lasting") is None
    assert await claim.ttl("free") is None
    await claim.renew("short", "w1", 50)
    assert await claim.ttl("short") == pytest.approx(50)
    await claim.release("short", "w1")
    assert await claim.ttl("short") is None
