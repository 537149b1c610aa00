"""Connections of SQLite that `os.fork` doesn't break: they are closed before a fork, and opened
again in the parent at their next use.

SQLite keeps its file locks in a table of the process. A forked child inherits that table without
the locks, so its own connections to the same file would take no locks at all, and another process
could remove the WAL that the child is writing (sqlite.org/howtocorrupt, 2.6). Only a process that
has no connection to a file can fork without handing such a table on.

Rule: before a fork, each connection is closed in its own thread, which then waits until the fork is
    over. So no transaction is under way,
no thread is inside SQLite, where it would leave a locked mutex to the child, and the child inherits
no descriptor of the file.
Rule: in memory there is nothing to close: the thread only waits.
Rule: the child never touches what it inherits. It only keeps it, so that nothing is finalized
    there.
Rule: a child whose process has inherited another connection to a file (one of the user's own, or
    all of them where a fork has run no hooks)
is refused that file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import aiosqlite
from igniter_store.contract.affinity import keep
from sqlalchemy import event

from igniter_store_sqlite.errors import inherited_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from igniter_store_sqlite.file_identity import Place

# Seconds between two looks whether a thread that was asked to close its connection still lives
_LOOK: Final = 0.02
_DESCRIPTORS: Final = "/proc/self/fd"
_BESIDE: Final = ("-wal", "-shm")  # what SQLite has open beside a database that it uses


class ForkSafeConnection:
    """A connection in aiosqlite's thread that is closed before a fork.

    Attributes:
        hand_over: lets the thread call a function, behind what it was given before.
        prepare: makes the settings of the connection; called in the thread each time that it was
            opened again.
        is_interruptible: whether a fork interrupts what the connection does, instead of waiting for
            it.
        place: of its file, once it is known; another file that has taken its name is never opened.
        times_opened: how often it was opened again.
    """

    def __init__(self, driver: aiosqlite.Connection, *, in_memory: bool) -> None:
        # aiosqlite has no public way to run a function in its thread, so this is how SQLAlchemy's
        # dialect does it. One function for a whole transaction costs one change of threads, where
        # aiosqlite's own methods take one for each statement.
        private: Any = driver
        self._driver = private
        self._in_memory = in_memory
        # see `__init__`
        self._connect: Callable[[], sqlite3.Connection] = private._connector  # noqa: SLF001
        # see `__init__`
        self._connection: sqlite3.Connection | None = private._connection  # noqa: SLF001
        self.hand_over: Callable[[tuple[Any, Callable[[], Any]]], None] = private._tx.put_nowait  # noqa: SLF001 - see `__init__`
        self._end_thread: Callable[[], object] = private.stop
        self.prepare: Callable[[sqlite3.Connection], None] | None = None
        self.is_interruptible = False
        self.place: Place | None = None
        self.times_opened = 0
        private._connector = self._open_first  # noqa: SLF001 - see `__init__`
        private.stop = self.stop

    def use(self) -> sqlite3.Connection:
        """In the thread: the open connection.

        Raises:
            StoreError: the file was removed or replaced.
            sqlite3.Error: it can't be opened again.
        """
        if self._connection is None:
            # see `__init__`
            self._connection = self._driver._connection = self._opened_again()  # noqa: SLF001
        return self._connection

    def stop(self) -> object:
        """Close the connection and end the thread, behind what the thread was given before.

        aiosqlite calls this, too. It would close only what has arrived in the event loop, and not
        what was opened for a task that had been cancelled meanwhile.
        """
        self.hand_over((None, self._close))
        return self._end_thread()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open_first(self) -> sqlite3.Connection:
        with FORKS.gate:
            self._connection = self._connect()
            FORKS.connections.add(self)
            return self._connection

    def _opened_again(self) -> sqlite3.Connection:
        # Without the gate: a fork waits for this thread, which closes the connection before it
        # waits for the fork.
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
        """Let the thread close the connection and wait for `until`; what is returned is set once it
        does.
        """
        held = threading.Event()
        self.hand_over((None, partial(self._held, held, until)))
        return held

    def _held(self, held: threading.Event, until: threading.Event) -> None:
        try:
            if self._has_file() and self._connection is not None:
                if self.place is not None:
                    # Before, since the last connection to be closed removes the log
                    self.place.forget_log()
                self._connection.close()
                self._connection = None
        finally:
            held.set()
            until.wait()

    def wait_for(self, held: threading.Event) -> None:
        """Return when the connection is closed: because of `hold`, or because its thread has come
        to an end.
        """
        while not held.wait(_LOOK) and self.thread.is_alive():
            if self.is_interruptible:
                self.interrupt()

    def interrupt(self) -> None:
        """Let what the thread is doing in SQLite end with `SQLITE_INTERRUPT`."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # it is closed just now
                connection.interrupt()

    @property
    def thread(self) -> threading.Thread:
        """The one that all of it happens in."""
        thread: threading.Thread = self._driver._thread  # noqa: SLF001 - see `__init__`
        return thread

    def forget(self) -> tuple[int, int] | None:
        """In a child: never touch the connection again. Its file, if no hook has closed it before
        the fork.
        """
        self._driver._connection = None  # noqa: SLF001 - so that its finalizer does nothing
        if (
            self._connection is None
            or self.place is None
            or not self._has_file()
            or not _is_open(self._connection)
        ):
            return None
        return self.place.identity

    def _has_file(self) -> bool:
        # A user's engine may name a database in memory in other ways than `:memory:`; closed, it
        # would be lost.
        return not self._in_memory and (self.place is None or self.place.identity is not None)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


class _Forks:
    """What this process does about forks.

    Attributes:
        gate: held while a connection is opened for the first time, and while the process forks.
        connections: all that a fork has to close.
        count: how many forks there were.
    """

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.connections: WeakSet[ForkSafeConnection] = WeakSet()
        self.count = 0
        self._over = threading.Event()
        self._forking = 0  # the thread that forks
        self._inherited: set[tuple[int, int]] = set()  # files with connections in our ancestors

    def before(self) -> None:
        self.gate.acquire()
        self._forking = threading.get_ident()
        self.count += 1
        self._over = threading.Event()
        here = (
            threading.current_thread()
        )  # it can't wait for itself: a function of the user's that SQLite has called
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
        """Raise `STORE_CONFIGURATION_INVALID` for a file that another connection was inherited to."""
        if self._inherited:
            with contextlib.suppress(OSError):
                found = Path(path).stat()
                if (found.st_dev, found.st_ino) in self._inherited:
                    raise inherited_file(path)


FORKS: Final = _Forks()

if hasattr(os, "register_at_fork"):  # where processes can't fork there is nothing to do
    os.register_at_fork(
        before=FORKS.before,
        after_in_parent=FORKS.after_in_parent,
        after_in_child=FORKS.after_in_child,
    )


@contextlib.contextmanager
def fork_safe(engine: AsyncEngine, *, in_memory: bool) -> Generator[None]:
    """Within the block, what the current task opens with this engine is closed before forks, from
    the first moment on.
    """
    if not event.contains(engine.sync_engine, "do_connect", _let_be_safe):
        event.listen(engine.sync_engine, "do_connect", _let_be_safe)
    wanted = _wanted.set(in_memory)
    try:
        yield
    finally:
        _wanted.reset(wanted)


def connection_of(driver: aiosqlite.Connection, *, in_memory: bool) -> ForkSafeConnection:
    """The safe connection around aiosqlite's, which is open."""
    private: Any = driver
    found = getattr(private._connector, "__self__", None)  # noqa: SLF001 - see `__init__`
    if isinstance(found, ForkSafeConnection):
        return found
    with FORKS.gate:  # one that the pool of the user's engine had already
        connection = ForkSafeConnection(driver, in_memory=in_memory)
        FORKS.connections.add(connection)
        return connection


_wanted: ContextVar[bool | None] = ContextVar("igniter_store_sqlite_fork_safe", default=None)


def _let_be_safe(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
    in_memory = _wanted.get()
    if in_memory is not None:
        options["async_creator_fn"] = partial(_made, options.get("async_creator_fn"), in_memory)


def _made(
    # Of a partial
    creator: Callable[..., Any] | None,
    in_memory: bool,  # noqa: FBT001
    *arguments: Any,
    **options: Any,
) -> Any:
    driver: Any = (creator or aiosqlite.connect)(*arguments, **options)
    driver._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does
    ForkSafeConnection(driver, in_memory=in_memory)
    return driver


def _databases_in_use() -> set[tuple[int, int]]:
    """The files that this process has a connection to which is in WAL mode; empty where the system
    doesn't tell.
    """
    found: set[tuple[int, int]] = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(_DESCRIPTORS).iterdir():
            with contextlib.suppress(OSError):
                name = str(descriptor.readlink()).removesuffix(" (deleted)")
                if name.endswith(_BESIDE):
                    database = Path(name[: -len(_BESIDE[0])]).stat()
                    found.add((database.st_dev, database.st_ino))
    return found
