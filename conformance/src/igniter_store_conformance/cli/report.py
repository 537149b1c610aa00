"""`report`: merges reports of several adapters, servers or machines into one matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from igniter_store_conformance.cli.command import add_command, add_report_option
from igniter_store_conformance.cli.failures import DONE, CommandFailure
from igniter_store_conformance.cli.output import console, print_text
from igniter_store_conformance.report.files import UnwritableReport, rendered, write
from igniter_store_conformance.report.results import Report, UnreadableReport, from_json, merge
from igniter_store_conformance.report.terminal import show

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from igniter_store_conformance.cli.command import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "report",
        run,
        help="merge reports into one matrix, print it, write it",
        description="Read reports that were written with --report json=FILE, or by pytest with "
        "--conformance-report json=FILE, merge them into one matrix of clauses and adapters, "
        "print it, and write it in the formats that --report names. It only shows the results of "
        "the runs: its exit code is 0 even if tests failed.",
        example=(
            "  igniter-conformance report redis.json valkey.json --report html=matrix.html "
            "--report badge=badge.svg"
        ),
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="a JSON report")
    add_report_option(parser)


def run(options: argparse.Namespace) -> int:
    """Merge, print and write."""
    merged = merge(_read(file) for file in options.files)
    unwritten = write_all(merged, options.report)  # first: the reader of the output may close it
    if options.json:
        print_text(rendered(merged, "json"))
    else:
        show(merged, console())
    if unwritten:
        raise CommandFailure(unwritten)
    return DONE


def write_all(report: Report, targets: Iterable[str]) -> str:
    """Write a report to each FORMAT=FILE.

    Returns the errors of the reports that couldn't be written; empty when there are none.
    """
    failures: list[str] = []
    for target in targets:
        try:
            write(report, target)
        except UnwritableReport as failure:
            failures.append(str(failure))
    return "\n".join(failures)


def _read(file: str) -> Report:
    try:
        return from_json(Path(file).read_bytes(), source=file)
    except UnreadableReport as failure:
        raise CommandFailure(str(failure)) from failure
    except OSError as error:
        message = (
            f"{file} can't be read: {error.strerror or error}. Give the JSON reports that runs "
            "have written."
        )
        raise CommandFailure(message) from error
