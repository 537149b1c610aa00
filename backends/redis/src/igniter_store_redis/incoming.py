"""Limits the size of an incomplete reply, and of the line that it begins with.

Rule: no check here reads complete replies. A reply that arrives in several pieces of data is rare,
    and either large or hostile.
Rule: each reply begins with a line: its type, and a number or a short text. A line that doesn't end
    can't come from a Redis server.
Rule: a reply whose announced length is too large is rejected before its data arrives. If the
    announcement isn't at the beginning of a piece of data, the bytes are counted as they arrive.
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
"""The default limit for the bytes of a reply.

A server with default settings accepts values of up to this size.
"""

NOTHING: Final = object()
"""The result of a reader whose reply isn't complete."""

_LONGEST_LINE: Final = 65_536
_FRAME: Final = 1_024  # bytes around the one value of a reply, with a margin
_LENGTHS: Final = b"$=!"  # types whose line holds the number of bytes that follow
_COUNTS: Final = b"*~>%|"  # types whose line holds the number of elements
_SMALLEST: Final = 3  # bytes of the smallest element


def reader() -> Reader:
    """A reader of replies."""
    return Reader(replyError=ErrorReply, notEnoughData=NOTHING)


class Incoming:
    """The reply that is arriving.

    Args:
        largest: bytes that a reply may have.

    Attributes:
        is_partial: whether a part of a reply has arrived, and not all of it.
        size: bytes of it that have arrived, without the piece in which an earlier reply ended.
    """

    __slots__ = ("_largest", "_line", "is_partial", "size")

    def __init__(self, largest: int) -> None:
        self.is_partial: bool = False
        self.size: int = 0
        self._largest: Final = largest + _FRAME
        self._line: int | None = None  # bytes of the first line, until it has ended

    def completed(self, *, is_partial: bool) -> None:
        """Record that a reply is complete; `is_partial` is true if part of the next has arrived."""
        self.is_partial = is_partial
        self.size = 0
        self._line = None

    def more(self, data: bytes) -> ReplyError | None:
        """Count a piece of data that completes no reply.

        Returns the error if the reply is too large or malformed.
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
    """False for data in the middle of a line or a value.

    Searching for the end of a long line again and again would take ever longer.
    """
    return not incoming.is_partial or b"\n" in data
