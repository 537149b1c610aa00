"""Claims whose caller was cancelled: clause CLM-10.

The store asks for a claim without TTL in a task of its own. When the caller is cancelled meanwhile,
the store waits for the answer and gives back what was taken, in a third task; the kit does the same
here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import Claims, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_TURNS: Final = 12  # of the event loop, after which the caller is cancelled


class CancelledClaimClauses(Suite):
    """What becomes of a claim without TTL when its caller is gone."""

    @clause("CLM-10", Claims, KeyValue)
    async def test_claim_of_cancelled_caller_is_given_back(self, trial: Trial) -> None:
        """Once the answer is there, the claim is released by its owner, and the next one gets it at
        once.

        If this fails, look for ownership that is bound to a task, as with locks that keep their
        token in a local of the task; or for an answer that comes before the claim can be seen.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(_TURNS):
            key = trial.key(f"turn {turn}")

            assert await _given_back(adapter, key, b"owner", turn) is True

            assert await other.exists(key) is False
            assert await other.set_nx(key, b"next") is True

    @clause("CLM-10", Claims, KeyValue)
    async def test_earlier_claim_of_cancelled_caller_stays(self, trial: Trial) -> None:
        """A claim that the same owner held before refuses the call, so nothing is given back.

        If this fails, look for a claim that says True to its own holder.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(_TURNS):
            key = trial.key(f"turn {turn}")
            assert await other.set_nx(key, b"owner") is True

            assert await _given_back(adapter, key, b"owner", turn) is False

            assert await other.get(key) == b"owner"


async def _given_back(adapter: FullAdapter, key: str, owner: bytes, turn: int) -> bool:
    """Claim for a caller who is cancelled some turns later, and give back what was taken; whether
    anything was.
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
