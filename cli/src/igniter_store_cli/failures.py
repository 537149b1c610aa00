"""The failures of the command line, and their messages.

Rule: A failure is one line for people, on stderr, or one JSON document for programs, on stdout. It
    is never a traceback.
Rule: Text after `://` in an argument is never repeated, because it may contain a password.
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
"""The exit codes besides 0; shells return 130 after Ctrl-C."""

_HIDDEN: Final = "://..."


# The name describes the problem for the user, like the names of the store's own errors.
class CommandFailure(Exception):  # noqa: N818
    """Raised when a command can't do what the user requested.

    Errors from the store are a `StoreError` instead.

    Args:
        message: the problem, and the cure.
        exit_code: FAILED, or USAGE for a call that can never work.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class WrongUsage(CommandFailure):
    """Raised instead of argparse's own exit, so that secrets can be removed from the message.

    Args:
        message: argparse's message, which quotes arguments.
        usage: the line that shows how to call the command.
    """

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, USAGE)
        self.usage = usage


def without_secrets(message: str, arguments: Sequence[str]) -> str:
    """Remove the part after `://` of each URL in `arguments`, in any of argparse's quoting."""
    for argument in arguments:
        _, mark, rest = argument.partition("://")
        if mark and rest:
            for spelling in (mark + rest, repr(mark + rest)[1:-1]):
                message = message.replace(spelling, _HIDDEN)
    return re.sub(r"://[^.\s'\"][^\s'\"]*", _HIDDEN, message)


def described(error: BaseException) -> str:
    """Describe `error` in one line, without any text that might be a value."""
    cause = _first(error)
    if isinstance(cause, StoreError | CommandFailure):
        return " ".join(str(cause).split())
    # Only a bug in an adapter lets another exception through. Its text may quote a URL, so only its
    # place is shown.
    place = extract_tb(cause.__traceback__)[-1:]
    where = f" at {Path(place[0].filename).name}:{place[0].lineno}" if place else ""
    return f"{type(cause).__name__}{where}: unexpected exception, probably a bug in the adapter."


def document(error: BaseException) -> dict[str, Any]:
    """Return `error` as a JSON document for programs."""
    cause = _first(error)
    if isinstance(cause, StoreError):
        return {"error": cause.to_dict()}
    return {"error": {"name": type(cause).__name__, "code": None, "message": described(cause)}}


def _first(error: BaseException) -> BaseException:
    # Only the first error of a group is reported; the others usually have the same cause.
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error
