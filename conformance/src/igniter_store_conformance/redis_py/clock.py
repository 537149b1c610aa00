"""Time on a real server, whose clock can't be moved: instead, everything is made older.

Rule: only keys under the namespace are touched. A key whose deadline has passed is gone, as it
    would be.
Rule: pending entries keep their consumer and their number of deliveries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import escape

from igniter_store_conformance.redis_py.adapter import client
from igniter_store_conformance.redis_py.calls import script

if TYPE_CHECKING:
    from redis.asyncio import Redis

_STEP: Final = 1000


class RedisTime:
    """Moves the time of a server for what lies under one namespace.

    Args:
        server: its URL, or a client of redis-py that stays open.
        namespace: what the keys begin with.
    """

    def __init__(self, server: str | Redis, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, in whole milliseconds: for the deadlines of keys, and for the
        idle times of pending entries.

        Pending entries that were deleted keep their idle times: from Redis 7 on, whatever would
        change those drops the entries instead. Not one atomic step: what is written meanwhile may
        have seen the time before, or the time after.
        """
        # Rounded down, since nothing may be gone before its time.
        await self._everywhere("advance", int(seconds * 1000))

    async def rewind(self, seconds: float) -> None:
        """Set the last id of every stream so many seconds ahead: to a stream it is the same as a
        clock that goes back.
        """
        await self._everywhere("rewind", int(seconds * 1000))

    async def _everywhere(self, name: str, milliseconds: int) -> None:
        if not isinstance(self._server, str):
            await _run(self._server, self._namespace, name, milliseconds)
            return
        redis = client(self._server)
        try:
            await _run(redis, self._namespace, name, milliseconds)
        finally:
            await redis.aclose()


async def _run(redis: Any, namespace: str, name: str, milliseconds: int) -> None:
    # All keys before any is made older: a scan may give a key twice.
    keys = {key async for key in redis.scan_iter(f"{escape(namespace)}*", count=_STEP)}
    for key in keys:
        await redis.eval(script(name), 1, key, milliseconds)
