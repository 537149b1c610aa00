"""Moves time on a real server by ageing its data, because its clock can't be moved.

Rule: only keys under the namespace are changed. A key whose deadline has passed is removed, as it
    would be by the server.
Rule: pending entries keep their consumer and their number of deliveries.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import escape

from igniter_store_conformance.redis_py.urls import client

if TYPE_CHECKING:
    from redis.asyncio import Redis

_STEP: Final = 1000


class RedisTime:
    """Moves a server's time for the keys under one namespace.

    Args:
        server: its URL, or a client of redis-py that stays open.
        namespace: the prefix of the keys.
    """

    def __init__(self, server: str | Redis, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, in whole milliseconds.

        It moves the deadlines of keys and the idle times of pending entries. Pending entries that
        were deleted keep their idle times: from Redis 7 on, any command that would change those
        drops the entries instead. It isn't one atomic step: data written meanwhile may belong to
        the time before or after.
        """
        # Rounded down, because nothing may expire before its time.
        await self._everywhere("advance", int(seconds * 1000))

    async def rewind(self, seconds: float) -> None:
        """Set the last id of every stream ahead by `seconds`.

        The effect on a stream is the same as that of a clock that is set back.
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
    # Collect all keys before changing any: a scan may return a key twice.
    keys = {key async for key in redis.scan_iter(f"{escape(namespace)}*", count=_STEP)}
    for key in keys:
        await redis.eval(_script(name), 1, key, milliseconds)


@cache
def _script(name: str) -> str:
    scripts = resources.files("igniter_store_conformance.redis_py") / "scripts"
    return (scripts / f"{name}.lua").read_text(encoding="utf-8")
