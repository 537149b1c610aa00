"""Helpers that run a whole scan, and that write many keys."""

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
"""A number of keys that no adapter should load, or delete, at once."""


_AT_ONCE: Final = 2_000  # keys per `mset`
_ROUNDS: Final = 100  # how often a scan may return the same cursor before it counts as a loop
PAGES: Final = 100_000  # more pages than any scan of a test needs


async def walk(adapter: Scan, pattern: str, count: int, *, cursor: str = START) -> list[str]:
    """Return the keys of all pages, from the start or a cursor until the cursor is `"0"`."""
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
        assert seen.total() < PAGES, f"the scan gave {PAGES} pages and no end"
        await asyncio.sleep(0)  # applies the test's time limit to adapters that never suspend


def all_of(trial: Trial) -> str:
    """Return a pattern for every key of the test."""
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
