"""When a proxy cuts a connection: after a number of bytes, or at a command.

Rule: a cut only decides. The proxy closes the connection.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Direction: TypeAlias = Literal["to_server", "to_client"]
"""The direction of bytes: from the client to the server, or back."""

CutMoment: TypeAlias = Literal["before", "middle", "answered"]
"""When `Proxy.cut_at` cuts the connection.

Before the server gets the command, half-way through it, or once the server has answered.
"""


class Cut(Protocol):
    """An armed cut, which sees all data that passes."""

    def allowed(self, connection: object, direction: Direction, chunk: bytes) -> int | None:
        """Return how many bytes of `chunk` still pass on this connection before the cut.

        `None` means that all of them pass, without a cut.
        """
        ...


class AfterBytes:
    """Cuts after a number of bytes of one connection in one direction."""

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
    """Cuts at a chosen moment of the command that contains the marker."""

    def __init__(self, marker: bytes, when: CutMoment) -> None:
        self._marker = marker
        self._when = when
        self._tails: dict[object, bytes] = {}  # a marker may arrive in several chunks
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
