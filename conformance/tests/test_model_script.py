"""The model prints its findings as a script that reproduces the failure by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.full

AUTHOR = """
import secrets

from igniter_store.contract import ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter


class Forgetful(MemoryAdapter):
    async def persist(self, key):
        return False


def forgetful():
    clock, url = ManualClock(), f"memory://{secrets.token_hex(4)}"
    return Harness(lambda: Forgetful.from_url(url, clock=clock), advance=clock.advance)


READY = forgetful()


class TestForgetful(AdapterSuite):
    contract = "1"

    def harness(self):
        return forgetful()
"""


TEST = "test_values_counters_and_claims_match_the_reference"
EXAMPLES = "500"  # a fixed number, even on a busy machine


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    # our own interpreter
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


def from_pytest(folder: Path) -> list[str]:
    output = run(
        folder,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-k",
        TEST,
        "--tb=short",
        "--conformance-examples",
        EXAMPLES,
        "test_author.py",
    ).stdout
    return [
        line.removeprefix("E").removeprefix("   ")
        for line in output.splitlines()
        if line.startswith("E")
    ]


def from_the_command(name: str) -> Callable[[Path], list[str]]:
    def lines(folder: Path) -> list[str]:
        program = "from igniter_store_conformance.cli import main; main()"
        run(
            folder,
            "-c",
            program,
            "run",
            f"test_author:{name}",
            "--test",
            TEST,
            "--examples",
            EXAMPLES,
            "--report",
            "json=report.json",
        )
        results = json.loads((folder / "report.json").read_text(encoding="utf-8"))["runs"][0][
            "results"
        ]
        difference: str = results[0]["difference"]
        return difference.splitlines()

    return lines


@pytest.mark.parametrize(
    "failure_lines",
    [
        pytest.param(from_pytest, id="pytest"),
        pytest.param(from_the_command("TestForgetful"), id="a class"),
        pytest.param(from_the_command("forgetful"), id="a function", marks=pytest.mark.thorough),
        pytest.param(from_the_command("READY"), id="a harness", marks=pytest.mark.thorough),
    ],
)
def test_script_of_a_failure_reproduces_it(
    tmp_path: Path, failure_lines: Callable[[Path], list[str]]
) -> None:
    (tmp_path / "test_author.py").write_text(AUTHOR, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    lines = failure_lines(tmp_path)
    begin = next(place for place, line in enumerate(lines) if line.startswith("import asyncio"))
    end = next(place for place, line in enumerate(lines) if line.startswith("asyncio.run(main())"))
    (tmp_path / "replay.py").write_text("\n".join(lines[begin : end + 1]) + "\n", encoding="utf-8")

    replayed = run(tmp_path, "replay.py")

    assert replayed.returncode == 1
    assert "AssertionError: False" in replayed.stderr
    assert "persist" in (tmp_path / "replay.py").read_text(encoding="utf-8")
