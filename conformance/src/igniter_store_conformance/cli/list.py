"""`list`: prints every test of the suite, with its clause and its promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from igniter_store_conformance.cli.command import add_command
from igniter_store_conformance.cli.failures import DONE
from igniter_store_conformance.cli.output import console, print_json
from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.spec.clauses import CLAUSES
from igniter_store_conformance.suite.adapter_suite import AdapterSuite

if TYPE_CHECKING:
    import argparse

    from igniter_store_conformance.cli.command import Commands
    from igniter_store_conformance.engine.clause_info import ClauseTest


def add(commands: Commands) -> None:
    """Declare the command."""
    add_command(
        commands,
        "list",
        run,
        help="print every test, with its clause and what it asks of an adapter",
        description="Print every test of the suite under the clause that it holds an adapter to, "
        "with what it asks and the capabilities that it uses.",
        example="  igniter-conformance list | grep -A 3 KV-4\n  igniter-conformance list --json",
    )


def tests() -> list[ClauseTest]:
    """Return every test of the suite, in the order of the contract."""
    order = [*CLAUSES]
    found = (clause_test_of(getattr(AdapterSuite, name)) for name in AdapterSuite.clause_tests())
    return sorted(
        (test for test in found if test is not None), key=lambda test: order.index(test.clause.id)
    )


def run(options: argparse.Namespace) -> int:
    """Print the tests."""
    if options.json:
        print_json({"tests": [_document(test) for test in tests()]})
        return DONE
    screen, before = console(), ""
    for test in tests():
        if test.clause.id != before:
            screen.print(
                Text.assemble(
                    ("" if not before else "\n") + test.clause.id,
                    " ",
                    (test.clause.sentence, "dim"),
                ),
                soft_wrap=True,
            )
            before = test.clause.id
        screen.print(Text(f"  {test.name}", style="bold"), soft_wrap=True)
        screen.print(Text(f"    {' '.join(test.promise.split())}"), soft_wrap=True)
    return DONE


def _document(test: ClauseTest) -> dict[str, object]:
    return {
        "test": test.name,
        "clause": test.clause.id,
        "promise": " ".join(test.promise.split()),
        "hint": " ".join(test.hint.split()),
        "needs": [capability.__name__ for capability in test.needs],
        "since": test.since,
    }
