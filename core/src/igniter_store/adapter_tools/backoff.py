"""Pauses between attempts that fail."""

from __future__ import annotations

import asyncio
import random
from typing import Final


class Backoff:
    """Pauses, each twice as long as the previous one, with jitter.

    The jitter keeps clients from retrying all at once.

    Args:
        first: seconds of the first pause.
        longest: seconds that a pause may take.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first: Final = first
        self._longest: Final = longest
        self._next = first

    def reset(self, *, has_pause: bool = True) -> None:
        """Start again with the first pause; without `has_pause`, with no pause before it."""
        self._next = self._first if has_pause else 0.0

    async def pause(self) -> None:
        """Wait for the current pause."""
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - jitter isn't a secret
        self._next = min(self._longest, 2 * self._next or self._first)
        await asyncio.sleep(seconds)
