"""Connections that are cut or delayed.

Clauses FLT-1, FLT-2, FLT-5, and those parts of LIF, CLM and PUB that are about connections. Servers
that are down are in `faults.outages`.

Rule: only a harness with a proxy in front of its server runs these tests. Every test leaves the
    network healed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import (
    BackendUnavailable,
    Counters,
    ErrorCode,
    KeyValue,
    StoreError,
    Streams,
)

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import NotExercised
from igniter_store_conformance.tools.cancelling import CLOSING_TURNS, ended_otherwise, prepared
from igniter_store_conformance.tools.operations import answer_or_code, names_for, operations_of
from igniter_store_conformance.tools.recovery import LONG, hear_again, works_again

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from igniter_store_conformance.engine.harness import Network
    from igniter_store_conformance.engine.trial import FullAdapter, Trial

# Methods that may be retried when their reply was lost: they change nothing.
_READS: Final = {
    "get",
    "exists",
    "ttl",
    "mget",
    "xlen",
    "xrange",
    "xrevrange",
    "xgroups",
    "xpending",
    "scan",
}

_AT_ONCE: Final = 100  # subscriptions that are made concurrently


class FaultClauses(Suite):
    """Faults of connections."""

    @clause("CLM-7", limit=LONG)
    async def test_claim_raises_when_its_reply_is_lost(self, trial: Trial) -> None:
        """A claim whose reply was lost raises.

        The connection is cut before the reply to `set_nx` or `acquire` arrives. The call raises an
        error with `maybe_applied`.

        If this fails, look for a claim that is retried: the second attempt finds the claim of the
        first one, or counts a second token.
        """
        proxy = trial.proxy
        plain, leased = trial.keys(["plain", "leased"])
        calls: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            (plain, lambda: trial.adapter.set_nx(plain, b"owner", ttl=3_000)),
            (
                leased,
                lambda: trial.adapter.acquire(
                    leased, b"owner", 3_000, token_key=trial.token_key(leased)
                ),
            ),
        ]
        for key, call in calls:
            # The first call loads what the adapter sends to the server on first use, such as a
            # script
            await call()
            assert await trial.adapter.compare_delete(key, b"owner") is True
            async with _cut(proxy, key, "answered"):
                with pytest.raises(BackendUnavailable) as caught:
                    await call()
            assert caught.value.maybe_applied is True
            await works_again(trial)
            assert await trial.adapter.set_nx(key, b"next") is False, "the claim had been taken"
            assert await trial.adapter.compare_delete(key, b"owner") is True

    @clause("CLM-6", limit=LONG)
    async def test_a_lost_connection_ends_no_lease(self, trial: Trial) -> None:
        """A lease survives a lost connection of its owner.

        The owner renews and releases it afterwards.

        If this fails, look for claims that are tied to a connection or a session.
        """
        proxy, key, counter = trial.proxy, trial.key(), trial.token_key(trial.key())
        first = await trial.adapter.acquire(key, b"owner", 3_000, token_key=counter)
        await proxy.cut()
        await works_again(trial)

        assert await trial.adapter.acquire(key, b"stranger", 3_000, token_key=counter) is None
        assert await trial.adapter.compare_expire(key, b"owner", 3_000) is True
        assert await trial.adapter.compare_delete(key, b"owner") is True
        second = await trial.adapter.acquire(key, b"stranger", 3_000, token_key=counter)
        assert first is not None
        assert second is not None
        assert second > first

    @clause("PUB-10", limit=LONG)
    async def test_subscriptions_come_back_after_a_cut(self, trial: Trial) -> None:
        """Subscriptions come back by themselves after every connection was cut.

        Each message arrives once, and `on_gap` is called.

        If this fails, look at the code that subscribes again on a new connection, and at the names
        that it subscribes to.
        """
        proxy = trial.proxy
        await hear_again(trial, proxy.cut)

    @clause("PUB-10", limit=LONG)
    async def test_thousand_subscriptions_come_back_on_slow_network(self, trial: Trial) -> None:
        """A thousand subscriptions come back over a slow network.

        Their connections are cut, and every later round trip takes 50 ms longer. Each
        subscription's `on_gap` is called, and each gets messages again.

        If this fails, check how they are renewed: a round trip for each one takes longer than a
        timeout that starts with the first.
        """
        proxy, names = trial.proxy, [f"{number}" for number in range(1_000)]
        heard: set[str] = set()
        gaps: set[str] = set()

        async def subscribe(name: str) -> None:
            await trial.adapter.subscribe(
                trial.key(name),
                lambda _channel, _payload: heard.add(name),
                on_gap=lambda: gaps.add(name),
            )

        async def all_have_reported() -> bool:
            return len(gaps) == len(names)

        async def all_hear() -> bool:
            missing = [name for name in names if name not in heard]
            await asyncio.gather(
                *(trial.adapter.publish(trial.key(name), b"again") for name in missing),
                return_exceptions=True,
            )
            return not missing

        for begin in range(0, len(names), _AT_ONCE):  # a busy machine needs time for all of them
            await asyncio.gather(*map(subscribe, names[begin : begin + _AT_ONCE]))
        await proxy.delay(0.05)
        await proxy.cut()
        await trial.eventually(all_have_reported, "a gap report from each of 1,000 subscriptions")
        await proxy.heal()
        await trial.eventually(all_hear, "a message for each of a thousand subscriptions")

    @clause("FLT-1", limit=LONG)
    async def test_call_gets_own_reply_or_error_when_cut(self, trial: Trial) -> None:
        """A cut at any moment of a call leads to its own reply or to `STORE_CONNECTION_FAILED`.

        For each operation the connection is cut before, in the middle of, and after the command.

        If this fails, look for a caller that isn't notified when its connection is lost, or for a
        lost connection that stays in use.
        """
        proxy, wrong = trial.proxy, list[str]()
        for operation in operations_of(trial):
            for when in ("before", "middle", "answered"):
                if operation.title == "ping":
                    continue
                names = names_for(trial, operation, when)
                await operation.prepare(trial.adapter, names)
                async with _cut(proxy, names("")[:-1], when):
                    answer = await answer_or_code(operation.ask, trial.adapter, names)
                if answer is not ErrorCode.STORE_CONNECTION_FAILED and not operation.is_right(
                    answer
                ):
                    wrong.append(f"{operation.title}, cut {when}: {answer!r}")
                await works_again(trial)
        assert wrong == []

    @clause("LIF-4", limit=LONG)
    async def test_cancellation_reaches_caller_while_unconnected_adapter_closes(
        self, trial: Trial
    ) -> None:
        """A call that is cancelled while an unconnected adapter closes raises `CancelledError`.

        The calls wait for a connection that the server doesn't accept when `close` is called. They
        are cancelled a few event-loop iterations later, and end in no other way.

        If this fails, look at a shared attempt to connect: distinguish its cancellation by `close`
        from the cancellation of its waiter.
        """
        proxy = trial.proxy
        for turn in range(CLOSING_TURNS):
            operations = await prepared(trial, turn)
            await proxy.black_hole()
            try:
                await proxy.cut()
                assert await ended_otherwise(trial, operations, turn, trial.settle()) == {}
            finally:
                await proxy.heal()
            await trial.adapter.open()

    @clause("FLT-1", KeyValue, limit=LONG)
    async def test_cut_does_not_mix_up_concurrent_replies(self, trial: Trial) -> None:
        """A cut among a hundred callers doesn't mix up their replies.

        Each caller gets its own reply or an error. Afterwards everything works.

        If this fails, look for replies on the new connection that go to callers of the old one.
        """
        proxy, keys = trial.proxy, trial.keys(f"key-{n}" for n in range(100))
        for n, key in enumerate(keys):
            await trial.adapter.set(key, b"%d" % n)
        for turn in range(5):
            asked = [asyncio.create_task(_get(trial.adapter, key)) for key in keys]
            for _ in range(turn * 2):
                await asyncio.sleep(0)
            await proxy.cut()
            for n, task in enumerate(asked):
                answer = await trial.done(task, "a caller whose connection was cut")
                assert answer in (b"%d" % n, ErrorCode.STORE_CONNECTION_FAILED)
            await works_again(trial)
            assert [await trial.adapter.get(key) for key in keys[:5]] == [
                b"0",
                b"1",
                b"2",
                b"3",
                b"4",
            ]

    @clause("FLT-2", limit=LONG)
    async def test_reads_are_asked_again(self, trial: Trial) -> None:
        """A read whose connection is cut is retried and returns its reply.

        The cut comes before the command or before its reply.

        If this fails, retry on a new connection: a read changes nothing.
        """
        proxy, wrong = trial.proxy, list[str]()
        for operation in operations_of(trial):
            if operation.method not in _READS:
                continue
            for when in ("before", "answered"):
                names = names_for(trial, operation, when)
                await operation.prepare(trial.adapter, names)
                async with _cut(proxy, names("")[:-1], when):
                    answer = await answer_or_code(operation.ask, trial.adapter, names)
                if not operation.is_right(answer):
                    wrong.append(f"{operation.title}, cut {when}: {answer!r}")
        assert wrong == []

    @clause("FLT-2", Counters, limit=LONG)
    async def test_write_is_not_repeated_when_reply_is_lost(self, trial: Trial) -> None:
        """A write whose reply was lost isn't repeated.

        The server applies an increment, and the connection is cut before the reply. The call raises
        an error with `maybe_applied`, and the increment was applied once.

        If this fails, look for a retry of all commands. The driver may have one of its own.
        """
        proxy, key = trial.proxy, trial.key()
        await trial.adapter.increment(key, 41)
        async with _cut(proxy, key, "answered"):
            with pytest.raises(BackendUnavailable) as caught:
                await trial.adapter.increment(key)
        await works_again(trial)

        assert caught.value.maybe_applied is True
        assert caught.value.retryable is True
        assert await trial.adapter.increment(key, 0) == 42

    @clause("FLT-2", Streams, limit=LONG)
    async def test_append_is_not_repeated_when_reply_is_lost(self, trial: Trial) -> None:
        """An entry whose id was lost with the reply is in the stream once.

        If this fails, look for a retry of all commands.
        """
        proxy, key = trial.proxy, trial.key()
        await trial.adapter.xadd(key, {"n": b"0"})
        async with _cut(proxy, key, "answered"):
            with pytest.raises(BackendUnavailable) as caught:
                await trial.adapter.xadd(key, {"n": b"1"})
        await works_again(trial)

        assert caught.value.maybe_applied is True
        assert [entry.fields["n"] for entry in await trial.adapter.xrange(key)] == [b"0", b"1"]

    @clause("FLT-5", KeyValue, limit=LONG)
    async def test_callers_get_own_replies_on_slow_network(self, trial: Trial) -> None:
        """Callers on a slow network get their own replies.

        A third of three hundred callers is cancelled. The others get the right replies.

        If this fails, look for replies that are matched with callers by a count that a cancelled
        caller shifts.
        """
        proxy, keys = trial.proxy, trial.keys(f"key-{n}" for n in range(300))
        for begin in range(0, 300, 100):
            await asyncio.gather(
                *(
                    trial.adapter.set(key, b"%d" % (begin + n))
                    for n, key in enumerate(keys[begin : begin + 100])
                )
            )
        await proxy.delay(0.02)
        try:
            tasks = [asyncio.create_task(trial.adapter.get(key)) for key in keys]
            await asyncio.sleep(0.01)
            for victim in trial.random.sample(tasks, 100):
                victim.cancel()
            await asyncio.wait(tasks)
        finally:
            await proxy.heal()
        assert [
            n for n, task in enumerate(tasks) if not task.cancelled() and task.result() != b"%d" % n
        ] == []


@asynccontextmanager
async def _cut(proxy: Network, marker: str, when: Any) -> AsyncGenerator[None]:
    """Cut the connection that carries the marker; the call in the block has to send it."""
    await proxy.cut_at(marker.encode(), when=when)
    before = proxy.cuts
    try:
        yield
        if proxy.cuts == before:
            raise NotExercised(
                "a protocol that sends keys as they are: "
                "the proxy looks for them to know the moment to cut"
            )
    finally:
        await proxy.heal()


async def _get(adapter: FullAdapter, key: str) -> bytes | ErrorCode | None:
    try:
        return await adapter.get(key)
    except StoreError as error:
        return error.code
