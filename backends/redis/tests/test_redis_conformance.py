"""Runs the conformance suite for the Redis backend on real servers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import redis.asyncio
from igniter_store_conformance import AdapterSuite, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from igniter_store_conformance import Harness
    from igniter_store_conformance.servers import Server


def redis_backend(server: Server) -> Harness:
    """The backend on this server, with the kit's clock and oracle for all such servers."""
    harness = redis_harness(server, timeout=2.0)
    harness.connect = harness.connect_other = partial(
        RedisAdapter.from_url, server.url, timeout=2.0, connect_timeout=2.0
    )
    return harness


def lent_client(server: Server) -> LentClient:
    """The backend with a client that belongs to the user."""
    untyped: Any = redis.asyncio.Redis
    client: Any = untyped.from_url(server.url, decode_responses=True)

    async def still_works() -> bool:
        return await client.ping() is True

    return LentClient(RedisAdapter(client=client), still_works, client.aclose)


class TestRedisBackendOnValkey(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return redis_backend(servers.or_skip("valkey", proxied=True))

    def lent_client(self) -> LentClient:
        return lent_client(servers.or_skip("valkey"))
