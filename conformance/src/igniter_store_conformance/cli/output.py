"""Where answers go: stdout for what was asked for, stderr for progress and failures.

Rule: what an adapter said is printed as it is: nothing in it is read as markup.
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
    """A console for people; without colours when it goes to a file."""
    # In a file a line may be as long as it wants; a terminal's width would cut the table for
    # nobody.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=_is_narrow()) + "\n")


def print_text(text: str) -> None:
    """Print a text as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    sys.stderr.write(f"igniter-conformance: {message}\n")


def tolerate_narrow_encodings() -> None:
    """Let a terminal that knows no Unicode show escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _is_narrow() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") != "utf8"
