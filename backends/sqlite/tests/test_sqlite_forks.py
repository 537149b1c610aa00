"""A process that has a database open may fork: neither it nor its children lose data.

The forking process is in `forking_parent`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from igniter_store.contract import ErrorCode
from igniter_store_sqlite import SQLiteAdapter

pytestmark = [pytest.mark.full, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")]

PARENT = Path(__file__).with_name("forking_parent.py")
LIMIT = 180


async def run(scenario: str, folder: Path, code: int = 0) -> Any:
    """Run a scenario in a process of its own, and return its result.

    It must write nothing to its standard error, except Python's own warnings.
    """
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        str(PARENT),
        scenario,
        str(folder),
    ]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (ended.stderr, ended.returncode) == ("", code)
    return json.loads(ended.stdout) if ended.stdout else None


async def found(path: Path) -> int:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}")
    await adapter.open()
    values = await adapter.mget(
        [f"{worker} {number}" for worker in range(3) for number in range(100)]
    )
    await adapter.close()
    return sum(value is not None for value in values)


@pytest.mark.clause("LIF-20")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
async def test_workers_lose_nothing_when_parent_closes(tmp_path: Path, method: str) -> None:
    assert await run(f"close_meanwhile_{method}", tmp_path) == {"found": 300, "codes": [0, 0, 0]}


@pytest.mark.clause("LIF-20")
async def test_workers_lose_nothing_when_parent_is_killed(tmp_path: Path) -> None:
    await run("be_killed", tmp_path, code=-9)

    end = asyncio.get_running_loop().time() + LIMIT
    # The workers are children of a process that no longer exists, so the test can't wait for them.
    while (written := await found(tmp_path / "state.db")) < 300:
        assert asyncio.get_running_loop().time() < end, f"only {written} of 300 values are there"
        await asyncio.sleep(0.05)


@pytest.mark.clause("LIF-20")
@pytest.mark.parametrize("scenario", ["go_on", "go_on_from_thread"])
async def test_parent_keeps_working_while_it_forks(tmp_path: Path, scenario: str) -> None:
    came_to = await run(scenario, tmp_path)

    assert came_to == {"codes": [0] * 6, "lost": 0, "heard": True, "gaps": 0, "read": True}


@pytest.mark.clause("LIF-14", "LIF-15")
async def test_inherited_adapter_is_refused_until_opened(tmp_path: Path) -> None:
    came_to = await run("use_the_inherited", tmp_path)

    assert came_to["codes"] == [0]
    assert [code for code, _ in came_to["got"][:4]] == [ErrorCode.STORE_CONFIGURATION_INVALID] * 4
    assert "create it in the child" in came_to["got"][0][1]
    assert came_to["got"][4:] == ["value", 1]
    assert came_to["parent"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="where a process sees its descriptors")
async def test_child_inherits_no_descriptor_of_the_file(tmp_path: Path) -> None:
    assert (await run("use_the_inherited", tmp_path))["files"] == []


@pytest.mark.clause("LIF-20")
@pytest.mark.skipif(sys.platform != "linux", reason="where a process sees its descriptors")
async def test_child_is_refused_a_file_that_stayed_open(tmp_path: Path) -> None:
    came_to = await run("have_another_connection", tmp_path)

    code, message = came_to["refused"]
    assert code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "forkserver" in message
    assert (came_to["codes"], came_to["then"]) == ([0, 0], 1)


@pytest.mark.clause("LIF-20")
async def test_lent_engine_survives_forks(tmp_path: Path) -> None:
    assert await run("lend_an_engine", tmp_path) == {"codes": [0, 0, 0], "total": 303, "lent": 1}


@pytest.mark.clause("LIF-15", "LIF-20")
async def test_forked_children_succeed_during_in_memory_work(tmp_path: Path) -> None:
    assert await run("be_in_memory", tmp_path) == {"codes": [0], "counted": True}


@pytest.mark.clause("LIF-15", "LIF-20")
async def test_forks_during_open_and_close_lose_nothing(tmp_path: Path) -> None:
    assert await run("open_and_close", tmp_path) == {"codes": [0], "lost": 0}


async def test_moved_file_is_not_recreated_after_a_fork(tmp_path: Path) -> None:
    came_to = await run("lose_the_file", tmp_path)

    assert (came_to["code"], came_to["made anew"]) == (ErrorCode.STORE_CONNECTION_FAILED, False)
    assert came_to["value"] == "value"


async def test_settings_are_restored_after_a_fork(tmp_path: Path) -> None:
    assert (await run("lose_the_file", tmp_path))["settings"] == {
        "synchronous": 2,
        "query_only": 1,
        "journal_mode": "wal",
    }


async def test_fork_interrupts_a_copy_which_begins_anew(tmp_path: Path) -> None:
    assert await run("copy_for_long", tmp_path) == {
        "codes": [0],
        "interrupted": "SQLITE_INTERRUPT",
        "value": "value",
    }


async def test_log_that_a_fork_removed_is_not_lost(tmp_path: Path) -> None:
    came_to = await run("tend_the_log", tmp_path)

    assert (came_to["codes"], came_to["pages"], came_to["counted"]) == ([0], 0, 20)
    assert came_to["code"] == ErrorCode.STORE_CONNECTION_FAILED


async def test_reopening_after_a_fork_waits_for_lock(tmp_path: Path) -> None:
    came_to = await run("find_the_file_locked", tmp_path)

    assert came_to == {"codes": [0], "waits": True, "query_only": 1, "value": "value"}


async def test_newer_tables_are_noticed_after_a_fork(tmp_path: Path) -> None:
    came_to = await run("carry_forward", tmp_path)

    assert came_to == {"children": [0], "codes": [ErrorCode.STORE_CONFIGURATION_INVALID] * 4}
