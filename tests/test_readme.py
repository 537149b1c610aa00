"""The README's first code block, as a newcomer uses it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
EXPECTED = ["{'name': 'Avery'}", "requests this minute: 1", "I am the leader: True", "order:placed {'total': 4200}", "{'id': 7} 1"]


def _block() -> str:
    match = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("arguments", [["-"], ["-i", "-q"]], ids=["as a file", "pasted into a prompt"])
def test_the_first_block_runs_in_a_fresh_interpreter(arguments: list[str]) -> None:
    # A prompt ends an indented block at an empty line, so this also holds that the block can be pasted. It sees the top-level blank lines.
    command = [sys.executable, *arguments]
    run = subprocess.run(command, input=_block(), capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - the README's

    assert "Error" not in run.stderr
    for text in EXPECTED:
        assert text in run.stdout
