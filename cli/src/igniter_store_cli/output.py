"""Prints answers in two forms: text for people, one JSON document for programs.

Rule: rich is imported only if the answer is for a person. `--json` doesn't need it, and starts
    faster without it.
Rule: Stored text is printed unchanged: rich doesn't parse markup in it, and doesn't wrap or colour
    it.
Rule: Keys are printed in a form that the commands accept as input, whatever bytes they contain.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store import json_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence

    from rich.console import Console

T = TypeVar("T")

_MAY_BE_ESCAPE: Final = re.compile(r"\\(?=u[0-9a-f]{4}|U[0-9a-f]{8})")
_ESCAPE: Final = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


class Output:
    """Prints the answers of a command.

    Args:
        as_json: answer a program instead of a person.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, document: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """Print `document` for a program, or call `show` to print for a person."""
        if self.as_json:
            print_json(document)
        else:
            show(self.console)

    def line(self, document: Mapping[str, Any], text: str) -> None:
        """Print one of several answers immediately.

        A program gets `document` on one line; a person gets `text`.
        """
        if self.as_json:
            sys.stdout.write(_json(document) + "\n")
        else:
            self.console.print(text)
        sys.stdout.flush()

    async def followed(self, items: AsyncIterable[T], options: Namespace) -> AsyncIterator[T]:
        """Yield items until `--count` is reached or the time of `--for` is over."""
        wanted: int | None = options.count
        until = (
            None if options.seconds is None else asyncio.get_running_loop().time() + options.seconds
        )
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
        """Print a note on stderr, separate from the answer."""
        sys.stderr.write(f"igniter-store: {message}\n")

    @cached_property
    def console(self) -> Console:
        """The console for answers to people, without colours if the output is a file."""
        from rich.console import Console  # noqa: PLC0415 - the module's first rule

        return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, in ASCII if the output doesn't support Unicode."""
    sys.stdout.write(_json(document, indent=2) + "\n")


def _json(document: Mapping[str, Any], *, indent: int | None = None) -> str:
    try:
        text = json.dumps(document, ensure_ascii=not _takes_unicode(), indent=indent, default=str)
    except RecursionError:  # too deep for Python's encoder
        text = json_text.write(document, str).decode()
    # A lone surrogate in a key is always within a string, where its escape is valid JSON.
    return text.encode("utf-8", "backslashreplace").decode()


def _takes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def table(
    console: Console,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    nothing: str,
    *,
    wrapped: Sequence[str] = (),
) -> None:
    """Print rows under a header, or `nothing` if there are no rows.

    Args:
        console: the console to print on.
        header: the title of each column.
        rows: a cell for each column; `None` prints as a dash, and a cell may have several lines.
        nothing: the text to print instead of an empty table.
        wrapped: the columns that rich may wrap to fit the terminal.
    """
    cells = [
        ["-" if cell is None else visible(str(cell), keep="\n") for cell in row] for row in rows
    ]
    if not cells:
        console.print(nothing)
    else:
        _rich_table(console, header, cells, wrapped)


def _rich_table(
    console: Any, header: Sequence[str], cells: list[list[str]], wrapped: Sequence[str]
) -> None:
    from rich.table import Table  # noqa: PLC0415 - the module's first rule

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in header:
        shown.add_column(title, no_wrap=title not in wrapped)
    for row in cells:
        shown.add_row(*row)
    console.print(shown, soft_wrap=not wrapped)


def as_text(value: Any) -> str:
    """Format a value from a store on one line."""
    if isinstance(value, str):
        return visible(value)
    try:
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:  # as in `print_json`
        return visible(json_text.write(value, str).decode())


def visible(text: str, *, keep: str = "") -> str:
    """Escape the control characters in `text`, except those in `keep`.

    Stored text must not send commands to the terminal.
    """
    return "".join(
        character if character in keep or character.isprintable() else _escape(ord(character))
        for character in text
    )


def _escape(point: int) -> str:
    # The largest code point that four digits can express.
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004


def shown_key(key: str) -> str:
    """Format a key so that a terminal can show it and `key_argument` can parse it.

    Characters that can't be printed become escapes.
    """
    return visible(_MAY_BE_ESCAPE.sub(r"\\u005c", key))


def key_argument(text: str) -> str:
    """Return the key that `shown_key` prints as `text`.

    A key that a user typed stays unchanged, unless it contains such an escape.
    """

    def spelled(match: re.Match[str]) -> str:
        point = int(match[1] or match[2], 16)
        character = chr(point) if point <= sys.maxunicode else "a"
        return match[0] if character.isprintable() and character != "\\" else character

    return _ESCAPE.sub(spelled, text)


def tolerate_narrow_encodings() -> None:
    """Let a terminal without Unicode print escapes instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Redirect stdout to the null device after its reader has closed the pipe.

    Otherwise Python would report an error when it flushes at exit.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
