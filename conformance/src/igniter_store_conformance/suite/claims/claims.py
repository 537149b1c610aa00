"""Claims: clauses CLM.

Concurrent contenders are in `concurrency.keys`, lost connections in `faults.connections`.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, ErrorCode, KeyValue, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.samples import PAYLOADS

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class ClaimClauses(Suite):
    """Ownership of keys."""

    @clause("CLM-2")
    async def test_claim_excludes_others_until_its_ttl_ends(self, trial: Trial) -> None:
        """A claim excludes other owners until its TTL ends; then another owner can take it.

        If this fails, check the unit of the TTL, and whether an expired claim still counts.
        """
        key, adapter = trial.key(), trial.adapter

        async def claim(ttl: float) -> None:
            await adapter.compare_delete(key, b"second")
            await adapter.compare_delete(key, b"first")
            assert await adapter.set_nx(key, b"first", ttl=ttl) is True

        async def is_held() -> bool:
            return not await adapter.set_nx(key, b"second", ttl=3_000)

        await trial.time.bracket(trial.time.ttl, claim, is_held)
        assert await adapter.compare_delete(key, b"second") is True

    @clause("CLM-2")
    async def test_a_claim_without_a_ttl_stays(self, trial: Trial) -> None:
        """A claim without a TTL is still held after other claims would have expired.

        If this fails, look for a default TTL.
        """
        key, time = trial.key(), trial.time
        assert await trial.adapter.set_nx(key, b"first") is True

        await time.passes(10 * time.ttl if time.is_moved else time.ttl)

        assert await trial.adapter.set_nx(key, b"second") is False
        assert await trial.adapter.compare_delete(key, b"first") is True

    @clause("CLM-2", KeyValue)
    async def test_new_claim_ignores_ttl_of_released_claim(self, trial: Trial) -> None:
        """A claim without a TTL stays, even if it follows a released claim that had one.

        If this fails, look for the deadline of the old claim.
        """
        key, time = trial.key(), trial.time
        await trial.adapter.set_nx(key, b"first", ttl=time.ttl)
        await trial.adapter.compare_delete(key, b"first")

        assert await trial.adapter.set_nx(key, b"second") is True

        assert await trial.adapter.ttl(key) == math.inf
        await time.expires(time.ttl)
        assert await trial.adapter.get(key) == b"second"

    @clause("CLM-3")
    async def test_only_the_owner_releases(self, trial: Trial) -> None:
        """Only the owner's bytes release a claim.

        Other bytes, even similar ones or a part of them, return False and release nothing. The
        owner's bytes return True, once.

        If this fails, check how owners are compared: all bytes must match, and nothing else counts.
        """
        key, other = trial.key(), await trial.other()
        await trial.adapter.set_nx(key, b"owner-1")
        for stranger in (
            b"owner-2",
            b"owner-10",
            b"owner-",
            b"",
            b"OWNER-1",
            b"owner-1 ",
            b"owner-1\x00",
        ):
            assert await trial.adapter.compare_delete(key, stranger) is False
            assert await other.compare_delete(key, stranger) is False
        assert await trial.adapter.set_nx(key, b"owner-2") is False

        assert await other.compare_delete(key, b"owner-1") is True
        assert await trial.adapter.compare_delete(key, b"owner-1") is False
        assert await trial.adapter.set_nx(key, b"owner-2") is True

    @clause("CLM-3")
    async def test_a_release_of_nothing_says_false(self, trial: Trial) -> None:
        """Releasing a key without a claim returns False, for empty owner bytes too.

        If this fails, look for a missing value that compares equal to empty bytes.
        """
        key = trial.key()
        assert await trial.adapter.compare_delete(key, b"owner") is False
        assert await trial.adapter.compare_delete(key, b"") is False
        assert await trial.adapter.set_nx(key, b"owner") is True

    @clause("CLM-3")
    async def test_late_release_keeps_claim_of_new_owner(self, trial: Trial) -> None:
        """A late release by the former owner doesn't remove the new owner's claim.

        The first owner's claim expires, a second owner claims the key, and the first owner releases
        late. The second owner still holds the claim.

        If this fails, look for a release that deletes without comparing the owner.
        """
        key, time, other = trial.key(), trial.time, await trial.other()
        await trial.adapter.set_nx(key, b"first", ttl=time.ttl)
        await time.expires(time.ttl)
        assert await trial.adapter.compare_delete(key, b"first") is False, "its time was over"
        assert await other.set_nx(key, b"second", ttl=3_000) is True

        assert await trial.adapter.compare_delete(key, b"first") is False

        assert await trial.adapter.set_nx(key, b"third") is False
        assert await other.compare_delete(key, b"second") is True

    @clause("CLM-3")
    async def test_owners_are_any_bytes(self, trial: Trial) -> None:
        """Owners can be any bytes: empty, with NUL, or not UTF-8. They are compared as they are.

        If this fails, look for owners that are decoded or trimmed.
        """
        for place, owner in enumerate(PAYLOADS):
            key = trial.key(f"key-{place}")
            assert await trial.adapter.set_nx(key, owner) is True
            assert await trial.adapter.set_nx(key, b"another") is False
            assert (
                await trial.adapter.acquire(key, b"another", 3_000, token_key=trial.token_key(key))
                is None
            )
            assert await trial.adapter.compare_expire(key, owner + b"x", 3_000) is False
            assert await trial.adapter.compare_expire(key, owner, 3_000) is True
            assert await trial.adapter.compare_delete(key, owner + b"x") is False
            assert await trial.adapter.compare_delete(key, owner) is True

    @clause("CLM-4")
    async def test_only_the_owner_renews(self, trial: Trial) -> None:
        """Only the owner's bytes renew a claim.

        Another owner's bytes return False and don't move the deadline. The owner's bytes return
        True, and the claim lasts for the new TTL from then on.

        If this fails, check the comparison, the unit, and whether the TTL is added to the time that
        was left.
        """
        key, adapter, time = trial.key(), trial.adapter, trial.time
        other = await trial.other()

        async def renew(ttl: float) -> None:
            await adapter.compare_delete(key, b"second")
            await adapter.compare_delete(key, b"owner")
            await adapter.set_nx(key, b"owner", ttl=7 * ttl)
            assert await other.compare_expire(key, b"stranger", 9 * ttl) is False
            assert await adapter.compare_expire(key, b"owner", ttl) is True
            assert await other.compare_expire(key, b"stranger", 9 * ttl) is False

        async def is_held() -> bool:
            return not await other.set_nx(key, b"second", ttl=3_000)

        await time.bracket(time.ttl, renew, is_held)

    @clause("CLM-4")
    async def test_renewing_lengthens(self, trial: Trial) -> None:
        """A claim that is renewed in time outlives its first TTL.

        If this fails, look for a renewal that returns True and doesn't move the deadline.
        """
        key, time = trial.key(), trial.time
        await trial.adapter.set_nx(key, b"owner", ttl=time.ttl)
        assert await trial.adapter.compare_expire(key, b"owner", 3_000) is True

        await time.expires(time.ttl)

        assert await trial.adapter.set_nx(key, b"second") is False
        assert await trial.adapter.compare_delete(key, b"owner") is True

    @clause("CLM-4")
    async def test_renewing_revives_nothing(self, trial: Trial) -> None:
        """Renewing neither revives an expired claim nor creates a missing one.

        If this fails, look for a renewal that writes the claim instead of moving its deadline.
        """
        key, missing, time = trial.key(), trial.key("missing"), trial.time
        await trial.adapter.set_nx(key, b"owner", ttl=time.ttl)
        await time.expires(time.ttl)

        assert await trial.adapter.compare_expire(key, b"owner", 3_000) is False
        assert await trial.adapter.compare_expire(missing, b"owner", 3_000) is False

        assert await trial.adapter.set_nx(key, b"second") is True
        assert await trial.adapter.set_nx(missing, b"second") is True

    @clause("CLM-4", KeyValue)
    async def test_renewing_adds_ttl_to_claim_without_one(self, trial: Trial) -> None:
        """Renewing a claim without a TTL sets the new TTL and keeps the owner.

        If this fails, look for a renewal that only moves existing deadlines.
        """
        key = trial.key()
        await trial.adapter.set_nx(key, b"owner")

        assert await trial.adapter.compare_expire(key, b"owner", 3_000) is True

        assert 0 < (await trial.adapter.ttl(key) or 0) <= 3_000
        assert await trial.adapter.get(key) == b"owner"

    @clause("CLM-5")
    async def test_tokens_grow_over_release(self, trial: Trial) -> None:
        """Every acquisition returns a greater token than the one before, on any client.

        If this fails, look for tokens taken from a clock that may stand still, or for tokens that
        are stored with the claim and lost with it.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        clients = (trial.adapter, await trial.other())
        tokens: list[int] = []
        for turn in range(10):
            token = await clients[turn % 2].acquire(key, b"owner", 3_000, token_key=counter)
            assert token is not None
            assert type(token) is int
            tokens.append(token)
            assert await clients[turn % 2].compare_delete(key, b"owner") is True
        assert tokens == sorted(set(tokens))

    @clause("CLM-5")
    async def test_tokens_grow_over_expiry(self, trial: Trial) -> None:
        """The token after an expired lease is greater than that of the lease.

        If this fails, look for a token that is removed together with the claim.
        """
        key, counter, time = trial.key(), trial.token_key(trial.key()), trial.time
        first = await trial.adapter.acquire(key, b"first", time.ttl, token_key=counter)
        await time.expires(time.ttl)

        second = await trial.adapter.acquire(key, b"second", time.ttl, token_key=counter)

        assert first is not None
        assert second is not None
        assert second > first

    @clause("CLM-5", limit=60)
    async def test_tokens_grow_over_a_restart_of_the_client(self, trial: Trial) -> None:
        """A reopened client and a new client continue the sequence of tokens.

        If this fails, look for tokens that are counted in the client.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        tokens: list[int | None] = []
        for _ in range(3):
            tokens.append(await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter))
            await trial.adapter.compare_delete(key, b"owner")
            await trial.adapter.close()
            await trial.adapter.open()
        tokens.append(await (await trial.other()).acquire(key, b"owner", 3_000, token_key=counter))

        assert None not in tokens
        assert tokens == sorted(set(tokens), key=lambda token: token or 0)

    @clause("CLM-5", KeyValue)
    async def test_token_counter_starts_at_current_time_with_ttl(self, trial: Trial) -> None:
        """The first token is about the milliseconds since 1970.

        The token's counter has a TTL of 30 days, counted from each use.

        If this fails, check the initial value of the counter. Once deleted, a counter that starts
        at 1 would return old tokens again.
        """
        key, counter, time = trial.key(), trial.token_key(trial.key()), trial.time
        token = await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)
        assert token is not None
        assert token > 1_500_000_000_000, "the milliseconds of 2017"
        assert (
            30 * 86_400 - 600
            < (await trial.adapter.ttl(counter) or 0)
            <= 30 * 86_400 + time.granularity
        )

        await time.passes(time.ttl / 2)
        await trial.adapter.compare_delete(key, b"owner")
        again = await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)

        assert again is not None
        assert again > token
        assert (await trial.adapter.ttl(counter) or 0) > 30 * 86_400 - time.ttl / 2

    @clause("CLM-5", KeyValue)
    async def test_a_counter_that_was_forgotten_still_grows(self, trial: Trial) -> None:
        """If the token's counter was deleted, the next token is still greater.

        If this fails, check the initial value of the counter.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        first = await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)
        await trial.adapter.delete([key, counter])
        await trial.time.passes(0.01)
        await asyncio.sleep(
            0.01
        )  # where the harness moves deadlines, it doesn't move the backend's clock

        second = await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)

        assert first is not None
        assert second is not None
        assert second > first

    @clause("CLM-6")
    async def test_lease_excludes_other_callers_until_released(self, trial: Trial) -> None:
        """Other callers get `None` until the owner releases the lease.

        `set_nx` and `acquire` see each other's claims.

        If this fails, look for claims that are stored in two places.
        """
        key, counter, other = trial.key(), trial.token_key(trial.key()), await trial.other()
        assert await trial.adapter.acquire(key, b"first", 3_000, token_key=counter) is not None

        for owner in (b"second", b"first"):
            assert await other.acquire(key, owner, 3_000, token_key=counter) is None
            assert await trial.adapter.acquire(key, owner, 3_000, token_key=counter) is None
            assert await other.set_nx(key, owner) is False
        assert await trial.adapter.compare_delete(key, b"first") is True
        assert await other.set_nx(key, b"second", ttl=3_000) is True
        assert await trial.adapter.acquire(key, b"third", 3_000, token_key=counter) is None

    @clause("CLM-6")
    async def test_a_lease_lasts_as_long_as_its_ttl(self, trial: Trial) -> None:
        """Another owner can acquire a lease when its TTL ends, and not before.

        If this fails, check the unit of the TTL in `acquire`.
        """
        key, counter, adapter = trial.key(), trial.token_key(trial.key()), trial.adapter

        async def take(ttl: float) -> None:
            await adapter.compare_delete(key, b"second")
            await adapter.compare_delete(key, b"first")
            assert await adapter.acquire(key, b"first", ttl, token_key=counter) is not None

        async def is_held() -> bool:
            return await adapter.acquire(key, b"second", 3_000, token_key=counter) is None

        await trial.time.bracket(trial.time.ttl, take, is_held)

    @clause("CLM-6")
    async def test_owner_renews_and_releases_acquired_lease(self, trial: Trial) -> None:
        """`compare_expire` and `compare_delete` accept the owner that was passed to `acquire`.

        If this fails, look for owner bytes that are stored together with the token.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)

        assert await trial.adapter.compare_expire(key, b"stranger", 3_000) is False
        assert await trial.adapter.compare_expire(key, b"owner", 3_000) is True
        assert await trial.adapter.compare_delete(key, b"stranger") is False
        assert await trial.adapter.compare_delete(key, b"owner") is True

    @clause("CLM-6", KeyValue)
    async def test_acquire_leaves_no_claim_when_token_counting_fails(self, trial: Trial) -> None:
        """A token that can't be counted leaves the key unclaimed.

        If the counter doesn't hold a number, `acquire` raises `STORE_INCREMENT_FAILED`, and the key
        is free.

        If this fails, look for a claim that is taken before its token is counted.
        """
        key, counter = trial.key(), trial.token_key(trial.key())
        await trial.adapter.set(counter, b"no number")

        with pytest.raises(BackendFailed) as caught:
            await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)

        assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
        assert await trial.adapter.exists(key) is False
        assert await trial.adapter.set_nx(key, b"owner") is True

    @clause("CLM-8", KeyValue)
    async def test_a_refused_claim_changes_nothing(self, trial: Trial) -> None:
        """A refused claim changes neither the owner nor the TTL, and counts no token.

        This holds for the current holder, too.

        If this fails, look for a write that comes before the check.
        """
        key, counter, time = trial.key(), trial.token_key(trial.key()), trial.time
        await trial.adapter.set_nx(key, b"owner", ttl=time.ttl)

        assert await trial.adapter.set_nx(key, b"stranger", ttl=3_000) is False
        assert await trial.adapter.set_nx(key, b"owner", ttl=3_000) is False
        assert await trial.adapter.set_nx(key, b"stranger") is False
        assert await trial.adapter.acquire(key, b"stranger", 3_000, token_key=counter) is None

        assert await trial.adapter.mget([key, counter]) == [b"owner", None]
        assert 0 < (await trial.adapter.ttl(key) or 0) <= time.ttl + time.granularity
        await time.expires(time.ttl)
        assert await trial.adapter.set_nx(key, b"stranger") is True

    @clause("CLM-8", KeyValue)
    async def test_a_claim_is_stored_as_its_owners_bytes(self, trial: Trial) -> None:
        """`get` of a claim returns the owner's bytes.

        This holds for claims of `set_nx` and of `acquire`. A key that holds a value can't be
        claimed.

        If this fails, look for claims that are stored apart from values: the store's `claim.owner`
        reads them with `get`.
        """
        one, two, value = trial.keys(["one", "two", "value"])
        await trial.adapter.set_nx(one, b"owner 1")
        await trial.adapter.acquire(two, b"owner 2", 3_000, token_key=trial.token_key(two))
        await trial.adapter.set(value, b"somebody")

        assert await trial.adapter.mget([one, two]) == [b"owner 1", b"owner 2"]
        assert await trial.adapter.set_nx(value, b"owner") is False
        assert (
            await trial.adapter.acquire(value, b"owner", 3_000, token_key=trial.token_key(value))
            is None
        )
        assert await trial.adapter.compare_delete(value, b"somebody") is True

    @clause("CLM-8", Streams)
    async def test_a_stream_refuses_a_claim(self, trial: Trial) -> None:
        """A key that holds a stream can't be claimed, and the stream stays.

        If this fails, look for a claim that only checks the table of claims.
        """
        key = trial.key()
        await trial.adapter.xadd(key, {"field": b"1"})

        assert await trial.adapter.set_nx(key, b"owner") is False
        assert (
            await trial.adapter.acquire(key, b"owner", 3_000, token_key=trial.token_key(key))
            is None
        )
        assert await trial.adapter.xlen(key) == 1

    @clause("CLM-3", KeyValue, Streams)
    async def test_stream_refuses_release_and_renewal(self, trial: Trial) -> None:
        """Releasing or renewing a key that holds a stream raises `STORE_OPERATION_FAILED`.

        The stream stays as it is.

        If this fails, check which error your backend returns for a key that holds another type of
        value.
        """
        key, adapter = trial.key(), trial.adapter
        await adapter.xadd(key, {"field": b"owner"})

        for call in (
            partial(adapter.compare_delete, key, b"owner"),
            partial(adapter.compare_expire, key, b"owner", 3_000),
        ):
            with pytest.raises(BackendFailed) as caught:
                await call()
            assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
        assert await adapter.xlen(key) == 1
        assert await adapter.ttl(key) == math.inf
