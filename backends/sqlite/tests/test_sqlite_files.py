"""Files that can't be used as a store.

Each error reports the cause and the cure, and no data is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import (
    BackendTimeout,
    BackendUnavailable,
    ConfigurationError,
    Entry,
    ErrorCode,
    StoreError,
)
from igniter_store_sqlite import SQLiteAdapter
from igniter_store_sqlite.file_identity import network_of
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path


@contextlib.asynccontextmanager
async def opened(path: Path | str, **options: Any) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}", **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


async def refusal(path: Path | str, **options: Any) -> StoreError:
    """Return the error of an opening, after checking that nothing of it is left."""
    before = asyncio.all_tasks()
    with pytest.raises(StoreError) as caught:
        async with opened(path, **options):
            pass
    assert asyncio.all_tasks() <= before
    return caught.value


@contextlib.contextmanager
def locked(path: Path) -> Generator[sqlite3.Connection]:
    """Another connection writes, and never finishes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://state.db",
        "sqlite:state.db",
        "sqlite:///",
        "sqlite:///folder/",
        "sqlite:///a%00b",
        "sqlite:///state.db?timeout=soon",
        "sqlite:///state.db?timeout=0",
        "sqlite:///state.db?synchronous=off",
        "sqlite:///state.db?password=s3cret",
    ],
)
def test_invalid_url_error_hides_the_query(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SQLiteAdapter.from_url(url)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": -1},
        {"timeout": True},
        {"timeout": "5"},
        {"synchronous": "off"},
        {"syncronous": "full"},
    ],
)
def test_invalid_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SQLiteAdapter.from_url("sqlite://", **options)


@pytest.mark.parametrize(
    "engine", [None, "sqlite:///state.db", create_async_engine("sqlite+aiosqlite://").sync_engine]
)
def test_engine_of_wrong_type_is_refused(engine: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"AsyncEngine.*from_url"):
        SQLiteAdapter(engine)


def synchronous_of(connection: sqlite3.Connection) -> int:
    [level] = connection.execute("PRAGMA synchronous").fetchone()
    return int(level)


async def test_options_of_the_url_are_used(tmp_path: Path) -> None:
    async with opened(f"{tmp_path}/state.db?synchronous=full&timeout=2.5") as adapter:
        untyped: Any = adapter
        assert (await untyped._writes.run(synchronous_of), untyped._database.timeout) == (
            2,
            2.5,
        )


async def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    place = tmp_path / "ünï cøde %41 '?#\";&.db"
    async with opened(
        str(place).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    ) as adapter:
        await adapter.set("key", b"value")
    assert place.exists()


@pytest.mark.clause("LIF-3")
async def test_missing_folder_is_named_as_the_cause(tmp_path: Path) -> None:
    error = await refusal(tmp_path / "none" / "state.db")

    assert error.code == ErrorCode.STORE_CONNECTION_FAILED
    assert "folder" in error.message
    assert isinstance(error.__cause__, sqlite3.OperationalError)
    (tmp_path / "none").mkdir()
    async with opened(tmp_path / "none" / "state.db"):
        pass


async def test_folder_at_the_path_is_refused(tmp_path: Path) -> None:
    error = await refusal(tmp_path)

    assert error.code == ErrorCode.STORE_CONNECTION_FAILED


async def test_text_file_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    place = tmp_path / "notes.txt"
    place.write_text("Not a database, but a long text of a user. " * 100, encoding="utf-8")
    before = place.read_bytes()

    error = await refusal(place)

    assert error.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "isn't a SQLite database" in error.message
    assert place.read_bytes() == before


async def test_database_of_another_application_is_left_unchanged(tmp_path: Path) -> None:
    place = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("CREATE TABLE songs (name)")

    error = await refusal(place)

    assert error.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "engine=" in error.message
    with contextlib.closing(sqlite3.connect(place)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("songs",)]


async def test_users_engine_may_contain_other_tables(
    tmp_path: Path,
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/app.db")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE songs (name)"))
    adapter = SQLiteAdapter(engine)
    await adapter.open()
    await adapter.set("key", b"value")
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO songs VALUES ('one')"))
    assert await adapter.get("key") == b"value"
    await adapter.close()

    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM songs"))).scalar_one() == 1
        assert (
            await connection.execute(text("SELECT count(*) FROM igniter_keys"))
        ).scalar_one() == 1
    await engine.dispose()


async def test_write_raises_when_file_is_read_only(tmp_path: Path) -> None:
    async with opened(tmp_path / "state.db") as adapter:
        await adapter.set("key", b"value")
    engine = create_async_engine(f"sqlite+aiosqlite:///file:{tmp_path}/state.db?mode=ro&uri=true")
    adapter = SQLiteAdapter(engine)
    await adapter.open()

    assert await adapter.get("key") == b"value"
    with pytest.raises(StoreError) as caught:
        await adapter.set("key", b"other")
    await adapter.close()

    assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
    assert "write permission" in caught.value.message
    assert not caught.value.retryable
    await engine.dispose()


async def test_newer_schema_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    place = tmp_path / "state.db"
    async with opened(place) as adapter:
        await adapter.set("key", b"value")
    with contextlib.closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("INSERT INTO igniter_schema VALUES (1000)")

    error = await refusal(place)

    assert error.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "version 1000" in error.message
    assert "pip install -U" in error.message
    with contextlib.closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("DELETE FROM igniter_schema WHERE version = 1000")
    async with opened(place) as adapter:
        assert await adapter.get("key") == b"value"


async def test_damaged_page_raises_and_other_pages_stay_readable(tmp_path: Path) -> None:
    place = tmp_path / "state.db"
    async with opened(place) as adapter:
        await adapter.mset([Entry(f"key-{number:05}", b"v" * 200) for number in range(5_000)])
    with contextlib.closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [size] = connection.execute("PRAGMA page_size").fetchone()
        [pages] = connection.execute("PRAGMA page_count").fetchone()
    with place.open("r+b") as file:
        file.seek((pages - 2) * size)
        file.write(b"\xee" * size)

    async with opened(place) as adapter:
        answers = await asyncio.gather(
            *(adapter.get(f"key-{number:05}") for number in range(5_000)), return_exceptions=True
        )

    damaged = [answer for answer in answers if isinstance(answer, StoreError)]
    assert damaged
    assert {(error.code, error.retryable) for error in damaged} == {
        (ErrorCode.STORE_OPERATION_FAILED, False)
    }
    assert all("backup" in error.message for error in damaged)
    assert b"v" * 200 in answers


@pytest.mark.clause("FLT-4")
async def test_long_lock_times_out_writes_but_not_reads(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "state.db", timeout=1.5) as adapter:
        await adapter.set("key", b"value")
        with locked(tmp_path / "state.db"):
            waiting = [
                asyncio.create_task(adapter.set(f"other-{number}", b"value")) for number in range(3)
            ]
            assert await adapter.get("key") == b"value"
            for task in waiting:
                with pytest.raises(BackendTimeout) as caught:
                    await task
                assert "database lock" in caught.value.message
                assert (caught.value.retryable, caught.value.maybe_applied) == (True, False)
        assert await adapter.set("key", b"next") is True
        assert await adapter.mget(["key", "other-0"]) == [b"next", None]


async def test_write_waits_for_a_lock_released_in_time(tmp_path: Path) -> None:
    async with opened(tmp_path / "state.db", timeout=30.0) as adapter:
        with locked(tmp_path / "state.db"):
            waiting = asyncio.create_task(adapter.increment("counter"))
            await asyncio.sleep(0.05)  # time has to pass, in which a write without a lock would end
            assert not waiting.done()
        assert await waiting == 1


async def test_opening_a_locked_file_times_out(tmp_path: Path) -> None:
    place = tmp_path / "state.db"
    async with opened(place):
        pass
    with locked(place):
        error = await refusal(place, timeout=1.5)
    assert error.code == ErrorCode.STORE_TIMEOUT
    async with opened(place, timeout=1.5):
        pass


async def test_removed_or_replaced_file_accepts_no_calls(
    tmp_path: Path,
) -> None:
    """A write to the old file would be lost."""
    place = tmp_path / "state.db"
    async with opened(place) as adapter:
        await adapter.set("key", b"value")
        await adapter.backup(tmp_path / "copy.db")
        place.rename(tmp_path / "old.db")
        for call in (adapter.get("key"), adapter.set("key", b"lost"), adapter.ping()):
            with pytest.raises(BackendUnavailable, match="removed or replaced") as caught:
                await call
            assert caught.value.maybe_applied is False
        (tmp_path / "copy.db").rename(place)
        answers = await asyncio.gather(
            *(adapter.increment("counter") for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(answer, BackendUnavailable) for answer in answers)
        await adapter.close()
        await adapter.open()
        assert await adapter.get("key") == b"value"


@pytest.mark.clause("LIF-5")
async def test_closing_does_not_wait_for_a_lock(tmp_path: Path) -> None:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db", timeout=3_600)
    await adapter.open()
    await adapter.subscribe("news", lambda _, payload: None)
    with locked(tmp_path / "state.db"):
        waiting = asyncio.create_task(adapter.set("key", b"value"))
        await asyncio.sleep(0.02)  # time has to pass: nothing shows that the write has met the lock
        async with asyncio.timeout(30):
            await adapter.close()
        with pytest.raises(StoreError) as caught:
            await waiting
    assert caught.value.code == ErrorCode.STORE_CLOSED


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limit there")
def test_full_disk_raises_and_loses_no_data(tmp_path: Path) -> None:
    program = """
        import asyncio, resource, sys
        from igniter_store.contract import StoreError
        from igniter_store_sqlite import SQLiteAdapter

        async def main():
            adapter = SQLiteAdapter.from_url(f"sqlite:///{sys.argv[1]}/state.db")
            await adapter.open()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            written, refused = [], 0
            for number in range(400):
                try:
                    await adapter.set(f"key-{number}", b"v" * 10_000)
                except StoreError as error:
                    assert error.code == "STORE_OPERATION_FAILED" and error.retryable and not error.maybe_applied, error
                    refused += 1
                else:
                    written.append(number)
            assert refused and written
            assert [await adapter.get(f"key-{number}") for number in written] == [b"v" * 10_000] * len(written)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert await adapter.set("after", b"value")
            await adapter.close()
            await adapter.open()
            assert [await adapter.get(f"key-{number}") for number in written] == [b"v" * 10_000] * len(written)
            assert await adapter.get("after") == b"value"
            await adapter.close()
            print("done", len(written), refused)

        asyncio.run(main())
    """  # noqa: E501 - lines of a script
    shown = subprocess.run(  # noqa: S603 - a command of this repository
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout.startswith("done"), shown.stderr


def test_network_file_system_is_detected_by_its_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        (
            "/dev/sda1 / ext4 rw 0 0\nserver:/export /mnt/team\\040files nfs4 rw 0 0\n/dev/sdb1 "
            "/mnt/team\\040files/local xfs rw 0 0\n"
        ),
        encoding="utf-8",
    )

    assert network_of("/mnt/team files/state.db", str(mounts)) == "nfs4"
    assert network_of("/mnt/team files/local/state.db", str(mounts)) is None
    assert network_of("/mnt/team files by others/state.db", str(mounts)) is None
    assert network_of("state.db", str(mounts)) is None
    assert network_of("state.db", str(tmp_path / "none")) is None


async def test_network_file_system_logs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def on_nfs(_: str) -> str:
        return "nfs4"

    monkeypatch.setattr("igniter_store_sqlite.adapter.network_of", on_nfs)
    with caplog.at_level(logging.WARNING, "igniter_store"):
        async with opened(tmp_path / "state.db") as adapter:
            await adapter.set("key", b"value")

    assert "network file system (nfs4)" in caplog.text
