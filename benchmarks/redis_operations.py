"""How fast are the store's operations on Redis, next to other libraries and to bare clients?

P1 to P4. Only this question uses the server, which is on loopback. Ours is the whole store: it
checks and builds keys, and encodes and decodes values. A bare client gets the complete key, and
uses msgspec directly.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from igniter_store import Store
from igniter_store_conformance import servers

from benchmarks.measuring import Contestant, Pace, measure
from benchmarks.payload import SERVICE, value_of
from benchmarks.question import Answer, ask
from benchmarks.redis_peers import (
    BARE,
    GLIDE,
    MANY,
    NODE,
    NODE_PIPELINING,
    OURS,
    OURS_ON_GLIDE,
    PEERS,
    Calls,
    NodePeer,
    contestant,
    node_peer,
    ours,
    ours_on_glide,
)
from benchmarks.results import Comparison, Figure, versions

_MOST = 100
_OPERATIONS = {
    "get": "kv.get",
    "set": "kv.set",
    "increment": "counter.increment",
    "publish": "events.publish",
    "batch": "batch.get of 10",
}


async def answer(pace: Pace) -> Answer:
    """Run every operation for fifty callers, and get for one and for five hundred."""
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    installed, _ = versions(PEERS)
    with servers.start("redis") as server:
        async with AsyncExitStack() as stack:
            async with Store.from_url(server.url, service=SERVICE) as store:
                for key in MANY:
                    await store.kv.set(key, value_of(key))
            openings = (ours, ours_on_glide, *(PEERS[name] for name in installed))
            opened = [await stack.enter_async_context(opening(server.url)) for opening in openings]
            nodes = [
                await stack.enter_async_context(node_peer(server.url, pipelining=way))
                for way in (False, True)
            ]
            for operation, callers in (
                *((operation, 50) for operation in _OPERATIONS),
                ("get", 1),
                ("get", 500),
            ):
                title = f"{_OPERATIONS[operation]}, {callers} caller{'s' if callers > 1 else ''}"
                contestants = [
                    contestant(calls, operation)
                    for calls in opened
                    if _takes(calls, operation, callers)
                ]
                contestants += _of_node(nodes, operation)
                comparison = await measure(
                    f"Redis {title}", contestants, callers=callers, pace=pace
                )
                comparisons.append(comparison)
                figures += _figures(title, operation, callers, comparison)
    return Answer(comparisons, figures)


def _takes(calls: Calls, operation: str, callers: int) -> bool:
    # The default pool of many libraries has a hundred connections, and refuses the next caller.
    return operation in calls.operations and (
        callers <= _MOST or calls.name in {OURS, OURS_ON_GLIDE, GLIDE}
    )


def _of_node(nodes: list[NodePeer | None], operation: str) -> list[Contestant]:
    return [node.contestant(operation) for node in nodes if node is not None]


def _figures(title: str, operation: str, callers: int, comparison: Comparison) -> list[Figure]:
    against_node = {"get": ("P1", 2.0), "batch": ("P4", 1.0)}
    figures: list[Figure] = []
    if callers == 50 and operation in against_node:  # noqa: PLR2004 - the required number of callers
        name, asked = against_node[operation]
        figures.append(
            Figure(name, f"Redis {title}: ours ÷ {NODE}", _ratios(comparison, NODE), asked=asked)
        )
        figures.append(
            Figure(
                name,
                f"Redis {title}: ours ÷ {NODE_PIPELINING}",
                _ratios(comparison, NODE_PIPELINING),
            )
        )
        figures.append(
            Figure(
                name,
                f"Redis {title}: ours on valkey-glide ÷ {NODE}",
                _ratios(comparison, NODE, OURS_ON_GLIDE),
            )
        )
    if operation != "batch":
        name, asked_for = {1: ("P3", 1.2), 50: ("P2", 8.0)}.get(callers, ("P2", None))
        figures.append(
            Figure(
                name, f"Redis {title}: ours ÷ {BARE}", _ratios(comparison, BARE), asked=asked_for
            )
        )
        figures.append(
            Figure(
                name,
                f"Redis {title}: ours on valkey-glide ÷ {BARE}",
                _ratios(comparison, BARE, OURS_ON_GLIDE),
            )
        )
    return figures


def _ratios(comparison: Comparison, name: str, of: str = OURS) -> list[float]:
    return comparison.ratios(of, name) if name in comparison.rounds else []


if __name__ == "__main__":
    ask(
        __file__,
        __doc__,
        answer,
        packages=("igniter-store-redis", "igniter-store-valkey", "hiredis", *PEERS),
    )
