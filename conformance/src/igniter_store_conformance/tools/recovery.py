"""Wait after a fault until an adapter has recovered by itself.

Rule: an adapter may raise a few times, and must not need help to recover.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Claims, ErrorCode, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import PubSub

    from igniter_store_conformance.engine.trial import Trial

LONG: Final = 300.0
"""Seconds that a test with faults may take: it waits for the adapter's own timeouts."""

GONE: Final = {ErrorCode.STORE_CONNECTION_FAILED, ErrorCode.STORE_TIMEOUT}
"""The error codes that an adapter may raise while it can't reach the server."""


async def works_again(trial: Trial) -> None:
    """Wait until calls on the first client succeed."""

    async def pings() -> bool:
        try:
            await trial.adapter.ping()
            if isinstance(trial.adapter, Claims):
                await trial.adapter.set_nx(trial.key("probe"), b"probe", ttl=3_000)
        except StoreError as error:
            if error.code not in GONE:
                raise
            return False
        return True

    await trial.eventually(pings, "an answer, once the server can be reached again")


async def hear_again(trial: Trial, breaks: Callable[[], Any]) -> None:
    """Subscribe three times, break the connections, and wait until every subscriber recovers.

    The test publishes until each of them receives messages again, and until each `on_gap` observer
    was called.
    """
    adapter: PubSub = trial.adapter
    channel = trial.key()
    heard: list[list[bytes]] = [[], [], []]
    gaps = [0, 0, 0]

    def observer(number: int) -> Callable[[], None]:
        def told() -> None:
            gaps[number] += 1

        return told

    await adapter.subscribe(
        channel, lambda _, payload: heard[0].append(payload), on_gap=observer(0)
    )
    await adapter.subscribe(
        channel, lambda _, payload: heard[1].append(payload), on_gap=observer(1)
    )
    await adapter.psubscribe(
        channel + "*", lambda _, payload: heard[2].append(payload), on_gap=observer(2)
    )
    await adapter.publish(channel, b"0")
    await trial.eventually(
        _when(lambda: all(part == [b"0"] for part in heard)),
        "message 0 at every subscriber",
    )

    await breaks()
    number = 0

    async def all_hear() -> bool:
        nonlocal number
        number += 1
        try:
            await adapter.publish(channel, b"%d" % number)
        except StoreError as error:
            if error.code not in GONE:
                raise
        await asyncio.sleep(0.02)
        return all(len(part) >= 3 for part in heard) and all(gaps)

    await trial.eventually(
        all_hear,
        "messages after the gap at every subscriber, and a gap report to every observer "
        f"(so far {gaps})",
    )
    for part in heard:
        numbers = [int(payload) for payload in part]
        assert numbers == sorted(set(numbers)), f"twice, or out of order: {numbers}"


def _when(holds: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return holds()

    return ask
