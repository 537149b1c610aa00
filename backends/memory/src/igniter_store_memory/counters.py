"""Counters as decimal text, with Redis's idea of what an integer looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import Counters, ErrorCode, store_error

if TYPE_CHECKING:
    from igniter_store_memory.keyspace import Keyspace

# Python's int() takes more: spaces, "+1", "01", "1_000".
_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_MAX: Final = 2**63 - 1
_MIN: Final = -(2**63)


class MemoryCounters(Counters):
    """`Counters` over a keyspace."""

    _keyspace: Keyspace

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return add(self._keyspace, key, delta, ttl)


def add(keyspace: Keyspace, key: str, delta: int, ttl: float | None, *, start: int = 0) -> int:
    """Add `delta` to the counter under `key`, a missing one counting from `start`; `ttl` only where there is none."""
    text = keyspace.find_bytes(key, ErrorCode.STORE_INCREMENT_FAILED)
    if text is None:
        value = _checked(start + delta)
        keyspace.put(key, b"%d" % value, ttl)
        return value
    if not _INTEGER.fullmatch(text):
        raise store_error(
            ErrorCode.STORE_INCREMENT_FAILED,
            "The key holds something that is no 64 bit integer in decimal. Count under another key, or remove this one first.",
            backend="memory",
        )
    value = _checked(_checked(int(text)) + delta)
    keyspace.replace(key, b"%d" % value)
    if ttl is not None and key not in keyspace.deadlines:
        keyspace.set_deadline(key, ttl)
    return value


def _checked(value: int) -> int:
    if _MIN <= value <= _MAX:
        return value
    raise store_error(
        ErrorCode.STORE_INCREMENT_FAILED,
        "The counter would leave the range of signed 64 bit integers, so nothing was changed. Remove it to start again from 0.",
        backend="memory",
    )
