"""Failures on the command line, and their exit codes.

Rule: 0 is success, 1 is an adapter that isn't conformant, 2 is wrong usage, 130 is Ctrl-C.
Rule: a failure is one line on stderr with the attempt, the problem and the fix, never a traceback
    of the kit.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
NOT_CONFORMANT: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class CommandFailure(Exception):  # noqa: N818 - named as the user sees it
    """Raised when a command can't do what was asked.

    Args:
        message: the problem and the fix.
        exit_code: as above.
        usage: the usage of the command, where that helps.
    """

    def __init__(self, message: str, exit_code: int = USAGE, usage: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.usage = usage
