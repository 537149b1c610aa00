"""The WAL beside the file shrinks again after a long reader, without a new connection."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import BackendUnavailable, Entry
from igniter_store_sqlite import SQLiteAdapter, log_files, sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

LIMIT = 60.0


@pytest.fixture(autouse=True)
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "_PAUSE", 0.05)


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}/state.db", timeout=30.0)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


@contextlib.contextmanager
def foreign_reader(path: Path) -> Generator[None]:
    with contextlib.closing(sqlite3.connect(path / "state.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM igniter_keys").fetchone()
        yield


async def write(adapter: SQLiteAdapter, megabytes: int) -> None:
    for turn in range(megabytes):
        await adapter.mset(
            [Entry(f"key-{number}", (b"%02d" % turn) * 5_000) for number in range(100)]
        )


def size(path: Path) -> int:
    return (path / "state.db-wal").stat().st_size


def autocheckpoint(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])


@pytest.mark.parametrize("goes_on", [False, True])
# a parameter
async def test_log_shrinks_after_a_long_reader(tmp_path: Path, goes_on: bool) -> None:  # noqa: FBT001
    async with opened(tmp_path) as adapter:
        await adapter.set("key", b"value")
        with foreign_reader(tmp_path):
            await write(adapter, 40)
            assert size(tmp_path) > 30_000_000
        async with asyncio.timeout(LIMIT):
            while size(tmp_path) > log_files.SIZE_LIMIT:
                if goes_on:
                    await adapter.increment("counter")
                await asyncio.sleep(0.005)
        assert await adapter.get("key-0") == b"39" * 5_000
        untyped: Any = adapter
        async with asyncio.timeout(LIMIT):
            # the sweeper has no event
            while await untyped._writes.run(autocheckpoint) != 1_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await write(adapter, 30)
        async with asyncio.timeout(LIMIT):
            # the sweeper has no event
            while size(tmp_path) > log_files.SIZE_LIMIT:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_log_of_a_former_process_shrinks(tmp_path: Path) -> None:
    async with opened(tmp_path) as keeps_it_open:
        with contextlib.closing(
            sqlite3.connect(tmp_path / "state.db", isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            for number in range(300):
                connection.execute(
                    "INSERT INTO igniter_keys (key, value) VALUES (?, ?)",
                    [b"%d" % number, b"v" * 100_000],
                )
        async with asyncio.timeout(LIMIT):
            # the sweeper has no event
            while size(tmp_path) > log_files.SIZE_LIMIT:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await keeps_it_open.get("299") == b"v" * 100_000


async def test_small_log_is_left_unchanged(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await write(adapter, 2)
        before = (tmp_path / "state.db-wal").read_bytes()
        untyped: Any = adapter
        await untyped._database.log_file.tend()

        assert 2_000_000 < len(before) < log_files.SIZE_LIMIT
        assert (tmp_path / "state.db-wal").read_bytes() == before
        await adapter.set("key-0", b"next")
        assert size(tmp_path) > len(before), "the next commit has begun the WAL again"


@pytest.mark.clause("LIF-5")
async def test_close_during_a_copy_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, began = asyncio.all_tasks(), threading.Event()
    module: Any = log_files
    checkpoint = module._checkpoint

    def copy(connection: sqlite3.Connection) -> int:
        began.set()
        pages: int = checkpoint(connection)
        return pages

    monkeypatch.setattr(log_files, "_checkpoint", copy)
    async with opened(tmp_path) as other:
        untyped: Any = other
        await untyped._sweeper.close()  # only the adapter that is closed copies
        async with opened(tmp_path) as adapter:
            with foreign_reader(tmp_path):
                await write(adapter, 40)
            began.clear()
            assert await asyncio.to_thread(began.wait, LIMIT), "no copy has begun"
        assert await other.get("key-0") == b"39" * 5_000
    assert asyncio.all_tasks() <= before


async def is_readable(adapter: SQLiteAdapter) -> bool:
    try:
        return await adapter.get("key") == b"value"
    except BackendUnavailable:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use can't be removed there")
async def test_calls_raise_when_wal_was_removed(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.set("key", b"value")
        (tmp_path / "state.db-wal").unlink()
        async with asyncio.timeout(LIMIT):
            while await is_readable(adapter):  # noqa: ASYNC110 - the sweeper has no event
                await asyncio.sleep(0.01)
        with pytest.raises(BackendUnavailable, match="its WAL"):
            await adapter.set("key", b"lost")
        await adapter.close()
        await adapter.open()
        assert await adapter.get("key") == b"value"
        assert await adapter.set("key", b"other")
