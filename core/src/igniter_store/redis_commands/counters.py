"""Counters: INCRBY, with a TTL in the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract.counters import Counters
from igniter_store.contract.errors import ErrorCode, StoreError, no_number
from igniter_store.redis_commands.keyvalue import milliseconds
from igniter_store.redis_commands.replies import decimal, integer

if TYPE_CHECKING:
    from igniter_store.redis_commands.client import CommandClient


class CommandCounters(Counters):
    """Implements `Counters` with commands."""

    _commands: CommandClient

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        code = ErrorCode.STORE_INCREMENT_FAILED
        try:
            if ttl is None and not self._commands.changes_values:  # such a client may reject INCRBY
                return await self._commands.write("INCRBY", key, delta, read=integer, code=code)
            life = "" if ttl is None else milliseconds(ttl)
            return await self._commands.run_write_script(
                "increment", [key], delta, life, read=decimal, code=code
            )
        except StoreError as error:
            if error.details.get("word") == "WRONGTYPE":
                raise no_number(self.name) from error
            raise
