"""Cancellation at every step: clauses LIF-4, CLM-9, and the state that a cancelled call may leave.

A coroutine call is suspended several times, whenever it waits for something. The kit cancels it at
its k-th suspension, for every k until the call completes. It does so at two moments: while the call
waits, and after the awaited result has arrived but before the call resumes. At the second moment
clients lose track of which reply belongs to which caller.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import (
    Counters,
    KeyValue,
    PubSub,
    StoreError,
    Streams,
    Subscription,
    escape,
)

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.cancelling import (
    CLOSING_TURNS,
    MOMENTS,
    MOST_STEPS,
    Cancelled,
    CancelMoment,
    cancelled_at,
    ended_otherwise,
    prepared,
)
from igniter_store_conformance.tools.limits import SLOW
from igniter_store_conformance.tools.operations import names_for, operations_of

if TYPE_CHECKING:
    from igniter_store.contract import MessageCallback

    from igniter_store_conformance.engine.trial import FullAdapter, Trial
    from igniter_store_conformance.tools.operations import AdapterOperation


_QUESTIONS: Final = frozenset(
    {"get", "mget", "exists", "increment", "set_nx", "xlen"}
)  # with distinct replies


class CancellationClauses(Suite):
    """The state that a cancelled call leaves."""

    @clause("LIF-4", limit=SLOW)
    async def test_later_calls_get_own_replies_after_cancellation(self, trial: Trial) -> None:
        """After a cancelled operation, later calls get their own replies.

        Each operation is cancelled at each of its steps. Later calls on the same adapter get the
        right replies.

        If this fails, look for a connection that returns to use while a reply is still in flight. A
        cancelled call leaves either a connection that discards its next reply, or no connection.
        """
        wrong: list[str] = []
        for operation in operations_of(trial):
            for moment in MOMENTS:
                for step in range(1, MOST_STEPS):
                    is_through = await self._cut(trial, operation, step, moment)
                    wrong += [
                        f"{answer}, after {operation.title} was cancelled at step {step}"
                        for answer in await _misled(trial)
                    ]
                    if is_through or wrong:
                        break
        assert wrong == []

    @clause("LIF-4", KeyValue, limit=SLOW)
    async def test_cancelled_operation_applies_completely_or_not_at_all(self, trial: Trial) -> None:
        """A cancelled operation is applied completely or not at all.

        Each operation that changes data is cancelled at each of its steps. It leaves the old state
        or the new one.

        If this fails, look for two steps where the contract requires one: a value and then its TTL,
        or a claim and then its token.
        """
        halves: list[str] = []
        for operation in operations_of(trial):
            if operation.is_whole is None:
                continue
            for moment in MOMENTS:
                for step in range(1, MOST_STEPS):
                    names = names_for(trial, operation, f"{moment} {step}")
                    is_through = await self._cut(trial, operation, step, moment)
                    await trial.settle()  # the request may still be in flight
                    if not await operation.is_whole(trial.adapter, names):
                        halves.append(f"{operation.title}, cancelled at step {step} while {moment}")
                    if is_through or halves:
                        break
        assert halves == []

    @clause("LIF-4", KeyValue, Counters, limit=SLOW)
    async def test_calls_beside_a_cancelled_one_are_not_disturbed(self, trial: Trial) -> None:
        """Cancelling one of twenty concurrent calls doesn't disturb the other nineteen.

        The call is cancelled at each step. The others get their own replies.

        If this fails, look for calls that share a round trip to the backend, where one cancelled
        call cancels the others.
        """
        adapter = trial.adapter
        keys = trial.keys(f"key-{number}" for number in range(20))
        for number, key in enumerate(keys):
            await adapter.set(key, b"%d" % number)

        for moment in MOMENTS:
            for step in range(1, 12):
                victim = step % len(keys)

                async def ask(
                    number: int,
                    step: int = step,
                    moment: CancelMoment = moment,
                    victim: int = victim,
                ) -> bytes | None:
                    call = adapter.get(keys[number])
                    return await (
                        cancelled_at(step, call, moment=moment) if number == victim else call
                    )

                answers = await asyncio.gather(
                    *(ask(number) for number in range(len(keys))), return_exceptions=True
                )
                for number, answer in enumerate(answers):
                    if number == victim and isinstance(answer, Cancelled):
                        continue
                    assert answer == b"%d" % number, f"step {step}, {moment}"

    @clause("LIF-4", limit=SLOW)
    async def test_cancellation_reaches_caller_while_adapter_closes(self, trial: Trial) -> None:
        """A call that is cancelled while the adapter closes raises `CancelledError`.

        Every operation is in flight when `close` is called, and is cancelled a few event-loop
        iterations later. It doesn't end in any other way.

        If this fails, look for a wait that mistakes the caller's cancellation for that of the
        awaited task, and raises `STORE_CLOSED`.
        """
        for turn in range(CLOSING_TURNS):
            operations = await prepared(trial, turn)
            assert await ended_otherwise(trial, operations, turn, asyncio.sleep(0)) == {}
            await trial.adapter.open()

    @clause("LIF-4", Streams, limit=SLOW)
    async def test_a_cancelled_read_loses_nothing(self, trial: Trial) -> None:
        """A cancelled group read loses no entries.

        The entries of the read, blocking or not, are still new or are pending. All of them can be
        read.

        If this fails, look for a reply that arrived and was dropped. Its entries are pending, and
        `xpending` must list them.
        """
        for block in (None, 20.0):
            for moment in MOMENTS:
                for step in range(1, 8):
                    key = trial.key(f"{block} {moment} {step}")
                    await trial.adapter.xgroup_create(key, "group")
                    reading = asyncio.create_task(
                        cancelled_at(
                            step,
                            trial.adapter.xreadgroup(key, "group", "cut short", block=block),
                            moment=moment,
                        )
                    )
                    await trial.settle()
                    added = [
                        await trial.adapter.xadd(key, {"n": b"1"}),
                        await trial.adapter.xadd(key, {"n": b"2"}),
                    ]
                    await trial.settle()
                    if not reading.done():
                        reading.cancel()
                    await asyncio.wait({reading})
                    if not reading.cancelled():
                        reading.exception()

                    await trial.adapter.xreadgroup(key, "group", "next")
                    pending = [entry.id for entry in await trial.adapter.xpending(key, "group")]
                    assert pending == added, f"cancelled at step {step} while {moment}"

    @clause("CLM-9", KeyValue, limit=SLOW)
    async def test_cancelled_claim_is_free_or_has_its_ttl(self, trial: Trial) -> None:
        """A cancelled claim is free, or it has its owner and its TTL.

        `set_nx` and `acquire` are cancelled at each step.

        If this fails, look for a claim that is taken first and gets its TTL afterwards. A call
        cancelled between the two steps leaves a claim that never expires.
        """
        adapter = trial.adapter
        for moment in MOMENTS:
            for step in range(1, MOST_STEPS):
                plain, leased = trial.keys([f"plain {moment} {step}", f"leased {moment} {step}"])
                through = 0
                calls = (
                    partial(adapter.set_nx, plain, b"owner", ttl=3_000),
                    partial(
                        adapter.acquire, leased, b"owner", 3_000, token_key=trial.token_key(leased)
                    ),
                )
                for call in calls:
                    try:
                        await cancelled_at(step, call(), moment=moment)
                        through += 1
                    except Cancelled:
                        pass
                await trial.settle()
                for key in (plain, leased):
                    left = await adapter.ttl(key)
                    assert left is None or 0 < left <= 3_000, (
                        f"cancelled at step {step} while {moment}"
                    )
                    assert await adapter.get(key) in ({None} if left is None else {b"owner"})
                if through == 2:
                    break

    @clause("PUB-5", PubSub, limit=SLOW)
    async def test_subscribe_cancelled_at_any_step_leaves_no_subscription(
        self, trial: Trial
    ) -> None:
        """A `subscribe` or `psubscribe` that is cancelled at any step leaves no subscription.

        The cancelled callback isn't called afterwards, and the next subscriber to the same name
        gets its messages.

        If this fails, look for a callback that is registered before the backend has confirmed, and
        that stays when the caller is cancelled. Or look for an unsubscribe that is still in flight
        when the next subscriber mistakes the old confirmation for its own.
        """
        for is_pattern in (False, True):
            subscribe = trial.adapter.psubscribe if is_pattern else trial.adapter.subscribe
            for moment in MOMENTS:
                for step in range(1, MOST_STEPS):
                    channel = trial.key(f"{is_pattern} {moment} {step}")
                    ghosts: list[bytes] = []
                    heard: list[bytes] = []
                    name = escape(channel) if is_pattern else channel
                    try:
                        through = await cancelled_at(
                            step, subscribe(name, _collect(ghosts)), moment=moment
                        )
                    except Cancelled:
                        through = None
                    live = await subscribe(
                        name, _collect(heard)
                    )  # at once, while the cleanup of the cancelled call may still be in flight
                    for number in range(2):
                        await trial.adapter.publish(channel, b"%d" % number)

                    async def is_heard(heard: list[bytes] = heard) -> bool:
                        return heard == [b"0", b"1"]

                    await trial.eventually(
                        is_heard,
                        "both messages, after subscribing was cancelled "
                        f"at step {step} while {moment}",
                    )
                    assert len(ghosts) == (0 if through is None else 2), (
                        f"cancelled at step {step} while {moment}"
                    )
                    await live.cancel()
                    if through is not None:
                        await through.cancel()
                        break

    @clause("PUB-5", PubSub, limit=SLOW)
    async def test_cancel_cancelled_at_any_step_ends_subscription(self, trial: Trial) -> None:
        """A `cancel` that is cancelled at any step still ends the subscription.

        Other callers subscribe meanwhile. The subscription ends at the backend too, and a new one
        can start.

        If this fails, look for an unsubscribe that waits for something before it is sent, and isn't
        sent when its caller is cancelled.
        """
        for moment in MOMENTS:
            for step in range(1, MOST_STEPS):
                channel, beside = trial.keys([f"{moment} {step}", f"beside {moment} {step}"])
                ghosts: list[bytes] = []
                heard: list[bytes] = []
                subscription = await trial.adapter.subscribe(channel, _collect(ghosts))
                subscribing = asyncio.create_task(trial.adapter.subscribe(beside, _collect([])))
                try:
                    await cancelled_at(step, subscription.cancel(), moment=moment)
                    is_through = True
                except Cancelled:
                    is_through = False
                await (await subscribing).cancel()

                async def reaches_nobody(channel: str = channel) -> bool:
                    return await trial.adapter.publish(channel, b"0") == 0

                await trial.eventually(
                    reaches_nobody,
                    f"a message without subscribers, cancelled at step {step} while {moment}",
                )
                live = await trial.adapter.subscribe(channel, _collect(heard))
                await trial.adapter.publish(channel, b"1")

                async def is_heard(heard: list[bytes] = heard) -> bool:
                    return b"1" in heard

                await trial.eventually(
                    is_heard, f"a message, after cancel was cancelled at step {step} while {moment}"
                )
                assert ghosts == [], f"cancelled at step {step} while {moment}"
                await live.cancel()
                if is_through:
                    break

    async def _cut(
        self, trial: Trial, operation: AdapterOperation, step: int, moment: CancelMoment
    ) -> bool:
        """Cancel one call at `step`; return True if it completed before."""
        names = names_for(trial, operation, f"{moment} {step}")
        await operation.prepare(trial.adapter, names)
        try:
            answer = await cancelled_at(step, operation.ask(trial.adapter, names), moment=moment)
        except Cancelled:
            return False
        if isinstance(answer, Subscription):
            await answer.cancel()
        assert operation.is_right(answer), (
            f"{operation.title} was not cancelled, and answered {answer!r}"
        )
        return True


def _collect(payloads: list[bytes]) -> MessageCallback:
    return lambda _, payload: payloads.append(payload)


async def _misled(trial: Trial) -> list[str]:
    """Return the wrong replies to some calls, made one after the other and then concurrently."""
    adapter = trial.adapter
    questions = [operation for operation in operations_of(trial) if operation.title in _QUESTIONS]
    wrong: list[str] = []

    async def ask(operation: AdapterOperation, turn: str) -> None:
        names = names_for(trial, operation, f"{turn} {trial.random.random()}")
        await _prepare_and_ask(adapter, operation, names, wrong)

    for operation in questions[:2]:
        await ask(operation, "alone")
    await asyncio.gather(*(ask(operation, "together") for operation in questions))
    return wrong


async def _prepare_and_ask(
    adapter: FullAdapter, operation: AdapterOperation, names: Any, wrong: list[str]
) -> None:
    try:
        await operation.prepare(adapter, names)
        answer = await operation.ask(adapter, names)
    except StoreError as error:
        wrong.append(f"{operation.title} raised {error.code}")
        return
    if not operation.is_right(answer):
        wrong.append(f"{operation.title} answered {answer!r}")
