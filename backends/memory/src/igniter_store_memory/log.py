"""One stream: its entries in order of id, and its groups with what each has handed out.

Rule: ids of a stream only grow, so a list of them stays sorted by appending, and a group's pending
    list by delivering.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StreamEntry, errors
from igniter_store.contract.stream_ids import FIRST, StreamId, spell

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

_NODE: Final = (
    100  # entries that Redis keeps in one node by default; approximate trimming removes whole nodes
)


@dataclass(slots=True)
class Delivery:
    """To whom an entry was handed last, when, and how often in all."""

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
    """What one group has read, handed out and not yet got acknowledged."""

    position: StreamId
    pending: dict[StreamId, Delivery] = field(default_factory=dict[StreamId, Delivery])
    consumers: set[str] = field(default_factory=set[str])
    waiters: deque[Waiter] = field(default_factory=deque[Waiter])

    def vanish(self) -> None:
        """Tell those who wait that there is nothing to wait for any more (STR-13)."""
        for waiter in self.waiters:
            if not waiter.answer.done():
                waiter.answer.set_exception(errors.group_missing("memory"))
        self.waiters.clear()


class Log:
    """Entries and groups; times come from the caller."""

    __slots__ = ("_fields", "_ids", "groups", "last")

    def __init__(self) -> None:
        self.last: StreamId = FIRST
        self.groups: dict[str, Group] = {}
        self._ids: list[StreamId] = []
        self._fields: dict[StreamId, dict[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def append(self, fields: Mapping[str, bytes], milliseconds: int) -> StreamId:
        """Add an entry behind all others, whatever the clock says."""
        last_milliseconds, last_sequence = self.last
        if milliseconds > last_milliseconds:
            self.last = (milliseconds, 0)
        else:
            self.last = (last_milliseconds, last_sequence + 1)
        self._ids.append(self.last)
        self._fields[self.last] = {name: bytes(value) for name, value in fields.items()}
        return self.last

    def serve_waiters(self, now: float) -> None:
        """Hand what is new to those who wait for it, the longest waiting first."""
        for group in self.groups.values():
            while group.waiters and self.last > group.position:
                waiter = group.waiters.popleft()
                if not waiter.answer.done():
                    waiter.answer.set_result(
                        self.deliver(group, waiter.consumer, waiter.count, now)
                    )

    def trim(self, max_len: int, *, approximate: bool) -> int:
        """Drop the oldest entries and return how many."""
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
        """Drop entries and return how many were there."""
        deleted = 0
        for stream_id in ids:
            if self._fields.pop(stream_id, None) is not None:
                del self._ids[bisect_left(self._ids, stream_id)]
                deleted += 1
        return deleted

    def between(
        self, low: StreamId, high: StreamId, count: int | None, *, newest_first: bool = False
    ) -> list[StreamEntry]:
        """The entries from `low` to `high`, both included."""
        begin, end = bisect_left(self._ids, low), bisect_right(self._ids, high)
        if newest_first:
            begin = begin if count is None else max(begin, end - count)
            return [self._entry(stream_id) for stream_id in reversed(self._ids[begin:end])]
        end = end if count is None else min(end, begin + count)
        return [self._entry(stream_id) for stream_id in self._ids[begin:end]]

    def deliver(
        self, group: Group, consumer: str, count: int | None, now: float
    ) -> list[StreamEntry]:
        """Hand new entries to `consumer`."""
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
        """Hand `consumer` its own pending entries once more, without those that were deleted
        (STR-18).
        """
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
        """Move what has been idle since then to `consumer`; drop what was deleted from the pending
        list (STR-10, STR-12).
        """
        entries: list[StreamEntry] = []
        for stream_id, delivery in list(group.pending.items()):
            if len(entries) == count:
                break
            if stream_id not in self._fields:  # however young: Redis 7 looks at this first, too
                del group.pending[stream_id]
                continue
            if delivery.at > idle_since:
                continue
            delivery.consumer, delivery.at, delivery.count = consumer, now, delivery.count + 1
            entries.append(self._entry(stream_id))
        return entries

    def lag(self, group: Group) -> int:
        """How many entries `group` has still to read."""
        return len(self._ids) - bisect_right(self._ids, group.position)

    def vanish(self) -> None:
        """Tell every waiting reader that the stream is gone."""
        for group in self.groups.values():
            group.vanish()

    def _entry(self, stream_id: StreamId) -> StreamEntry:
        return StreamEntry(spell(stream_id), dict(self._fields[stream_id]))
