"""Opening, or copying, is cancelled at any moment: no connection and no thread is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.full

LIMIT = 30.0
MOMENTS = 80


def threads() -> set[int | None]:
    """Return the threads of aiosqlite's connections."""
    return {
        thread.ident
        for thread in threading.enumerate()
        if "_connection_worker_thread" in thread.name
    }


def open_connections() -> set[int]:
    # Not `isinstance`, which reads the `__class__` of objects of other tests.
    return {
        id(thing)
        for thing in gc.get_objects()
        if issubclass(type(thing), sqlite3.Connection) and is_open(thing)
    }


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


@contextlib.asynccontextmanager
async def everything_is_closed() -> AsyncGenerator[None]:
    """Check that the block leaves nothing, and nothing to the garbage collector."""
    gc.collect()
    # Those of other tests may end within the block.
    before = threads(), open_connections()
    gc.disable()
    try:
        yield
        end = asyncio.get_running_loop().time() + LIMIT
        while left := (threads() - before[0]) or (open_connections() - before[1]):
            assert asyncio.get_running_loop().time() < end, f"threads or connections left: {left}"
            await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def cancelled(call: Coroutine[Any, Any, None], moment: int) -> None:
    """Cancel the call after some loop iterations, which give its threads time or none."""
    calling = asyncio.create_task(call)
    for _ in range(moment // 2):
        await asyncio.sleep(moment % 2 * 0.000_2)
    calling.cancel()
    await asyncio.wait({calling})


@pytest.mark.clause("LIF-5")
@pytest.mark.parametrize("place", ["/{}/state.db", ""])
async def test_cancelled_opening_leaves_nothing(tmp_path: Path, place: str) -> None:
    async with everything_is_closed():
        for moment in range(MOMENTS):
            adapter = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")
            await cancelled(adapter.open(), moment)
            await adapter.close()


@pytest.mark.clause("LIF-4", "LIF-5")
@pytest.mark.parametrize("place", ["/{}/state.db", ""])
async def test_cancelled_opening_can_be_repeated(tmp_path: Path, place: str) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")
    async with everything_is_closed():
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
    async with everything_is_closed():
        await adapter.open()
        await adapter.set("key", b"value")
        for moment in range(MOMENTS):
            await cancelled(adapter.backup(tmp_path / "copy.db"), moment)
        assert await adapter.get("key") == b"value"
        await adapter.close()
