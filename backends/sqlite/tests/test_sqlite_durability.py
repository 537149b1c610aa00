"""Acknowledged writes are durable.

They survive if every process is killed during its work, and are in a copy made meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

pytestmark = pytest.mark.full

ROUNDS = 50
SETTERS, BATCH = 4, 5
STREAM, GROUP, CONSUMER = "stream", "group", "consumer"
LIMIT = 60.0


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(url)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


@contextlib.contextmanager
def nursery(folder: Path) -> Generator[subprocess.Popen[str]]:
    """Start the process whose children are killed; its imports are done, so a child starts fast."""
    program = [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(folder)]
    with subprocess.Popen(  # noqa: S603 - a command of this repository
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


async def work_and_be_killed(process: subprocess.Popen[str], log: Path, lines: int) -> None:
    """Let a child work until it has that many acknowledged calls, then kill it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    child = int(await asyncio.to_thread(process.stdout.readline))
    before = count(log)
    try:
        async with asyncio.timeout(LIMIT):
            while count(log) < before + lines:  # noqa: ASYNC110 - another process writes there
                await asyncio.sleep(0.001)
    finally:
        os.kill(child, signal.SIGKILL)
        assert await asyncio.to_thread(process.stdout.readline) == "ended\n"


def count(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


class Acknowledged:
    """The acknowledged calls of the killed children, by the name of the work."""

    def __init__(self, log: Path) -> None:
        self.by_name: dict[str, list[list[str]]] = defaultdict(list)
        for line in log.read_text(encoding="ascii").splitlines():
            name, *words = line.split()
            self.by_name[name].append(words)

    def last(self, name: str, *words: str) -> int:
        return max(
            (int(call[-1]) for call in self.by_name[name] if call[:-1] == [*words]), default=0
        )

    def ids(self, name: str) -> set[str]:
        return {call[0] for call in self.by_name[name]}


class Found:
    """The last state found, by name; the next child continued from there."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def check(self, name: str, found: bytes | None, acknowledged: int) -> None:
        """Check that acknowledged steps exist, and at most one more, which was in progress."""
        number = int(found or 0)
        assert acknowledged <= number <= max(acknowledged, self.last.get(name, 0)) + 1
        self.last[name] = number


async def check(adapter: SQLiteAdapter, acknowledged: Acknowledged, found: Found) -> None:
    """Check that acknowledged calls were applied, and others wholly or not at all."""
    for number in range(SETTERS):
        found.check(
            f"value:{number}",
            await adapter.get(f"value:{number}"),
            acknowledged.last("set", str(number)),
        )
    found.check("counter", await adapter.get("counter"), acknowledged.last("count"))
    batch = {*await adapter.mget([f"batch:{place}" for place in range(BATCH)])}
    assert len(batch) == 1
    found.check("batch", batch.pop(), acknowledged.last("batch"))
    entries = [entry.id for entry in await adapter.xrange(STREAM)]
    assert acknowledged.ids("append") <= {*entries}
    assert len(entries) == await adapter.xlen(STREAM)
    pending = {entry.id for entry in await adapter.xpending(STREAM, GROUP)}
    assert not pending & acknowledged.ids("ack")
    [group] = await adapter.xgroups(STREAM)
    tokens = [int(words[0]) for words in acknowledged.by_name["token"]]
    assert tokens == sorted(set(tokens))
    # Every entry read is acknowledged or pending: none was lost between the two.
    read = {entry for entry in entries if number_of(entry) <= number_of(group.last_delivered_id)}
    assert read - pending <= acknowledged.ids("handle")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def number_of(stream_id: str) -> tuple[int, int]:
    milliseconds, sequence = stream_id.split("-")
    return int(milliseconds), int(sequence)


@pytest.mark.clause("CLM-5", "STR-16")
@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no kill there")
async def test_killed_writers_lose_no_acknowledged_call(tmp_path: Path) -> None:
    """Each of 50 rounds kills a child in the middle of its work."""
    log = tmp_path / "acknowledged"
    found = Found()
    chance = random.Random(5)  # noqa: S311 - a fixed seed, so that a failure can be reproduced
    with nursery(tmp_path) as process:
        for _ in range(ROUNDS):
            await work_and_be_killed(process, log, chance.randrange(1, 400))
            async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
                await check(adapter, Acknowledged(log), found)
            with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    acknowledged = Acknowledged(log)
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        left = [
            *await adapter.xautoclaim(STREAM, GROUP, CONSUMER, 0.0),
            *await adapter.xreadgroup(STREAM, GROUP, CONSUMER),
        ]
        everything = {entry.id for entry in await adapter.xrange(STREAM)}
    assert everything == acknowledged.ids("handle") | {entry.id for entry in left}
    assert len(everything) > ROUNDS


async def test_backup_during_writes_is_a_consistent_snapshot(
    tmp_path: Path,
) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        await adapter.mset([Entry(f"filling:{number}", b"x" * 1_000) for number in range(2_000)])

        async def writes() -> None:
            for turn in range(1, 100_000):
                await adapter.mset(
                    [Entry(f"batch:{place}", b"%d" % turn) for place in range(BATCH)]
                )

        writing, at_most = asyncio.create_task(writes()), 0
        for turn in range(3):
            at_least = int(await adapter.get("batch:0") or 0)
            await adapter.backup(tmp_path / "copy.db")
            at_most = int(await adapter.get("batch:0") or 0)
            async with opened(f"sqlite:///{tmp_path}/copy.db") as copy:
                found = {
                    int(value or 0)
                    for value in await copy.mget([f"batch:{place}" for place in range(BATCH)])
                }
                assert len(found) == 1
                assert at_least <= found.pop() <= at_most
                assert await copy.get("filling:1999") == b"x" * 1_000
                assert await copy.increment("own") == 1, (
                    f"turn {turn}: each copy is a new database, which replaces the former copy"
                )
        assert at_most > 0
        writing.cancel()
        await asyncio.wait({writing})
        assert await adapter.get("own") is None
    assert [name for name in names_in(tmp_path) if "part" in name] == []


async def test_backup_writes_in_memory_database_to_file(tmp_path: Path) -> None:
    async with opened("sqlite://") as adapter:
        await adapter.set("key", b"value")
        await adapter.backup(tmp_path / "copy.db")
        await adapter.set("key", b"later")
    async with opened(f"sqlite:///{tmp_path}/copy.db") as copy:
        assert await copy.get("key") == b"value"


async def test_failed_backup_raises_and_leaves_no_file(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        await adapter.set("key", b"value")
        (tmp_path / "folder").mkdir()
        for place in (tmp_path / "none" / "copy.db", tmp_path / "folder"):
            with pytest.raises(StoreError) as caught:
                await adapter.backup(place)
            assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
            assert "folder" in caught.value.message
        assert await adapter.get("key") == b"value"
    assert names_in(tmp_path) == ["folder", "state.db"]
    with pytest.raises(StoreError) as caught:
        await adapter.backup(tmp_path / "copy.db")
    assert caught.value.code == ErrorCode.STORE_CLOSED


@pytest.mark.parametrize("place", ["/{}/state.db", ""])
async def test_cancelled_backup_leaves_no_partial_file(tmp_path: Path, place: str) -> None:
    async with opened(f"sqlite://{place.format(tmp_path)}") as adapter:
        await adapter.mset([Entry(f"filling:{number}", b"x" * 1_000) for number in range(3_000)])
        for turns in range(12):
            copying = asyncio.create_task(adapter.backup(tmp_path / "copy.db"))
            await asyncio.sleep(turns * 0.001)  # at different moments of the copy
            copying.cancel()
            await asyncio.wait({copying})
        assert await adapter.get("filling:0") == b"x" * 1_000
    assert {*names_in(tmp_path)} <= {"state.db", "copy.db"}


@pytest.mark.clause("LIF-8")
async def test_a_database_in_memory_outlives_a_close() -> None:
    async with opened("sqlite://") as adapter:
        await adapter.set("key", b"value")
        await adapter.close()
        await adapter.open()
        assert await adapter.get("key") == b"value"
        assert await adapter.increment("counter") == 1
