"""Filling streams and consumer groups, and comparing what comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract.stream_ids import StreamId, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from igniter_store.contract import PendingEntry, StreamEntry, Streams

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


_AT_ONCE: Final = 250  # appends under way at the same time


async def fill(
    adapter: Streams, stream: str, number: int, *, max_len: int | None = None
) -> list[str]:
    """Append so many entries, many at once, and give their ids in order."""
    ids: list[str] = []
    for begin in range(0, number, _AT_ONCE):
        places = range(begin, min(begin + _AT_ONCE, number))
        ids += await asyncio.gather(
            *(adapter.xadd(stream, {"field": b"%d" % place}, max_len=max_len) for place in places)
        )
    return sorted(ids, key=number_of)


def ids_of(entries: list[StreamEntry]) -> list[str]:
    """The ids, in the order of the entries."""
    return [entry.id for entry in entries]


async def are_whole(adapter: Streams, stream: str, entries: list[StreamEntry]) -> bool:
    """True when each entry has the fields that a range gives for it."""
    stored = {entry.id: entry.fields for entry in await adapter.xrange(stream)}
    return all(stored.get(entry.id) == entry.fields for entry in entries)


def number_of(text: str) -> StreamId:
    """The two numbers of an id, which order entries as its text does not."""
    number = parse(text)
    assert number is not None, f"{text!r} is no id of an entry"
    return number


SLACK: Final = 0.05
"""Seconds by which an idle time may be off, for rounding."""


async def group_with(adapter: FullAdapter, stream: str, number: int) -> list[str]:
    """A stream of so many entries with a group that has still to read them; the ids in order."""
    ids = await fill(adapter, stream, number)
    await adapter.xgroup_create(stream, "group")
    return ids


def facts(pending: Iterable[PendingEntry]) -> list[tuple[str, str, int]]:
    """Of each pending entry the id, who has it, and how often it was delivered."""
    return [(entry.id, entry.consumer, entry.deliveries) for entry in pending]


def touched_since(trial: Trial, began: float, entry: PendingEntry) -> bool:
    """True when the idle time says that the entry was handed out after `began`: what was not is
    idle for longer than that.
    """
    return entry.idle <= trial.time.now() - began + SLACK
