"""`run`: runs the whole suite against a harness that the command line names.

Rule: the tests run in a pytest of their own, in a process of its own. The user's configuration,
    plugins and test files have no effect, failed asserts show their values, and an adapter that
    crashes its process is a finding, not the end of the report.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import math
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from igniter_store_conformance.cli.command import add_command, add_report_option
from igniter_store_conformance.cli.failures import DONE, NOT_CONFORMANT, CommandFailure
from igniter_store_conformance.cli.list import tests
from igniter_store_conformance.cli.output import console, print_text
from igniter_store_conformance.cli.pytest_process import Started, run_pytest
from igniter_store_conformance.cli.report import write_all
from igniter_store_conformance.report.files import rendered
from igniter_store_conformance.report.results import Report
from igniter_store_conformance.report.terminal import show
from igniter_store_conformance.report.verdict import verdict
from igniter_store_conformance.spec.clauses import CLAUSES, VERSIONS
from igniter_store_conformance.suite.adapter_suite import AdapterSuite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from igniter_store_conformance.cli.command import Commands
    from igniter_store_conformance.report.results import AdapterRun, Result

_DESCRIPTION: Final = """\
Run every test of the suite against an adapter, and print the verdict, what failed, and the \
matrix of clauses.

MODULE:HARNESS is a Harness, a function that returns one (it is called for every test), or a \
class that inherits AdapterSuite (whose pinned contract and list of known failures then hold). \
The module is looked for in the current directory first.

The exit code is 0 unless something is wrong with the adapter (1: a clause is broken, a known \
failure passes, the harness fails, or nothing ran) or with the command (2). Tests that the \
harness does not allow are counted and shown, and say what they would need."""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "run",
        run,
        help="run the suite against an adapter",
        description=_DESCRIPTION,
        example="  igniter-conformance run my_tests:harness\n"
        "  igniter-conformance run my_tests:harness --report html=report.html "
        "--report json=report.json\n"
        "  igniter-conformance run my_tests:harness --clause KV-4 --clause KV-7",
    )
    parser.add_argument(
        "name",
        metavar="MODULE:HARNESS",
        help="what to test, such as my_tests:harness or my_tests:TestMyAdapter",
    )
    add_report_option(parser)
    parser.add_argument(
        "--contract",
        metavar="VERSION",
        choices=VERSIONS,
        help=f"judge by this version of the contract ({', '.join(VERSIONS)})",
    )
    selection = parser.add_mutually_exclusive_group()
    selection.add_argument(
        "-k",
        metavar="EXPRESSION",
        help="only tests whose names match, as pytest's -k: 'expire and not stream'",
    )
    selection.add_argument(
        "--clause",
        metavar="ID",
        action="append",
        default=[],
        help="only the tests of this clause; may be repeated",
    )
    selection.add_argument(
        "--test",
        metavar="NAME",
        action="append",
        default=[],
        help="only the test of this name; may be repeated",
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, help="repeat a run: the seed that a failed test printed"
    )
    parser.add_argument(
        "--examples",
        metavar="N",
        type=_count,
        help="random examples of each test that compares with the model (up to 500, in 12 seconds)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help="what a usual test may take (30); more for a slow backend",
    )
    parser.add_argument(
        "-n",
        metavar="PROCESSES",
        type=_count,
        help="run tests in so many processes; needs pytest-xdist",
    )
    parser.add_argument(
        "--require-backends",
        metavar="NAMES",
        help="servers whose absence fails the run instead of skipping their tests: redis,valkey",
    )


def run(options: argparse.Namespace) -> int:
    """Run, print and write."""
    names = _selected(options)
    if options.n and importlib.util.find_spec("xdist") is None:
        message = (
            "-n needs pytest-xdist, which is not installed: pip install pytest-xdist. Or leave -n "
            "out."
        )
        raise CommandFailure(message)
    with tempfile.TemporaryDirectory(prefix="igniter-conformance-") as directory:
        started = Started(
            name=options.name,
            contract=options.contract,
            tests=names,
            arguments=_arguments(options),
            processes=options.n,
            expected=len(names or AdapterSuite.clause_tests()),
            directory=Path(directory),
        )
        report, interrupted = run_pytest(started)
    report = _renamed(report, options)
    unwritten = write_all(report, options.report)  # first: the reader of the output may close it
    if options.json:
        print_text(rendered(report, "json"))
    else:
        show(report, console(), whole_matrix=not (names or options.k))
    if interrupted:
        raise CommandFailure(interrupted, NOT_CONFORMANT)
    if unwritten:
        raise CommandFailure(unwritten)
    return NOT_CONFORMANT if any(verdict(of_adapter).red for of_adapter in report.runs) else DONE


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return pytest's arguments besides the tests."""
    given = {
        "-k": options.k,
        "--conformance-seed": options.seed,
        "--conformance-examples": options.examples,
        "--conformance-timeout": options.timeout,
        "--require-backends": options.require_backends,
    }
    return [
        part for name, value in given.items() if value is not None for part in (name, str(value))
    ]


def _selected(options: argparse.Namespace) -> list[str]:
    """Return the names of the tests to run; empty for all."""
    options.clause = [clause.upper() for clause in options.clause]
    for clause in options.clause:
        if clause not in CLAUSES:
            raise CommandFailure(
                f"There is no clause {clause}.{_similar(clause, CLAUSES)} `igniter-conformance "
                "clauses` prints them all."
            )
    of_clauses = [test.name for test in tests() if test.clause.id in options.clause]
    if options.clause and not of_clauses:
        raise CommandFailure(f"The suite has no test for {', '.join(options.clause)} yet.")
    known = [test.name for test in tests()]
    for name in options.test:
        if name not in known:
            raise CommandFailure(
                f"There is no test {name}.{_similar(name, known)} `igniter-conformance list` "
                "prints them all."
            )
    return [*of_clauses, *options.test]


def _similar(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(
        word.upper() if word.isupper() or "-" in word else word, [*known], n=3
    )
    return f" Is it {' or '.join(near)}?" if near else ""


def _renamed(report: Report, options: argparse.Namespace) -> Report:
    """Return the report with the user's names and commands.

    The name from the command line replaces the collected file, and the commands are ones that the
    user can type.
    """
    return Report(runs=[_renamed_run(of_adapter, options) for of_adapter in report.runs])


def _renamed_run(of_adapter: AdapterRun, options: argparse.Namespace) -> AdapterRun:
    results = [
        msgspec.structs.replace(result, again=_again(result, options)) if result.again else result
        for result in of_adapter.results
    ]
    return msgspec.structs.replace(of_adapter, suite=options.name, results=results)


def _again(result: Result, options: argparse.Namespace) -> str:
    parts = ["igniter-conformance", "run", options.name, "--test", result.test]
    parts += ["--contract", options.contract] if options.contract else []
    parts += ["--seed", result.seed] if result.seed else []
    return shlex.join(parts)


def _seconds(text: str) -> str:
    try:
        is_usable = 0 < float(text) < math.inf
    except ValueError:
        is_usable = False
    if not is_usable:
        message = f"{text!r} isn't a number of seconds above 0"
        raise argparse.ArgumentTypeError(message)
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        message = f"{text!r} isn't a count. Give 1 or more."
        raise argparse.ArgumentTypeError(message)
    return int(text)
