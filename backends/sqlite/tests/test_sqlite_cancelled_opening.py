"""Opening, or copying, is cancelled at some moment: no connection and no thread stays."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from pathlib import Path

LIMIT = 30.0
MOMENTS = 80


def threads() -> list[threading.Thread]:
    """Those of aiosqlite's connections."""
    return [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]


def open_connections() -> int:
    # Not `isinstance`, which asks the things of other tests for their `__class__`.
    return sum(is_open(thing) for thing in gc.get_objects() if issubclass(type(thing), sqlite3.Connection))


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


@pytest.fixture(autouse=True)
async def everything_is_closed() -> AsyncGenerator[None]:
    """Nothing is left to the garbage collector."""
    gc.collect()
    before = threads(), open_connections()
    gc.disable()
    try:
        yield
        async with asyncio.timeout(LIMIT):
            while (threads(), open_connections()) != before:  # noqa: ASYNC110 - a thread sets no event when it ends
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def cancelled(call: Coroutine[Any, Any, None], moment: int) -> None:
    """Cancel the call after some turns of the loop, in which its threads have time or have none."""
    calling = asyncio.create_task(call)
    for _ in range(moment // 2):
        await asyncio.sleep(moment % 2 * 0.000_2)
    calling.cancel()
    await asyncio.wait({calling})


@pytest.mark.parametrize("place", ["/{}/state.db", ""])
async def test_cancelled_opening_leaves_nothing(tmp_path: Path, place: str) -> None:
    for moment in range(MOMENTS):
        adapter = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")
        await cancelled(adapter.open(), moment)
        await adapter.close()


@pytest.mark.parametrize("place", ["/{}/state.db", ""])
async def test_cancelled_opening_can_be_repeated(tmp_path: Path, place: str) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")
    for moment in range(MOMENTS):
        await cancelled(adapter.open(), moment)
        await adapter.open()
        await adapter.increment("opened")
        await adapter.close()
    await adapter.open()
    assert await adapter.increment("opened") == MOMENTS + 1
    await adapter.close()


async def test_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")
    await adapter.open()
    await adapter.set("key", b"value")
    for moment in range(MOMENTS):
        await cancelled(adapter.backup(tmp_path / "copy.db"), moment)
    assert await adapter.get("key") == b"value"
    await adapter.close()
