"""The SQLite backend keeps the contract.

It is tested on a file that several clients and processes share, and in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from igniter_store.contract import ErrorCode, name_to_bytes
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.servers import Refusal
from igniter_store_sqlite import SQLiteAdapter, sweeper
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from pathlib import Path

Work: TypeAlias = Callable[[sqlite3.Connection], Any]
Run: TypeAlias = Callable[[Work], Awaitable[Any]]

ID = struct.Struct(">QQ")
OLDER = [
    (
        "UPDATE igniter_keys SET deadline = deadline - :microseconds WHERE key >= :first AND key < "
        ":beyond"
    ),
    (
        """UPDATE igniter_pending SET delivered_at = delivered_at - :microseconds WHERE "group" IN
       (SELECT g.number FROM igniter_groups g JOIN igniter_streams s ON s.number = g.stream"""
        " WHERE s.key >= :first AND s.key < :beyond)"
    ),
    "UPDATE igniter_listeners SET seen_at = seen_at - :microseconds",
]


class Aside:
    """Access that bypasses the adapter: to the stored bytes, and to the passing of time.

    Time passes by making all stored times older.
    """

    def __init__(self, run: Run, namespace: str) -> None:
        self._run = run
        self._first = namespace.encode()
        self._range = {"first": self._first, "beyond": self._first + b"\xff"}

    async def peek(self, key: str) -> bytes | None:
        query = (
            "SELECT value FROM igniter_keys WHERE key = ? AND (deadline IS NULL OR deadline > "
            "(julianday('now') - 2440587.5) * 86400e6)"
        )
        row = await self._run(
            lambda connection: connection.execute(query, [name_to_bytes(key)]).fetchone()
        )
        return None if row is None else row[0]

    async def poke(self, key: str, value: bytes) -> None:
        query = "REPLACE INTO igniter_keys (key, value) VALUES (?, ?)"
        await self._run(lambda connection: connection.execute(query, [name_to_bytes(key), value]))

    async def advance(self, seconds: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for statement in OLDER:
                connection.execute(
                    statement, {**self._range, "microseconds": int(seconds * 1_000_000)}
                )

        await self._run(work)

    async def rewind(self, seconds: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            rows = connection.execute(
                "SELECT number, last_id FROM igniter_streams WHERE key >= :first AND key < :beyond",
                self._range,
            )
            for number, last in rows.fetchall():
                ahead = ID.unpack(last)[0] + int(seconds * 1_000)
                connection.execute(
                    "UPDATE igniter_streams SET last_id = ? WHERE number = ?",
                    [ID.pack(ahead, 0), number],
                )
            connection.execute(
                "UPDATE igniter_listeners SET seen_at = seen_at + ?", [int(seconds * 1_000_000)]
            )

        await self._run(work)


def beside(path: Path) -> Run:
    """Return a function that runs work on a file with only the driver."""

    def run(work: Work) -> Any:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            return work(connection)

    async def run_aside(work: Work) -> Any:
        return await asyncio.to_thread(run, work)

    return run_aside


# Takes the lock that every reader and writer needs, and holds it until its input is closed.
KEEPS_LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX, 8, 120)
    print("locked", flush=True)
    sys.stdin.read()
"""


class Disk:
    """Faults of a file's disk.

    To stop it, the folder is moved away. To pause it, another process locks the file.
    """

    proxy = None
    refusals: Mapping[str, Refusal] = MappingProxyType(
        {"locked": Refusal(ErrorCode.STORE_TIMEOUT, retryable=True)}
    )

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._away = folder.with_name("away")
        self._locker: subprocess.Popen[str] | None = None

    async def stop(self) -> None:
        await asyncio.to_thread(self._folder.rename, self._away)

    async def kill(self) -> None:
        await self.stop()

    async def restart(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._away.rename, self._folder)

    async def pause(self) -> None:
        await asyncio.to_thread(self._lock)

    async def resume(self) -> None:
        if self._locker is not None:
            await asyncio.to_thread(self._locker.communicate)
            self._locker = None

    @contextlib.asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Another connection writes, and never finishes."""
        assert word == "locked"
        with contextlib.closing(
            sqlite3.connect(
                self._folder / "state.db", isolation_level=None, check_same_thread=False
            )
        ) as connection:
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            yield

    def _lock(self) -> None:
        command = [sys.executable, "-c", KEEPS_LOCKED, f"{self._folder}/state.db-shm"]
        self._locker = subprocess.Popen(  # noqa: S603 - a command of this repository
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._locker.stdout is not None
        assert self._locker.stdout.readline() == "locked\n"


class TestSQLiteFile(AdapterSuite):
    """On one file: two clients, other processes, a folder that disappears, and a held lock."""

    contract = "1"

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            sweeper, "_PAUSE", 0.01
        )  # so that the background sweep runs during every test
        self.folder = tmp_path / "store"
        self.folder.mkdir()
        self.path = self.folder / "state.db"

    def harness(self) -> Harness:
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"
        aside = Aside(beside(self.path), namespace)
        return Harness(
            connect=partial(SQLiteAdapter.from_url, f"sqlite:///{self.path}", timeout=5.0),
            server=Disk(self.folder) if sys.platform != "win32" else None,
            advance=aside.advance,
            rewind=aside.rewind,
            oracle=aside,
            namespace=namespace,
        )

    def lent_client(self) -> LentClient:
        engine = create_async_engine(f"sqlite+aiosqlite:///{self.path}")

        async def still_works() -> bool:
            async with engine.connect() as connection:
                return bool((await connection.execute(text("SELECT 1"))).scalar_one())

        return LentClient(SQLiteAdapter(engine), still_works, engine.dispose)


@pytest.mark.full
class TestSQLiteMemory(AdapterSuite):
    """In memory, where one adapter has the database for itself."""

    contract = "1"

    def harness(self) -> Harness:
        adapter: Any = SQLiteAdapter.from_url("sqlite://")
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"

        async def run(work: Work) -> Any:
            def committed(connection: sqlite3.Connection) -> Any:
                answer = work(connection)
                connection.commit()
                return answer

            if adapter.is_open:
                return await adapter._writes.run(committed)
            kept = adapter._database._kept  # kept for the next open; its times get older, too
            with contextlib.closing(
                sqlite3.connect(":memory:", isolation_level=None)
            ) as connection:
                if kept is None:
                    return None
                connection.deserialize(kept)
                answer = work(connection)
                adapter._database._kept = connection.serialize()
                return answer

        aside = Aside(run, namespace)
        return Harness(
            connect=lambda: adapter,
            advance=aside.advance,
            rewind=aside.rewind,
            oracle=aside,
            namespace=namespace,
        )

    def lent_client(self) -> LentClient:
        engine = create_async_engine("sqlite+aiosqlite://")

        async def still_works() -> bool:
            async with engine.connect() as connection:
                return bool((await connection.execute(text("SELECT 1"))).scalar_one())

        return LentClient(SQLiteAdapter(engine), still_works, engine.dispose)
