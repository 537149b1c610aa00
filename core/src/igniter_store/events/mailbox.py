"""A bounded queue between the event loop's callbacks and one reader.

Rule: a full queue drops its oldest item, counts it, and reports the first drop. A slow reader never
    blocks the publisher.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class MailboxClosed(Exception):  # noqa: N818 - it ends reading and isn't a failure
    """Raised when a mailbox is empty and gets no more items."""


class Mailbox(Generic[T]):
    """The queue.

    Attributes:
        dropped: how many items were dropped because the queue was full.
        is_closed: True when the queue accepts no more items.
    """

    def __init__(self, size: int, on_first_drop: Callable[[], None]) -> None:
        self.dropped: int = 0
        self.is_closed: bool = False
        self._items: deque[T] = deque()
        self._size = size
        self._on_first_drop = on_first_drop
        self._changed = asyncio.Event()

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        if self.is_closed:
            return
        if len(self._items) >= self._size:
            self._items.popleft()
            self.dropped += 1
            if self.dropped == 1:
                self._on_first_drop()
        self._items.append(item)
        self._changed.set()

    async def get(self) -> T:
        """Wait for the oldest item and return it.

        Raises:
            MailboxClosed: when the queue is empty and closed.
        """
        # Let other tasks run before each item. Otherwise a reader that puts one item for each that
        # it gets would never yield to them.
        if self._items:
            await asyncio.sleep(0)
        while not self._items:
            if self.is_closed:
                raise MailboxClosed
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()

    def close(self) -> None:
        """Discard all items, accept no more, and wake the reader."""
        if not self.is_closed:
            self.is_closed = True
            self._items.clear()
            self._changed.set()

    def abandon(self) -> None:
        """Close the queue without waking the reader.

        Used when the reader's event loop is closed or belongs to the parent process.
        """
        self.is_closed = True
        self._items.clear()
