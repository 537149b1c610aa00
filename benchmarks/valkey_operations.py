"""How fast are the store's operations on Valkey over its own client, next to that client bare?

P7. Only this question uses the server, which is on loopback. The backend on redis-py and hiredis,
and bare redis-py, run the same operations on the same server, to show the cost of each client.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from igniter_store import Store
from igniter_store_conformance import servers

from benchmarks.measuring import Pace, measure
from benchmarks.payload import SERVICE, value_of
from benchmarks.question import Answer, ask
from benchmarks.redis_peers import (
    BARE,
    GLIDE,
    MANY,
    OURS_ON_GLIDE,
    PEERS,
    Calls,
    contestant,
    on_glide,
    ours,
    ours_on_glide,
)
from benchmarks.results import Comparison, Figure

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

_ON_REDIS_PY: Final = "igniter-store on redis-py"
_OPERATIONS: Final = {
    "get": "kv.get",
    "set": "kv.set",
    "increment": "counter.increment",
    "publish": "events.publish",
    "batch": "batch.get of 10",
}
_ASKED: Final = {("get", 50): 2.0, ("get", 1): 0.9}
_MOST: Final = 100  # callers: redis-py's default pool refuses the next one


async def answer(pace: Pace) -> Answer:
    """Run every operation for fifty callers, and get for one and for five hundred."""
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    with servers.start("valkey") as server:
        openings: list[AbstractAsyncContextManager[Calls]] = [
            ours_on_glide(server.url),
            PEERS["valkey-glide"](server.url),
            ours(server.url, _ON_REDIS_PY),
            PEERS["redis"](server.url),
        ]
        async with AsyncExitStack() as stack:
            async with Store.from_url(on_glide(server.url), service=SERVICE) as store:
                for key in MANY:
                    await store.kv.set(key, value_of(key))
            opened = [await stack.enter_async_context(opening) for opening in openings]
            for operation, callers in (
                *((operation, 50) for operation in _OPERATIONS),
                ("get", 1),
                ("get", 500),
            ):
                title = f"{_OPERATIONS[operation]}, {callers} caller{'s' if callers > 1 else ''}"
                contestants = [
                    contestant(calls, operation)
                    for calls in opened
                    if callers <= _MOST or calls.name != BARE
                ]
                comparison = await measure(
                    f"Valkey {title}", contestants, callers=callers, pace=pace
                )
                comparisons.append(comparison)
                ratios = comparison.ratios(OURS_ON_GLIDE, GLIDE)
                figures.append(
                    Figure(
                        "P7",
                        f"Valkey {title}: ours on glide ÷ {GLIDE}",
                        ratios,
                        asked=_ASKED.get((operation, callers)),
                    )
                )
    return Answer(comparisons, figures)


if __name__ == "__main__":
    ask(
        __file__,
        __doc__,
        answer,
        packages=(
            "igniter-store-valkey",
            "igniter-store-redis",
            "valkey-glide",
            "redis",
            "hiredis",
        ),
    )
