"""Two ways to answer: text for people, one JSON document for programs.

Rule: rich is imported only when the answer is for a person. `--json` doesn't need it, and starts
    faster without it.
Rule: what a store holds is printed as it is: rich neither reads markup in it nor wraps or colours
    it.
Rule: a key is printed in a form that the commands take back, whatever its bytes are.
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
    """Where a command writes its answer.

    Args:
        as_json: answer a program instead of a person.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def answer(self, document: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """Print `document` for a program, or let `show` print for a person."""
        if self.as_json:
            print_json(document)
        else:
            show(self.console)

    def line(self, document: Mapping[str, Any], text: str) -> None:
        """Print one of many answers at once: a document on one line for a program, `text` for a
        person.
        """
        if self.as_json:
            sys.stdout.write(_json(document) + "\n")
        else:
            self.console.print(text)
        sys.stdout.flush()

    async def followed(self, items: AsyncIterable[T], options: Namespace) -> AsyncIterator[T]:
        """What comes, until there were `--count`, or `--for` is over."""
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
        """Say something besides the answer, on stderr, to whoever reads it."""
        sys.stderr.write(f"igniter-store: {message}\n")

    @cached_property
    def console(self) -> Console:
        """What people are answered on; without colours when the answer goes to a file."""
        from rich.console import Console  # noqa: PLC0415 - the module's first rule

        return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, in ASCII where the output takes no more."""
    sys.stdout.write(_json(document, indent=2) + "\n")


def _json(document: Mapping[str, Any], *, indent: int | None = None) -> str:
    try:
        text = json.dumps(document, ensure_ascii=not _takes_unicode(), indent=indent, default=str)
    except RecursionError:  # deeper than Python's encoder goes
        text = json_text.write(document, str).decode()
    # A lone surrogate of a key stands within a string, where its escape is JSON's own.
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
    """Print rows under a header, or `nothing` where there is none.

    Args:
        console: where to.
        header: the title of each column.
        rows: a cell for each column; `None` is a dash, and a cell may have several lines.
        nothing: what is printed instead of an empty table.
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
    """A value from a store on one line."""
    if isinstance(value, str):
        return visible(value)
    try:
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    except RecursionError:  # as in `print_json`
        return visible(json_text.write(value, str).decode())


def visible(text: str, *, keep: str = "") -> str:
    """`text` with its control characters, but for those in `keep`, spelled out: what lies in a
    store must not command a terminal.
    """
    return "".join(
        character if character in keep or character.isprintable() else _escape(ord(character))
        for character in text
    )


def _escape(point: int) -> str:
    # the last that four digits spell
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004


def shown_key(key: str) -> str:
    """A key in a form that a terminal can show and `key_argument` takes back: what can't be printed
    is an escape.
    """
    return visible(_MAY_BE_ESCAPE.sub(r"\\u005c", key))


def key_argument(text: str) -> str:
    """The key that `shown_key` shows as `text`.

    A key that was typed is itself, unless it has such an escape.
    """

    def spelled(match: re.Match[str]) -> str:
        point = int(match[1] or match[2], 16)
        character = chr(point) if point <= sys.maxunicode else "a"
        return match[0] if character.isprintable() and character != "\\" else character

    return _ESCAPE.sub(spelled, text)


def tolerate_narrow_encodings() -> None:
    """Let a terminal that knows no Unicode show escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def give_up_output() -> None:
    """Point stdout to nowhere, after its reader has gone: Python would complain when it flushes at
    exit.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
