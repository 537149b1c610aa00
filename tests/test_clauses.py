"""Tests name the clauses of the contract that they check, and name only existing ones.

The kit's own tests check that the suite covers every clause.
"""

# no clause: the contract doesn't cover the tests.

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from igniter_store_conformance import CLAUSES

ROOT = Path(__file__).parent.parent
STATEMENT = re.compile(r"^# no clause: \S.*\.$", re.MULTILINE)


def files_in(*patterns: str) -> list[str]:
    """Return the test files in these folders, relative to the repository."""
    return sorted(
        str(file.relative_to(ROOT))
        for pattern in patterns
        for folder in ROOT.glob(pattern)
        for file in folder.rglob("test_*.py")
    )


def marks_in(tree: ast.Module) -> list[list[str]]:
    """Return the arguments of each `pytest.mark.clause(...)`; an expression is returned as code."""
    return [
        [
            argument.value
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            else ast.unparse(argument)
            for argument in (*node.args, *(keyword.value for keyword in node.keywords))
        ]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.clause"
    ]


def runs_the_suite(tree: ast.Module) -> bool:
    """Return whether the file runs the suite of the kit, which names the clauses itself."""
    return any(
        isinstance(node, ast.ClassDef)
        and any(ast.unparse(base) == "AdapterSuite" for base in node.bases)
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize(
    "file", files_in("backends", "cli", "conformance", "core", "examples", "tests")
)
def test_clause_marks_name_existing_clauses_once(file: str) -> None:
    marks = marks_in(ast.parse((ROOT / file).read_text(encoding="utf-8")))

    assert [name for names in marks for name in names if name not in CLAUSES] == []
    assert [names for names in marks if not names or len(set(names)) != len(names)] == []


@pytest.mark.parametrize("file", files_in("backends/*/tests", "cli/tests", "tests"))
def test_file_names_a_clause_or_a_reason(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    tree = ast.parse(text)

    names_clauses = bool(marks_in(tree)) or runs_the_suite(tree)

    assert names_clauses is not bool(STATEMENT.search(text)), (
        'the file needs either a mark, such as @pytest.mark.clause("KV-1"), '
        "or the line `# no clause: <reason>.`"
    )
