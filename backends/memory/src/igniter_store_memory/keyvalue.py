"""Values, stored in the tables of the keyspace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from igniter_store.contract import Condition, Entry, KeyValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_memory.keyspace import Keyspace


class MemoryKeyValue(KeyValue):
    """`KeyValue` over a keyspace."""

    _keyspace: Keyspace

    async def get(self, key: str) -> bytes | None:
        keyspace = self._keyspace
        # The fast path of nearly every read: a value that can't expire and whose use isn't
        # recorded.
        found: Any = keyspace.unrecorded.get(key)
        if found.__class__ is bytes and key not in keyspace.deadlines:
            value: bytes = found
            return value
        return keyspace.find_bytes(key)

    async def getdel(self, key: str) -> bytes | None:
        value = self._keyspace.find_bytes(key)
        if value is not None:
            self._keyspace.remove(key)
        return value

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        keyspace = self._keyspace
        if only_if is not None and (keyspace.find(key) is None) is not (only_if == "absent"):
            return False
        keyspace.put(key, value if value.__class__ is bytes else bytes(value), ttl, evictable=True)
        return True

    async def delete(self, keys: Sequence[str]) -> int:
        find, remove = self._keyspace.find, self._keyspace.remove
        deleted = 0
        for key in keys:
            if find(key) is not None:
                remove(key)
                deleted += 1
        return deleted

    async def exists(self, key: str) -> bool:
        return self._keyspace.find(key) is not None

    async def expire(self, key: str, ttl: float) -> bool:
        if self._keyspace.find(key) is None:
            return False
        self._keyspace.set_deadline(key, ttl)
        return True

    async def persist(self, key: str) -> bool:
        return (
            self._keyspace.find(key) is not None
            and self._keyspace.deadlines.pop(key, None) is not None
        )

    async def ttl(self, key: str) -> float | None:
        keyspace = self._keyspace
        now = keyspace.now()  # read first, so that a key that is found has time left
        if keyspace.find(key) is None:
            return None
        deadline = keyspace.deadlines.get(key)
        return math.inf if deadline is None else deadline - now

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        find = self._keyspace.find
        return [value if isinstance(value, bytes) else None for value in map(find, keys)]

    async def mset(self, entries: Sequence[Entry]) -> None:
        put = self._keyspace.put
        for entry in entries:
            put(entry.key, bytes(entry.value), entry.ttl, evictable=True)
