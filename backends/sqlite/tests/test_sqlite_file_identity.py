"""The place of the file.

The tests cover the file that a URL names, other things at that path, and changes to an open file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import (
    BackendUnavailable,
    ConfigurationError,
    Entry,
    ErrorCode,
    StoreError,
)
from igniter_store_sqlite import SQLiteAdapter, schema
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from igniter_store_sqlite.session import Session

IS_WINDOWS = sys.platform == "win32"


@contextlib.asynccontextmanager
async def opened(path: Path | str, **options: Any) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}", **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Create two folders; the first is the working directory."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    return here, there


@pytest.mark.clause("LIF-21")
@pytest.mark.parametrize("name", ["state.db", "./state.db", "../here/state.db", "sub/state.db"])
async def test_relative_path_is_settled_by_from_url(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here, there = folders
    (here / "sub").mkdir()
    adapter = SQLiteAdapter.from_url(f"sqlite:///{name}")
    monkeypatch.chdir(there)
    for turn in range(2):
        await adapter.open()
        monkeypatch.chdir(here if turn else there)
        await adapter.set("key", b"value")
        await adapter.close()
        monkeypatch.chdir(there)

    assert names_in(there) == set()
    async with opened(here / name) as adapter:
        assert await adapter.get("key") == b"value"


async def test_relative_path_without_a_working_directory_is_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    here, _ = folders
    if IS_WINDOWS:
        pytest.skip("a working directory can't be removed there")
    here.rmdir()

    with pytest.raises(ConfigurationError, match="absolute path"):
        SQLiteAdapter.from_url("sqlite:///state.db")
    async with opened(tmp_path / "state.db") as adapter:
        assert await adapter.get("key") is None


async def test_backup_path_is_settled_when_called(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    async with opened("state.db") as adapter:
        copying = asyncio.create_task(adapter.backup("copy.db"))
        await asyncio.sleep(0)
        monkeypatch.chdir(there)
        await copying

    assert "copy.db" in names_in(here)
    assert names_in(there) == set()


async def test_network_warning_looks_at_the_file_itself(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    looked_at: list[str] = []
    monkeypatch.setattr("igniter_store_sqlite.adapter.network_of", looked_at.append)
    adapter = SQLiteAdapter.from_url("sqlite:///state.db")
    monkeypatch.chdir(there)
    await adapter.open()
    await adapter.close()
    engine = create_async_engine(f"sqlite+aiosqlite:///file:{here}/state.db?mode=rwc&uri=true")
    lent = SQLiteAdapter(engine)
    await lent.open()
    await lent.close()
    await engine.dispose()

    assert looked_at == [str(here / "state.db")] * 2


@pytest.mark.parametrize(
    "rest",
    [
        "file:state.db",
        "file:state.db?mode=ro",
        "file:/tmp/state.db",
        "file:///tmp/state.db?cache=shared",
        "file::memory:?cache=shared",
        "file%3Astate.db",
        "FILE:state.db",
        "file:state.db?timeout=5",
    ],
)
async def test_file_uri_is_refused(folders: tuple[Path, Path], rest: str) -> None:
    here, _ = folders
    with pytest.raises(ConfigurationError) as caught:
        SQLiteAdapter.from_url(f"sqlite:///{rest}")

    assert "takes a path, not a file: URI" in caught.value.message
    assert names_in(here) == set()


@pytest.mark.parametrize("rest", ["~", "~/state.db", "~me/state.db", "%7E/state.db"])
def test_home_sign_is_refused(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="doesn't expand ~"):
        SQLiteAdapter.from_url(f"sqlite:///{rest}")


@pytest.mark.parametrize("rest", ["%FF.db", "\udcff.db"])
def test_path_outside_utf_8_is_refused(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        SQLiteAdapter.from_url(f"sqlite:///{rest}")


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        ("./file:state.db", "file:state.db"),
        ("~state.db", "~state.db"),
        ("a b%20c.db", "a b c.db"),
        ("a%3Fb%23c.db", "a?b#c.db"),
        ("100%25.db", "100%.db"),
        ("%C3%BC.db", "ü.db"),
        (":memory:.db", ":memory:.db"),
        ("a+b&c=d;e.db", "a+b&c=d;e.db"),
    ],
)
@pytest.mark.skipif(IS_WINDOWS, reason="there names may not hold these")
async def test_name_may_hold_any_characters(
    folders: tuple[Path, Path], rest: str, name: str
) -> None:
    here, _ = folders
    async with opened(rest) as adapter:
        await adapter.set("key", b"value")

    assert names_in(here) == {name}


def a_folder(folder: Path) -> str:
    (folder / "one.db").mkdir()
    return "one.db"


def a_pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe.db")
    return "pipe.db"


def a_socket(folder: Path) -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.db")
    return "socket.db"


def a_device(_: Path) -> str:
    return "/dev/null"


def a_file_for_a_folder(folder: Path) -> str:
    (folder / "file").write_text("")
    return "file/state.db"


def a_loop_of_links(folder: Path) -> str:
    (folder / "loop.db").symlink_to(folder / "pool.db")
    (folder / "pool.db").symlink_to(folder / "loop.db")
    return "loop.db"


def a_link_to_nowhere(folder: Path) -> str:
    (folder / "link.db").symlink_to(folder / "none" / "state.db")
    return "link.db"


def a_missing_folder(_: Path) -> str:
    return "none/state.db"


def a_long_name(_: Path) -> str:
    return "n" * 300 + ".db"


def a_long_path(folder: Path) -> str:
    part = "n" * 200
    (folder / part / part / part).mkdir(parents=True)
    return f"{part}/{part}/{part}/state.db"


OBSTACLES: dict[Callable[[Path], str], str] = {
    a_folder: "a folder",
    a_pipe: "pipe",
    a_socket: "socket",
    a_device: "device",
    a_file_for_a_folder: "is a file instead of a folder",
    a_loop_of_links: "links",
    a_link_to_nowhere: "folder doesn't exist",
    a_missing_folder: "folder doesn't exist",
    a_long_name: "too long",
    a_long_path: "exceeds the limit of SQLite",
}


@pytest.mark.skipif(IS_WINDOWS, reason="the system's own kinds of files")
@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda made: made.__name__)
async def test_error_names_the_obstacle_at_the_path(
    folders: tuple[Path, Path], obstacle: Callable[[Path], str]
) -> None:
    here, _ = folders
    name = obstacle(here)
    before = names_in(here)

    async with asyncio.timeout(30):
        with pytest.raises(StoreError) as caught:
            async with opened(name, timeout=5.0):
                pass

    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
    assert OBSTACLES[obstacle] in caught.value.message
    assert names_in(here) == before


@pytest.mark.parametrize(
    "content",
    [
        b"xy",
        b"SQLite format 3\0",
        b"SQLite format 3\0" + bytes(600),
        b"\0" * 4096,
        b"text " * 2_000,
    ],
)
async def test_file_without_database_is_left_unchanged(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "state.db"
    place.write_bytes(content)

    with pytest.raises(StoreError) as caught:
        async with opened(place):
            pass

    assert caught.value.code in {
        ErrorCode.STORE_CONFIGURATION_INVALID,
        ErrorCode.STORE_OPERATION_FAILED,
    }
    assert place.read_bytes() == content
    assert names_in(tmp_path) == {"state.db"}


async def test_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    async with opened(tmp_path / "state.db") as adapter:
        assert await adapter.set("key", b"value")


@pytest.mark.skipif(IS_WINDOWS, reason="links need rights there")
async def test_link_that_leads_elsewhere_is_a_replaced_file(tmp_path: Path) -> None:
    for name in ("one.db", "two.db"):
        async with opened(tmp_path / name) as adapter:
            await adapter.set("key", name.encode())
    link = tmp_path / "state.db"
    link.symlink_to("one.db")

    async with opened(link) as adapter:
        assert await adapter.get("key") == b"one.db"
        link.unlink()
        link.symlink_to("two.db")
        for call in (adapter.get("key"), adapter.set("key", b"lost")):
            with pytest.raises(BackendUnavailable, match="removed or replaced"):
                await call
        await adapter.close()
        await adapter.open()
        assert await adapter.get("key") == b"two.db"
    async with opened(tmp_path / "one.db") as adapter:
        assert await adapter.get("key") == b"one.db"


@pytest.mark.clause("LIF-21")
async def test_relative_engine_means_one_file(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    engine = create_async_engine("sqlite+aiosqlite:///state.db")
    adapter = SQLiteAdapter(engine)
    monkeypatch.chdir(there)
    await adapter.open()
    await adapter.set("key", b"value")
    await adapter.close()
    await engine.dispose()

    assert names_in(there) == set()
    assert "state.db" in names_in(here)


@pytest.mark.skipif(IS_WINDOWS, reason="links need rights there")
async def test_link_that_moves_during_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise one connection would read another file than the other one writes."""
    link, made = tmp_path / "state.db", schema.bring_forward
    link.symlink_to("one.db")

    def moves(session: Session, is_shared: bool) -> bool:  # noqa: FBT001 - the signature of the replaced function
        link.unlink()
        link.symlink_to("two.db")
        return made(session, is_shared)

    monkeypatch.setattr("igniter_store_sqlite.database.bring_forward", moves)
    with pytest.raises(BackendUnavailable):
        async with opened(link):
            pass


async def test_engine_in_shared_memory_is_refused() -> None:
    engine = create_async_engine("sqlite+aiosqlite:///file::memory:?cache=shared&uri=true")
    adapter = SQLiteAdapter(engine)

    with pytest.raises(ConfigurationError, match="has no file"):
        await adapter.open()
    await adapter.close()
    await engine.dispose()


# Changes that another process makes to an open file


def do(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def outcomes(adapter: SQLiteAdapter) -> list[object]:
    calls = [
        adapter.get("key"),
        adapter.set("key", b"other"),
        adapter.mget(["key"]),
        adapter.publish("news", b"1"),
        adapter.xadd("stream", {"a": b"b"}),
        adapter.scan("*"),
        adapter.ping(),
        adapter.xreadgroup("stream", "group", "consumer", block=5.0),
        adapter.subscribe("news", lambda _, payload: None),
    ]
    return [*await asyncio.gather(*calls, return_exceptions=True)]


async def test_newer_tables_are_noticed_while_open(tmp_path: Path) -> None:
    place = tmp_path / "state.db"
    async with opened(place) as adapter:
        await adapter.set("key", b"value")
        await adapter.xgroup_create("stream", "group")
        assert await adapter.get("key") == b"value"
        do(place, "INSERT INTO igniter_schema VALUES (1000)")

        for _ in range(2):
            for outcome in await outcomes(adapter):
                assert isinstance(outcome, ConfigurationError), outcome
                assert "version 1000" in outcome.message
                assert "pip install -U" in outcome.message
                assert not outcome.retryable
                assert not outcome.maybe_applied
        do(place, "DELETE FROM igniter_schema WHERE version = 1000")
        assert await adapter.get("key") == b"value"


async def test_newer_release_migrating_the_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "state.db") as adapter:
        await adapter.set("key", b"value")
        waiting = asyncio.create_task(wait_for_an_entry(adapter))
        await adapter.ping()

        def renames(session: Session) -> None:
            session.execute("ALTER TABLE igniter_keys RENAME TO igniter_values")

        with monkeypatch.context() as newer:
            newer.setattr(schema, "STEPS", [*schema.STEPS, renames])
            async with opened(tmp_path / "state.db"):
                pass
            for call in (adapter.get("key"), adapter.set("key", b"other")):
                with pytest.raises(ConfigurationError, match="newer"):
                    await call
            async with asyncio.timeout(30):
                with pytest.raises(ConfigurationError, match="newer"):
                    await waiting


async def wait_for_an_entry(adapter: SQLiteAdapter) -> object:
    await adapter.xgroup_create("stream", "group")
    return await adapter.xreadgroup("stream", "group", "consumer", block=60.0)


async def test_listener_logs_that_the_tables_are_newer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path / "state.db") as adapter:
        gaps = asyncio.Event()
        await adapter.subscribe("news", lambda _, payload: None, on_gap=gaps.set)
        do(tmp_path / "state.db", "INSERT INTO igniter_schema VALUES (1000)")
        async with asyncio.timeout(30):
            while "version 1000" not in caplog.text:  # noqa: ASYNC110 - nothing signals this change
                await asyncio.sleep(0.01)
        do(tmp_path / "state.db", "DELETE FROM igniter_schema WHERE version = 1000")
        async with asyncio.timeout(30):
            await gaps.wait()

    assert caplog.text.count("version 1000") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE igniter_keys",
        "DROP TABLE igniter_schema",
        "ALTER TABLE igniter_keys RENAME COLUMN deadline TO until",
        "ALTER TABLE igniter_keys RENAME TO others",
        "DELETE FROM igniter_schema",
    ],
)
async def test_dropped_or_altered_tables_are_named(tmp_path: Path, statement: str) -> None:
    code, failure = ErrorCode.STORE_OPERATION_FAILED, "were dropped or altered. Restore a backup"
    if statement.startswith("DELETE"):
        code = ErrorCode.STORE_CONFIGURATION_INVALID
        failure = "was replaced while it was open, so nothing was changed. Close the store and"
    async with opened(tmp_path / "state.db") as adapter:
        await adapter.set("key", b"value", ttl=100.0)
        do(tmp_path / "state.db", statement)
        for call in (adapter.get("key"), adapter.set("key", b"other"), adapter.ttl("key")):
            with pytest.raises(StoreError) as caught:
                await call
            assert (caught.value.code, caught.value.retryable) == (code, False)
            assert failure in caught.value.message


async def test_file_overwritten_in_place_raises_store_errors(tmp_path: Path) -> None:
    async with opened(tmp_path / "state.db") as adapter:
        await adapter.mset([Entry(f"key-{number}", b"value" * 1_000) for number in range(600)])
        # otherwise, SQLite reads every page from the WAL
        with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (tmp_path / "state.db").write_bytes(b"no database " * 10_000)
        answers: list[object] = []
        for number in range(20):
            for call in (adapter.get(f"key-{number}"), adapter.set(f"key-{number}", b"other")):
                answers += await asyncio.gather(call, return_exceptions=True)
    # Closing doesn't raise.

    assert [answer for answer in answers if not isinstance(answer, StoreError)] == [], (
        "a call that works, or raises another error, on a file that isn't a database"
    )
    assert {answer.code for answer in answers if isinstance(answer, StoreError)} <= {
        ErrorCode.STORE_CONFIGURATION_INVALID,
        ErrorCode.STORE_OPERATION_FAILED,
    }


async def test_older_release_works_with_added_columns(tmp_path: Path) -> None:
    """A file of the previous release lacks the columns that were added without a new version.

    Both releases work on it, one after the other.
    """
    place = tmp_path / "state.db"
    async with opened(place) as adapter:
        await adapter.set("key", b"value", ttl=100.0)
    do(
        place,
        "DROP INDEX igniter_keys_deadline",
        "ALTER TABLE igniter_keys DROP COLUMN since",
        "ALTER TABLE igniter_listeners DROP COLUMN doubted",
        "CREATE INDEX igniter_keys_deadline ON igniter_keys (deadline) WHERE deadline IS NOT NULL",
        "INSERT INTO igniter_listeners (number, position, seen_at) VALUES (7, 0, 1)",
    )

    async with opened(place) as adapter:
        left = await adapter.ttl("key")
        assert left is not None
        assert 0 < left <= 100
        await adapter.set("other", b"value", ttl=100.0)
        # A write of the older release:
        do(
            place,
            (
                "INSERT INTO igniter_keys (key, value, stream, deadline) VALUES (x'6f6c64', x'31', "
                "NULL, 4000000000000000)"
            ),
            "UPDATE igniter_keys SET deadline = 4000000000000000 WHERE key = x'6f74686572'",
        )
        assert await adapter.get("old") == b"1"
        assert await adapter.get("other") == b"value"
        assert await adapter.increment("old") == 2
        untyped: Any = adapter
        await untyped._sweeper.sweep()
        assert await adapter.get("old") == b"2"
    with contextlib.closing(sqlite3.connect(place)) as connection:
        assert connection.execute("SELECT version FROM igniter_schema").fetchall() == [(1,)]


@pytest.mark.skipif(IS_WINDOWS, reason="paths of another form")
async def test_error_explains_three_slashes_before_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, meant = tmp_path / "here", tmp_path / "data" / "state.db"
    here.mkdir()
    meant.parent.mkdir()
    monkeypatch.chdir(here)
    adapter = SQLiteAdapter.from_url(f"sqlite:///{str(meant).removeprefix('/')}")

    with pytest.raises(StoreError) as caught:
        await adapter.open()

    assert f"If you mean {meant}, write four slashes: sqlite:///{meant}." in caught.value.message
