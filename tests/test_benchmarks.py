"""Each benchmark runs, checks the results that it times, and writes its raw numbers.

Its speed is not tested here.

Rule: the tests pass without the libraries that ours is compared with. Then only ours is measured,
    and the output says so.
"""

# no clause: the contract doesn't cover the benchmarks.

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytestmark = pytest.mark.full

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
QUESTIONS = [
    path.stem
    for path in sorted(BENCHMARKS.glob("*.py"))
    if re.search(r"ask\(\s*__file__", path.read_text("utf-8"))
]


@pytest.mark.parametrize(
    "name",
    [QUESTIONS[0], *(pytest.param(name, marks=pytest.mark.thorough) for name in QUESTIONS[1:])],
)
def test_benchmark_measures_rounds_and_checks_results(name: str, tmp_path: Path) -> None:
    _run("--only", name, "--quick", "--results", str(tmp_path))

    result: dict[str, Any] = msgspec.json.decode((tmp_path / f"{name}.json").read_bytes())
    assert result["quick"] is True
    assert result["figures"]
    assert sum(comparison["answers_checked"] for comparison in result["comparisons"]) > 0
    assert all(
        len(rounds) >= 5
        for comparison in result["comparisons"]
        for rounds in comparison["rounds"].values()
    )


def test_runner_lists_every_question() -> None:
    usage = _run("--help")

    assert set(QUESTIONS) == set(
        re.findall(r"\w+", usage.partition("--only {")[2].partition("}")[0])
    )


def test_quick_run_warns_and_writes_no_results() -> None:
    before = _contents()

    printed = _run("--quick", "--only", "store_share")

    assert "mean nothing" in printed
    assert _contents() == before


@pytest.mark.skipif(find_spec("cashews") is not None, reason="cashews is installed")
def test_a_missing_peer_is_named_with_the_cure() -> None:
    printed = _run("--quick", "--only", "memory_operations")

    assert "NOT COMPARED with cashews" in printed
    assert "uv sync --group bench" in printed


def test_readme_contains_measured_table() -> None:
    table = _run("--table")

    assert table.strip() in (BENCHMARKS / "README.md").read_text("utf-8")


def _run(*arguments: str) -> str:
    # The width is for argparse: a test can only read a help text that isn't wrapped.
    done = subprocess.run(  # noqa: S603 - a module of ours
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "300", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _contents() -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in [BENCHMARKS / "README.md", *(BENCHMARKS / "results").glob("*")]
    }
