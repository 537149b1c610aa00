"""The database of an adapter: one connection that writes and one that reads, with their settings.

A database in memory has one connection for both.

Rule: a read-only file can be read; the adapter refuses calls that write.
Rule: SQLAlchemy's engine opens connections. From then on the two workers run everything on them,
    and their threads close them: a cancelled task or a closed event loop leaves nothing open.
Rule: a connection with changed settings doesn't return to a pool of the user's. The exception is
    the only connection of a user's database in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import StoreError
from igniter_store.contract.affinity import forget_task, keep
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from igniter_store_sqlite.errors import (
    ERRORS,
    cannot_open,
    connection_ended,
    failure,
    is_busy,
    is_read_only,
    late,
    locked,
    moved,
    not_opened,
)
from igniter_store_sqlite.file_identity import (
    FileIdentity,
    FrozenFileIdentity,
    can_only_be_read,
    is_no_file,
    obstacle,
)
from igniter_store_sqlite.fork_safety import FORKS, connection_of, fork_safe
from igniter_store_sqlite.log_files import SIZE_LIMIT, LogFile
from igniter_store_sqlite.schema import Version, bring_forward
from igniter_store_sqlite.urls import engine_for, frozen_engine_for
from igniter_store_sqlite.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from igniter_store_sqlite.fork_safety import ForkSafeConnection

Synchronous: TypeAlias = Literal["normal", "full"]

# Seconds before settings that failed on another process's lock are tried again
_AGAIN: Final = 0.01
_CACHE: Final = 16 * 1024  # KiB of pages that a connection may cache


class Database:
    """An open database.

    Attributes:
        writes: worker for calls that write; each of its transactions has the database for itself.
        reads: worker for calls that don't write; in memory the same as `writes`.
        connect_timeout: seconds that opening may take.
        in_memory: whether the database is in memory, so that no other process can use it.
        can_write: whether the database is writable.
        path: absolute path of the file; `None` in memory.
        timeout: seconds that a call may take.
    """

    writes: Worker
    reads: Worker
    log_file: LogFile | None = None

    def __init__(
        self,
        engine: AsyncEngine,
        timeout: float,
        synchronous: Synchronous,
        *,
        is_ours: bool,
        connect_timeout: float,
    ) -> None:
        self.in_memory: Final = is_in_memory(engine)
        self.can_write: bool = True
        self.path: str | None = None
        self._engine = engine
        self._used = engine  # or an engine that opens the same file as immutable
        self.timeout: Final = timeout
        self.connect_timeout: Final = connect_timeout
        self._synchronous: Final = synchronous
        self._is_ours = is_ours
        self._connections: list[ForkSafeConnection] = []  # those that the database closes
        self._lent: AsyncConnection | None = None  # the only one of a user's database in memory
        self._workers: list[Worker] = []
        self._beside: dict[ForkSafeConnection, Worker] = {}  # created by `on_the_side`
        self._closing: asyncio.Task[None] | None = None
        self._kept: bytes | None = None  # contents of the memory database when it was closed

    async def open(self, on_commit: Callable[[], None]) -> None:
        """Connect, and migrate the tables.

        Raises:
            StoreError: see `errors`; every connection opened so far is closed.
        """
        path = self._engine.url.database if self._is_ours and not self.in_memory else None
        try:
            async with FairTimeout(self.connect_timeout):
                if path is not None:
                    await asyncio.to_thread(_try, path)
                try:
                    await self._start(on_commit, path)
                except (sqlite3.Error, SQLAlchemyError) as error:
                    if (
                        path is None
                        or not cannot_open(_driver_error(error))
                        or not await asyncio.to_thread(can_only_be_read, path)
                    ):
                        raise
                    place = await asyncio.to_thread(FrozenFileIdentity, path)
                    await self.close()
                    self._used = frozen_engine_for(path)
                    await self._start(on_commit, path, place)
        except TimeoutError as error:
            await self.close()
            if isinstance(error, StoreError):
                raise
            raise self._too_late() from error
        except (sqlite3.Error, SQLAlchemyError) as error:
            await self.close()
            driver_error = _driver_error(error)
            if path is not None and cannot_open(driver_error):
                raise not_opened(path, await asyncio.to_thread(obstacle, path)) from driver_error
            raise failure(driver_error, path or self._engine.url.database) from error
        # The event loop was closed meanwhile, so nothing can be awaited any more.
        except GeneratorExit:
            raise
        except BaseException:  # mostly cancellation: no connection may stay open
            await self.close()
            raise

    def _too_late(self) -> StoreError:
        if self.in_memory:
            return late(self.connect_timeout, maybe_applied=False)
        return locked(self.connect_timeout)

    async def _start(
        self,
        on_commit: Callable[[], None],
        path: str | None,
        place: FrozenFileIdentity | None = None,
    ) -> None:
        self.writes = self.reads = await self._worker(writes=True, on_commit=on_commit)
        if self.in_memory:
            if self._kept is not None:
                await self.writes.run(partial(_restore, kept=self._kept))
                self._kept = None
            await self.writes.call(bring_forward, not self._is_ours)
            return
        real = await self.writes.run(_path)
        if not real:
            raise ERRORS.misconfigured(
                "The engine's database has no file, so its connections can't share it. For a "
                "database in memory, use sqlite+aiosqlite://."
            )
        FORKS.check(real)
        prepare = partial(_prepare_writing, synchronous=self._synchronous.upper())
        await self._set_up(self.writes, prepare)
        self.path = path or real
        self.writes.place = place or FileIdentity(self.path)
        self.can_write = await self.writes.call(bring_forward, not self._is_ours)
        self.reads = await self._worker(writes=False)
        await self._set_up(self.reads, _prepare_reading)
        self.reads.place = self.writes.place
        if await self.reads.run(_path) != real or not FileIdentity(real).is_same(
            FileIdentity(self.path)
        ):
            raise moved(self.path)
        self.writes.version, self.reads.version = Version(), Version()
        self.log_file = LogFile(self.writes.place, self.writes, self.on_the_side)
        await self.writes.run(self.writes.place.note_log)
        self.writes.prepare_again_with(partial(_prepare_again, prepare, self.log_file.prepare))

    async def close(self) -> None:
        """Close both connections; pending calls raise `STORE_CLOSED`.

        If the caller is cancelled, the closing continues: `closed` waits for it. The contents of a
        database in memory are kept for the next `open`.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await self.closed()

    @property
    def is_closing(self) -> bool:
        """Whether a `close` is in progress."""
        return self._closing is not None and not self._closing.done()

    async def closed(self) -> None:
        """Wait until a `close` has finished whose caller was cancelled."""
        while (closing := self._closing) is not None:
            await asyncio.wait({closing})
            if self._closing is not closing:
                continue
            self._closing = None
            if not closing.cancelled():
                closing.result()
            else:  # as by code that cancels every task of its loop
                self._closing = asyncio.create_task(self._close())

    async def _close(self) -> None:
        try:
            for worker in self._workers:
                await worker.close()
            self._workers.clear()
            if self.in_memory and self._is_ours and self._kept is None:
                for connection in self._connections:
                    if connection.is_usable:
                        keeper = Worker(connection, self.timeout, writes=False)
                        self._kept = await keeper.run(_contents)
            # One after the other: the last one to close removes the WAL, but no one does if two
            # close at the same moment.
            for connection in [one for one in self._connections if one not in self._beside]:
                await connection.close()
        # Not GeneratorExit: then the loop is closed, and another one may have opened the database.
        except (Exception, asyncio.CancelledError):
            self.let_go()
            raise
        self._forget_ended()
        lent, self._lent = self._lent, None
        if lent is not None:
            await _give_back(lent)
        self._used = self._engine

    def let_go(self) -> None:
        """Let the threads end without the event loop: the loop may be about to end."""
        for connection in self._connections:
            if self.in_memory and self._kept is None:
                connection.end_with_owner()
            else:
                connection.stop()

    def abandon(self, leave: Callable[[sqlite3.Connection], None], *, is_inherited: bool) -> None:
        """Let the threads close the connections, because their event loop is closed.

        The next `open` continues with the connection of a database in memory.

        Args:
            leave: called with the write connection, in its thread, before it is closed.
            is_inherited: the connections belong to the parent process, and this process has no
                threads for them.
        """
        workers, self._workers = self._workers, []
        beside, self._beside = self._beside, {}
        closing, self._closing = self._closing, None
        forget_task(closing)
        if is_inherited:
            keep(workers, self._connections, beside, closing, self._lent, self._engine.pool)
            self._connections, self._lent = [], None
        elif not self.in_memory:
            for worker in beside.values():
                worker.interrupt()  # no caller is left for its result
            for worker in workers:
                worker.abandon(leave if worker is workers[0] else _nothing)
        self.let_go()
        self._forget_ended()
        if self._is_ours:
            # A connecting task of the closed loop may hold a lock of the old one for ever.
            self._engine = engine_for(None if self.in_memory else self._engine.url.database)
        self._used = self._engine

    @contextlib.asynccontextmanager
    async def on_the_side(self) -> AsyncGenerator[Worker]:
        """Yield a connection for slow work, which delays no call.

        In memory it is the only connection.
        """
        if self.in_memory:
            yield self.writes
            return
        connection = await self._connect()
        self._beside[connection] = worker = Worker(connection, self.timeout, writes=False)
        try:
            worker.place = self.writes.place
            await self._set_up(worker, _prepare)
            yield worker
        finally:
            if self._beside.pop(connection, None) is not None:  # else it was abandoned
                await connection.close()

    async def _worker(self, *, writes: bool, on_commit: Callable[[], None] | None = None) -> Worker:
        connection = self._left() or await self._connect()
        worker = Worker(connection, self.timeout, writes=writes, on_commit=on_commit)
        self._workers.append(worker)
        return worker

    def _left(self) -> ForkSafeConnection | None:
        """The connection to a database in memory that an event loop left when it was closed."""
        if not self.in_memory:
            return None
        if self._lent is not None:
            connection = _fork_safe_connection_of(self._lent, in_memory=True)
            if connection.is_usable:
                return connection
            self._lent = None  # the user has disposed the engine
        return next((one for one in self._connections if one.is_usable), None)

    async def _connect(self) -> ForkSafeConnection:
        is_lent = self.in_memory and not self._is_ours
        made = _nothing if is_lent else self._connections.append
        self._forget_ended()
        while True:
            forks = FORKS.count
            try:
                with fork_safe(self._used, made, in_memory=self.in_memory):
                    connection = await self._used.connect()
                found = _fork_safe_connection_of(connection, in_memory=self.in_memory)
            except (sqlite3.Error, SQLAlchemyError):
                # Otherwise a fork closed it before SQLAlchemy had finished with it.
                if forks == FORKS.count:
                    raise
            else:
                break
        if is_lent:
            self._lent = connection
            if not found.is_usable:
                raise connection_ended()
        else:
            _proxy_of(connection).detach()
            if found not in self._connections:  # it was in the pool of the user's engine
                self._connections.append(found)
        return found

    def _forget_ended(self) -> None:
        self._connections = [one for one in self._connections if not one.has_ended]

    async def _set_up(self, worker: Worker, prepare: Callable[[sqlite3.Connection], None]) -> None:
        # This runs outside of transactions, where calls can't be, so it waits for locks itself.
        worker.prepare_again_with(prepare)
        while True:
            try:
                await worker.run(prepare)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                await asyncio.sleep(_AGAIN)
            else:
                return


def is_in_memory(engine: AsyncEngine) -> bool:
    """Whether the database of `engine` is in memory, private to one connection."""
    return isinstance(engine.pool, StaticPool) or engine.url.database in {None, "", ":memory:"}


def _proxy_of(connection: AsyncConnection) -> PoolProxiedConnection:
    if connection.sync_connection is None:
        raise connection_ended()
    return connection.sync_connection.connection


def _fork_safe_connection_of(connection: AsyncConnection, *, in_memory: bool) -> ForkSafeConnection:
    driver: Any = _proxy_of(connection).driver_connection
    return connection_of(driver, in_memory=in_memory)


async def _give_back(lent: AsyncConnection) -> None:
    """Return the only connection of a user's database in memory to its pool, without a rollback.

    SQLAlchemy would close the connection, and so lose the database, if it was cancelled while it
    rolled back. And a transaction in progress is the user's.
    """
    driver: Any = _proxy_of(lent).driver_connection
    if driver is None:
        return  # the user has disposed the engine
    driver.rollback = _no_rollback
    try:
        await lent.close()
    finally:
        del driver.rollback


async def _no_rollback() -> None: ...


def _driver_error(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error


def _try(path: str) -> None:
    if is_no_file(path):
        raise not_opened(path, obstacle(path))
    # aiosqlite leaves a thread behind for a connection that fails to open, and ends it some time
    # later. So this tries with sqlite3 first.
    with FORKS.gate:
        sqlite3.connect(path).close()


def _prepare(connection: sqlite3.Connection) -> None:
    # Only our own statements begin and end transactions, and the connection's thread never sleeps
    # on a lock.
    connection.isolation_level = None
    connection.row_factory = None
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")


def _path(connection: sqlite3.Connection) -> str:
    return str(
        next(path for _, name, path in connection.execute("PRAGMA database_list") if name == "main")
    )


def _prepare_writing(connection: sqlite3.Connection, synchronous: str) -> None:
    _prepare(connection)
    [pages] = connection.execute("PRAGMA page_count").fetchone()
    if not pages:
        # SQLite accepts this only while the database is empty.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if not is_read_only(error):
            raise
    connection.execute(f"PRAGMA journal_size_limit = {SIZE_LIMIT}").fetchone()
    connection.execute(f"PRAGMA synchronous = {synchronous}")


def _prepare_reading(connection: sqlite3.Connection) -> None:
    _prepare(connection)
    connection.execute("PRAGMA query_only = ON")


def _prepare_again(
    prepare: Callable[[sqlite3.Connection], None],
    let_commits_copy: Callable[[sqlite3.Connection], None],
    connection: sqlite3.Connection,
) -> None:
    prepare(connection)
    let_commits_copy(connection)


def _restore(connection: sqlite3.Connection, kept: bytes) -> None:
    connection.deserialize(kept)


def _nothing(connection: object) -> None:
    del connection


def _contents(connection: sqlite3.Connection) -> bytes | None:
    [pages] = connection.execute("PRAGMA page_count").fetchone()
    return connection.serialize() if pages else None
