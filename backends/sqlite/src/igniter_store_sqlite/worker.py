"""One tick, one transaction: the calls of a turn of the event loop travel to the connection's
thread together, and share one there.

Rule: each call keeps its own answer and its own error. A call that raises a `StoreError` has
    written nothing before, so the others go on.
When SQLite itself fails, all is rolled back, and each call travels again alone: then each has the
error that is its own.
Rule: one trip is under way at a time. What is asked for meanwhile waits, and travels with the next
    one.
Rule: where another process has the lock, the trip comes back at once and is tried again from the
    loop, until the time of its calls is over.
No thread ever sleeps, so others of its calls can go first, and `close` waits for nobody.
Rule: a call is late only when nothing has arrived for it, in an event loop that could look
    (`contract.timeouts`).
Rule: a call that was cancelled before its trip never happens; during the trip it happens wholly,
    and nobody hears of it.
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

from igniter_store.contract import BackendFailed, StoreError
from igniter_store.contract.timeouts import oversleep

from igniter_store_sqlite.errors import closed, elsewhere, failure, is_busy, late, locked
from igniter_store_sqlite.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store_sqlite.file_identity import Place
    from igniter_store_sqlite.fork_safety import ForkSafeConnection
    from igniter_store_sqlite.schema import Version

A = TypeVar("A")
T = TypeVar("T")

_PAUSES: Final = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
)  # seconds between tries for a lock; as long again at most, so that two don't keep step
_SOON: Final = 0.01  # seconds at least between two looks at the time
# Seconds that a trip which was just begun, or a try for a lock, is given to come back when its
# calls' time is over
_MOMENT: Final = 0.05
_TOGETHER: Final = (
    0.05  # seconds for which others may join a call that is shared, while a trip takes long
)
_MOST: Final = 500  # calls in one transaction, so that those of other processes have their turn


class _Call:
    """Work under way, and who waits for what comes of it."""

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
    """Calls that are one piece of work: a `_Call` with many who wait. Where it fails, each is made
    again by itself.
    """

    __slots__ = ("_again", "arguments", "due", "futures", "open_until", "work")

    def __init__(
        self, work: Callable[..., Any], due: float, again: Callable[[_Shared], None]
    ) -> None:
        self.work = work
        self.arguments: tuple[list[Any]] = ([],)
        self.futures: list[asyncio.Future[Any]] = []
        self.due = due
        self.open_until = due  # later ones would have too little of their time left
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


class _Busy(Exception):  # noqa: N818 - says what is the case
    """Raised by a trip when somebody else has the lock."""


class _Mixed(Exception):  # noqa: N818 - says what is the case
    """Raised by a trip that failed and had several calls: which of them it was shows when each
    travels alone.
    """


class Worker:
    """A connection, and those who wait for it.

    Args:
        connection: an open one; the database that made it closes it.
        timeout: seconds that a call may take.
        writes: whether the calls change something: then they have the database for themselves.
        on_commit: called on the loop after a transaction that may have changed something.
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
        self.version: Version | None = (
            None  # of its tables, once they are there; it is looked at in each transaction
        )
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Call | _Shared] = []
        self._shared: dict[Callable[..., Any], _Shared] = {}  # by their work, those who wait
        self._travelling: list[_Call | _Shared] = []
        self._is_busy = False  # a flush is due, or a trip under way
        self._tries = 0  # for the lock, since it was had last
        self._apart = 0  # how many of those who wait have to travel alone
        self._outcome: Any = None  # of a trip that has come back
        self._began = 0.0  # when the trip that is under way began
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def place(self) -> Place | None:
        """Of its file, once it is known; it is looked at before each trip."""
        return self._connection.place

    @place.setter
    def place(self, place: Place | None) -> None:
        self._connection.place = place

    def prepare_again_with(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Let these settings be made whenever the connection is opened again."""
        self._connection.prepare = prepare

    def let_forks_interrupt(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Whether a fork interrupts what `run` does, instead of waiting for it."""
        self._connection.is_interruptible = wanted

    def call(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Do `work(session, *arguments)` in the next transaction; the future has what it returns.

        `work` runs in the connection's thread, and perhaps again after a transaction that failed.
        It raises before it writes.
        """
        self.require_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._add(_Call(work, arguments, future, monotonic() + self._timeout))
        return future

    def share(
        self, work: Callable[[Session, list[A]], list[T | StoreError]], argument: A
    ) -> asyncio.Future[T]:
        """As `call`, for work that is done once for the arguments of all calls of a transaction,
        and gives each its answer or error.
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
            shared.succeed([closed() for _ in shared.futures])
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
        """Raise what a call would raise after `close`, or in another event loop."""
        if self._is_closed:
            raise closed()
        if asyncio.get_running_loop() is not self._loop:
            raise elsewhere()

    def run(self, function: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run `function` with the connection in its thread, outside of any transaction, behind what
        is under way.

        Where a fork has closed the connection and another process has the lock, opening it again is
        tried until `timeout` is over.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._hand_over((None, partial(self._run, future, function, monotonic() + self._timeout)))
        return future

    def _run(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        # In the connection's thread. It passes by aiosqlite's own way to set a future, which ends
        # the thread where the loop is closed.
        arrived: Callable[[], object]
        try:
            connection = self._connection.use()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            if isinstance(error, sqlite3.Error) and is_busy(error) and monotonic() < until:
                arrived = partial(self._run_later, future, function, until)
            else:
                arrived = partial(_fail, future, error)
        else:
            try:
                arrived = partial(_succeed, future, function(connection))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
                arrived = partial(_fail, future, error)
        self._loop.call_soon_threadsafe(arrived)

    def _run_later(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        self._loop.call_later(_PAUSES[-1], self._run_again, future, function, until)

    def _run_again(
        self, future: asyncio.Future[T], function: Callable[[sqlite3.Connection], T], until: float
    ) -> None:
        if self._is_closed:
            _fail(future, closed())
        elif not future.done():
            self._hand_over((None, partial(self._run, future, function, until)))

    def interrupt(self) -> None:
        """Let what the connection's thread is doing in SQLite end with `SQLITE_INTERRUPT`."""
        self._connection.interrupt()

    async def close(self) -> None:
        """Let what travels arrive; what waits gets `STORE_CLOSED`."""
        self._is_closed = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.fail(closed())
        await self._idle.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abandon(self, last: Callable[[sqlite3.Connection], None]) -> None:
        """Do `last` in the connection's thread, and close the connection and the thread; the event
        loop of the callers is closed.
        """
        self._is_closed = True

        def end() -> None:
            try:
                last(self._connection.use())
            finally:
                self._connection.stop()

        self._hand_over((None, end))

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
        self._travelling = calls
        self._began = monotonic()
        self._idle.clear()
        self._hand_over((None, partial(self._travel, calls)))

    def _travel(self, calls: Sequence[_Call | _Shared]) -> None:
        # In the connection's thread. Told directly, and not through a future, whose callbacks would
        # come a turn of the loop later.
        try:
            outcome: Any = _trip(self._connection, self.version, self._begin, calls)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            outcome = error
        self._outcome = outcome
        del (
            outcome
        )  # or an error and this frame, which it was raised through, would keep each other
        self._loop.call_soon_threadsafe(self._arrived)

    def _arrived(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return  # the timer has seen it first
        calls, self._travelling = self._travelling, []
        self._idle.set()
        if isinstance(outcome, _Busy) and not self._is_closed:
            self._waiting[:0] = calls
            pause = _PAUSES[min(self._tries, len(_PAUSES) - 1)]
            self._tries += 1
            # so that two don't keep step
            self._loop.call_later(pause * (1 + random.random()), self._flush)  # noqa: S311
            return
        self._tries = 0
        if isinstance(outcome, _Mixed) and not self._is_closed:
            self._waiting[:0] = calls
            self._apart += len(calls)
        elif isinstance(outcome, BaseException):
            for at, call in enumerate(calls):
                error = closed() if isinstance(outcome, _Busy | _Mixed) else failure(outcome)
                call.fail(
                    error if at == 0 else copy.copy(error)
                )  # each its own, to which the store adds what it knows
        else:
            for call, answer in zip(calls, outcome, strict=True):
                if isinstance(answer, _Failed):
                    call.fail(answer.error)
                else:
                    call.succeed(answer)
            if self._on_commit is not None:
                self._on_commit()
        # Aiosqlite's thread keeps the list until the next trip, and with it what they were given
        # and got
        calls.clear()
        # Behind those who have just been answered: what they ask for next travels together.
        self._loop.call_soon(self._flush)

    def _look_at_the_time(self) -> None:
        """End the calls whose time is over, and look again when that of the next one is: one timer
        for all.

        Those that try for a lock just now have a moment more: most likely it isn't had, and then it
        is certain that nothing was applied.
        """
        timer, self._timer = self._timer, None
        self._arrived()  # uvloop calls timers before it calls what a thread has handed to it
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


def _succeed(future: asyncio.Future[T], answer: T) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


# What follows runs in the connection's thread.


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
    is_lent = (
        connection.in_transaction
    )  # to a user, whose database in memory it is: that transaction isn't ours to end
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
    """What a trip raises for an error."""
    if is_busy(error):
        return _Busy()
    return _Mixed() if len(calls) > 1 else error


def _outcomes(session: Session, calls: Sequence[_Call | _Shared]) -> list[Any]:
    outcomes: list[Any] = []
    for call in calls:
        try:
            outcomes.append(call.work(session, *call.arguments))
        except StoreError as error:
            # Without its traceback: that leads here, to the list that the error is put into.
            outcomes.append(_Failed(error.with_traceback(None)))
    return outcomes
