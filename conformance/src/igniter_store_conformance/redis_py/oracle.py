"""Access to the stored bytes with redis-py's client, bypassing the adapter."""

from __future__ import annotations

from typing import Any

from igniter_store.contract import name_to_bytes

from igniter_store_conformance.redis_py.urls import client


class RedisOracle:
    """Reads and writes the server's data over connections of its own.

    Args:
        url: the address of the server. Don't use a proxy's address, unless its faults are meant for
            the oracle, too.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def peek(self, key: str) -> bytes | None:
        """Return the bytes that the server holds under this complete key."""
        redis: Any = client(self._url)  # its types leave open whether replies are decoded
        try:
            value: bytes | None = await redis.get(name_to_bytes(key))
        finally:
            await redis.aclose()
        return value

    async def poke(self, key: str, value: bytes) -> None:
        """Store bytes under this complete key, without a TTL."""
        redis = client(self._url)
        try:
            await redis.set(name_to_bytes(key), value)
        finally:
            await redis.aclose()
