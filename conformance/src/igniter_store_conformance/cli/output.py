"""Output: results go to stdout, progress and failures to stderr.

Rule: text from an adapter is printed literally: nothing in it is read as markup.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def console(*, stderr: bool = False) -> Console:
    """Return a console for people, without colours when the output goes to a file."""
    # A line in a file may have any length. Cutting the table at a terminal's width wouldn't help
    # any reader.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=_is_narrow()) + "\n")


def print_text(text: str) -> None:
    """Print a text unchanged."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def complain(message: str) -> None:
    """Print an error message to stderr."""
    sys.stderr.write(f"igniter-conformance: {message}\n")


def tolerate_narrow_encodings() -> None:
    """Let a terminal without Unicode show escapes instead of failing the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _is_narrow() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") != "utf8"
