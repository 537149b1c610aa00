"""Helpers that fill streams and consumer groups, and that compare their entries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract.stream_ids import StreamId, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from igniter_store.contract import PendingEntry, StreamEntry, Streams

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


_AT_ONCE: Final = 250  # concurrent appends


async def fill(
    adapter: Streams, stream: str, number: int, *, max_len: int | None = None
) -> list[str]:
    """Append this number of entries, many concurrently, and return their ids in order."""
    ids: list[str] = []
    for begin in range(0, number, _AT_ONCE):
        places = range(begin, min(begin + _AT_ONCE, number))
        ids += await asyncio.gather(
            *(adapter.xadd(stream, {"field": b"%d" % place}, max_len=max_len) for place in places)
        )
    return sorted(ids, key=number_of)


def ids_of(entries: list[StreamEntry]) -> list[str]:
    """Return the ids, in the order of the entries."""
    return [entry.id for entry in entries]


async def are_whole(adapter: Streams, stream: str, entries: list[StreamEntry]) -> bool:
    """Whether each entry has the same fields as in a range."""
    stored = {entry.id: entry.fields for entry in await adapter.xrange(stream)}
    return all(stored.get(entry.id) == entry.fields for entry in entries)


def number_of(text: str) -> StreamId:
    """Return the two numbers of an id. They order entries correctly; the text of an id doesn't."""
    number = parse(text)
    assert number is not None, f"{text!r} isn't the id of an entry"
    return number


SLACK: Final = 0.05
"""Seconds of tolerance for rounded idle times."""


async def group_with(adapter: FullAdapter, stream: str, number: int) -> list[str]:
    """Create a stream with this number of entries and a group that hasn't read them.

    Returns the ids in order.
    """
    ids = await fill(adapter, stream, number)
    await adapter.xgroup_create(stream, "group")
    return ids


def facts(pending: Iterable[PendingEntry]) -> list[tuple[str, str, int]]:
    """Return the id, the consumer and the delivery count of each pending entry."""
    return [(entry.id, entry.consumer, entry.deliveries) for entry in pending]


def touched_since(trial: Trial, began: float, entry: PendingEntry) -> bool:
    """Whether the entry's idle time shows that it was delivered after `began`.

    An entry that was delivered earlier has been idle for longer.
    """
    return entry.idle <= trial.time.now() - began + SLACK
