"""Every test that names clauses names existing ones; the kit's own tests check the rest."""

from __future__ import annotations

import re
from pathlib import Path

from igniter_store_conformance import CLAUSES

ROOT = Path(__file__).parent.parent
CLAUSE = re.compile(r"\b(?:LIF|KV|CTR|CLM|PUB|STR|SCN|FLT|MDL)-\d+\b")


def test_tests_name_only_existing_clauses() -> None:
    named: set[str] = set()
    for folder in ("core/tests", "backends/memory/tests", "tests"):
        for file in (ROOT / folder).rglob("test_*.py"):
            for arguments in re.findall(
                r"mark\.clause\(([^)]*)\)", file.read_text(encoding="utf-8")
            ):
                named.update(CLAUSE.findall(arguments))

    assert named <= set(CLAUSES)
