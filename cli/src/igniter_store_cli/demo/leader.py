"""Leader election: of ten workers that start, only one may close the day's books.

If the leader resigns or dies, another worker takes over.

Things to notice: `claim.once` succeeds for one of any number of callers. Only the owner can renew
or release a claim, so a worker that was away for too long can't end the term of its successor. A
TTL ends the claim of a leader that died.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from igniter_store_cli.demo.concurrency import a_moment, until_true
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store import Store

    from igniter_store_cli.demo.orders import Orders

WORKERS: Final = tuple(f"worker-{number}" for number in range(1, 11))
TERM: Final = 30.0
SHORT_TERM: Final = 0.5


async def campaign(store: Store[str], worker: str, orders: Orders, term: float) -> str | None:
    """Try to become the leader and close the books; return the worker's name on success."""
    await a_moment()
    if not await store.claim.once("leader", worker, ttl=term):
        return None
    revenue: Counter[str] = Counter()
    for order in orders.accepted:
        revenue[order.currency] += 0 if order.status == "cancelled" else order.total
    await a_moment()
    await store.kv.set("books", {"closed_by": worker, "revenue": dict(revenue)})
    await store.counter.increment("books:closed")
    return worker


async def perform(stage: Stage) -> None:
    """Hold three elections: at the start, after a resignation, after a death."""
    store = stage.store
    leaders = await elected(stage, WORKERS)
    stage.check("leaders among ten workers", expected=1, found=len(leaders))
    stage.check(
        "times that the books were closed",
        expected=1,
        found=await store.counter.get("books:closed"),
    )
    leader, *_ = [*leaders, "none"]
    other = next(worker for worker in WORKERS if worker != leader)
    stage.check(
        "the leader renews its term",
        expected=True,
        found=await store.claim.renew("leader", leader, TERM),
    )
    stage.check(
        "another worker can't renew it",
        expected=False,
        found=await store.claim.renew("leader", other, TERM),
    )
    stage.check(
        "another worker can't release it",
        expected=False,
        found=await store.claim.release("leader", other),
    )
    stage.check(
        "the leader after these attempts", expected=leader, found=await store.claim.owner("leader")
    )
    await stage.show_keys(store, "claim", "kv", "counter")

    stage.check(
        "the leader resigns", expected=True, found=await store.claim.release("leader", leader)
    )
    successors = await elected(
        stage, [worker for worker in WORKERS if worker != leader], term=SHORT_TERM
    )
    stage.check("leaders among the other nine workers", expected=1, found=len(successors))
    stage.check(
        "the old leader's late release changes nothing",
        expected=False,
        found=await store.claim.release("leader", leader),
    )

    # The successor is silent from now on. No worker has to detect this: its term ends by itself.
    is_over = await until_true(lambda: has_no_leader(store))
    stage.check("the claim of a dead leader ends with its term", expected=True, found=is_over)
    third = await elected(stage, WORKERS)
    stage.check("leaders after that", expected=1, found=len(third))
    stage.measured = (
        f"{len(WORKERS)} workers, 3 elections: {', '.join([*leaders, *successors, *third])}"
    )


async def elected(stage: Stage, workers: Sequence[str], *, term: float = TERM) -> list[str]:
    """Let the workers campaign at once, and return those that believe they won."""
    return [
        winner
        for winner in await stage.at_once(
            campaign, [(worker, stage.orders, term) for worker in workers]
        )
        if winner
    ]


async def has_no_leader(store: Store[str]) -> bool:
    """Return True if the claim has no owner."""
    return await store.claim.owner("leader") is None


PLAY: Final = Play(
    "leader",
    "One of many workers leads, only the leader ends its term, and a dead leader is replaced.",
    perform,
)
