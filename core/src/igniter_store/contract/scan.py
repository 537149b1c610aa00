"""Walking over keys, and removing all that begin alike.

Rule: patterns are Redis's globs, as `contract.patterns.Pattern` has them; the caller has escaped
    what it means literally (SCN-2).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from msgspec import Struct

from igniter_store.contract.adapter import Adapter

START: Final = "0"
"""The cursor that begins a scan, and that says a scan is over."""


class ScanPage(Struct, frozen=True):
    """Some keys, possibly none, and the cursor for the next call; `"0"` when this was the last
    page.
    """

    cursor: str
    keys: list[str]


class Scan(Adapter):
    """Redis's SCAN, and removal by prefix."""

    @abstractmethod
    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        """The next keys that match `pattern`, of every kind, expired ones never.

        Following the cursors from `"0"` until `"0"` gives every key that was there all along at
        least once, however many others come and go meanwhile (SCN-1). A key that was never there is
        never given. Small pages, large ones, repeats, and empty pages with a live cursor are all
        legal (SCN-3). No page holds the whole of a large keyspace, nor keeps other callers waiting
        (SCN-6).

        Args:
            pattern: a glob over complete keys.
            cursor: opaque; `"0"` to begin, then what the page before gave.
            count: how many keys to look at, at least 1; a hint.

        Raises:
            BackendFailed: `STORE_SCAN_FAILED` for a cursor that no scan gave (SCN-4).
        """

    @abstractmethod
    async def delete_prefix(self, prefix: str) -> int:
        """Remove every key that begins with exactly `prefix`, of every kind, and return how many
        there were (SCN-5).

        `prefix` is literal: a `*` in it is a star. Not one atomic step: keys written meanwhile may
        stay, and a call that is cancelled has removed some. Small steps, so that no other caller
        waits long.
        """
