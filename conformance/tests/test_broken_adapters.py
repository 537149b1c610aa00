"""The kit finds faults: every broken adapter fails the clause that it breaks.

The intact adapter passes.
"""

from __future__ import annotations

import pytest
from broken_adapters import killing
from broken_adapters.breaking import Breaking, Broken
from igniter_store_conformance import CLAUSES

RECORDED = killing.recorded()
# `nox -s full` runs one in this many of the other clauses. All of them take as long as all other
# tests.
SAMPLE = 30


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(broken, marks=pytest.mark.full if broken.needs_many_runs else ())
        for broken in killing.broken_classes()
    ],
    ids=lambda broken: broken.__name__,
)
def test_broken_adapter_fails_the_clauses_it_breaks(broken: type[Breaking]) -> None:
    check(broken, broken.breaks)


@pytest.mark.full
@pytest.mark.parametrize("broken", killing.broken_classes(), ids=lambda broken: broken.__name__)
def test_broken_adapter_fails_only_recorded_clauses(broken: type[Breaking]) -> None:
    check(broken, killing.sampled_clauses(broken, SAMPLE))


@pytest.mark.thorough
@pytest.mark.parametrize("broken", killing.broken_classes(), ids=lambda broken: broken.__name__)
def test_a_broken_adapter_fails_no_other_clause(broken: type[Breaking]) -> None:
    others = frozenset(CLAUSES) - broken.breaks
    check(broken, others - killing.sampled_clauses(broken, SAMPLE))


def check(broken: type[Breaking], clauses: frozenset[str]) -> None:
    expected = RECORDED.get(broken.__name__, frozenset()) & clauses

    failing = killing.failing_clauses(broken, expected, clauses)

    assert broken.breaks & clauses <= set(failing), f"not found: {broken.__doc__}"
    assert set(failing) == expected, f"run nox -s matrix, and check the changes: {failing}"


def test_intact_adapter_fails_no_clause() -> None:
    assert killing.failing_clauses(Broken, frozenset()) == {}


def test_table_lists_every_broken_adapter() -> None:
    assert list(RECORDED) == [broken.__name__ for broken in killing.broken_classes()]


def test_table_describes_every_broken_adapter() -> None:
    rows = killing.README.read_text(encoding="utf-8").splitlines()

    for broken in killing.broken_classes():
        assert killing.bug_of(broken), f"{broken.__name__} has no docstring"
        begin = f"| `{broken.__name__}` | {killing.bug_of(broken)} |"
        assert any(row.startswith(begin) for row in rows), f"not in the table: {begin}"


def test_table_cell_contains_the_whole_docstring() -> None:
    class Wordy(Broken):
        """It returns a | b,

        and more.
        """

    assert killing.bug_of(Wordy) == "It returns a \\| b, and more."


def test_every_clause_is_broken_by_an_adapter() -> None:
    broken = {clause for adapter in killing.broken_classes() for clause in adapter.breaks}

    assert [clause for clause in CLAUSES if clause not in broken] == []
