"""What goes wrong on the command line, and the words for it.

Rule: a failure is one line for people, on stderr, or one JSON document for programs, on stdout;
    never a traceback.
Rule: nothing that follows `://` in an argument is ever repeated: it may hold a password.
"""

from __future__ import annotations

import re
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final, cast

from igniter_store.contract import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
"""The exit codes besides 0; 130 is what a shell gives for Ctrl-C."""

_HIDDEN: Final = "://..."


# named for what it is to the user, as the store's own errors
class CommandFailure(Exception):  # noqa: N818
    """Raised when a command can't do what was asked; never for what the store refuses, which is a
    `StoreError`.

    Args:
        message: what is wrong, and the cure.
        exit_code: FAILED, or USAGE for a call that could never work.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class WrongUsage(CommandFailure):
    """Raised instead of argparse's way out, so that what it says can be cleared of secrets first.

    Args:
        message: argparse's, which quotes arguments.
        usage: the line that shows how the command is called.
    """

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, USAGE)
        self.usage = usage


def without_secrets(message: str, arguments: Sequence[str]) -> str:
    """`message` with the rest of every URL in `arguments` taken out, however argparse quoted it."""
    for argument in arguments:
        _, mark, rest = argument.partition("://")
        if mark and rest:
            for spelling in (mark + rest, repr(mark + rest)[1:-1]):
                message = message.replace(spelling, _HIDDEN)
    return re.sub(r"://[^.\s'\"][^\s'\"]*", _HIDDEN, message)


def described(error: BaseException) -> str:
    """`error` as one line, without anything that might be a value."""
    cause = _first(error)
    if isinstance(cause, StoreError | CommandFailure):
        return " ".join(str(cause).split())
    # Only an adapter with a gap lets another exception through. Its text may quote a URL, so its
    # place has to do.
    place = extract_tb(cause.__traceback__)[-1:]
    where = f" at {Path(place[0].filename).name}:{place[0].lineno}" if place else ""
    return f"{type(cause).__name__}{where}: unexpected exception, probably a bug in the adapter."


def document(error: BaseException) -> dict[str, Any]:
    """`error` as the JSON document that programs get."""
    cause = _first(error)
    if isinstance(cause, StoreError):
        return {"error": cause.to_dict()}
    return {"error": {"name": type(cause).__name__, "code": None, "message": described(cause)}}


def _first(error: BaseException) -> BaseException:
    # Of tasks that failed together one is told; what stopped the others is most often the same.
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error
