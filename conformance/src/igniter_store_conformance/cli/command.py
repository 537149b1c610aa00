"""How a command is declared: its name, its help, and the function that runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeAlias

from igniter_store_conformance.cli.failures import CommandFailure
from igniter_store_conformance.report.files import FORMATS, UnwritableReport, parsed

Run: TypeAlias = Callable[[argparse.Namespace], int]
"""A command: a function that receives its options and returns the exit code."""


class Commands(Protocol):
    """The program's list of commands, as argparse provides it."""

    def add_parser(self, name: str, **options: Any) -> Parser:
        """Declare a command; the options are `argparse.ArgumentParser`'s, and `help`."""
        ...


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises `CommandFailure` and keeps the paragraphs of its help.

    argparse itself would print the error and exit.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Paragraphs, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise CommandFailure(message, usage=self.format_usage())


class _Paragraphs(argparse.HelpFormatter):
    # An indented paragraph is an example and stays unchanged.
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            part if "\n " in part else super(_Paragraphs, self)._fill_text(part, width, indent)
            for part in paragraphs
        )


def add_command(  # noqa: PLR0913 - each is a setting of the command
    commands: Commands, name: str, run: Run, *, help: str, description: str, example: str
) -> Parser:
    """Declare the command `name`; the caller adds the command's own options.

    Args:
        commands: the program's commands.
        name: the name on the command line.
        run: the function that runs it.
        help: one line for the list of commands.
        description: for `--help`, in sentences.
        example: an example of its use.
    """
    parser = commands.add_parser(
        name, help=help, description=description, epilog=f"example:\n{example}"
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--json",
        action="store_true",
        help="answer on stdout with one JSON document, and with nothing else",
    )
    return parser


def add_report_option(parser: Parser) -> None:
    """Add the option for the reports to write, and their files."""
    parser.add_argument(
        "--report",
        metavar="FORMAT=FILE",
        action="append",
        type=_target,
        default=[],
        help=(
            f"write a report, such as html=report.html; FORMAT is one of {', '.join(FORMATS)}; "
            "may be given several times"
        ),
    )


def _target(text: str) -> str:
    try:
        parsed(text)
    except UnwritableReport as failure:
        raise argparse.ArgumentTypeError(str(failure)) from failure
    return text
