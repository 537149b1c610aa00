"""Run the suite over the broken adapters, and write the table of the failing clauses.

Rule: a test compares the failing clauses with the table of the kit's README exactly, so it also
    finds a clause that fails for the wrong reason.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from igniter_store_conformance import CLAUSES, AdapterSuite
from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.engine.clause_test import judge
from igniter_store_conformance.engine.trial import Trial
from igniter_store_conformance.spec.states import State

import broken_adapters
from broken_adapters.breaking import Breaking

if TYPE_CHECKING:
    from igniter_store_conformance import Harness
    from igniter_store_conformance.engine.suite import LentClient

README: Final = Path(__file__).parent.parent.parent / "README.md"
BEGIN: Final = "<!-- broken adapters: made by `nox -s matrix` -->"
END: Final = "<!-- end of broken adapters -->"

# Seconds that a test may take. A test that hangs takes all of them; a test waits half of them for
# an event that doesn't happen.
_LIMIT: Final = 2.0
_PATIENCE: Final = 5.0
_EXAMPLES: Final = 500  # random runs of the model: enough for every bug, even on a busy machine
_ROW: Final = re.compile(r"^\| `(\w+)` \| .* \| ([A-Z0-9, -]+) \| ([A-Z0-9, -]*) \|$")


def broken_classes() -> list[type[Breaking]]:
    """Return every broken adapter, by module and in the order of definition."""
    found: list[type[Breaking]] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(broken_adapters.__path__)):
        members = vars(importlib.import_module(f"broken_adapters.{module}")).values()
        found += [
            member
            for member in members
            if inspect.isclass(member)
            and issubclass(member, Breaking)
            and member.__module__ == f"broken_adapters.{module}"
            and member.breaks
        ]
    return found


def sampled_clauses(broken: type[Breaking], one_in: int) -> frozenset[str]:
    """Return a sample of the clauses that an adapter doesn't break.

    The sample has one clause in `one_in`, and differs for each adapter.
    """
    return frozenset(
        clause
        for clause in CLAUSES
        if clause not in broken.breaks
        and zlib.crc32(f"{broken.__name__} {clause}".encode()) % one_in == 0
    )


def failing_clauses(
    broken: type[Breaking], expected: frozenset[str], clauses: frozenset[str] = frozenset(CLAUSES)
) -> dict[str, str]:
    """Return the clauses that fail over an adapter, each with its first failing test.

    On a busy machine a reply may be late. An unexpected result is therefore tested again with much
    more time, and the second result counts.

    Args:
        broken: the adapter.
        expected: the clauses that should fail.
        clauses: the clauses whose tests run.
    """

    class BrokenSuite(AdapterSuite):
        def harness(self) -> Harness:
            return broken.harness()

        def lent_client(self) -> LentClient | None:
            return broken.lent_client()

    suite, tests = BrokenSuite(), dict[str, list[str]]()
    for name in suite.clause_tests():
        test = clause_test_of(getattr(suite, name))
        assert test is not None
        clause = test.clause.id
        if clause in clauses and broken.is_judged_by(test):
            tests.setdefault(clause, []).append(name)

    def first_failing(clause: str, patience: float) -> str | None:
        return next((name for name in tests[clause] if _fails(suite, broken, name, patience)), None)

    failing: dict[str, str] = {}
    for clause in tests:
        found = first_failing(clause, 1)
        if (found is not None) is not (clause in expected):
            found = first_failing(clause, _PATIENCE)
        if found is not None:
            failing[clause] = found
    return failing


def _fails(suite: AdapterSuite, broken: type[Breaking], name: str, patience: float) -> bool:
    test = clause_test_of(getattr(suite, name))
    assert test is not None
    limit = patience * (broken.limit or _LIMIT)
    trial = Trial(
        suite.harness(), seed=zlib.crc32(name.encode()), limit=limit / 2, examples=_EXAMPLES
    )
    return judge(suite, test, trial, limit).state is State.FAILED


def in_order(clauses: set[str] | frozenset[str]) -> list[str]:
    """Return clause ids in the order of the contract."""
    return [clause for clause in CLAUSES if clause in clauses]


def bug_of(broken: type[Breaking]) -> str:
    """Return the docstring of an adapter as the cell of a table, in one line."""
    return " ".join((broken.__doc__ or "").split()).replace("|", "\\|")


def table(found: dict[type[Breaking], set[str]]) -> str:
    """Return the table for the README."""
    lines = ["| adapter | what is wrong with it | breaks | fails besides |", "|---|---|---|---|"]
    for broken, clauses in found.items():
        breaks, besides = in_order(broken.breaks), in_order(clauses - broken.breaks)
        lines.append(
            f"| `{broken.__name__}` | {bug_of(broken)} | {', '.join(breaks)} | "
            f"{', '.join(besides)} |"
        )
    return "\n".join(lines)


def recorded() -> dict[str, frozenset[str]]:
    """Return the failing clauses that the README lists, by the name of the adapter."""
    rows = filter(
        None, (_ROW.match(line) for line in README.read_text(encoding="utf-8").splitlines())
    )
    return {
        row[1]: frozenset(
            clause for part in (row[2], row[3]) for clause in part.split(", ") if clause
        )
        for row in rows
    }


def main() -> None:
    """Test every broken adapter, and write the table into the README."""
    classes = broken_classes()
    with ProcessPoolExecutor() as pool:  # each process has its own servers
        found = dict(
            zip(
                classes,
                pool.map(_failing_clauses, [broken.__name__ for broken in classes]),
                strict=True,
            )
        )
    text = README.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")


def _failing_clauses(name: str) -> set[str]:
    broken = next(broken for broken in broken_classes() if broken.__name__ == name)
    found = set(failing_clauses(broken, broken.breaks))
    print(name, *in_order(found))  # noqa: T201 - shows progress, since a run takes minutes
    return found


if __name__ == "__main__":
    main()
