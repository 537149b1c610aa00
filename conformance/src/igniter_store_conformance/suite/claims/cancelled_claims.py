"""Claims whose caller is cancelled: clause CLM-10.

The store requests a claim without a TTL in a separate task. If the caller is cancelled meanwhile,
the store waits for the reply and releases the claim in a third task. The kit does the same here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import Claims, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_TURNS: Final = 12  # iterations of the event loop before the caller is cancelled


class CancelledClaimClauses(Suite):
    """Claims without a TTL whose caller is cancelled."""

    @clause("CLM-10", Claims, KeyValue)
    async def test_claim_of_cancelled_caller_is_given_back(self, trial: Trial) -> None:
        """A claim of a cancelled caller can be released by its owner.

        Once the reply has arrived, the owner's bytes release the claim, and the next caller gets it
        at once.

        If this fails, look for ownership that is bound to a task, as with locks that keep their
        token in a task-local variable. Or look for a reply that arrives before the claim is
        visible.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(_TURNS):
            key = trial.key(f"turn {turn}")

            assert await _given_back(adapter, key, b"owner", turn) is True

            assert await other.exists(key) is False
            assert await other.set_nx(key, b"next") is True

    @clause("CLM-10", Claims, KeyValue)
    async def test_earlier_claim_of_cancelled_caller_stays(self, trial: Trial) -> None:
        """A claim that the owner already held stays after its next call is cancelled.

        The earlier claim refuses the call, so there is nothing to release.

        If this fails, look for a claim that returns True to its current holder.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(_TURNS):
            key = trial.key(f"turn {turn}")
            assert await other.set_nx(key, b"owner") is True

            assert await _given_back(adapter, key, b"owner", turn) is False

            assert await other.get(key) == b"owner"


async def _given_back(adapter: FullAdapter, key: str, owner: bytes, turn: int) -> bool:
    """Claim for a caller that is cancelled some iterations later, and release the claim.

    Returns True if there was a claim to release.
    """
    asking = asyncio.create_task(adapter.set_nx(key, owner))

    async def call() -> bool:
        return await asyncio.shield(asking)

    caller = asyncio.create_task(call())
    for _ in range(turn):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})

    async def give_back() -> bool:
        return await asking and await adapter.compare_delete(key, owner)

    return await asyncio.create_task(give_back())
