"""What a reply may be while it comes in: a bound for its size, and a bound for the line that it
begins with.

Rule: nothing here looks at replies that are complete. A reply of which one piece of data is only a
    part is rare, and large or hostile.
Rule: each reply begins with a line: its type, and a number or a short text. A line that doesn't end
    comes from no Redis server.
Rule: what an announced length says is refused before it has come; what isn't seen at the beginning
    of a piece is counted as it comes.
"""

from __future__ import annotations

from typing import Final

from hiredis import Reader
from igniter_store.redis_commands.reply_errors import (
    ErrorReply,
    MalformedReply,
    ReplyError,
    ReplyTooLarge,
)

LARGEST: Final = 536_870_912
"""Bytes of a reply, unless an adapter is made with another limit: as long as one value can be on a
server with its own settings.
"""

NOTHING: Final = object()
"""What a reader gives while a reply isn't complete."""

_LONGEST_LINE: Final = 65_536
_FRAME: Final = 1_024  # bytes around the one value of a reply, and some more
_LENGTHS: Final = b"$=!"  # types whose line says how many bytes follow
_COUNTS: Final = b"*~>%|"  # and how many elements
_SMALLEST: Final = 3  # bytes of an element


def reader() -> Reader:
    """A reader of replies."""
    return Reader(replyError=ErrorReply, notEnoughData=NOTHING)


class Incoming:
    """The present reply, of which something is missing.

    Args:
        largest: bytes that a reply may have.

    Attributes:
        is_partial: whether a part of a reply has come, and not all of it.
        size: how many bytes of it, apart from the piece in which an earlier one ended.
    """

    __slots__ = ("_largest", "_line", "is_partial", "size")

    def __init__(self, largest: int) -> None:
        self.is_partial = False
        self.size = 0
        self._largest: Final = largest + _FRAME
        self._line: int | None = None  # bytes of the first line, as long as it hasn't ended

    def completed(self, *, is_partial: bool) -> None:
        """A reply is complete; `is_partial` says whether a part of the next one is there."""
        self.is_partial = is_partial
        self.size = 0
        self._line = None

    def more(self, data: bytes) -> ReplyError | None:
        """Count a piece that completes nothing, and say what is wrong with the reply, if anything
        is.
        """
        if not self.is_partial:
            self._line = 0
            self.is_partial = True
        self.size += len(data)
        if self._line is not None:
            end = data.find(b"\n")
            if self._line == 0 and end > 0 and self._announced(data[:end]) > self._largest:
                return ReplyTooLarge()
            self._line = None if end >= 0 else self._line + len(data)
            if self._line is not None and self._line > _LONGEST_LINE:
                return MalformedReply()
        return ReplyTooLarge() if self.size > self._largest else None

    def _announced(self, line: bytes) -> int:
        try:
            number = int(line[1:])
        except ValueError:
            return 0
        if line[0] in _LENGTHS:
            return number
        return number * _SMALLEST if line[0] in _COUNTS else 0


def can_complete(incoming: Incoming, data: bytes) -> bool:
    """False for a piece in the midst of a line or a value: looking for the end of a long line again
    and again takes ever longer.
    """
    return not incoming.is_partial or b"\n" in data
