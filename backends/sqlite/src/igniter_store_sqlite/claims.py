"""Claims: a key holds its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import TOKEN_LIFETIME, Claims, name_to_bytes

from igniter_store_sqlite import keyspace
from igniter_store_sqlite.counters import add

if TYPE_CHECKING:
    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker


class SQLiteClaims(Claims):
    """`Claims` on a table."""

    _writes: Worker

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await self._writes.call(_set_nx, name_to_bytes(key), bytes(owner), ttl)

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await self._writes.call(_compare_delete, name_to_bytes(key), owner)

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self._writes.call(_compare_expire, name_to_bytes(key), owner, ttl)

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        return await self._writes.call(
            _acquire, name_to_bytes(key), bytes(owner), ttl, name_to_bytes(token_key)
        )


def _set_nx(session: Session, key: bytes, owner: bytes, ttl: float | None) -> bool:
    if keyspace.look(session, key) is not None:
        return False
    keyspace.put(session, key, owner, keyspace.deadline(session, ttl))
    return True


def _compare_delete(session: Session, key: bytes, owner: bytes) -> bool:
    if keyspace.find_value(session, key) != owner:
        return False
    keyspace.remove(session, key)
    return True


def _compare_expire(session: Session, key: bytes, owner: bytes, ttl: float) -> bool:
    if keyspace.find_value(session, key) != owner:
        return False
    keyspace.put(session, key, owner, keyspace.deadline(session, ttl))
    return True


def _acquire(
    session: Session, key: bytes, owner: bytes, ttl: float, token_key: bytes
) -> int | None:
    if keyspace.look(session, key) is not None:
        return None
    # The token goes first: if the counter is invalid, the claim must not be acquired.
    token = add(session, token_key, 1, TOKEN_LIFETIME, start=session.now // 1000, renew=True)
    keyspace.put(session, key, owner, keyspace.deadline(session, ttl))
    return token
