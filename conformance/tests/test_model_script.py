"""What the model finds is printed as a script that shows the same failure by itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AUTHOR = """
import secrets

from igniter_store.contract import ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter


class Forgetful(MemoryAdapter):
    async def persist(self, key):
        return False


class TestForgetful(AdapterSuite):
    contract = "1"

    def harness(self):
        clock, url = ManualClock(), f"memory://{secrets.token_hex(4)}"
        return Harness(lambda: Forgetful.from_url(url, clock=clock), advance=clock.advance)
"""


def test_the_script_of_a_failure_fails_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "test_author.py").write_text(AUTHOR, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    chosen = "test_values_counters_and_claims_answer_as_the_reference_does"
    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-k", chosen, "--tb=short", "test_author.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    lines = [line.removeprefix("E").removeprefix("   ") for line in told.splitlines() if line.startswith("E")]
    begin = next(place for place, line in enumerate(lines) if line.startswith("import asyncio"))
    end = next(place for place, line in enumerate(lines) if line.startswith("asyncio.run(main())"))
    (tmp_path / "replay.py").write_text("\n".join(lines[begin : end + 1]) + "\n", encoding="utf-8")

    replayed = subprocess.run([sys.executable, "replay.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert replayed.returncode == 1
    assert "AssertionError: False" in replayed.stderr
    assert "persist" in (tmp_path / "replay.py").read_text(encoding="utf-8")
