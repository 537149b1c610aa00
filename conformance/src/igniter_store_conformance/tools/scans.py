"""Walking through a whole scan, and writing many keys."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from igniter_store.contract import START, Entry, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from igniter_store.contract import Scan

    from igniter_store_conformance.engine.trial import FullAdapter, Trial


LARGE: Final = 20_000
"""Keys that no adapter should hold, or remove, at once."""


_AT_ONCE: Final = 2_000  # keys of one `mset`
_ROUNDS: Final = (
    100  # how often a scan may come by the same cursor before it counts as going in circles
)
_PAGES: Final = 100_000  # that no scan of a test needs


async def walk(adapter: Scan, pattern: str, count: int, *, cursor: str = START) -> list[str]:
    """The keys of all pages, from the beginning or from a cursor, until the cursor is `"0"`."""
    keys: list[str] = []
    seen = Counter[str]()
    while True:
        page = await adapter.scan(pattern, cursor=cursor, count=count)
        keys += page.keys
        cursor = page.cursor
        if cursor == START:
            return keys
        seen[cursor] += 1
        assert seen[cursor] < _ROUNDS, (
            f"the scan goes in circles: it came {_ROUNDS} times by the same cursor"
        )
        assert seen.total() < _PAGES, f"the scan gave {_PAGES} pages and no end"
        await asyncio.sleep(0)  # for adapters that never wait, so that a test has its limit


def all_of(trial: Trial) -> str:
    """The pattern of every key of a test."""
    return escape(trial.prefix) + "*"


async def put(adapter: FullAdapter, keys: Iterable[str]) -> None:
    """Write a value under each of the keys, in batches."""
    entries = [Entry(key, b"value") for key in keys]
    await asyncio.gather(
        *(
            adapter.mset(entries[begin : begin + _AT_ONCE])
            for begin in range(0, len(entries), _AT_ONCE)
        )
    )
