"""Declares commands: the name, the help, the options, and the coroutine that runs each one.

Rule: Every command accepts `--json`. Commands that use a store accept `--url`, `--service` and
    `--scope`, with the same meaning everywhere.
Rule: Help texts never show a default from the environment, because it may be a URL with a password.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, Protocol, TypeAlias

from igniter_store_cli.failures import WrongUsage
from igniter_store_cli.output import Output

Run: TypeAlias = Callable[[argparse.Namespace, Output], Coroutine[Any, Any, int]]
"""Runs a command with its options and its output, and returns the exit code."""


URL_VARIABLE: Final = "IGNITER_STORE_URL"
SERVICE_VARIABLE: Final = "IGNITER_STORE_SERVICE"


class Commands(Protocol):
    """The program's list of commands, as argparse provides it."""

    def add_parser(self, name: str, **options: Any) -> Parser:
        """Declare a command; the options are `help` and those of `argparse.ArgumentParser`."""
        ...


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises `WrongUsage` instead of printing and exiting.

    It also wraps the paragraphs of its help.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Paragraphs, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise WrongUsage(message, self.format_usage())


class _Paragraphs(argparse.HelpFormatter):
    # Indented paragraphs are examples, and stay as they are.
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            part if "\n " in part else super(_Paragraphs, self)._fill_text(part, width, indent)
            for part in paragraphs
        )


def add_command(  # noqa: PLR0913 - each is a setting of the command
    commands: Commands, name: str, run: Run, *, help: str, description: str, example: str
) -> Parser:
    """Declare the command `name`; the caller adds the options of this command.

    Args:
        commands: the program's commands.
        name: the name that users type.
        run: the coroutine function that runs the command.
        help: one line for the list of commands.
        description: the text for `--help`, in sentences.
        example: a command to type, and its output.
    """
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"example:\n{example}",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def add_group(commands: Commands, name: str, *, help: str) -> Commands:
    """Declare `name` as a prefix of other commands, and return their list."""
    parser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    group: Commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    return group


def add_following_options(parser: Parser) -> None:
    """Add the options that end a command which would otherwise run forever."""
    parser.add_argument("--count", metavar="N", type=whole, help="stop after N items")
    parser.add_argument(
        "--for", metavar="SECONDS", type=seconds, dest="seconds", help="stop after SECONDS"
    )


def whole(text: str) -> int:
    """Parse a whole number, 0 or more."""
    if not text.isdecimal():
        message = "write a whole number, 0 or more"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def seconds(text: str) -> float:
    """Parse a number of seconds; the store checks its range."""
    try:
        return float(text)
    except ValueError:
        message = "write a number of seconds without a unit, such as 60 or 0.5"
        raise argparse.ArgumentTypeError(message) from None


def add_url_option(parser: Parser) -> None:
    """Add the option for the backend."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help="the backend, such as redis://localhost:6379/0, or a file such as state.db "
        f"(default: ${URL_VARIABLE}, or memory://)",
    )


def add_store_options(parser: Parser) -> None:
    """Add the options for the store: backend, service and scopes."""
    add_url_option(parser)
    parser.add_argument(
        "--service",
        metavar="NAME",
        help=f"the service of the keys (default: ${SERVICE_VARIABLE}, or 'default')",
    )
    parser.add_argument(
        "--scope",
        metavar="KEY=ID",
        action="append",
        type=_scope,
        default=[],
        help="a scope of the keys, such as organization=org_1; repeat it for nested scopes, "
        "outermost first",
    )


def _scope(text: str) -> tuple[str, str]:
    key, mark, identifier = text.partition("=")
    if not mark or not key or not identifier:
        message = "a scope is KEY=ID, such as organization=org_1"
        raise argparse.ArgumentTypeError(message)
    return key, identifier
