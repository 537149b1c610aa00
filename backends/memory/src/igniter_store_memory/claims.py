"""Claims: a key whose value is its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import TOKEN_LIFETIME, Claims

from igniter_store_memory.counters import add

if TYPE_CHECKING:
    from igniter_store_memory.keyspace import Keyspace


class MemoryClaims(Claims):
    """`Claims` over a keyspace."""

    _keyspace: Keyspace

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if self._keyspace.find(key) is not None:
            return False
        self._keyspace.put(key, bytes(owner), ttl)
        return True

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        if self._keyspace.find_bytes(key) != owner:
            return False
        self._keyspace.remove(key)
        return True

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        if self._keyspace.find_bytes(key) != owner:
            return False
        self._keyspace.set_deadline(key, ttl)
        return True

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        keyspace = self._keyspace
        if keyspace.find(key) is not None:
            return None
        # The token comes first: if the counter fails, the claim must not be taken.
        token = add(keyspace, token_key, 1, None, start=keyspace.milliseconds())
        keyspace.set_deadline(token_key, TOKEN_LIFETIME)
        keyspace.put(key, bytes(owner), ttl)
        return token
