"""Iterating over keys, and deleting all keys that share a prefix.

Rule: patterns are Redis's globs, as implemented by `contract.patterns.Pattern`. The caller escapes
    the text that is literal (SCN-2).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from msgspec import Struct

from igniter_store.contract.adapter import Adapter

START: Final = "0"
"""The cursor that starts a scan, and that marks its end."""


class ScanPage(Struct, frozen=True):
    """Some keys, possibly none, and the cursor for the next call.

    The cursor is `"0"` if this was the last page.
    """

    cursor: str
    keys: list[str]


class Scan(Adapter):
    """Redis's SCAN, and deletion by prefix."""

    @abstractmethod
    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        """Return the next keys that match `pattern`.

        Keys may be of any type. Expired keys are never returned.

        Following the cursors from `"0"` until `"0"` returns every key that existed during the whole
        scan at least once, regardless of other keys that are created or deleted meanwhile (SCN-1).
        The scan never returns a key that never existed. Small pages, large pages, repeated keys,
        and empty pages with a live cursor are all legal (SCN-3). A page never holds all of a large
        keyspace, and never blocks other callers (SCN-6).

        Args:
            pattern: a glob over complete keys.
            cursor: opaque; `"0"` to begin, then the cursor of the previous page.
            count: the number of keys to examine, at least 1; a hint.

        Raises:
            BackendFailed: `STORE_SCAN_FAILED` for a cursor that no scan returned (SCN-4).
        """

    @abstractmethod
    async def delete_prefix(self, prefix: str) -> int:
        """Delete every key that begins with exactly `prefix`; return how many were deleted (SCN-5).

        Keys may be of any type. `prefix` is literal: a `*` in it is a star. The method isn't
        atomic: keys that are written meanwhile may remain, and a cancelled call has deleted only
        some of the keys. The adapter works in small steps, so that no other caller waits long.
        """
