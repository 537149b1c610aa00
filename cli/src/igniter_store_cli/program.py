"""The program: its commands, and the one place that turns failures into exit codes.

Rule: The exit code is 0 for success, 1 for a failure, 2 for wrong usage, and 130 after Ctrl-C,
    without a message.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from igniter_store_cli import (
    backends,
    backup,
    claims,
    demo,
    events,
    get,
    ping,
    remove,
    scan,
    streams,
    ttl,
)
from igniter_store_cli import set as set_command
from igniter_store_cli.command import Parser
from igniter_store_cli.failures import (
    FAILED,
    INTERRUPTED,
    CommandFailure,
    WrongUsage,
    described,
    document,
    without_secrets,
)
from igniter_store_cli.output import Output, give_up_output, print_json, tolerate_narrow_encodings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_cli.command import Run

_DESCRIPTION: Final = """\
Inspect the state that your services share, change it by hand, and see what igniter-store does.

Values, counters, claims and streams belong to a service and, within it, to scopes. \
A command works in the service that --service names and in the scopes that --scope names, \
on the backend that --url names. `igniter-store demo` shows real uses; it needs no server."""

_OPTIONS_OF_COMMANDS: Final = ("--url", "--service", "--scope", "--json")

_EXAMPLE: Final = """\
example:
  igniter-store demo
  export IGNITER_STORE_URL=redis://localhost:6379/0 IGNITER_STORE_SERVICE=api
  igniter-store set greeting '{"text": "hello"}' --ttl 60
  igniter-store get greeting"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` and return its exit code.

    The default is the process's own arguments.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    tolerate_narrow_encodings()
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe.
        give_up_output()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def parser() -> Parser:
    """Create the parser of the whole program."""
    program = Parser(
        prog="igniter-store",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    program.add_argument(
        "--version", action="version", version=f"igniter-store {metadata.version('igniter-store')}"
    )
    commands = program.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    for command in (
        demo,
        backends,
        ping,
        get,
        set_command,
        remove,
        ttl,
        scan,
        events,
        streams,
        claims,
        backup,
    ):
        command.add(commands)
    return program


def _run(given: list[str]) -> int:
    try:
        _refuse_options_before_command(given)
        options = parser().parse_args(given)
    except WrongUsage as failure:
        sys.stderr.write(
            f"{failure.usage}igniter-store: {without_secrets(failure.message, given)}\n"
        )
        return failure.exit_code
    try:
        run: Run = options.run
        return asyncio.run(run(options, Output(as_json=options.json)))
    except (BrokenPipeError, asyncio.CancelledError):
        raise
    # A third-party adapter may raise anything, and its message may contain a password.
    except Exception as error:  # noqa: BLE001
        return _report(error, as_json=options.json)


def _refuse_options_before_command(given: list[str]) -> None:
    # argparse would take the value of such an option for the command.
    option = given[0].partition("=")[0] if given else ""
    if option in _OPTIONS_OF_COMMANDS:
        raise WrongUsage(
            f"write {option} after the command, as in: igniter-store get KEY --url URL",
            parser().format_usage(),
        )


def _report(error: Exception, *, as_json: bool) -> int:
    if as_json:
        print_json(document(error))
    else:
        sys.stderr.write(f"igniter-store: {described(error)}\n")
    return error.exit_code if isinstance(error, CommandFailure) else FAILED
