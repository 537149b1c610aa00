"""The program: its commands, and the one place where failures become exit codes."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

# commands are named as they are typed
from igniter_store_conformance.cli import clauses, list, report, run  # noqa: A004
from igniter_store_conformance.cli.command import Parser
from igniter_store_conformance.cli.failures import INTERRUPTED, NOT_CONFORMANT, CommandFailure
from igniter_store_conformance.cli.output import complain, tolerate_narrow_encodings
from igniter_store_conformance.spec.clauses import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_conformance.cli.command import Run

_DESCRIPTION: Final = """\
Find out whether an adapter of igniter-store keeps the contract, clause by clause.

An adapter connects igniter-store to a backend, such as a database. The contract says what every \
adapter promises, in numbered clauses (KV-4: `set` replaces the value). This kit holds an adapter \
to each of them by tests, and reports what it found."""

_EXAMPLE: Final = """\
example:
  # my_adapter_tests.py
  from igniter_store_conformance import Harness
  from my_adapter import MyAdapter
  def harness():
      return Harness(connect=lambda: MyAdapter("my://localhost"))
  # and then
  igniter-conformance run my_adapter_tests:harness --report html=report.html
  # or, with a class of tests that inherits AdapterSuite
  igniter-conformance run tests.test_my_adapter:TestMyAdapter"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments`, and return its exit code.

    The default is the process's own arguments.
    """
    given = sys.argv[1:] if arguments is None else [*arguments]
    tolerate_narrow_encodings()
    try:
        options = parser().parse_args(given)
        run_command: Run = options.run
        code = run_command(options)
        sys.stdout.flush()
    except CommandFailure as failure:
        sys.stderr.write(failure.usage)
        complain(failure.message)
        return failure.exit_code
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed the pipe; Python would complain when
        # it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_CONFORMANT
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def parser() -> Parser:
    """Return the parser of the whole program."""
    program = Parser(prog="igniter-conformance", description=_DESCRIPTION, epilog=_EXAMPLE)
    version = (
        f"igniter-store-conformance {metadata.version('igniter-store-conformance')}, contract "
        f"{VERSIONS[-1]}"
    )
    program.add_argument("--version", action="version", version=version)
    commands = program.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    for command in (run, report, clauses, list):
        command.add(commands)
    return program
