"""A read-only database: reads work, each call that writes raises, and no stale data is returned."""

# no clause: the contract doesn't cover read-only databases.

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import ErrorCode
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

UNSHARE = ["unshare", "-m"]


def can_mount() -> bool:
    return (
        sys.platform == "linux"
        # Our own command
        and not subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode  # noqa: S603
    )


pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        sys.platform == "win32" or (os.geteuid() == 0 and not can_mount()),
        reason="no way to let a folder be read-only",
    ),
]


@contextlib.asynccontextmanager
async def opened(folder: Path, name: str = "state.db") -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{folder}/{name}")
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Create a folder with a closed database."""
    folder = tmp_path / "store"
    folder.mkdir()
    async with opened(folder) as adapter:
        await adapter.set("key", b"value")
        await adapter.xgroup_create("stream", "group")
        await adapter.xadd("stream", {"a": b"b"})
    return folder


class Reader:
    """A process that can only read the folder."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def ask(self, words: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        answers: list[str] = ast.literal_eval(
            await asyncio.to_thread(self._process.stdout.readline)
        )
        return answers


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    program = [sys.executable, str(Path(__file__).with_name("reads_only.py")), str(folder)]
    with subprocess.Popen(  # noqa: S603 - a command of this repository
        [*(UNSHARE if not os.geteuid() else []), *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield Reader(process)
        finally:
            process.communicate()
            if os.geteuid():
                for path in (folder, *folder.iterdir()):
                    path.chmod(0o755)


def assert_reads(answers: list[str]) -> None:
    assert answers[:3] == ["b'value'", "[b'value', None]", "True"]
    assert not [answer for answer in answers if answer.startswith("STORE_")]


def assert_refused(answers: list[str]) -> None:
    for answer in answers:
        assert answer.startswith(ErrorCode.STORE_OPERATION_FAILED), answers
        assert "read-only" in answer


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_closed_database_is_read(folder: Path, reader: Reader) -> None:
    before = contents_of(folder)

    assert await reader.ask("open") == ["None"]
    assert_reads(await reader.ask("read"))
    assert_refused(await reader.ask("write"))
    assert_reads(await reader.ask("read"))
    assert await reader.ask("close") == ["None"]
    assert await reader.ask("open") == ["None"]
    assert_reads(await reader.ask("read"))

    assert contents_of(folder) == before


async def test_backup_works_on_read_only_database(tmp_path: Path, reader: Reader) -> None:
    await reader.ask("open")
    assert await reader.ask(f"backup {tmp_path}/copy.db") == ["None"]

    async with opened(tmp_path, "copy.db") as copy:
        assert await copy.get("key") == b"value"


async def test_read_only_database_survives_forks(folder: Path, reader: Reader) -> None:
    before = contents_of(folder)
    assert await reader.ask("open") == ["None"]
    for _ in range(2):
        assert await reader.ask("fork key") == ["b'value'"]
        assert_reads(await reader.ask("read"))
        assert_refused(await reader.ask("write"))
    assert await reader.ask("close") == ["None"]

    assert contents_of(folder) == before


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="needs a mount that only the reader has"
)
async def test_database_is_read_while_another_process_writes(folder: Path, reader: Reader) -> None:
    async with opened(folder) as writer:
        await writer.set("key", b"value")
        assert await reader.ask("open") == ["None"]
        assert_reads(await reader.ask("read"))
        await writer.set("key", b"newer")
        assert await reader.ask("get key") == ["b'newer'"]
        assert_refused(await reader.ask("write"))


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="needs a mount that only the reader has"
)
@pytest.mark.parametrize("ends", [False, True])
async def test_reader_is_not_stale_after_later_writer(
    folder: Path,
    reader: Reader,
    ends: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert await reader.ask("open") == ["None"]
    assert await reader.ask("get key") == ["b'value'"]
    async with opened(folder) as writer:
        await writer.set("key", b"newer")
        answers = [] if ends else await reader.ask("get key")
    [answer] = answers or await reader.ask("get key")

    assert answer.startswith(ErrorCode.STORE_CONNECTION_FAILED)
    assert "written" in answer
    assert await reader.ask("close") == ["None"]
    assert await reader.ask("open") == ["None"]
    assert await reader.ask("get key") == ["b'newer'"]


async def left_log(folder: Path, suffixes: list[str]) -> None:
    """Leave files as a killed process does: only the WAL contains the last change."""
    async with opened(folder) as adapter:
        await adapter.set("key", b"newer")
        for suffix in suffixes:
            shutil.copy(folder / f"state.db{suffix}", folder / f"kept{suffix}")
    for suffix in suffixes:
        (folder / f"kept{suffix}").rename(folder / f"state.db{suffix}")


@pytest.mark.parametrize("suffixes", [["", "-wal"], ["", "-wal", "-shm"]])
async def test_changes_in_the_log_are_read_or_named(
    folder: Path, suffixes: list[str], request: pytest.FixtureRequest
) -> None:
    await left_log(folder, suffixes)
    reader: Reader = request.getfixturevalue("reader")

    [opening] = await reader.ask("open")

    if "-shm" in suffixes:
        assert opening == "None"
        assert await reader.ask("get key") == ["b'newer'"]
        assert_refused(await reader.ask("write"))
    else:
        assert opening.startswith(ErrorCode.STORE_CONNECTION_FAILED)
        assert "-wal" in opening


async def test_backup_file_is_read(folder: Path, request: pytest.FixtureRequest) -> None:
    """It isn't in WAL mode until it was opened where it is writable."""
    async with opened(folder) as adapter:
        await adapter.backup(folder / "copy.db")
    (folder / "copy.db").rename(folder / "state.db")
    reader: Reader = request.getfixturevalue("reader")

    assert await reader.ask("open") == ["None"]
    assert_reads(await reader.ask("read"))
    assert_refused(await reader.ask("write"))


@pytest.mark.parametrize(
    ("content", "code", "failure"),
    [
        (b"", ErrorCode.STORE_OPERATION_FAILED, "The database is read-only. Give this user"),
        (None, ErrorCode.STORE_CONNECTION_FAILED, "this user can't create it. Grant write"),
    ],
)
async def test_database_without_tables_is_refused(
    folder: Path,
    content: bytes | None,
    code: ErrorCode,
    failure: str,
    request: pytest.FixtureRequest,
) -> None:
    (folder / "state.db").unlink()
    if content is not None:
        (folder / "state.db").write_bytes(content)
    reader: Reader = request.getfixturevalue("reader")

    [opening] = await reader.ask("open")

    assert opening.startswith(code)
    assert failure in opening


async def test_older_tables_are_named(folder: Path, request: pytest.FixtureRequest) -> None:
    with contextlib.closing(sqlite3.connect(folder / "state.db")) as connection, connection:
        connection.execute("DROP INDEX igniter_keys_deadline")
        connection.execute("ALTER TABLE igniter_keys DROP COLUMN since")
    reader: Reader = request.getfixturevalue("reader")

    [opening] = await reader.ask("open")

    assert opening.startswith(ErrorCode.STORE_OPERATION_FAILED)
    assert "older igniter-store-sqlite" in opening
