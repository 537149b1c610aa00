"""Closing: clauses LIF-2 and LIF-5.

The tests run every operation on a closed adapter and on a closing one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import ErrorCode, KeyValue, PubSub, StoreError, Streams, escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import NotExercised
from igniter_store_conformance.tools.cancelling import (
    MOMENTS,
    MOST_STEPS,
    Cancelled,
    CancelMoment,
    cancelled_at,
)
from igniter_store_conformance.tools.leaks import Resources, open_files, threads
from igniter_store_conformance.tools.limits import SLOW
from igniter_store_conformance.tools.operations import (
    answer_or_code,
    names_for,
    operations_of,
    wrong_answers,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_TO_CLOSE: Final = 15.0  # seconds in which pending work has to end


class ClosingClauses(Suite):
    """The effects of `close`, and operations after it."""

    @clause("LIF-2")
    async def test_every_operation_raises_store_closed_after_close(self, trial: Trial) -> None:
        """Every operation of a closed adapter raises `STORE_CLOSED`, and changes nothing.

        A second call does the same.

        If this fails, look for an operation that connects by itself, or that passes on the driver's
        own error.
        """
        adapter, other = trial.adapter, await trial.other()
        if other is adapter:
            raise NotExercised(
                "a second client of the same data, that stays open and sees that nothing was done"
            )
        operations = operations_of(trial)
        for operation in operations:
            await operation.prepare(other, names_for(trial, operation))
        await adapter.close()

        for _ in range(2):
            answers = {
                operation.title: await answer_or_code(
                    operation.ask, adapter, names_for(trial, operation)
                )
                for operation in operations
            }
            assert {
                title: answer
                for title, answer in answers.items()
                if answer is not ErrorCode.STORE_CLOSED
            } == {}
        assert await wrong_answers(trial, None, other, "") == []

    @clause("LIF-2", KeyValue)
    async def test_empty_batches_raise_store_closed_after_close(self, trial: Trial) -> None:
        """Empty batches and deletions raise `STORE_CLOSED` on a closed adapter, too.

        If this fails, look for an early return before the check that the adapter is open.
        """
        adapter = trial.adapter
        await adapter.close()

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "mget": lambda: adapter.mget([]),
            "mset": lambda: adapter.mset([]),
            "delete": lambda: adapter.delete([]),
        }
        answers = {name: await answer_or_code(call) for name, call in calls.items()}
        assert {
            name: answer for name, answer in answers.items() if answer is not ErrorCode.STORE_CLOSED
        } == {}

    @clause("LIF-5")
    async def test_operations_that_meet_a_close_end(self, trial: Trial) -> None:
        """Operations in flight at `close` end with their own reply or with `STORE_CLOSED`.

        If this fails, look for callers that wait for a reply that can no longer arrive, or for a
        driver's own error.
        """
        adapter, other = trial.adapter, await trial.other()
        for turns in range(4):
            operations = operations_of(trial)
            for operation in operations:
                await operation.prepare(
                    adapter if other is adapter else other, names_for(trial, operation, turns)
                )
            asked = [
                asyncio.create_task(
                    answer_or_code(operation.ask, adapter, names_for(trial, operation, turns))
                )
                for operation in operations
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            await adapter.close()
            await adapter.close()
            answers = [
                await trial.done(task, f"{operation.title} while closing")
                for operation, task in zip(operations, asked, strict=True)
            ]
            await adapter.open()
            if other is adapter:
                await other.open()

            wrong = {
                operation.title: answer
                for operation, answer in zip(operations, answers, strict=True)
                if answer is not ErrorCode.STORE_CLOSED and not operation.is_right(answer)
            }
            assert wrong == {}

    @clause("LIF-5", Streams)
    async def test_close_wakes_blocked_readers(self, trial: Trial) -> None:
        """Blocked readers all raise `STORE_CLOSED` when the adapter closes.

        If this fails, look for a blocked read that `close` doesn't track. `close` has to end it,
        not wait for it.
        """
        adapter, key = trial.adapter, trial.key()
        await adapter.xgroup_create(key, "group")
        readings = [
            asyncio.create_task(adapter.xreadgroup(key, "group", f"consumer-{number}", block=3_000))
            for number in range(3)
        ]
        await trial.settle()

        await adapter.close()

        for reading in readings:
            with pytest.raises(StoreError) as caught:
                await trial.done(reading, "a blocked read after close")
            assert caught.value.code == ErrorCode.STORE_CLOSED

    @clause("LIF-5", PubSub)
    async def test_no_callback_runs_once_close_has_returned(self, trial: Trial) -> None:
        """No callback of a closed adapter runs once `close` has returned.

        Cancelling its subscriptions afterwards is still not an error.

        If this fails, look for a reader task that outlives its adapter.
        """
        channel, publisher = trial.key(), trial.connect()
        await publisher.open()
        heard: list[bytes] = []
        live: list[bytes] = []
        subscriptions = [
            await trial.adapter.subscribe(channel, lambda _, payload: heard.append(payload)),
            await trial.adapter.psubscribe(channel + "*", lambda _, payload: heard.append(payload)),
        ]
        await publisher.subscribe(channel, lambda _, payload: live.append(payload))

        await trial.adapter.close()
        heard.clear()
        await publisher.publish(channel, b"late")
        await trial.eventually(
            _when(lambda: live == [b"late"]), "a message to the adapters that are still open"
        )

        assert heard == []
        for subscription in subscriptions:
            await subscription.cancel()

    @clause("LIF-5", PubSub)
    async def test_subscriptions_that_close_ended_do_not_come_back(self, trial: Trial) -> None:
        """Subscriptions that `close` ended don't come back when the adapter is reopened.

        New subscriptions to the same names get their messages.

        If this fails, look for a table of subscriptions that outlives `close`, and is subscribed
        again on the next connection.
        """
        adapter, channel = trial.adapter, trial.key()
        ghosts: list[bytes] = []
        heard: list[bytes] = []
        await adapter.subscribe(channel, lambda _, payload: ghosts.append(payload))
        await adapter.psubscribe(escape(channel), lambda _, payload: ghosts.append(payload))

        await adapter.close()
        await adapter.open()
        await adapter.subscribe(channel, lambda _, payload: heard.append(payload))
        await adapter.psubscribe(escape(channel), lambda _, payload: heard.append(payload))
        await adapter.publish(channel, b"1")

        await trial.eventually(
            _when(lambda: len(heard) == 2), "the message, by both new subscriptions"
        )
        assert ghosts == []

    @clause("LIF-5")
    async def test_close_leaves_no_task_thread_or_file(self, trial: Trial) -> None:
        """Repeated opening, use and closing leaves no task, thread or open file.

        If this fails, look for a reader, a pool or a socket that is never closed. The adapter has
        to end everything that it starts.
        """
        adapter = trial.connect()
        await adapter.open()  # creates the resources that a process creates once and keeps
        await _work(trial, adapter, "first")
        await adapter.close()
        tasks, before, files = asyncio.all_tasks(), threads(), open_files()

        for turn in range(3):
            await adapter.open()
            await _work(trial, adapter, turn)
            await adapter.close()

        async def is_as_before() -> bool:
            return asyncio.all_tasks() <= tasks and threads() <= before and open_files() <= files

        await trial.eventually(is_as_before, "no more tasks, threads and open files than before")

    @clause("LIF-5", limit=SLOW)
    async def test_cancelled_opening_leaves_no_task_thread_or_file(self, trial: Trial) -> None:
        """An `open` that is cancelled at any step leaves no task, thread or open file.

        Afterwards an adapter can be opened as usual.

        If this fails, look for work that `open` has started when it is cancelled. In particular, a
        connection that is being made has no owner yet.
        """
        adapter = trial.connect()
        await (
            trial.adapter.close()
        )  # SQLite keeps descriptors of a file while it is open elsewhere in the process
        await adapter.open()  # creates the resources that a process creates once and keeps
        await _work(trial, adapter, "first")
        await adapter.close()

        for moment in MOMENTS:
            for step in range(1, MOST_STEPS):
                is_through, left = await _opened_and_left(trial, step, moment)
                # Other tests in this process may have connected meanwhile, but not during every
                # attempt
                if left:
                    is_through, left = await _opened_and_left(trial, step, moment)
                assert left == [], f"what `open` leaves that is cancelled at step {step}"
                adapter = trial.connect()
                await adapter.open()
                assert await adapter.ping() >= 0
                await adapter.close()
                if is_through:
                    break

    @clause("LIF-5", limit=SLOW)
    async def test_close_finishes_an_opening_cancelled_twice(self, trial: Trial) -> None:
        """A `close` leaves no task, thread or open file of an `open` that was cancelled twice.

        The second cancellation arrives while `open` cleans up after the first one, such as when a
        timeout expires and the task is cancelled too.

        If this fails, look for a resource that `open` forgets before it has awaited its end.
        """
        await trial.adapter.close()
        warm = trial.connect()  # creates the resources that a process creates once and keeps
        await warm.open()
        await _work(trial, warm, "first")
        await warm.close()

        for moment in MOMENTS:
            for step in range(1, MOST_STEPS):
                is_through, left = await _opened_twice_cancelled(trial, step, moment)
                if left:  # other tests in this process may have connected meanwhile
                    is_through, left = await _opened_twice_cancelled(trial, step, moment)
                assert left == [], f"what is left of an `open` that was cancelled at step {step}"
                if is_through:
                    break

    @clause("LIF-5", limit=SLOW)
    async def test_close_works_after_all_its_tasks_were_cancelled(self, trial: Trial) -> None:
        """If all tasks of a closing adapter are cancelled, the next `close` and `open` work.

        `asyncio.run` cancels all tasks when its main task has ended, and so do some frameworks.

        If this fails, look for a task that `close` started: the next `close` has to start it again
        if it was cancelled, and must not raise `CancelledError`.
        """
        adapter, others = trial.connect(), asyncio.all_tasks()
        for step in range(1, MOST_STEPS):
            await adapter.open()
            closing = asyncio.create_task(adapter.close())
            for _ in range(step):
                await asyncio.sleep(0)
            is_through = closing.done()
            for task in asyncio.all_tasks() - others:
                task.cancel()
            await asyncio.wait({closing})

            again = asyncio.create_task(adapter.close())
            await asyncio.wait({again})
            assert not again.cancelled(), f"`close` after a cancellation at step {step}"
            assert again.exception() is None
            assert await answer_or_code(adapter.open) is None
            assert await answer_or_code(adapter.ping) is not ErrorCode.STORE_CLOSED
            await adapter.close()
            if is_through:
                break


async def _opened_twice_cancelled(
    trial: Trial, step: int, moment: CancelMoment
) -> tuple[bool, list[str]]:
    """Cancel `open` at this step and the next one, and close the adapter.

    Returns whether `open` completed before, and the resources that are left.
    """
    before, adapter = Resources(), trial.connect()
    try:
        await cancelled_at(step, adapter.open(), moment=moment, twice=True)
    except Cancelled:
        is_through = False
    else:
        is_through = True
    await adapter.close()
    return is_through, await before.left_after(_TO_CLOSE)


async def _opened_and_left(trial: Trial, step: int, moment: CancelMoment) -> tuple[bool, list[str]]:
    """Cancel `open` at this step; return whether it completed before, and the resources it left.

    A completed adapter is closed again, and then the list is empty.
    """
    before, adapter = Resources(), trial.connect()
    try:
        await cancelled_at(step, adapter.open(), moment=moment)
    except Cancelled:
        is_through = False
    else:
        is_through = True
        await adapter.close()
    return is_through, [] if is_through else await before.left_after(_TO_CLOSE)


async def _work(trial: Trial, adapter: FullAdapter, turn: object) -> None:
    """Use every operation, and leave a subscription and a cancelled blocked read."""
    await wrong_answers(trial, adapter, adapter, turn)
    key = trial.key(f"work {turn}")
    if isinstance(adapter, PubSub):
        await adapter.subscribe(key, _ignore)
        await adapter.psubscribe(key, _ignore)
    if isinstance(adapter, Streams):
        await adapter.xgroup_create(key, "group")
        reading = asyncio.create_task(adapter.xreadgroup(key, "group", "consumer", block=3_000))
        await trial.settle()
        reading.cancel()
        await asyncio.wait({reading})


def _ignore(channel: str, payload: bytes) -> None:
    del channel, payload


def _when(holds: Callable[[], bool]) -> Any:
    async def ask() -> bool:
        return holds()

    return ask
