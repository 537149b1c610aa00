"""Parses ids of stream entries.

Backends that order entries themselves use it, and so does code that checks an id before sending it.

Rule: an id is `<milliseconds>-<sequence>`, two unsigned 64-bit decimal numbers. If the id is only
    `<milliseconds>`, the context determines the sequence.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

StreamId: TypeAlias = tuple[int, int]
"""An id as two numbers, which compare in the order of the ids."""

FIRST: Final[StreamId] = (0, 0)
LAST: Final[StreamId] = (2**64 - 1, 2**64 - 1)

_ID: Final = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)


def parse(text: str, *, sequence: int = 0) -> StreamId | None:
    """Parse an id; return `None` if `text` isn't one.

    If `text` has no sequence, the id gets `sequence`.
    """
    match = _ID.fullmatch(text)
    if match is None:
        return None
    milliseconds, given = match.groups()
    parsed = (int(milliseconds), sequence if given is None else int(given))
    return parsed if max(parsed) <= LAST[0] else None


def spell(stream_id: StreamId) -> str:
    """Format an id as text."""
    return f"{stream_id[0]}-{stream_id[1]}"


def lower_bound(text: str) -> StreamId | None:
    """Return the smallest id in a range that begins with `text`.

    The result is `None` if `text` isn't a valid bound.
    """
    if text == "-":
        return FIRST
    if text == "+":
        return LAST
    if not text.startswith("("):
        return parse(text)
    excluded = parse(text[1:])
    return None if excluded is None or excluded == LAST else _next(excluded)


def upper_bound(text: str) -> StreamId | None:
    """Return the greatest id in a range that ends with `text`.

    The result is `None` if `text` isn't a valid bound.
    """
    if text == "+":
        return LAST
    if text == "-":
        return FIRST
    if not text.startswith("("):
        return parse(text, sequence=LAST[1])
    excluded = parse(text[1:], sequence=LAST[1])
    return None if excluded is None or excluded == FIRST else _previous(excluded)


def _next(stream_id: StreamId) -> StreamId:
    milliseconds, sequence = stream_id
    return (milliseconds, sequence + 1) if sequence < LAST[1] else (milliseconds + 1, 0)


def _previous(stream_id: StreamId) -> StreamId:
    milliseconds, sequence = stream_id
    return (milliseconds, sequence - 1) if sequence else (milliseconds - 1, LAST[1])
