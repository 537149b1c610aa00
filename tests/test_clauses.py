"""Every clause of the contract is held by a test, and every test that names clauses names real ones."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLAUSE = re.compile(r"\b(?:LIF|KV|CTR|CLM|PUB|STR|SCN|FLT|MDL)-\d+\b")


def _clauses() -> set[str]:
    return set(re.findall(r"^- ((?:[A-Z]{2,3})-\d+) ", (ROOT / "docs" / "contract.md").read_text(encoding="utf-8"), re.MULTILINE))


def _marked() -> set[str]:
    named: set[str] = set()
    for folder in ("core/tests", "backends/memory/tests", "tests"):
        for file in (ROOT / folder).rglob("test_*.py"):
            for arguments in re.findall(r"mark\.clause\(([^)]*)\)", file.read_text(encoding="utf-8")):
                named.update(CLAUSE.findall(arguments))
    return named


def test_every_clause_that_needs_no_breaking_server_is_held_by_a_test() -> None:
    # A server that isn't there, a client of the user's, subscribers in other processes, a connection that is lost: memory has none of them.
    needs_a_server = {clause for clause in _clauses() if clause.startswith("FLT-")} | {"LIF-3", "LIF-6", "PUB-9", "PUB-10"}

    assert _clauses() - _marked() <= needs_a_server


def test_no_test_names_a_clause_that_the_contract_lacks() -> None:
    assert _marked() <= _clauses()


def test_no_source_names_a_clause_that_the_contract_lacks() -> None:
    named: set[str] = set()
    for file in [*(ROOT / "core" / "src").rglob("*.py"), *(ROOT / "backends").rglob("src/**/*.py")]:
        named.update(CLAUSE.findall(file.read_text(encoding="utf-8")))

    assert named <= _clauses()
