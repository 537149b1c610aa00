"""Values: Redis's strings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Condition, Entry, KeyValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_redis.line import Line


_NO_KEY: Final = -2  # what PTTL says; -1 is no TTL


def milliseconds(seconds: float) -> int:
    """Rounded up, so that no key lives less than its TTL."""
    return max(1, math.ceil(seconds * 1000))


class RedisKeyValue(KeyValue):
    """`KeyValue` on a line."""

    _line: Line

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._line.ask("GET", key)
        return value

    async def getdel(self, key: str) -> bytes | None:
        value: bytes | None = await self._line.tell("GETDEL", key)
        return value

    async def set(self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None) -> bool:
        if ttl is None and only_if is None:
            await self._line.tell("SET", key, value)
            return True
        words: list[Any] = ["SET", key, value]
        if ttl is not None:
            words += ["PX", milliseconds(ttl)]
        if only_if is not None:
            words += ["NX" if only_if == "absent" else "XX"]
        return await self._line.tell(*words) is not None

    async def delete(self, keys: Sequence[str]) -> int:
        self._line.require_open()
        return int(await self._line.tell("DEL", *keys)) if keys else 0

    async def exists(self, key: str) -> bool:
        return bool(await self._line.ask("EXISTS", key))

    async def expire(self, key: str, ttl: float) -> bool:
        return bool(await self._line.tell("PEXPIRE", key, milliseconds(ttl)))

    async def persist(self, key: str) -> bool:
        return bool(await self._line.tell("PERSIST", key))

    async def ttl(self, key: str) -> float | None:
        left: int = await self._line.ask("PTTL", key)
        if left == _NO_KEY:
            return None
        # 0 is what a key answers in its last millisecond.
        return math.inf if left == -1 else max(left, 1) / 1000

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        self._line.require_open()
        values: list[bytes | None] = await self._line.ask("MGET", *keys) if keys else []
        return values

    async def mset(self, entries: Sequence[Entry]) -> None:
        self._line.require_open()
        if not entries:
            return
        if all(entry.ttl is None for entry in entries):
            await self._line.tell("MSET", *[word for entry in entries for word in (entry.key, entry.value)])
            return
        arguments = [word for entry in entries for word in (entry.value, "" if entry.ttl is None else milliseconds(entry.ttl))]
        await self._line.run("mset", [entry.key for entry in entries], *arguments)
