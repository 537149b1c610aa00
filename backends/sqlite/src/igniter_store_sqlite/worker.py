"""Runs the calls of one event-loop iteration in one transaction, in the connection's thread.

A trip is one handover of calls to that thread and the return of their results.

Rule: each call gets its own result and its own error. A call that raises a `StoreError` has written
    nothing before, so the other calls continue. If SQLite itself fails, the transaction is rolled
    back, and each call is repeated in a transaction of its own. Then each call gets its own error.
Rule: only one trip is in progress at a time. Calls made meanwhile wait for the next trip.
Rule: if another process holds the lock, the trip returns at once, and the loop retries it until the
    timeout of its calls. No thread ever sleeps, so other calls of the process can go first, and
    `close` never waits for a lock.
Rule: a call times out only if no result has arrived for it, in an event loop that was able to check
    (`igniter_store.adapter_tools.timeouts`).
Rule: a call cancelled before its trip is never run. A call cancelled during its trip is completed,
    and its result is discarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import sqlite3
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.adapter_tools.timeouts import oversleep
from igniter_store.contract import BackendFailed, StoreError

from igniter_store_sqlite.errors import (
    ERRORS,
    connection_ended,
    failure,
    is_busy,
    late,
    locked,
)
from igniter_store_sqlite.fork_safety import report
from igniter_store_sqlite.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store_sqlite.file_identity import FileIdentity
    from igniter_store_sqlite.fork_safety import ForkSafeConnection
    from igniter_store_sqlite.schema import Version

A = TypeVar("A")
T = TypeVar("T")

# Seconds between tries for a lock. A random part of up to the same length is added, so that two
# processes don't retry in step.
_PAUSES: Final = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
)
_SOON: Final = 0.01  # minimum seconds between two checks for timeouts
# Seconds that a trip just begun, or a try for a lock, gets to return after its calls' timeout
_MOMENT: Final = 0.05
# Seconds for which other calls may join a shared call while a trip takes long
_TOGETHER: Final = 0.05
# Seconds between two checks whether the thread is alive, while `close` waits for it
_LOOK: Final = 0.05
_MOST: Final = 500  # calls in one transaction, so that other processes get their turn


class _Call:
    """A call in progress, and the future of its caller."""

    __slots__ = ("arguments", "due", "future", "work")

    def __init__(
        self,
        work: Callable[..., Any],
        arguments: tuple[Any, ...],
        future: asyncio.Future[Any],
        due: float,
    ) -> None:
        self.work = work
        self.arguments = arguments
        self.future = future
        self.due = due

    def is_over(self) -> bool:
        return self.future.done()

    def succeed(self, answer: Any) -> None:
        if not self.future.done():
            self.future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _Shared:
    """Several calls that are one piece of work: a `_Call` with many futures.

    If it fails, each call is repeated separately.
    """

    __slots__ = ("_again", "arguments", "due", "futures", "open_until", "work")

    def __init__(
        self, work: Callable[..., Any], due: float, again: Callable[[_Shared], None]
    ) -> None:
        self.work = work
        self.arguments: tuple[list[Any]] = ([],)
        self.futures: list[asyncio.Future[Any]] = []
        self.due = due
        self.open_until = due  # a call that joined later would have too little time left
        self._again = again

    def is_over(self) -> bool:
        return all(future.done() for future in self.futures)

    def succeed(self, answers: list[Any]) -> None:
        for future, answer in zip(self.futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, StoreError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if isinstance(error, BackendFailed) and len(self.futures) > 1:
            self._again(self)
        else:
            self.succeed([copy.copy(error) for _ in self.futures])


class _Failed:
    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Busy(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a trip if another connection holds the lock."""


class _Mixed(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a trip of several calls that failed.

    The failing call is found by repeating each call in a trip of its own.
    """


class Worker:
    """A connection, and the calls that wait for it.

    Args:
        connection: an open connection; the database that created it closes it.
        timeout: seconds that a call may take.
        writes: whether the calls write; each transaction then has the database for itself.
        on_commit: called on the loop after a transaction that may have written.
    """

    def __init__(
        self,
        connection: ForkSafeConnection,
        timeout: float,
        *,
        writes: bool,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._hand_over = connection.hand_over
        self._timeout = timeout
        self._writes = writes
        # Of its tables, once they exist; checked in each transaction
        self.version: Version | None = None
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Call | _Shared] = []
        self._shared: dict[Callable[..., Any], _Shared] = {}  # waiting calls by their work
        self._travelling: list[_Call | _Shared] = []
        self._is_busy = False  # a flush is due, or a trip in progress
        self._tries = 0  # for the lock, since it was last acquired
        self._apart = 0  # number of waiting calls that need a trip of their own
        self._outcome: Any = None  # of a trip that has returned
        self._began = 0.0  # start of the trip in progress
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def place(self) -> FileIdentity | None:
        """The identity of its file, once known; checked before each trip."""
        return self._connection.place

    @place.setter
    def place(self, place: FileIdentity | None) -> None:
        self._connection.place = place

    def prepare_again_with(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Apply these settings whenever the connection is reopened."""
        self._connection.prepare = prepare

    def let_forks_interrupt(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Set whether a fork interrupts `run`, instead of waiting for it."""
        self._connection.is_interruptible = wanted

    def call(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Do `work(session, *arguments)` in the next transaction; the future gets its result.

        `work` runs in the connection's thread, and may be repeated after a failed transaction. It
        must raise before it writes.
        """
        self.require_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._add(_Call(work, arguments, future, monotonic() + self._timeout))
        return future

    def share(
        self, work: Callable[[Session, list[A]], list[T | StoreError]], argument: A
    ) -> asyncio.Future[T]:
        """Do as `call`, but do the work once for the arguments of all calls of a transaction.

        The work returns a result or an error for each call.
        """
        self.require_open()
        shared, now = self._shared.get(work), monotonic()
        if shared is None or now > shared.open_until:
            shared = self._shared[work] = self._added_shared(work, now)
        future: asyncio.Future[T] = self._loop.create_future()
        shared.arguments[0].append(argument)
        shared.futures.append(future)
        return future

    def _added_shared(self, work: Callable[..., Any], now: float) -> _Shared:
        shared = _Shared(work, now + self._timeout, self._share_again)
        shared.open_until = now + _TOGETHER
        self._add(shared)
        return shared

    def _share_again(self, shared: _Shared) -> None:
        if self._is_closed:
            shared.succeed([ERRORS.closed() for _ in shared.futures])
            return
        for argument, future in zip(shared.arguments[0], shared.futures, strict=True):
            alone = _Shared(shared.work, shared.due, self._share_again)
            alone.arguments[0].append(argument)
            alone.futures.append(future)
            self._add(alone)

    def _add(self, call: _Call | _Shared) -> None:
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._look_at_the_time)
        self._waiting.append(call)

    def require_open(self) -> None:
        """Raise the error that a call raises after `close`, or in another event loop."""
        if self._is_closed:
            raise ERRORS.closed()
        if asyncio.get_running_loop() is not self._loop:
            raise ERRORS.elsewhere()

    def run(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run `function` with the connection, in its thread and outside of any transaction.

        It runs after the trip in progress. If a fork has closed the connection and another process
        holds the lock, reopening is retried until `timeout`.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._connection.is_usable:
            until = monotonic() + self._timeout
            self._hand_over((None, partial(self._run, future, function, until)))
        else:
            future.set_exception(connection_ended())
        return future

    def _run(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        # This runs in the connection's thread.
        try:
            connection = self._connection.use()
        except BaseException as error:  # noqa: BLE001 - any exception is the result
            if is_busy(error) and monotonic() < until:
                self._loop.call_soon_threadsafe(self._run_later, future, function, until)
            else:
                report(future, partial(_raise, error))
        else:
            report(future, partial(function, connection))

    def _run_later(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        self._loop.call_later(_PAUSES[-1], self._run_again, future, function, until)

    def _run_again(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        if future.done():
            return
        if self._is_closed:
            future.set_exception(ERRORS.closed())
        else:
            self._hand_over((None, partial(self._run, future, function, until)))

    def interrupt(self) -> None:
        """Make the statement that the thread runs in SQLite end with `SQLITE_INTERRUPT`."""
        self._connection.interrupt()

    async def close(self) -> None:
        """Let the trip in progress finish; waiting calls raise `STORE_CLOSED`."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(ERRORS.closed())
        while not self._idle.is_set() and self._connection.thread.is_alive():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._idle.wait()
        self._arrived()  # a result that came just before the thread ended
        travelling, self._travelling = self._travelling, []
        for call in travelling:  # there is none
            call.fail(ERRORS.closed())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abandon(self, last: Callable[[sqlite3.Connection], None]) -> None:
        """Do `last` in the connection's thread; the event loop of the callers is closed."""
        self._is_closed = True
        self._hand_over((None, lambda: last(self._connection.use())))

    def _flush(self) -> None:
        self._shared.clear()
        count = 1 if self._apart else _MOST
        self._apart = max(0, self._apart - 1)
        calls = [call for call in self._waiting[:count] if not call.is_over()]
        del self._waiting[:count]
        if not calls:
            if self._waiting:
                self._loop.call_soon(self._flush)
            else:
                self._is_busy = False
            return
        if not self._connection.is_usable:
            for call in calls:
                call.fail(connection_ended())
            self._loop.call_soon(self._flush)
            return
        self._travelling = calls
        self._began = monotonic()
        self._idle.clear()
        self._hand_over((None, partial(self._travel, calls)))

    def _travel(self, calls: Sequence[_Call | _Shared]) -> None:
        # This runs in the connection's thread. It reports directly, and not through a future, whose
        # callbacks would run one loop iteration later.
        try:
            outcome: Any = _trip(self._connection, self.version, self._begin, calls)
        except BaseException as error:  # noqa: BLE001 - any exception is the result
            outcome = error
        self._outcome = outcome
        # Otherwise an error and this frame, which is in its traceback, would keep each other alive.
        del outcome
        self._loop.call_soon_threadsafe(self._arrived)

    def _arrived(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return  # the timer has handled it already
        calls, self._travelling = self._travelling, []
        self._idle.set()
        if isinstance(outcome, _Busy) and not self._is_closed:
            self._waiting[:0] = calls
            pause = _PAUSES[min(self._tries, len(_PAUSES) - 1)]
            self._tries += 1
            # The random part keeps two processes from retrying in step.
            self._loop.call_later(pause * (1 + random.random()), self._flush)  # noqa: S311
            return
        self._tries = 0
        if isinstance(outcome, _Mixed) and not self._is_closed:
            self._waiting[:0] = calls
            self._apart += len(calls)
        elif isinstance(outcome, BaseException):
            for at, call in enumerate(calls):
                error = ERRORS.closed() if isinstance(outcome, _Busy | _Mixed) else failure(outcome)
                # Each call gets its own copy, because the store adds details to it.
                call.fail(error if at == 0 else copy.copy(error))
        else:
            for call, answer in zip(calls, outcome, strict=True):
                if isinstance(answer, _Failed):
                    call.fail(answer.error)
                else:
                    call.succeed(answer)
            if self._on_commit is not None:
                self._on_commit()
        # aiosqlite's thread keeps a reference to the list until the next trip, and with it the
        # arguments and results.
        calls.clear()
        # This runs after the callers just answered, so their next calls share one trip.
        self._loop.call_soon(self._flush)

    def _look_at_the_time(self) -> None:
        """Fail the calls whose timeout is over, and schedule the next check: one timer for all.

        A trip that is trying for a lock gets a moment more. Most likely it won't get the lock, and
        then it is certain that nothing was applied.
        """
        timer, self._timer = self._timer, None
        self._arrived()  # uvloop runs timers before callbacks from other threads
        if timer is not None and (rest := oversleep(self._loop, timer)):
            self._timer = self._loop.call_later(rest, self._look_at_the_time)
            return
        now = monotonic()
        moment = _MOMENT if self._tries else 0.0
        if now >= self._began + _MOMENT:
            for call in self._travelling:
                if call.due + moment <= now:
                    call.fail(late(self._timeout, maybe_applied=self._writes))
        for call in self._waiting:
            if call.due <= now:
                call.fail(
                    locked(self._timeout)
                    if self._tries
                    else late(self._timeout, maybe_applied=False)
                )
        dues = [call.due for call in (*self._travelling, *self._waiting) if not call.is_over()]
        if dues:
            self._timer = self._loop.call_later(
                max(min(dues) - now, moment, _SOON), self._look_at_the_time
            )


# The functions below run in the connection's thread.


def _raise(error: BaseException) -> Any:
    raise error


def _trip(
    safe: ForkSafeConnection, version: Version | None, begin: str, calls: Sequence[_Call | _Shared]
) -> list[Any]:
    place = safe.place
    if place is not None:
        place.check()
    try:
        connection = safe.use()
    except sqlite3.Error as error:
        raise _sorted(error, calls) from error
    # A user shares a database in memory: that transaction isn't ours to end.
    is_lent = connection.in_transaction
    if is_lent:
        raise _Busy
    try:
        connection.execute(begin)
        if version is not None:
            version.check(connection, safe.times_opened)
        outcomes = _outcomes(Session(connection), calls)
        connection.execute("COMMIT")
        if place is not None and place.is_frozen:
            place.check()
    except BaseException as error:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise _sorted(error, calls) from error
    return outcomes


def _sorted(error: BaseException, calls: Sequence[_Call | _Shared]) -> BaseException:
    """The exception that a trip raises for an error."""
    if is_busy(error):
        return _Busy()
    return _Mixed() if len(calls) > 1 else error


def _outcomes(session: Session, calls: Sequence[_Call | _Shared]) -> list[Any]:
    outcomes: list[Any] = []
    for call in calls:
        try:
            outcomes.append(call.work(session, *call.arguments))
        except StoreError as error:
            # Without its traceback, which refers to this frame, and so to the list with the error.
            outcomes.append(_Failed(error.with_traceback(None)))
    return outcomes
