"""An event loop that was closed by hand.

It leaves connections for slow work, and connections to a read-only file.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_sqlite import SQLiteAdapter, database, log_files

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0
_LONG = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT max(n) FROM n"


def open_files(path: Path) -> list[str]:
    if sys.platform != "linux":
        return []
    names: list[str] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            names.append(str(descriptor.readlink()))
        except OSError:
            continue
    return [name for name in names if name.startswith(str(path))]


def wait_until(holds: Callable[[], bool], failure: str) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"{failure} after {LIMIT:g} seconds"
        time.sleep(0.01)


def in_closed_loop(work: Callable[[], Any]) -> None:
    """Run the work in an event loop that is closed while other tasks are pending."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()


def can_only_be_read(path: str) -> bool:
    return bool(path)


async def opens_again(adapter: SQLiteAdapter) -> bytes | None:
    await adapter.open()
    try:
        return await adapter.get("key")
    finally:
        await adapter.close()


@pytest.mark.clause("LIF-13")
def test_abandon_ends_a_copy_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    gc.collect()
    recwarn.clear()  # drop the warnings of other tests
    threads, began = {*threading.enumerate()}, threading.Event()
    adapter: Any = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")

    def copy_for_long(connection: sqlite3.Connection) -> int:
        began.set()
        connection.execute(_LONG).fetchone()
        return 0

    monkeypatch.setattr(log_files, "_checkpoint", copy_for_long)
    monkeypatch.setattr(log_files, "SIZE_LIMIT", -1)

    async def leave_it() -> None:
        await adapter.open()
        await adapter.set("key", b"value")
        while not began.is_set():  # noqa: ASYNC110 - the sweeper has no event
            await asyncio.sleep(0.01)

    in_closed_loop(leave_it)
    monkeypatch.undo()
    assert asyncio.run(opens_again(adapter)) == b"value"
    gc.collect()

    wait_until(lambda: {*threading.enumerate()} <= threads, "threads are left")
    assert open_files(tmp_path) == []
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.clause("LIF-13")
def test_abandon_releases_a_file_that_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, path = {*threading.enumerate()}, tmp_path / "state.db"

    async def write() -> None:
        writer = SQLiteAdapter.from_url(f"sqlite:///{path}")
        await writer.open()
        await writer.set("key", b"value")
        await writer.close()

    asyncio.run(write())
    # Root may write everywhere, so the check for a read-only folder is replaced.
    monkeypatch.setattr(database, "can_only_be_read", can_only_be_read)
    adapter: Any = SQLiteAdapter.from_url(f"sqlite:///{path}")
    start: Any = adapter._database._start

    async def start_as_where_nothing_can_be_written(
        on_commit: Any, path: str, place: Any = None
    ) -> None:
        if place is None:
            failure = sqlite3.OperationalError("unable to open database file")
            failure.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise failure
        await start(on_commit, path, place)

    monkeypatch.setattr(adapter._database, "_start", start_as_where_nothing_can_be_written)

    async def read() -> bytes | None:
        await adapter.open()
        assert adapter._database._used is not adapter._database._engine
        answer: bytes | None = await adapter.get("key")
        return answer

    for _ in range(2):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(read()) == b"value"
        loop.close()
    assert asyncio.run(opens_again(adapter)) == b"value"

    wait_until(lambda: {*threading.enumerate()} <= threads, "threads are left")
    assert open_files(tmp_path) == []
    assert os.listdir(tmp_path) == ["state.db"]  # noqa: PTH208 - as names
