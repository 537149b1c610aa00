"""The README's first code block, as a new user runs it."""

# no clause: the contract doesn't cover the README.

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
EXPECTED = [
    "{'name': 'Avery'}",
    "requests this minute: 1",
    "I am the leader: True",
    "order:placed {'total': 4200}",
    "{'id': 7} 1",
]


def _block() -> str:
    match = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


def test_the_first_block_passes_a_strict_type_checker(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_block(), encoding="utf-8")

    run = subprocess.run(  # noqa: S603 - a command of this repository
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=README.parent,
    )

    assert (run.stdout, run.returncode) == ("Success: no issues found in 1 source file\n", 0)


@pytest.mark.parametrize(
    "arguments", [["-"], ["-i", "-q"]], ids=["as a file", "pasted into a prompt"]
)
def test_the_first_block_runs_in_a_fresh_interpreter(arguments: list[str]) -> None:
    # An empty line ends an indented block at the interactive prompt, so this also tests that the
    # block can be pasted. The prompt sees the top-level blank lines.
    command = [sys.executable, *arguments]
    run = subprocess.run(  # noqa: S603 - a command of this repository
        command, input=_block(), capture_output=True, text=True, timeout=60, check=False
    )

    assert "Error" not in run.stderr
    for text in EXPECTED:
        assert text in run.stdout
