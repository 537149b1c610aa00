"""The options of a SQLite URL."""

# no clause: the contract doesn't cover the options of a URL.

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from pathlib import Path


async def test_connect_timeout_limits_opening_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    adapter: Any = SQLiteAdapter.from_url(f"sqlite:///{path}?connect_timeout=0.2&timeout=3600")
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError) as caught:
            await adapter.open()
    finally:
        holder.close()

    assert caught.value.code == ErrorCode.STORE_TIMEOUT
    assert "0.2 seconds" in caught.value.message
    await adapter.open()
    assert await adapter.set("key", b"1")
    await adapter.close()


async def test_timeout_limits_opening_without_connect_timeout(tmp_path: Path) -> None:
    adapter: Any = SQLiteAdapter.from_url(
        f"sqlite:///{tmp_path}/state.db?timeout=3&connections=4&synchronous=FULL"
    )

    assert adapter._database.connect_timeout == 3
    await adapter.open()
    await adapter.close()


@pytest.mark.parametrize("url", ["SQLITE:///{}/a b.db", "Sqlite:///{}/a%20b.db"])
async def test_path_with_spaces_is_accepted(tmp_path: Path, url: str) -> None:
    adapter = SQLiteAdapter.from_url(url.format(tmp_path))
    await adapter.open()
    await adapter.close()

    assert (tmp_path / "a b.db").is_file()
