"""`clauses`: prints the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store_conformance.cli.command import add_command
from igniter_store_conformance.cli.failures import DONE
from igniter_store_conformance.cli.output import print_json, print_text
from igniter_store_conformance.crossing.document import contract_document
from igniter_store_conformance.spec.clauses import SECTIONS, VERSIONS

if TYPE_CHECKING:
    import argparse

    from igniter_store_conformance.cli.command import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    add_command(
        commands,
        "clauses",
        run,
        help="print the contract: every clause that adapters are held to",
        description=(
            "Print the contract as Markdown, the text of docs/contract.md: every clause, by the "
            "concept that it is about."
        ),
        example="  igniter-conformance clauses | less\n  igniter-conformance clauses --json",
    )


def run(options: argparse.Namespace) -> int:
    """Print the contract."""
    if not options.json:
        print_text(contract_document())
        return DONE
    sections = [
        {
            "title": section.title,
            "capability": section.capability.__name__,
            "clauses": [
                {"id": clause.id, "sentence": clause.sentence, "since": clause.since}
                for clause in section.clauses
            ],
        }
        for section in SECTIONS
    ]
    print_json({"contract": VERSIONS[-1], "versions": [*VERSIONS], "sections": sections})
    return DONE
