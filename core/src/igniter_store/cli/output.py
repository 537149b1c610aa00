"""Two ways to answer: tables and colours for people, one JSON document for programs.

Rule: rich is imported when a person is to be answered, never before; `--json` needs nothing but the core.
Rule: what a store holds is printed as it is: rich neither reads markup in it nor wraps or colours it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from igniter_store.cli.failures import USAGE, CommandFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console


class Output:
    """Where a command writes its answer.

    Args:
        as_json: answer a program instead of a person.

    Raises:
        CommandFailure: for a person, when rich is not installed.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        if not as_json:
            _ = self.console

    def answer(self, document: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """Print `document` for a program, or let `show` print for a person."""
        if self.as_json:
            print_json(document)
        else:
            show(self.console)

    def note(self, message: str) -> None:
        """Say something besides the answer, on stderr, to whoever reads it."""
        sys.stderr.write(f"igniter-store: {message}\n")

    @cached_property
    def console(self) -> Console:
        """What people are answered on; without colours when the answer goes to a file."""
        try:
            from rich.console import Console  # noqa: PLC0415 - the module's first rule
        except ImportError:
            message = "Output for people needs rich: pip install 'igniter-store[cli]'. Or give --json, which needs nothing."
            raise CommandFailure(message, USAGE) from None
        return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, in ASCII where the output takes no more."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    sys.stdout.write(json.dumps(document, ensure_ascii=encoding != "utf8", indent=2, default=str) + "\n")


def visible(text: str, *, keep: str = "") -> str:
    """`text` with its control characters, but for those in `keep`, spelled out: what lies in a store must not command a terminal."""
    return "".join(character if character in keep or character.isprintable() else f"\\u{ord(character):04x}" for character in text)


def tolerate_narrow_encodings() -> None:
    """Let a terminal that knows no Unicode show escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Point stdout to nowhere, after its reader has gone: Python would complain when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
