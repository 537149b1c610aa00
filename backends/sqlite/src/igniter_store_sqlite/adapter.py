"""The adapter: one client of a SQLite database, in a file or in memory."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from igniter_store.adapter_tools.options import Options, check_seconds, one_of
from igniter_store.contract import Affinity
from igniter_store.contract.affinity import forget_task, keep
from sqlalchemy.ext.asyncio import AsyncEngine

from igniter_store_sqlite.backup import back_up
from igniter_store_sqlite.change_watch import Changes
from igniter_store_sqlite.claims import SQLiteClaims
from igniter_store_sqlite.counters import SQLiteCounters
from igniter_store_sqlite.database import Database, Synchronous, is_in_memory
from igniter_store_sqlite.errors import ERRORS, NAME, read_only
from igniter_store_sqlite.file_identity import network_of
from igniter_store_sqlite.keyvalue import SQLiteKeyValue
from igniter_store_sqlite.pubsub import Listener, SQLitePubSub
from igniter_store_sqlite.scan import SQLiteScan
from igniter_store_sqlite.streams import SQLiteStreams
from igniter_store_sqlite.sweeper import Sweeper
from igniter_store_sqlite.urls import OwnEngine, engine_for, parts_of

if TYPE_CHECKING:
    from typing import Self

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_TIMEOUT: Final = 5.0
_OPTIONS: Final = Options(NAME, {"synchronous": one_of("normal", "full")})
_LOGGER: Final = logging.getLogger("igniter_store")


class SQLiteAdapter(
    SQLiteKeyValue, SQLiteCounters, SQLiteClaims, SQLitePubSub, SQLiteStreams, SQLiteScan
):
    """Every capability on one SQLite database.

    The database is a file that the processes of one machine share, or it is in memory.

    Calls made in the same event-loop iteration share one transaction. The file is in WAL mode:
    readers and the single writer don't block each other. A confirmed write survives the death of
    every process. With `synchronous="full"` it also survives a power loss, as far as the disk and
    the file system keep their promises to SQLite.

    Don't put the file on a network file system: SQLite's WAL needs shared memory. The adapter logs
    a warning if it finds one there.

    Args:
        engine: a SQLAlchemy engine for a `sqlite+aiosqlite` URL. The adapter doesn't close it
            (LIF-6). The store's tables have names that begin with `igniter_`; the database may
            have others. An engine for a database in memory has one connection, which the adapter
            shares: leave no transaction open on it.
        timeout: seconds that a call may take, including the wait for locks of other processes.
            After that it raises `STORE_TIMEOUT`.
        synchronous: "normal" syncs the file to the disk now and then, "full" does so before it
            confirms a write.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if `engine` isn't such an engine, or an
            option is invalid.
    """

    name: ClassVar[str] = NAME
    is_open: bool = False

    def __init__(
        self, engine: AsyncEngine, *, timeout: float = _TIMEOUT, synchronous: Synchronous = "normal"
    ) -> None:
        given: Any = engine
        own: OwnEngine | None = given if isinstance(given, OwnEngine) else None
        if own is not None:
            given = engine = own.engine
        if not isinstance(given, AsyncEngine) or (engine.dialect.name, engine.dialect.driver) != (
            "sqlite",
            "aiosqlite",
        ):
            raise ERRORS.misconfigured(
                "SQLiteAdapter takes an AsyncEngine with a sqlite+aiosqlite URL. To use a URL, "
                "call from_url()."
            )
        check_seconds("timeout", timeout, NAME)
        if synchronous not in {"normal", "full"}:
            raise ERRORS.misconfigured('synchronous must be "normal" or "full".')
        self.in_process: bool = is_in_memory(engine)
        self._affinity = Affinity(self.abandon)
        self._changing = asyncio.Lock()
        self._sweeper: Sweeper | None = None
        self._database = Database(
            engine,
            timeout,
            synchronous,
            is_ours=own is not None,
            connect_timeout=timeout if own is None else own.connect_timeout or timeout,
        )
        self._ending: asyncio.Task[None] | None = None  # started by `close`
        self._leaving: tuple[Listener, Changes, Sweeper | None] | None = None  # what it closes
        self._use_nothing(_Absent(ERRORS.not_connected))

    @property
    def affinity(self) -> Affinity:
        """The event loop and the process in which the adapter was opened."""
        return self._affinity

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Create an adapter from a URL.

        The URL is `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or `sqlite://` for a
        database in memory that is private to this adapter.

        Args:
            url: as above; its query may contain the options. A missing file is created, a missing
                folder isn't.
            options: `timeout` and `synchronous` as for the class; `connect_timeout`, the seconds
                that opening may take (default: `timeout`); `connections` has no effect, because
                there is always one connection for writes and one for reads. Arguments override
                the query.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        path, query = parts_of(url)
        chosen = _OPTIONS.read(query, options)
        connect_timeout = chosen.pop("connect_timeout", None)
        chosen.pop("connections", None)  # there is always one for writes and one for reads
        # In place of an engine, so that the adapter owns it
        engine: Any = OwnEngine(engine_for(path), connect_timeout)
        return cls(engine, **chosen)

    async def open(self) -> None:
        self._bind()
        async with self._changing:
            if self.is_open:
                return
            await self._ended()  # a cancelled `close` may still be running
            changes = Changes()
            await self._database.open(changes.tell)
            self._warn_of_networks()
            self._reads, self._writes = self._database.reads, self._database.writes
            self._sweeper = Sweeper(self._reads, self._writes, self._database.log_file)
            if self._database.can_write:
                self._sweeper.start()
            else:
                self._writes = cast("Worker", _Absent(read_only))
            self._changes, self._listener = (
                changes,
                Listener(self._reads, self._writes, changes, self._bind),
            )
            changes.start(None if self._database.in_memory else self._reads)
            self.is_open = True

    async def close(self) -> None:
        if self.affinity.is_inherited:
            self.affinity.inherit()
        else:
            self._bind()
        async with self._changing:
            if self.is_open:
                self.is_open = False
                self._leaving = self._listener, self._changes, self._sweeper
                self._ending = asyncio.create_task(self._end(*self._leaving))
            self._use_nothing(_Absent(ERRORS.closed))
            await self._ended()
            await self._database.close()  # in case that the closing failed, or never began
            self.affinity.release()

    async def _end(self, listener: Listener, changes: Changes, sweeper: Sweeper | None) -> None:
        try:
            if sweeper is not None:
                await sweeper.close()
            await listener.close()
            await self._database.close()
        except Exception:
            await changes.close()
            raise
        except asyncio.CancelledError:  # by code that cancels every task, as the end of a loop does
            self._database.let_go()
            raise
        await changes.close()

    async def _ended(self) -> None:
        # Cancelling the caller doesn't stop the closing: the next `close` or `open` waits for it.
        ending = self._ending
        if ending is not None:
            await asyncio.wait({ending})
            self._ending = self._leaving = None
            if not ending.cancelled():  # as by code that cancels every task of its loop
                ending.result()
        await self._database.closed()  # by an `open` that was cancelled

    def abandon(self) -> None:
        if not self.affinity.has_ended:
            return
        is_inherited = self.affinity.is_inherited
        listener, changes, sweeper = parts = self._leaving or (
            self._listener,
            self._changes,
            self._sweeper,
        )
        if is_inherited:
            keep(*parts, self._ending)
        self._database.abandon(listener.leave, is_inherited=is_inherited)
        listener.abandon()
        changes.abandon()
        if sweeper is not None:
            sweeper.abandon()
        forget_task(self._ending)
        self._use_nothing(_Absent(ERRORS.inherited if is_inherited else ERRORS.not_connected))
        # A task of the closed loop may still hold the old lock.
        self._changing, self._ending, self._leaving = asyncio.Lock(), None, None
        self.is_open = False
        self.affinity.end()

    def _bind(self) -> None:
        is_ending = self._ending is not None and not self._ending.done()
        self.affinity.enter(
            NAME,
            is_in_use=self.is_open
            or self._changing.locked()
            or is_ending
            or self._database.is_closing,
        )

    async def ping(self) -> float:
        began = time.perf_counter()
        await self._reads.call(_nothing)
        return time.perf_counter() - began

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Write a copy of the database to a new file while the database is in use.

        The copy is a snapshot of one moment. It is either complete or missing. Calls continue
        meanwhile, except that a database in memory is copied in one step, which delays them. The
        copy is a database like this one: open it by its URL.

        Args:
            path: path of the copy. An existing file is replaced once the copy is complete.

        Raises:
            BackendFailed: `STORE_OPERATION_FAILED` when the copy can't be written; the partial
                copy is removed.
            StoreClosed: the adapter is closed.
        """
        # Resolve a relative path now, against the current working directory.
        place = os.path.abspath(path)  # noqa: ASYNC240, PTH100
        await self._reads.call(_nothing)  # raises if the adapter isn't open
        await back_up(self._database, place)

    def _use_nothing(self, absent: _Absent) -> None:
        self._reads = self._writes = cast("Worker", absent)
        self._changes = Changes()
        self._listener = Listener(self._reads, self._writes, self._changes, self._bind)
        self._sweeper = None

    def _warn_of_networks(self) -> None:
        path = self._database.path
        if path is not None and (network := network_of(path)):
            _LOGGER.warning(
                "The database file is on a network file system (%s), where SQLite's locks and "
                "its WAL aren't safe, so it may be damaged. Move it to a local disk, or use "
                "redis://.",
                network,
            )


class _Absent:
    """Replaces a worker that can't be used: every call raises.

    It is used while the adapter isn't open, and for writes if the database is read-only.
    """

    def __init__(self, why: Any) -> None:
        self._why = why

    def call(self, *_: Any) -> Any:
        raise self._why()

    share = require_open = call


def _nothing(session: Session) -> None:
    session.execute("SELECT 1 FROM igniter_schema").fetchone()
