"""What goes wrong on the command line, and its exit codes.

Rule: 0 is done, 1 is an adapter that is not conformant, 2 is wrong usage, 130 is Ctrl-C.
Rule: a failure is one line on stderr that says what was tried, what is wrong and what cures it;
    never a traceback of ours.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
NOT_CONFORMANT: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class CommandFailure(Exception):  # noqa: N818 - named for what it is to the user
    """Raised when a command can't do what was asked.

    Args:
        message: what is wrong, and the cure.
        exit_code: as above.
        usage: how the command is called, where that helps.
    """

    def __init__(self, message: str, exit_code: int = USAGE, usage: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.usage = usage
