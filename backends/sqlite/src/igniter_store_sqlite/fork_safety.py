"""SQLite connections that survive `os.fork`.

They are closed before a fork, and the parent opens them again at their next use.

SQLite keeps its file locks in a table of the process. A forked child inherits that table without
the locks. Its own connections to the same file would then take no locks at all, and another process
could remove the WAL that the child is writing (sqlite.org/howtocorrupt, 2.6). Only a process
without a connection to the file can fork without passing on such a table.

Rule: before a fork, each connection is closed in its own thread, which then waits until the fork is
    over. So no transaction is in progress, no thread is inside SQLite (where it would leave a
    locked mutex to the child), and the child inherits no file descriptor of the database.
Rule: a database in memory has no file to close: its thread only waits.
Rule: the child never uses an inherited connection. It only keeps a reference, so that no finalizer
    runs.
Rule: no function that is handed to a thread needs an event loop, so a closed loop can't end the
    thread, nor keep it from ending.
Rule: a child is refused a file if its process inherited another connection to it: one of the
    user's own, or any connection if the fork ran no hooks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet, finalize

import aiosqlite
from aiosqlite.core import (
    _STOP_RUNNING_SENTINEL,  # pyright: ignore[reportPrivateUsage]  # no public name ends the thread
)
from igniter_store.contract.affinity import keep
from sqlalchemy import event

from igniter_store_sqlite.errors import inherited_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from igniter_store_sqlite.file_identity import FileIdentity

T = TypeVar("T")

# Seconds between two checks whether a thread that has to close its connection is still alive
_LOOK: Final = 0.02
# Seconds by which the pauses grow between two checks whether a thread has ended
_SHORT_LOOK: Final = 0.000_5
_DESCRIPTORS: Final = "/proc/self/fd"
_BESIDE: Final = ("-wal", "-shm")  # files that SQLite opens beside a database in use


class ForkSafeConnection:
    """A connection in aiosqlite's thread, closed before a fork.

    Attributes:
        hand_over: queues a function for the thread.
        prepare: applies the settings of the connection; called in the thread each time the
            connection is reopened.
        is_interruptible: whether a fork interrupts the running statement instead of waiting for it.
        place: identity of its file, once known; another file under the same name is never opened.
        times_opened: how often the connection was reopened.
    """

    def __init__(self, driver: aiosqlite.Connection, *, in_memory: bool) -> None:
        # aiosqlite has no public way to run a function in its thread, so this does the same as
        # SQLAlchemy's dialect. One function for a whole transaction costs one thread switch;
        # aiosqlite's own methods cost one for each statement.
        private: Any = driver
        self._driver = private
        self._in_memory = in_memory
        # see `__init__`
        self._connect: Callable[[], sqlite3.Connection] = private._connector  # noqa: SLF001
        # see `__init__`
        self._connection: sqlite3.Connection | None = private._connection  # noqa: SLF001
        # see `__init__`
        self.hand_over: Callable[[tuple[Any, Callable[[], Any]]], None] = private._tx.put_nowait  # noqa: SLF001
        self._finalizer: finalize[..., ForkSafeConnection] | None = None
        self._is_stopping = False
        self.prepare: Callable[[sqlite3.Connection], None] | None = None
        self.is_interruptible = False
        self.place: FileIdentity | None = None
        self.times_opened: int = 0
        private._connector = self._open_first  # noqa: SLF001 - see `__init__`
        private._connect = self._connect_first  # noqa: SLF001 - see `__init__`
        private._execute = self._execute  # noqa: SLF001 - see `__init__`
        private.stop = self.stop
        private.close = self.close

    @property
    def is_usable(self) -> bool:
        """Whether its thread still runs the functions that are handed over."""
        return not self._is_stopping and self.thread.is_alive()

    @property
    def has_ended(self) -> bool:
        """Whether it is closed and its thread has ended."""
        return self._is_stopping and not self.thread.is_alive()

    def use(self) -> sqlite3.Connection:
        """Return the open connection; called in the thread.

        Raises:
            StoreError: the file was removed or replaced.
            sqlite3.Error: the connection can't be reopened.
        """
        if self._connection is None:
            self._connection = self._owned(self._opened_again())
        return self._connection

    def stop(self) -> None:
        """Close the connection and end the thread, after the functions queued before.

        aiosqlite and SQLAlchemy call this, too. Their own `stop` would close only a connection that
        has arrived in the event loop, but not one that was opened for a task cancelled meanwhile.
        """
        if not self._is_stopping:
            self._is_stopping = True
            if self._finalizer is not None:
                self._finalizer.detach()
            self.hand_over((None, self._end))

    async def close(self) -> None:
        """Close the connection, and wait until the thread has ended.

        SQLAlchemy calls this, and `stop` too if its caller is cancelled. aiosqlite's own `close`
        would then wait for ever for the thread that has ended.
        """
        self.stop()
        # A thread can't tell an event loop that it has ended.
        pause = 0.0
        while self.thread.is_alive():
            await asyncio.sleep(pause)
            pause = min(pause + _SHORT_LOOK, _LOOK)

    def end_with_owner(self) -> None:
        """Let the garbage collector end the thread, without a warning.

        The event loop of the owner is closed, and the owner may never be used again.
        """
        self._driver._connection = None  # noqa: SLF001 - so that its finalizer does nothing
        # Until its next function, the thread refers to the last one, and so to the owner.
        self.hand_over((None, _nothing))

    def _end(self) -> object:
        connection, self._connection = self._connection, None
        self._driver._connection = None  # noqa: SLF001 - so that its finalizer does nothing
        return _ended(connection)

    async def _connect_first(self) -> aiosqlite.Connection:
        try:
            # see `__init__`
            self._driver._connection = await self._run(self._open_first)  # noqa: SLF001
        except BaseException:  # also a loop that is closed meanwhile
            self.stop()
            raise
        return self._driver  # type: ignore[no-any-return] # the untyped view of the driver

    async def _execute(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        if self._driver._connection is None or self._is_stopping:  # noqa: SLF001 - see `__init__`
            raise ValueError("Connection closed")  # as aiosqlite, for SQLAlchemy
        return await self._run(partial(function, *arguments, **options))

    def _run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.hand_over((None, partial(report, future, function)))
        return future

    def _open_first(self) -> sqlite3.Connection:
        with FORKS.gate:
            self._connection = self._owned(self._connect())
            FORKS.connections.add(self)
            return self._connection

    def _owned(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        # The finalizer keeps the connection from being collected together with its owner, which
        # would be too late to close it.
        if self._finalizer is not None:
            self._finalizer.detach()
        self._finalizer = finalize(self, self.hand_over, (None, partial(_ended, connection)))
        self._finalizer.atexit = False
        return connection

    def _opened_again(self) -> sqlite3.Connection:
        # This doesn't take the gate: a fork waits for this thread, which closes the connection
        # before it waits for the fork.
        if self.place is not None:
            self.place.check()
        connection = self._connect()
        try:
            if self.place is not None:
                self.place.check()
            if self.prepare is not None:
                self.prepare(connection)
            if self.place is not None:
                self.place.note_log(connection)
        except BaseException:
            connection.close()
            raise
        self.times_opened += 1
        return connection

    def hold(self, until: threading.Event) -> threading.Event:
        """Let the thread close the connection and wait for `until`.

        The returned event is set once the connection is closed.
        """
        held = threading.Event()
        self.hand_over((None, partial(self._held, held, until)))
        return held

    def _held(self, held: threading.Event, until: threading.Event) -> None:
        try:
            if self._has_file() and self._connection is not None:
                if self.place is not None:
                    # Before closing: the last connection to close removes the log.
                    self.place.forget_log()
                self._connection.close()
                self._connection = None
        finally:
            held.set()
            until.wait()

    def wait_for(self, held: threading.Event) -> None:
        """Return once the connection is closed, by `hold` or because its thread has ended."""
        while not held.wait(_LOOK) and self.thread.is_alive():
            if self.is_interruptible:
                self.interrupt()

    def interrupt(self) -> None:
        """Make the statement that the thread runs in SQLite end with `SQLITE_INTERRUPT`."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it has just been closed
                connection.interrupt()

    @property
    def thread(self) -> threading.Thread:
        """The thread of the connection."""
        thread: threading.Thread = self._driver._thread  # noqa: SLF001 - see `__init__`
        return thread

    def forget(self) -> tuple[int, int] | None:
        """In a child: never use the connection again.

        Returns:
            The identity of its file if no hook closed it before the fork.
        """
        self._driver._connection = None  # noqa: SLF001 - so that its finalizer does nothing
        self._is_stopping = True  # the thread isn't in this process
        if (
            self._connection is None
            or self.place is None
            or not self._has_file()
            or not _is_open(self._connection)
        ):
            return None
        return self.place.identity

    def _has_file(self) -> bool:
        # A user's engine may name a database in memory in other ways than `:memory:`. Closing its
        # connection would lose the data.
        return not self._in_memory and (self.place is None or self.place.identity is not None)


def report(future: asyncio.Future[T], function: Callable[[], T]) -> None:
    """Call `function` in this thread, and report the outcome to the event loop of `future`.

    aiosqlite's own way to do this ends the thread if the loop is closed.

    Raises:
        RuntimeError: the loop is closed. aiosqlite's thread drops an exception that has no future.
    """
    done: Callable[[], None]
    try:
        done = partial(_succeed, future, function())
    except BaseException as error:  # noqa: BLE001 - any exception is the result
        done = partial(_fail, future, error)
    future.get_loop().call_soon_threadsafe(done)


def _succeed(future: asyncio.Future[T], outcome: T) -> None:
    if not future.done():
        future.set_result(outcome)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _nothing() -> None: ...


def _ended(connection: sqlite3.Connection | None) -> object:
    """Close the connection in its thread, and return what ends the thread."""
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
    return _STOP_RUNNING_SENTINEL


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


class _Forks:
    """The fork hooks of this process, and their state.

    Attributes:
        gate: held while a connection is opened for the first time, and during a fork.
        connections: all connections that a fork has to close.
        count: number of forks so far.
    """

    def __init__(self) -> None:
        self.gate: threading.Lock = threading.Lock()
        self.connections: WeakSet[ForkSafeConnection] = WeakSet()
        self.count: int = 0
        self._over = threading.Event()
        self._forking = 0  # id of the forking thread
        self._inherited: set[tuple[int, int]] = set()  # files with connections in our ancestors

    def before(self) -> None:
        self.gate.acquire()
        self._forking = threading.get_ident()
        self.count += 1
        self._over = threading.Event()
        # This thread can't wait for itself: SQLite may have called a function of the user's in it.
        here = threading.current_thread()
        holding = [
            (connection, connection.hold(self._over))
            for connection in self.connections
            if connection.thread is not here
        ]
        for connection, held in holding:
            connection.wait_for(held)

    def after_in_parent(self) -> None:
        if self._forking == threading.get_ident():
            self._forking = 0
            self._over.set()
            self.gate.release()

    def after_in_child(self) -> None:
        self.gate = threading.Lock()
        self._forking = 0
        connections, self.connections = [*self.connections], WeakSet()
        self._inherited |= _databases_in_use()
        for connection in connections:
            if (identity := connection.forget()) is not None:
                self._inherited.add(identity)
        keep(*connections)

    def check(self, path: str) -> None:
        """Raise `STORE_CONFIGURATION_INVALID` if a connection to this file was inherited."""
        if self._inherited:
            with contextlib.suppress(OSError):
                found = Path(path).stat()
                if (found.st_dev, found.st_ino) in self._inherited:
                    raise inherited_file(path)


FORKS: Final = _Forks()

if hasattr(os, "register_at_fork"):  # missing where processes can't fork
    os.register_at_fork(
        before=FORKS.before,
        after_in_parent=FORKS.after_in_parent,
        after_in_child=FORKS.after_in_child,
    )


@contextlib.contextmanager
def fork_safe(
    engine: AsyncEngine, made: Callable[[ForkSafeConnection], object], *, in_memory: bool
) -> Generator[None]:
    """Make connections safe from their creation on.

    Connections that the current task opens with this engine in the block are closed before forks.

    Args:
        engine: what opens them.
        made: called with each of them before it is opened.
        in_memory: whether their database is in memory.
    """
    if not event.contains(engine.sync_engine, "do_connect", _let_be_safe):
        event.listen(engine.sync_engine, "do_connect", _let_be_safe)
    wanted = _wanted.set((in_memory, made))
    try:
        yield
    finally:
        _wanted.reset(wanted)


def connection_of(driver: aiosqlite.Connection, *, in_memory: bool) -> ForkSafeConnection:
    """Return the fork-safe connection around an open aiosqlite connection."""
    private: Any = driver
    found = getattr(private._connector, "__self__", None)  # noqa: SLF001 - see `__init__`
    if isinstance(found, ForkSafeConnection):
        return found
    with FORKS.gate:  # it was already in the pool of the user's engine
        connection = ForkSafeConnection(driver, in_memory=in_memory)
        FORKS.connections.add(connection)
        return connection


_wanted: ContextVar[tuple[bool, Callable[[ForkSafeConnection], object]] | None] = ContextVar(
    "igniter_store_sqlite_fork_safe", default=None
)


def _let_be_safe(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
    wanted = _wanted.get()
    if wanted is not None:
        options["async_creator_fn"] = partial(_made, options.get("async_creator_fn"), *wanted)


def _made(
    # The arguments of a partial
    creator: Callable[..., Any] | None,
    in_memory: bool,  # noqa: FBT001
    made: Callable[[ForkSafeConnection], object],
    *arguments: Any,
    **options: Any,
) -> Any:
    driver: Any = (creator or aiosqlite.connect)(*arguments, **options)
    driver._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does
    made(ForkSafeConnection(driver, in_memory=in_memory))
    return driver


def _databases_in_use() -> set[tuple[int, int]]:
    """The WAL databases to which this process has a connection; empty if unsupported here."""
    found: set[tuple[int, int]] = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(_DESCRIPTORS).iterdir():
            with contextlib.suppress(OSError):
                name = str(descriptor.readlink()).removesuffix(" (deleted)")
                if name.endswith(_BESIDE):
                    database = Path(name[: -len(_BESIDE[0])]).stat()
                    found.add((database.st_dev, database.st_ino))
    return found
