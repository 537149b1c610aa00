"""Two ways to answer: tables and colours for people, one JSON document for programs.

Rule: rich is imported when a person is to be answered, never before; `--json` needs nothing but the core.
Rule: what a store holds is printed as it is: rich neither reads markup in it nor wraps or colours it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from igniter_store import json_text
from igniter_store.cli.failures import USAGE, CommandFailure

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence

    from rich.console import Console

T = TypeVar("T")


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

    def line(self, document: Mapping[str, Any], text: str) -> None:
        """Print one of many answers at once: a document on one line for a program, `text` for a person."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=not _takes_unicode(), default=str) + "\n")
        else:
            self.console.print(text)
        sys.stdout.flush()

    async def followed(self, items: AsyncIterable[T], options: Namespace) -> AsyncIterator[T]:
        """What comes, until there were `--count`, or `--for` is over."""
        wanted: int | None = options.count
        until = None if options.seconds is None else asyncio.get_running_loop().time() + options.seconds
        coming = aiter(items)
        while wanted is None or wanted > 0:
            try:
                async with asyncio.timeout_at(until):
                    item = await anext(coming)
            except (TimeoutError, StopAsyncIteration):
                return
            wanted = None if wanted is None else wanted - 1
            yield item

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
    try:
        text = json.dumps(document, ensure_ascii=not _takes_unicode(), indent=2, default=str)
    except RecursionError:  # deeper than Python's encoder goes
        text = json_text.write(document, str).decode()
    sys.stdout.write(text + "\n")


def _takes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def table(console: Console, header: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """Print rows under a header, or `nothing` where there is none."""
    from rich.table import Table  # noqa: PLC0415 - rich is there once there is a console

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in header:
        shown.add_column(title, no_wrap=True)
    for row in rows:
        shown.add_row(*("-" if cell is None else visible(str(cell)) for cell in row))
    console.print(shown if shown.row_count else nothing)


def as_text(value: Any) -> str:
    """A value from a store on one line."""
    if isinstance(value, str):
        return visible(value)
    try:
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:  # as in `print_json`
        return visible(json_text.write(value, str).decode())


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
