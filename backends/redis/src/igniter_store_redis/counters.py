"""Counters: INCRBY, with a TTL in the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import Counters, ErrorCode, StoreError, store_error

from igniter_store_redis.errors import NAME
from igniter_store_redis.keyvalue import milliseconds

if TYPE_CHECKING:
    from igniter_store_redis.commands import Commands


class RedisCounters(Counters):
    """`Counters` on commands."""

    _commands: Commands

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        code = ErrorCode.STORE_INCREMENT_FAILED
        try:
            if ttl is None:
                return int(await self._commands.tell("INCRBY", key, delta, code=code))
            return int(await self._commands.run("increment", [key], delta, milliseconds(ttl), code=code))
        except StoreError as error:
            if error.details.get("word") == "WRONGTYPE":
                message = "The key holds something that is no integer. Count under another key, or delete this one first."
                raise store_error(code, message, backend=NAME) from error
            raise
