"""Counters: INCRBY, with a TTL in the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import Counters, ErrorCode, StoreError, store_error

from igniter_store_conformance.redis_py.errors import NAME
from igniter_store_conformance.redis_py.keyvalue import milliseconds

if TYPE_CHECKING:
    from igniter_store_conformance.redis_py.calls import Calls


class RedisPyCounters(Counters):
    """`Counters` over redis-py."""

    _calls: Calls

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        life = "" if ttl is None else milliseconds(ttl)
        try:
            return int(
                await self._calls.run(
                    "increment", [key], delta, life, code=ErrorCode.STORE_INCREMENT_FAILED
                )
            )
        except StoreError as error:
            if error.details.get("word") == "WRONGTYPE":
                raise _no_integer() from error
            raise


def _no_integer() -> StoreError:
    message = (
        "The stored value isn't an integer. Count under another key, or delete this one first."
    )
    return store_error(ErrorCode.STORE_INCREMENT_FAILED, message, backend=NAME)
