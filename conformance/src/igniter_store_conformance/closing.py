"""Closing: clauses LIF-2 and LIF-5. Every operation is put on a closed and on a closing adapter."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import ErrorCode, KeyValue, PubSub, StoreError, Streams, escape

from igniter_store_conformance.cancellation import MOMENTS, MOST_STEPS, SLOW, Cancelled, Moment, cancelled_at
from igniter_store_conformance.lifecycle import wrong_answers
from igniter_store_conformance.operations import answer_or_code, names_for, operations_of
from igniter_store_conformance.running import clause
from igniter_store_conformance.states import NotExercised
from igniter_store_conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.trial import FullAdapter, Trial

_FILES: Final = Path("/proc/self/fd")
_TO_CLOSE: Final = 15.0  # seconds in which what was begun comes to its end


class ClosingClauses(Suite):
    """What close ends, and what comes after it."""

    @clause("LIF-2")
    async def test_every_operation_after_close_says_that_it_is_closed(self, trial: Trial) -> None:
        """Each raises `STORE_CLOSED`, a second time too, and nothing was done.

        If this fails, look for an operation that connects by itself, or that lets the driver's own error through.
        """
        adapter, other = trial.adapter, await trial.other()
        if other is adapter:
            raise NotExercised("a second client of the same data, that stays open and sees that nothing was done")
        operations = operations_of(trial)
        for operation in operations:
            await operation.prepare(other, names_for(trial, operation))
        await adapter.close()

        for _ in range(2):
            answers = {
                operation.title: await answer_or_code(operation.ask, adapter, names_for(trial, operation)) for operation in operations
            }
            assert {title: answer for title, answer in answers.items() if answer is not ErrorCode.STORE_CLOSED} == {}
        assert await wrong_answers(trial, None, other, "") == []

    @clause("LIF-2", KeyValue)
    async def test_with_nothing_to_do_a_closed_adapter_says_that_it_is_closed(self, trial: Trial) -> None:
        """Batches and deletions of nothing raise `STORE_CLOSED`, too.

        If this fails, look for an early return that comes before the look at whether the adapter is open.
        """
        adapter = trial.adapter
        await adapter.close()

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "mget": lambda: adapter.mget([]),
            "mset": lambda: adapter.mset([]),
            "delete": lambda: adapter.delete([]),
        }
        answers = {name: await answer_or_code(call) for name, call in calls.items()}
        assert {name: answer for name, answer in answers.items() if answer is not ErrorCode.STORE_CLOSED} == {}

    @clause("LIF-5")
    async def test_operations_that_meet_a_close_end(self, trial: Trial) -> None:
        """Whatever is under way when `close` is called ends with its own answer or with `STORE_CLOSED`.

        If this fails, look for callers that wait for an answer which nobody will bring any more, or for a driver's own error.
        """
        adapter, other = trial.adapter, await trial.other()
        for turns in range(4):
            operations = operations_of(trial)
            for operation in operations:
                await operation.prepare(adapter if other is adapter else other, names_for(trial, operation, turns))
            asked = [
                asyncio.create_task(answer_or_code(operation.ask, adapter, names_for(trial, operation, turns))) for operation in operations
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            await adapter.close()
            await adapter.close()
            answers = [
                await trial.done(task, f"{operation.title} while closing") for operation, task in zip(operations, asked, strict=True)
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
        """Readers that wait for entries get `STORE_CLOSED`, all of them.

        If this fails, look for a blocked read that `close` doesn't know of: it has to be ended, not waited for.
        """
        adapter, key = trial.adapter, trial.key()
        await adapter.xgroup_create(key, "group")
        readings = [asyncio.create_task(adapter.xreadgroup(key, "group", f"consumer-{number}", block=3_000)) for number in range(3)]
        await trial.settle()

        await adapter.close()

        for reading in readings:
            with pytest.raises(StoreError) as caught:
                await trial.done(reading, "a blocked read after close")
            assert caught.value.code == ErrorCode.STORE_CLOSED

    @clause("LIF-5", PubSub)
    async def test_no_callback_runs_once_close_has_returned(self, trial: Trial) -> None:
        """What is published after `close` reaches nobody of the closed adapter; cancelling its subscriptions is still no error.

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
        await trial.eventually(_when(lambda: live == [b"late"]), "a message to those who are still open")

        assert heard == []
        for subscription in subscriptions:
            await subscription.cancel()

    @clause("LIF-5", PubSub)
    async def test_subscriptions_that_close_ended_do_not_come_back(self, trial: Trial) -> None:
        """When the adapter is opened again, its former subscriptions are over; new ones on the same names hear as usual.

        If this fails, look for a table of subscriptions that outlives `close`, and is subscribed to again when a connection is made.
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

        await trial.eventually(_when(lambda: len(heard) == 2), "the message, by both new subscriptions")
        assert ghosts == []

    @clause("LIF-5")
    async def test_close_leaves_no_task_thread_or_file(self, trial: Trial) -> None:
        """After opening, working and closing, several times, there are as many tasks, threads and open files as before.

        If this fails, look for a reader, a pool or a socket that nobody closes. Whatever the adapter starts it has to end.
        """
        adapter = trial.connect()
        await adapter.open()  # what is made once in a process, and stays, is made now
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
        """A cancelled `open` leaves no task, thread or file, whatever its step, and the next `open` works.

        If this fails, look for a connection that `open` was making when it was cancelled: no object owns it yet.
        """
        adapter = trial.connect()
        await trial.adapter.close()  # SQLite keeps a file's descriptors until the last connection of the process is closed
        await adapter.open()  # what is made once in a process, and stays, is made now
        await _work(trial, adapter, "first")
        await adapter.close()

        for moment in MOMENTS:
            for step in range(1, MOST_STEPS):
                is_through, left = await _opened_and_left(trial, step, moment)
                if left:  # other tests of this process may have connected meanwhile, which they don't at each attempt
                    is_through, left = await _opened_and_left(trial, step, moment)
                assert left == [], f"what `open` leaves that is cancelled at step {step}"
                adapter = trial.connect()
                await adapter.open()
                assert await adapter.ping() >= 0
                await adapter.close()
                if is_through:
                    break


async def _opened_and_left(trial: Trial, step: int, moment: Moment) -> tuple[bool, list[str]]:
    """Whether `open` was through, and closed again, before it could be cancelled at this step; if it was cancelled, what it has left."""
    before, adapter = _Resources(), trial.connect()
    try:
        await cancelled_at(step, adapter.open(), moment=moment)
    except Cancelled:
        is_through = False
    else:
        is_through = True
        await adapter.close()
    return is_through, [] if is_through else await before.left_after(_TO_CLOSE)


class _Resources:
    """The tasks of the running loop, and the threads and open files of this process."""

    def __init__(self) -> None:
        self._tasks = asyncio.all_tasks()
        self._threads = threads()
        self._files = open_files()

    def more(self) -> list[str]:
        """What there is now beyond that."""
        more = [repr(thing) for thing in (*(asyncio.all_tasks() - self._tasks), *(threads() - self._threads))]
        files = open_files() - self._files
        return [*more, f"{files} open files"] if files > 0 else more

    async def left_after(self, limit: float) -> list[str]:
        """Wait up to `limit` seconds for the surplus to end, and return what remains of it."""
        until = asyncio.get_running_loop().time() + limit
        while self.more() and asyncio.get_running_loop().time() < until:
            gc.collect()  # the descriptor of a closed file may stay as long as a traceback does
            await asyncio.sleep(0.01)
        return self.more()


async def _work(trial: Trial, adapter: FullAdapter, turn: object) -> None:
    """Something of everything, a blocked read and a subscription left open included."""
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


def threads() -> set[threading.Thread]:
    """All of this process, but for those of `asyncio.to_thread`, which end with the event loop."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}


def open_files() -> int:
    """How many descriptors this process has, where the system shows them."""
    return len(list(_FILES.iterdir())) if _FILES.is_dir() else 0


def _when(holds: Callable[[], bool]) -> Any:
    async def ask() -> bool:
        return holds()

    return ask
