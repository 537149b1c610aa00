"""Counters, stored as decimal text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import Counters, count_on

from igniter_store_memory.errors import ERRORS, NAME
from igniter_store_memory.log import Log

if TYPE_CHECKING:
    from igniter_store_memory.keyspace import Keyspace


class MemoryCounters(Counters):
    """`Counters` over a keyspace."""

    _keyspace: Keyspace

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return add(self._keyspace, key, delta, ttl)


def add(keyspace: Keyspace, key: str, delta: int, ttl: float | None, *, start: int = 0) -> int:
    """Add `delta` to the counter under `key`.

    A missing counter starts from `start`. `ttl` only applies if the key has no TTL yet.
    """
    text = keyspace.find(key)
    if isinstance(text, Log):
        raise ERRORS.no_number()
    value = count_on(b"%d" % start if text is None else text, delta, backend=NAME)
    if text is None:
        keyspace.put(key, b"%d" % value, ttl)
        return value
    keyspace.replace(key, b"%d" % value)
    if ttl is not None and key not in keyspace.deadlines:
        keyspace.set_deadline(key, ttl)
    return value
