"""Half-open connections: clause FLT-12, and the part of PUB-10 about them.

A firewall or an address translator that has forgotten a connection drops its packets, and neither
end gets an error. Silence is then the only sign, so an adapter has to check for it on the
connections that wait for messages, too.

Rule: only a harness with a proxy in front of its server runs these tests. Every test leaves the
    network healed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import KeyValue, PubSub, StoreError, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import NotExercised
from igniter_store_conformance.tools.recovery import GONE, LONG, hear_again
from igniter_store_conformance.tools.streams import ids_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from igniter_store.contract import Subscription

    from igniter_store_conformance.engine.harness import Network
    from igniter_store_conformance.engine.trial import Trial

_MOST_FAILURES: Final = 3  # failures of one caller on old connections before it gets a new one
_CALLERS: Final = 20


class SilenceClauses(Suite):
    """Connections that are open and deliver nothing."""

    @clause("PUB-10", limit=LONG)
    async def test_subscriptions_come_back_after_half_open_connection(self, trial: Trial) -> None:
        """Subscriptions come back by themselves after their connection was half-open.

        The current connections pass nothing on and aren't closed. Subscriptions receive messages
        again, and `on_gap` is called.

        If this fails, send a probe on a subscription's connection that has been silent for a while,
        and close the connection if no reply arrives.
        """
        async with _whole_again(trial):
            await hear_again(trial, _network(trial).half_open)

    @clause("FLT-12", PubSub, limit=LONG)
    async def test_subscribe_works_after_half_open_connection(self, trial: Trial) -> None:
        """`subscribe` on a half-open connection fails at most a few times.

        Then the new subscription is live, and so is the earlier one.

        If this fails, close a connection whose confirmation is late: the next subscriber must not
        wait on it as well.
        """
        first, second = trial.keys(["first", "second"])
        heard: set[bytes] = set()
        gaps: list[int] = []
        await trial.adapter.subscribe(
            first, lambda _, payload: heard.add(payload), on_gap=lambda: gaps.append(1)
        )
        async with _whole_again(trial):
            await _network(trial).half_open()
            await _soon(
                lambda: trial.adapter.subscribe(second, lambda _, payload: heard.add(payload))
            )

            async def both_hear() -> bool:
                for channel, payload in ((first, b"first"), (second, b"second")):
                    await _soon(partial(trial.adapter.publish, channel, payload))
                await asyncio.sleep(0.02)
                return heard == {b"first", b"second"} and bool(gaps)

            await trial.eventually(
                both_hear, "messages for both subscriptions, and a gap report to the first"
            )

    @clause("FLT-12", PubSub, limit=LONG)
    async def test_cancel_ends_on_half_open_connection(self, trial: Trial) -> None:
        """`cancel` of a subscription on a half-open connection returns.

        The subscription gets no message afterwards.

        If this fails, look for a wait without a timeout for the server's confirmation.
        """
        channel, heard = trial.key(), list[bytes]()
        subscription: Subscription = await trial.adapter.subscribe(
            channel, lambda _, payload: heard.append(payload)
        )
        async with _whole_again(trial):
            await _network(trial).half_open()
            await trial.done(subscription.cancel(), "cancel on a half-open connection")

            await _soon(lambda: trial.adapter.publish(channel, b"late"))
            await trial.settle()
        assert heard == []

    @clause("FLT-12", KeyValue, limit=LONG)
    async def test_commands_work_after_half_open_connection(self, trial: Trial) -> None:
        """Calls on half-open connections fail at most a few times.

        Of many callers, each then gets its own reply.

        If this fails, look for a connection that is reused although its reply never arrived.
        """
        keys = trial.keys(f"key-{number}" for number in range(_CALLERS))
        await asyncio.gather(*(trial.adapter.set(key, key.encode()) for key in keys))
        async with _whole_again(trial):
            await _network(trial).half_open()
            found = await asyncio.gather(*(_soon(partial(trial.adapter.get, key)) for key in keys))

        assert found == [key.encode() for key in keys]

    @clause("FLT-12", Streams, limit=LONG)
    async def test_blocked_reader_ends_on_half_open_connection(self, trial: Trial) -> None:
        """A blocked read on a half-open connection ends.

        It raises an error, or it continues on another connection. It isn't blocked forever.

        If this fails, look for a read that waits for its reply without a timeout.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = asyncio.create_task(
            adapter.xreadgroup(stream, "group", "consumer", block=trial.limit / 8)
        )
        await trial.settle()
        async with _whole_again(trial):
            await _network(trial).half_open()
            done, _ = await asyncio.wait({reading}, timeout=trial.limit)
            assert done, "the blocked read never ended"
            error = reading.exception()
            assert error is None or (isinstance(error, StoreError) and error.code in GONE)

            again = asyncio.create_task(
                _soon(lambda: adapter.xreadgroup(stream, "group", "consumer", block=trial.limit))
            )
            added = await _soon(lambda: adapter.xadd(stream, {"field": b"1"}))
            assert added in ids_of(await trial.done(again, "a blocked read over a new connection"))


def _network(trial: Trial) -> Network:
    proxy = trial.proxy
    if not hasattr(proxy, "half_open"):  # a later addition to the protocol
        raise NotExercised(
            f"`half_open` of Harness(server=...).proxy: {type(proxy).__name__} hasn't got it"
        )
    return proxy


@asynccontextmanager
async def _whole_again(trial: Trial) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await _network(trial).heal()


async def _soon(call: Callable[[], Awaitable[Any]]) -> Any:
    """Return the reply of a call, which may fail on each old connection."""
    for _ in range(_MOST_FAILURES):
        try:
            return await call()
        except StoreError as error:
            if error.code not in GONE:
                raise
    return await call()
