"""When a proxy cuts a connection: after so many bytes, or at a command.

Rule: a cut decides and does nothing; the proxy does.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Direction: TypeAlias = Literal["to_server", "to_client"]
"""Which way bytes go: from the client to the server, or back."""

Moment: TypeAlias = Literal["before", "middle", "answered"]
"""When `Proxy.cut_at` cuts: before the server gets the command, half-way through it, or once it has
answered.
"""


class Cut(Protocol):
    """A cut that is armed, and is told of everything that comes through."""

    def allowed(self, connection: object, direction: Direction, chunk: bytes) -> int | None:
        """How many bytes of `chunk` still pass on this connection before the cut; `None`: all of
        them, and no cut.
        """
        ...


class AfterBytes:
    """After so many bytes of one connection in one direction."""

    def __init__(self, count: int, direction: Direction) -> None:
        self._count = count
        self._direction = direction
        self._passed: dict[object, int] = {}

    def allowed(self, connection: object, direction: Direction, chunk: bytes) -> int | None:
        """See `Cut`."""
        if direction != self._direction:
            return None
        left = self._count - self._passed.get(connection, 0)
        self._passed[connection] = self._count - left + len(chunk)
        return left if len(chunk) >= left else None


class AtMarker:
    """At a chosen moment of the command that has these bytes in it."""

    def __init__(self, marker: bytes, when: Moment) -> None:
        self._marker = marker
        self._when = when
        self._tails: dict[object, bytes] = {}  # a marker may come in several chunks
        self._asked: set[object] = set()

    def allowed(self, connection: object, direction: Direction, chunk: bytes) -> int | None:
        """See `Cut`."""
        if direction == "to_client":
            return 0 if connection in self._asked else None
        tail = self._tails.get(connection, b"")
        text = tail + chunk
        self._tails[connection] = text[max(0, len(text) - len(self._marker) + 1) :]
        at = text.find(self._marker)
        if at < 0:
            return None
        if self._when == "before":
            return 0
        if self._when == "middle":
            return max(0, at + len(self._marker) // 2 - len(tail))
        self._asked.add(connection)
        return None
