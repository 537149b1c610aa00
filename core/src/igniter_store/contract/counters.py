"""Whole numbers that many callers change at once without losing a step.

Rule: a counter is stored as its decimal text. `get` of `KeyValue` reads it, and a decimal text that
    was set can be incremented (CTR-6).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final

from igniter_store.contract.adapter import Adapter
from igniter_store.contract.errors import OUT_OF_RANGE, ErrorCode, no_number, store_error

# Python's int() takes more: spaces, "+1", "01", "1_000".
_DECIMAL: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1


def count_on(text: bytes, delta: int, *, backend: str) -> int:
    """The number that a counter's stored text comes to with `delta`, for backends that count
    themselves as Redis does.

    Raises:
        BackendFailed: `STORE_INCREMENT_FAILED`: the text is no 64 bit integer as Redis spells them,
            or the sum is none (CTR-3, CTR-4).
    """
    if not _DECIMAL.fullmatch(text) or not _MIN <= (value := int(text)) <= _MAX:
        raise no_number(backend)
    if _MIN <= value + delta <= _MAX:
        return value + delta
    raise store_error(ErrorCode.STORE_INCREMENT_FAILED, OUT_OF_RANGE, backend=backend)


class Counters(Adapter):
    """Redis's INCRBY, with a TTL that is set in the same step."""

    @abstractmethod
    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        """Add `delta` to the counter and return the new value, atomically among tasks, connections
        and processes (CTR-1, CTR-2).

        A missing or expired counter counts from 0; a `delta` of 0 creates it. The numbers have 64
        bits with sign, the caller guarantees that `delta` fits. Decimal text means what Redis
        takes: no spaces, no plus sign, no leading zeros, no fraction, not "-0".

        Args:
            key: the complete key.
            delta: what to add, negative too.
            ttl: seconds to live, given only where the key has no TTL, in the same atomic step; a
                TTL that is there is kept (CTR-5). So a rate-limit window is one call.

        Raises:
            BackendFailed: `STORE_INCREMENT_FAILED` when the value is no integer (CTR-4) or the
                result leaves the range (CTR-3); value and TTL stay as they were.
        """
