"""Integers that many callers can increment concurrently without losing an update.

Rule: a counter is stored as its decimal text. `KeyValue.get` reads it, and a decimal text written
    by `set` can be incremented (CTR-6).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final

from igniter_store.contract.adapter import Adapter
from igniter_store.contract.errors import OUT_OF_RANGE, ErrorCode, no_number, store_error

# Python's int() also accepts spaces, "+1", "01" and "1_000".
_DECIMAL: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1


def count_on(text: bytes, delta: int, *, backend: str) -> int:
    """Add `delta` to a counter's stored text, for backends that count as Redis does.

    Raises:
        BackendFailed: `STORE_INCREMENT_FAILED` if the text isn't a 64-bit integer in Redis's
            notation, or the sum doesn't fit into 64 bits (CTR-3, CTR-4).
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
        """Add `delta` to the counter and return the new value (CTR-1, CTR-2).

        The operation is atomic among tasks, connections and processes. A missing or expired counter
        starts at 0; a `delta` of 0 creates it. Counters are signed 64-bit integers, and the caller
        guarantees that `delta` fits. Decimal text has the same syntax as in Redis: no spaces, no
        plus sign, no leading zeros, no fraction, no "-0".

        Args:
            key: the complete key.
            delta: the number to add; it may be negative.
            ttl: seconds to live, set in the same atomic step, and only if the key has no TTL; an
                existing TTL is kept (CTR-5). So a rate-limit window needs only one call.

        Raises:
            BackendFailed: `STORE_INCREMENT_FAILED` if the value isn't an integer (CTR-4) or the
                result is out of range (CTR-3). The value and the TTL stay unchanged.
        """
