"""One stream: its entries in the order of their ids, and its groups with their deliveries.

Rule: The ids of a stream only grow. Appending keeps the list of ids sorted, and delivering keeps a
    group's pending list sorted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StreamEntry
from igniter_store.contract.stream_ids import FIRST, StreamId, spell

from igniter_store_memory.errors import ERRORS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

# Redis keeps this many entries in one node by default; approximate trimming removes whole nodes.
_NODE: Final = 100


@dataclass(slots=True)
class Delivery:
    """An entry's last consumer, the time of that delivery, and the number of deliveries."""

    consumer: str
    at: float
    count: int


@dataclass(slots=True, eq=False)
class Waiter:
    """A reader that waits for new entries."""

    consumer: str
    count: int | None
    answer: asyncio.Future[list[StreamEntry]]


@dataclass(slots=True, eq=False)
class Group:
    """A group's position, consumers, waiting readers and unacknowledged deliveries."""

    position: StreamId
    pending: dict[StreamId, Delivery] = field(default_factory=dict[StreamId, Delivery])
    consumers: set[str] = field(default_factory=set[str])
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])

    def vanish(self) -> None:
        """Raise an error in every waiting reader, because the group is gone (STR-13)."""
        for waiter in self.waiters:
            if not waiter.answer.done():
                waiter.answer.set_exception(ERRORS.group_missing())
        self.waiters.clear()


class Log:
    """Entries and groups; the caller supplies the times."""

    __slots__ = ("_fields", "_ids", "groups", "last")

    def __init__(self) -> None:
        self.last: StreamId = FIRST
        self.groups: dict[str, Group] = {}
        self._ids: list[StreamId] = []
        self._fields: dict[StreamId, dict[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def append(self, fields: Mapping[str, bytes], milliseconds: int) -> StreamId:
        """Add an entry after all others, even if the clock has gone back."""
        last_milliseconds, last_sequence = self.last
        if milliseconds > last_milliseconds:
            self.last = (milliseconds, 0)
        else:
            self.last = (last_milliseconds, last_sequence + 1)
        self._ids.append(self.last)
        self._fields[self.last] = {name: bytes(value) for name, value in fields.items()}
        return self.last

    def serve_waiters(self, now: float) -> None:
        """Deliver new entries to the waiting readers, the longest waiting first."""
        for group in self.groups.values():
            while group.waiters and self.last > group.position:
                waiter = group.waiters.popleft()
                if not waiter.answer.done():
                    waiter.answer.set_result(
                        self.deliver(group, waiter.consumer, waiter.count, now)
                    )

    def trim(self, max_len: int, *, approximate: bool) -> int:
        """Remove the oldest entries and return how many were removed."""
        surplus = len(self._ids) - max_len
        if approximate:
            surplus -= surplus % _NODE
        if surplus <= 0:
            return 0
        for stream_id in self._ids[:surplus]:
            del self._fields[stream_id]
        del self._ids[:surplus]
        return surplus

    def delete(self, ids: Iterable[StreamId]) -> int:
        """Remove entries and return how many existed."""
        deleted = 0
        for stream_id in ids:
            if self._fields.pop(stream_id, None) is not None:
                del self._ids[bisect_left(self._ids, stream_id)]
                deleted += 1
        return deleted

    def between(
        self, low: StreamId, high: StreamId, count: int | None, *, newest_first: bool = False
    ) -> list[StreamEntry]:
        """Return the entries from `low` to `high`, both included."""
        begin, end = bisect_left(self._ids, low), bisect_right(self._ids, high)
        if newest_first:
            begin = begin if count is None else max(begin, end - count)
            return [self._entry(stream_id) for stream_id in reversed(self._ids[begin:end])]
        end = end if count is None else min(end, begin + count)
        return [self._entry(stream_id) for stream_id in self._ids[begin:end]]

    def deliver(
        self, group: Group, consumer: str, count: int | None, now: float
    ) -> list[StreamEntry]:
        """Deliver new entries to `consumer`."""
        begin = bisect_right(self._ids, group.position)
        ids = self._ids[begin:] if count is None else self._ids[begin : begin + count]
        for stream_id in ids:
            group.pending[stream_id] = Delivery(consumer, now, 1)
        if ids:
            group.position = ids[-1]
        return [self._entry(stream_id) for stream_id in ids]

    def deliver_again(
        self, group: Group, consumer: str, count: int | None, now: float
    ) -> list[StreamEntry]:
        """Deliver the pending entries of `consumer` again, without deleted ones (STR-18)."""
        entries: list[StreamEntry] = []
        for stream_id, delivery in group.pending.items():
            if len(entries) == count:
                break
            if delivery.consumer == consumer and stream_id in self._fields:
                delivery.at, delivery.count = now, delivery.count + 1
                entries.append(self._entry(stream_id))
        return entries

    def claim(
        self, group: Group, consumer: str, idle_since: float, count: int | None, now: float
    ) -> list[StreamEntry]:
        """Move entries that have been idle since `idle_since` to `consumer`.

        Deleted entries are removed from the pending list (STR-10, STR-12).
        """
        entries: list[StreamEntry] = []
        for stream_id, delivery in list(group.pending.items()):
            if len(entries) == count:
                break
            # However short the entry was idle: Redis 7 checks for deleted entries first, too.
            if stream_id not in self._fields:
                del group.pending[stream_id]
                continue
            if delivery.at > idle_since:
                continue
            delivery.consumer, delivery.at, delivery.count = consumer, now, delivery.count + 1
            entries.append(self._entry(stream_id))
        return entries

    def lag(self, group: Group) -> int:
        """Return how many entries `group` hasn't read yet."""
        return len(self._ids) - bisect_right(self._ids, group.position)

    def vanish(self) -> None:
        """Raise an error in every waiting reader, because the stream is gone."""
        for group in self.groups.values():
            group.vanish()

    def _entry(self, stream_id: StreamId) -> StreamEntry:
        return StreamEntry(spell(stream_id), dict(self._fields[stream_id]))
