"""The adapter over redis-py keeps the contract on a real server.

This shows that the clauses describe the behaviour of servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import RedisPyAdapter, redis_harness
from redis.asyncio import ConnectionPool, Redis

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Server


def lent_client(server: Server) -> LentClient:
    """Return an adapter that uses a connection pool of its user."""
    # redis-py leaves it untyped
    pool: Any = ConnectionPool.from_url(server.url, protocol=2)  # pyright: ignore[reportUnknownMemberType]
    user: Any = Redis(connection_pool=pool)

    async def still_works() -> bool:
        return await user.ping() is True

    return LentClient(
        RedisPyAdapter(lambda: Redis(connection_pool=pool)), still_works, pool.disconnect
    )


class TestRedisPyOnValkey(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return redis_harness(servers.or_skip("valkey", proxied=True), timeout=2.0)

    def lent_client(self) -> LentClient:
        return lent_client(servers.or_skip("valkey"))
