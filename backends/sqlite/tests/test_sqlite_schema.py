"""The version of the tables: created once, and migrated once, by the first process."""

# no clause: the contract doesn't cover the tables and their migrations.

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import StoreError
from igniter_store_sqlite import SQLiteAdapter, schema

if TYPE_CHECKING:
    from pathlib import Path

    from igniter_store_sqlite.session import Session


async def rows_of(path: Path, query: str) -> list[Any]:
    def ask() -> list[Any]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return connection.execute(query).fetchall()

    return await asyncio.to_thread(ask)


async def test_new_file_has_newest_version_and_frees_space(tmp_path: Path) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")
    await adapter.open()
    await adapter.close()

    assert await rows_of(tmp_path / "state.db", "SELECT max(version) FROM igniter_schema") == [
        (len(schema.STEPS),)
    ]
    assert await rows_of(tmp_path / "state.db", "PRAGMA journal_mode") == [("wal",)]
    assert await rows_of(tmp_path / "state.db", "PRAGMA auto_vacuum") == [(2,)]


async def test_concurrent_opens_create_the_tables_once(tmp_path: Path) -> None:
    adapters = [
        SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db", timeout=30.0) for _ in range(8)
    ]
    await asyncio.gather(*(adapter.open() for adapter in adapters))
    assert sorted(
        await asyncio.gather(*(adapter.increment("counter") for adapter in adapters))
    ) == list(range(1, 9))
    await asyncio.gather(*(adapter.close() for adapter in adapters))


async def test_older_file_is_migrated_once_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    old = SQLiteAdapter.from_url(url)
    await old.open()
    await old.set("key", b"value")
    await old.close()
    steps: list[str] = []

    def adds_a_column(session: Session) -> None:
        steps.append("taken")
        session.execute("ALTER TABLE igniter_keys ADD COLUMN note TEXT")

    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, adds_a_column])
    both = [SQLiteAdapter.from_url(url, timeout=30.0) for _ in range(2)]
    await asyncio.gather(*(adapter.open() for adapter in both))

    assert await both[0].get("key") == b"value"
    assert steps == ["taken"]
    await asyncio.gather(*(adapter.close() for adapter in both))
    assert await rows_of(
        tmp_path / "state.db", "SELECT version FROM igniter_schema ORDER BY version"
    ) == [(1,), (2,)]
    assert await rows_of(tmp_path / "state.db", "SELECT note FROM igniter_keys") == [(None,)]


async def test_failed_migration_leaves_the_file_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    old = SQLiteAdapter.from_url(url)
    await old.open()
    await old.set("key", b"value")
    await old.close()

    def breaks(session: Session) -> None:
        session.execute("ALTER TABLE igniter_keys ADD COLUMN note TEXT")
        session.execute("ALTER TABLE no_such_table ADD COLUMN note TEXT")

    with monkeypatch.context() as patched:
        patched.setattr(schema, "STEPS", [*schema.STEPS, breaks])
        with pytest.raises(StoreError):
            await SQLiteAdapter.from_url(url).open()

    again = SQLiteAdapter.from_url(url)
    await again.open()
    assert await again.get("key") == b"value"
    await again.close()
