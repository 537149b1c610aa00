"""The fixtures, in a pytest process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FIXTURES = """
import asyncio

import pytest


def test_the_clock_moves_ttls(igniter_store, igniter_clock):
    async def live():
        await igniter_store.kv.set("session", 1, ttl=60)
        before = await igniter_store.kv.get("session")
        igniter_clock.advance(60)
        return before, await igniter_store.kv.get("session")

    assert asyncio.run(live()) == (1, None)


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_store_of_its_own(turn, igniter_store):
    assert asyncio.run(igniter_store.counter.increment("n")) == 1


def test_the_recorder_sees_the_stores_calls(igniter_store, igniter_recorder):
    asyncio.run(igniter_store.kv.set("k", 1))

    assert [call.method for call in igniter_recorder.calls] == ["open", "set"]
    assert igniter_store.adapter is igniter_recorder


def test_the_store_is_of_the_service_test(igniter_store):
    assert (igniter_store.service, igniter_store.adapter.name) == ("test", "memory")
"""

NO_FIXTURES = """
import sys


def test_backend_is_not_imported_without_fixtures():
    assert "igniter_store_memory" not in sys.modules
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_inside.py").write_text(text)
    # This omits the settings of this project, and plugins for async tests, which the fixtures don't
    # need.
    options = ("-p", "no:asyncio", "-p", "no:anyio", *options)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "--rootdir",
        str(folder),
        "-c",
        os.devnull,
        *options,
        "test_inside.py",
    ]
    return subprocess.run(  # noqa: S603 - our own text
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_fixtures_work_without_an_async_plugin(tmp_path: Path) -> None:
    ended = run(tmp_path, FIXTURES)

    assert "5 passed" in ended.stdout, ended.stdout + ended.stderr


def test_plugin_imports_no_backend_before_use(tmp_path: Path) -> None:
    ended = run(tmp_path, NO_FIXTURES)

    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_fixtures_have_docstrings(tmp_path: Path) -> None:
    ended = run(tmp_path, "", "--fixtures")

    for name in ("igniter_clock", "igniter_recorder", "igniter_store"):
        lines = ended.stdout.splitlines()
        [at] = [number for number, line in enumerate(lines) if line.startswith(name)]
        assert lines[at + 1].strip() != "no docstring available"


@pytest.mark.parametrize("name", ["igniter_store", "igniter_clock", "igniter_recorder"])
def test_this_pytest_has_the_fixtures_too(name: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(name) is request.getfixturevalue(name)
