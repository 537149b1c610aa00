"""Event loops that end, and processes that fork, with an open adapter: clauses LIF-12 to LIF-16.

Rule: an event loop ends here as under `asyncio.run`, in a thread, with the adapter open, a
    subscription live and a read waiting.
Rule: a forked child exits the way `multiprocessing` children do: it joins threads and runs exit
    handlers. It sends its results through a pipe.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode, KeyValue, PubSub, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import Lacks
from igniter_store_conformance.tools.cancelling import MOST_STEPS
from igniter_store_conformance.tools.leaks import open_files
from igniter_store_conformance.tools.limits import SLOW
from igniter_store_conformance.tools.operations import (
    answer_or_code,
    names_for,
    operations_of,
    wrong_answers,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

    from igniter_store.contract import Subscription

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_ROUNDS: Final = 10
_LONG: Final = 120.0
_LONG_ENOUGH: Final = 10.0  # seconds for one reply, and for a child to exit


class AbandoningClauses(Suite):
    """Adapters left open by an ended event loop or by a parent process."""

    @clause("LIF-12")
    async def test_abandoned_adapter_opens_in_next_loop(self, trial: Trial) -> None:
        """`abandon` resets an adapter whose event loop is closed.

        The adapter is then in the state of one that was never opened, and `open` works in another
        loop.

        If this fails, look for a lock, a task or a connection of the former loop that `abandon`
        keeps.
        """
        adapter = trial.connect()
        for turn in range(3):
            await _used_in_a_loop_that_ends(trial, adapter, turn)
            adapter.abandon()
            assert adapter.is_open is False
            adapter.abandon()
        await adapter.open()

        assert await wrong_answers(trial, trial.adapter, adapter, "next loop") == []

    @clause("LIF-12", KeyValue)
    async def test_data_survive_abandoning(self, trial: Trial) -> None:
        """Data written in an ended loop is still there in the next one, with its TTL.

        If this fails, look for data that is kept in the connection, where `close` saves it and
        `abandon` doesn't.
        """
        adapter, key, mortal = trial.connect(), trial.key(), trial.key("mortal")

        async def write() -> None:
            await adapter.open()
            await adapter.set(key, b"stays")
            await adapter.set(mortal, b"goes", ttl=3_000)

        await _in_a_loop_that_ends(write)
        adapter.abandon()
        await adapter.open()

        assert await adapter.get(key) == b"stays"
        assert 0 < (await adapter.ttl(mortal) or 0) <= 3_000

    @clause("LIF-12", KeyValue)
    async def test_abandon_does_nothing_while_loop_lives(self, trial: Trial) -> None:
        """`abandon` does nothing while the adapter's event loop is open.

        The adapter stays open, and its operations work.

        If this fails, check `affinity.has_ended` first: another user of the adapter may have
        reopened it.
        """
        adapter, key = trial.adapter, trial.key()
        was_open = adapter.is_open
        await adapter.set(key, b"before")
        adapter.abandon()

        assert adapter.is_open is was_open
        assert await wrong_answers(trial, adapter, adapter, "still") == []
        assert await adapter.get(key) == b"before"

    @clause("LIF-13", limit=_LONG)
    async def test_abandoning_leaves_no_thread_or_file(self, trial: Trial) -> None:
        """Ten abandoned event loops leave no thread and no file per loop.

        After ten loops that ended with the adapter open, there are as many threads as before, and
        fewer than ten additional open files. The file count may differ because SQLite keeps a
        descriptor for the next connection while another connection has a lock.

        If this fails, look for a socket or a thread that only the closed loop could end.
        `affinity.release_transport` closes a socket.
        """
        adapter = trial.connect()
        await _used_in_a_loop_that_ends(trial, adapter, "first")
        adapter.abandon()
        await adapter.open()  # creates the resources that a process creates once and keeps
        await adapter.close()
        await asyncio.sleep(0)
        threads, files = set(threading.enumerate()), open_files()

        for turn in range(_ROUNDS):
            await _used_in_a_loop_that_ends(trial, adapter, turn)
            adapter.abandon()

        async def is_as_before() -> bool:
            return (
                not {thread for thread in threading.enumerate() if thread.is_alive()} - threads
                and open_files() < files + _ROUNDS
            )

        await trial.eventually(
            is_as_before, "no more threads than before, and no file for each loop"
        )

    @clause("LIF-14", limit=_LONG)
    async def test_operations_in_forked_child_do_not_reach_parent(self, trial: Trial) -> None:
        """Operations in a forked child don't disturb the parent.

        Each operation of the inherited adapter raises `STORE_CONFIGURATION_INVALID`, or works in
        the child. The parent's adapter keeps working.

        If this fails, look for a reply that the child reads from the parent's socket, or for a lock
        that no thread of the child releases.
        """
        adapter = trial.adapter
        asked = [
            (operation, names_for(trial, operation, "child")) for operation in operations_of(trial)
        ]
        for operation, names in asked:
            await operation.prepare(adapter, names)

        async def child() -> list[str]:
            wrong: list[str] = []
            for operation, names in asked:
                answer = await _within(answer_or_code(operation.ask, adapter, names))
                if answer is not ErrorCode.STORE_CONFIGURATION_INVALID and not operation.is_right(
                    answer
                ):
                    wrong.append(f"{operation.title}: {answer!r}")
            return wrong

        assert await _with_parent_at_work(trial, adapter, child) == []

    @clause("LIF-14", limit=_LONG)
    async def test_close_in_forked_child_does_not_reach_parent(self, trial: Trial) -> None:
        """`close` in a forked child only discards the adapter there.

        The child closes it twice. The parent's subscription, reads and data are as before.

        If this fails, look for an UNSUBSCRIBE, or for a closed transport: the parent shares the
        selector.
        """

        async def child() -> list[str]:
            adapter = trial.adapter
            answers = [await _within(answer_or_code(adapter.close)) for _ in range(2)]
            return [f"close: {answer!r}" for answer in answers if answer is not None]

        assert await _with_parent_at_work(trial, trial.adapter, child) == []

    @clause("LIF-15", limit=_LONG)
    async def test_forked_child_exits_by_itself(self, trial: Trial) -> None:
        """A forked child exits by itself.

        One child doesn't use the adapter, and another closes it. Both exit when their work is done.

        If this fails, look for a thread that the child waits for: only the forking thread exists
        there.
        """

        async def nothing() -> list[str]:
            return []

        async def closes() -> list[str]:
            await trial.adapter.close()
            return []

        for child in (nothing, closes):
            assert await _with_parent_at_work(trial, trial.adapter, child) == []

    @clause("LIF-15", limit=_LONG)
    async def test_forked_child_opens_after_closing(self, trial: Trial) -> None:
        """A forked child can close and reopen the inherited adapter, and open its own.

        This holds if parent and child share the data.

        If this fails, look for a connection, a pool or a cursor of the parent that `open` reuses in
        the child.
        """
        trial.require_shared("the child has a copy of the data")
        inherited, own = trial.adapter, trial.connect()

        async def child() -> list[str]:
            await inherited.close()
            wrong: list[str] = []
            for name, adapter in (("inherited", inherited), ("own", own)):
                answer = await _within(answer_or_code(adapter.open))
                answers = [
                    answer,
                    await _within(answer_or_code(adapter.ping)),
                    await _within(answer_or_code(adapter.close)),
                ]
                if (
                    answers[0] is not None
                    or not isinstance(answers[1], float)
                    or answers[2] is not None
                ):
                    wrong.append(f"{name}: {answers!r}")
            return wrong

        assert await _with_parent_at_work(trial, trial.adapter, child) == []

    @clause("LIF-16")
    async def test_open_works_when_loop_has_ended(self, trial: Trial) -> None:
        """Without `abandon`, `open` in the next loop opens the adapter anew.

        Subscriptions of the former loop are ended.

        If this fails, check `is_open`: it may still report the state of a closed loop.
        """
        adapter, heard = trial.connect(), list[bytes]()
        subscriptions = await _used_in_a_loop_that_ends(trial, adapter, "open", heard)
        await adapter.open()

        assert await wrong_answers(trial, trial.adapter, adapter, "opened") == []
        if isinstance(adapter, PubSub):
            fresh: list[bytes] = []
            await adapter.subscribe(
                trial.key("work open"), lambda _, payload: fresh.append(payload)
            )
            await adapter.publish(trial.key("work open"), b"news")

            async def is_heard() -> bool:
                return fresh == [b"news"]

            await trial.eventually(is_heard, "a message to a new subscription")
        assert heard == []
        for subscription in subscriptions:
            await subscription.cancel()

    @clause("LIF-16")
    async def test_close_works_when_loop_has_ended(self, trial: Trial) -> None:
        """Without `abandon`, `close` in the next loop returns, and the adapter is closed.

        Afterwards it can be opened.

        If this fails, look for a task or a future of the closed loop that `close` waits for.
        """
        adapter = trial.connect()
        await _used_in_a_loop_that_ends(trial, adapter, "close")
        await adapter.close()

        assert await answer_or_code(adapter.ping) is ErrorCode.STORE_CLOSED
        await adapter.open()
        assert await wrong_answers(trial, trial.adapter, adapter, "closed") == []

    @clause("LIF-16", PubSub)
    async def test_cancel_works_when_loop_has_ended(self, trial: Trial) -> None:
        """Without `abandon`, cancelling a subscription in the next loop returns, even twice.

        Afterwards the adapter can be opened.

        If this fails, look for a wait for a reply that can no longer arrive.
        """
        adapter = trial.connect()
        for subscription in await _used_in_a_loop_that_ends(trial, adapter, "cancel"):
            await subscription.cancel()
            await subscription.cancel()
        await adapter.open()

        assert await wrong_answers(trial, trial.adapter, adapter, "cancelled") == []

    @clause("LIF-16", limit=SLOW)
    async def test_adapter_works_when_loop_ended_during_open_or_close(self, trial: Trial) -> None:
        """If an event loop ends during an `open` or a `close`, the adapter works in the next one.

        The loop ends at each step of the call. `asyncio.run` cancels the call and everything that
        it started.

        If this fails, look for a future of the closed loop that the next `open` waits for, or for a
        lock that a task of the closed loop still holds.
        """
        for name in ("open", "close"):
            adapter = trial.connect()
            for step in range(MOST_STEPS):
                is_through = await _in_a_loop_that_ends(partial(_begun, adapter, name, step))
                moment = f"step {step} of `{name}`"
                assert await _within(answer_or_code(adapter.open)) is None, moment
                assert isinstance(await _within(answer_or_code(adapter.ping)), float), moment
                assert await _within(answer_or_code(adapter.close)) is None, moment
                if is_through:
                    break
            await adapter.open()
            assert await wrong_answers(trial, trial.adapter, adapter, name) == []
            await adapter.close()


async def _begun(adapter: FullAdapter, name: str, step: int) -> bool:
    """Begin to open or to close `adapter`, and return at this step whether that is finished."""
    if name == "close":
        await adapter.open()
    call = asyncio.create_task(adapter.open() if name == "open" else adapter.close())
    for _ in range(step):
        await asyncio.sleep(0)
    return call.done()


async def _in_a_loop_that_ends(work: Callable[[], Awaitable[Any]]) -> Any:
    async def run() -> None:
        answers.append(await work())

    def loop() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    answers: list[Any] = []
    failures: list[BaseException] = []
    # A daemon thread: an adapter that hangs in its loop must not keep the process from exiting
    thread = threading.Thread(
        target=loop, name="igniter-store-conformance loop that ends", daemon=True
    )
    thread.start()
    # A thread of the default executor would stay, and be counted
    while thread.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    if failures:
        raise failures[0]
    return answers[0]


async def _used_in_a_loop_that_ends(
    trial: Trial, adapter: FullAdapter, turn: object, heard: list[bytes] | None = None
) -> list[Subscription]:
    """Use every operation in a new event loop that ends with the adapter open.

    It leaves a subscription and a waiting read behind.
    """
    key, got = trial.key(f"work {turn}"), [] if heard is None else heard

    async def work() -> list[Subscription]:
        await adapter.open()
        assert await wrong_answers(trial, adapter, adapter, turn) == []
        if isinstance(adapter, Streams):
            await adapter.xgroup_create(trial.key(f"stream {turn}"), "group")
            left.append(
                asyncio.create_task(
                    adapter.xreadgroup(
                        trial.key(f"stream {turn}"), "group", "consumer", block=3_000
                    )
                )
            )
        made = (
            [await adapter.subscribe(key, lambda _, payload: got.append(payload))]
            if isinstance(adapter, PubSub)
            else []
        )
        await trial.settle()
        return made

    left: list[asyncio.Task[Any]] = []
    subscriptions: list[Subscription] = await _in_a_loop_that_ends(work)
    return subscriptions


async def _within(answer: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(_LONG_ENOUGH):
            return await answer
    except TimeoutError:
        return "no answer"


async def _with_parent_at_work(
    trial: Trial, adapter: FullAdapter, child: Callable[[], Awaitable[list[str]]]
) -> list[str]:
    """Run `child` in a forked process, and return its failures and those of the parent.

    The parent has a subscription, a blocked read and calls of its own meanwhile.
    """
    key, stream, heard = trial.key("parent"), trial.key("parent's stream"), list[bytes]()
    if isinstance(adapter, PubSub):
        await adapter.subscribe(key, lambda _, payload: heard.append(payload))
    reading: asyncio.Task[Any] | None = None
    if isinstance(adapter, Streams):
        await adapter.xgroup_create(stream, "group")
        reading = asyncio.create_task(adapter.xreadgroup(stream, "group", "consumer", block=3_000))
        await trial.settle()
    wrong = await _forked(child)

    wrong += [
        f"in the parent: {answer}"
        for answer in await wrong_answers(trial, adapter, adapter, f"parent {child.__name__}")
    ]
    if isinstance(adapter, PubSub):
        await adapter.publish(key, b"still here")

        async def is_heard() -> bool:
            return heard == [b"still here"]

        await trial.eventually(is_heard, "a message to the parent's subscription")
        heard.clear()
    if reading is not None:
        await adapter.xadd(stream, {"field": b"new"})
        entries = await trial.done(reading, "a read that waited in the parent")
        assert [entry.fields for entry in entries] == [{"field": b"new"}]
    return wrong


async def _forked(child: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """Return the result of `child` in a forked process, which has to exit by itself."""
    if "fork" not in multiprocessing.get_all_start_methods():
        raise Lacks("processes don't fork on this system")
    context: Any = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run_child, args=(there, child), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # this process has threads: that is the case under test
        process.start()
    there.close()
    try:
        if not await asyncio.to_thread(here.poll, 6 * _LONG_ENOUGH):
            return ["the child did not come to an end"]
        try:
            wrong: list[str] = here.recv()
        except EOFError:
            wrong = ["the child ended without an answer"]
        await asyncio.to_thread(process.join, _LONG_ENOUGH)
        return [*wrong, *(["the child did not exit"] if process.exitcode is None else [])]
    finally:
        here.close()
        process.kill()
        await asyncio.to_thread(process.join, _LONG_ENOUGH)


def _run_child(pipe: Connection, child: Callable[[], Awaitable[list[str]]]) -> None:
    async def run() -> list[str]:
        return await child()

    try:
        wrong = asyncio.run(run())
    except BaseException as error:  # noqa: BLE001 - sent to the parent, whose test then fails
        wrong = [f"{type(error).__name__}: {error}"]
    with suppress(OSError):
        pipe.send(wrong)
