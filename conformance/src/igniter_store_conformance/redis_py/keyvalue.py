"""Values: Redis's strings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from igniter_store.contract import Condition, Entry, KeyValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_conformance.redis_py.calls import Calls


def milliseconds(seconds: float) -> int:
    """Return milliseconds, rounded up so that no key lives less than its TTL."""
    return max(1, math.ceil(seconds * 1000))


class RedisPyKeyValue(KeyValue):
    """`KeyValue` over redis-py."""

    _calls: Calls

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._calls.ask("GET", key)
        return value

    async def getdel(self, key: str) -> bytes | None:
        value: bytes | None = await self._calls.tell("GETDEL", key)
        return value

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        words: list[Any] = ["SET", key, value]
        if ttl is not None:
            words += ["PX", milliseconds(ttl)]
        if only_if is not None:
            words += ["NX" if only_if == "absent" else "XX"]
        return await self._calls.tell(*words) is not None

    async def delete(self, keys: Sequence[str]) -> int:
        self._calls.require_open()
        return int(await self._calls.tell("DEL", *keys)) if keys else 0

    async def exists(self, key: str) -> bool:
        return bool(await self._calls.ask("EXISTS", key))

    async def expire(self, key: str, ttl: float) -> bool:
        return bool(await self._calls.tell("PEXPIRE", key, milliseconds(ttl)))

    async def persist(self, key: str) -> bool:
        return bool(await self._calls.tell("PERSIST", key))

    async def ttl(self, key: str) -> float | None:
        left: int = await self._calls.ask("PTTL", key)
        if left == -2:  # no such key
            return None
        # The server returns 0 for a key in its last millisecond.
        return math.inf if left == -1 else max(left, 1) / 1000

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        self._calls.require_open()
        values: list[bytes | None] = await self._calls.ask("MGET", *keys) if keys else []
        return values

    async def mset(self, entries: Sequence[Entry]) -> None:
        self._calls.require_open()
        if entries:
            arguments = [
                word
                for entry in entries
                for word in (entry.value, "" if entry.ttl is None else milliseconds(entry.ttl))
            ]
            await self._calls.run("mset", [entry.key for entry in entries], *arguments)
