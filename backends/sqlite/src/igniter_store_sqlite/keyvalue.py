"""Values under keys."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

from igniter_store.contract import KeyValue, name_to_bytes
from sqlalchemy import bindparam, null, select, update

from igniter_store_sqlite import keyspace
from igniter_store_sqlite.errors import other_kind
from igniter_store_sqlite.keyspace import LIVE
from igniter_store_sqlite.statements import sql
from igniter_store_sqlite.tables import KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract import Condition, Entry, StoreError
    from sqlalchemy import BindParameter

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_EXPIRE: Final = sql(
    update(KEYS)
    .where(KEYS.c.key == bindparam("name"), LIVE)
    .values(deadline=bindparam("until"), since=bindparam("now"))
)
_PERSIST: Final = sql(
    update(KEYS)
    .where(KEYS.c.key == bindparam("name"), KEYS.c.deadline > bindparam("now"))
    .values(deadline=null())
)
# Lengths of key lists. A shorter list is padded with its last key, to keep the statements few.
_SIZES: Final = (
    4,
    16,
    64,
    256,
)


class SQLiteKeyValue(KeyValue):
    """`KeyValue` on a table."""

    _reads: Worker
    _writes: Worker

    async def get(self, key: str) -> bytes | None:
        return await self._reads.share(_get, name_to_bytes(key))

    async def getdel(self, key: str) -> bytes | None:
        return await self._writes.call(_getdel, name_to_bytes(key))

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await self._writes.call(_set, name_to_bytes(key), bytes(value), ttl, only_if)

    async def delete(self, keys: Sequence[str]) -> int:
        return await self._writes.call(_delete, {name_to_bytes(key) for key in keys})

    async def exists(self, key: str) -> bool:
        return await self._reads.call(keyspace.look, name_to_bytes(key)) is not None

    async def expire(self, key: str, ttl: float) -> bool:
        return await self._writes.call(_expire, name_to_bytes(key), ttl)

    async def persist(self, key: str) -> bool:
        return await self._writes.call(_persist, name_to_bytes(key))

    async def ttl(self, key: str) -> float | None:
        return await self._reads.call(_ttl, name_to_bytes(key))

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        if keys:
            return await self._reads.call(_mget, [name_to_bytes(key) for key in keys])
        self._reads.require_open()
        return []

    async def mset(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self._writes.call(
                _mset,
                [(name_to_bytes(entry.key), bytes(entry.value), entry.ttl) for entry in entries],
            )
        else:
            self._writes.require_open()


def _get(session: Session, keys: list[bytes]) -> list[bytes | StoreError | None]:
    if len(keys) == 1:
        row = keyspace.find(session, keys[0])
        return [None if row is None else row[0] if row[1] is None else other_kind()]
    found = _find_all(session, keys)
    if None in found.values():  # a stream
        return [
            other_kind() if key in found and found[key] is None else found.get(key) for key in keys
        ]
    return [*map(found.get, keys)]


def _getdel(session: Session, key: bytes) -> bytes | None:
    value = keyspace.find_value(session, key)
    if value is not None:
        keyspace.remove(session, key)
    return value


def _set(
    session: Session, key: bytes, value: bytes, ttl: float | None, only_if: Condition | None
) -> bool:
    if only_if is not None and (keyspace.look(session, key) is None) != (only_if == "absent"):
        return False
    keyspace.put(session, key, value, keyspace.deadline(session, ttl))
    return True


def _delete(session: Session, keys: set[bytes]) -> int:
    deleted = 0
    for key in keys:
        if keyspace.look(session, key) is not None:
            keyspace.remove(session, key)
            deleted += 1
    return deleted


def _expire(session: Session, key: bytes, ttl: float) -> bool:
    parameters = {"name": key, "now": session.now, "until": keyspace.deadline(session, ttl)}
    return session.execute(_EXPIRE, parameters).rowcount > 0


def _persist(session: Session, key: bytes) -> bool:
    return session.execute(_PERSIST, {"name": key, "now": session.now}).rowcount > 0


def _ttl(session: Session, key: bytes) -> float | None:
    found = keyspace.look(session, key)
    if found is None:
        return None
    _, deadline, since = found
    return (
        math.inf
        if deadline is None
        else (keyspace.bounded(session, deadline, since) - session.now) / 1_000_000
    )


def _mget(session: Session, keys: list[bytes]) -> list[bytes | None]:
    return [*map(_find_all(session, keys).get, keys)]


def _mset(session: Session, entries: list[tuple[bytes, bytes, float | None]]) -> None:
    session.execute_many(
        keyspace.PUT,
        [
            {
                "key": key,
                "value": value,
                "stream": None,
                "deadline": keyspace.deadline(session, ttl),
                "since": None if ttl is None else session.now,
            }
            for key, value, ttl in entries
        ],
    )


def _find_all(session: Session, keys: list[bytes]) -> dict[bytes, bytes | None]:
    """Return the live keys among these with their values; the value of a stream is `None`."""
    found: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(keys):
        size = next((size for size in _SIZES if size >= len(keys) - at), _SIZES[-1])
        some = keys[at : at + size]
        at += size
        some += some[-1:] * (size - len(some))
        found.update(session.execute(_find_many(size), [*some, session.now]))
    return found


@cache
def _find_many(size: int) -> str:
    names: list[BindParameter[bytes]] = [bindparam(f"key_{number}") for number in range(size)]
    return sql(select(KEYS.c.key, KEYS.c.value).where(KEYS.c.key.in_(names), LIVE), by_place=True)
