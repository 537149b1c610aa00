"""The Redis backend keeps the contract on every available server.

Run it with `nox -s conformance`; it takes some minutes for each.
"""

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
    from igniter_store_conformance.servers import Target


def _on(target: Target) -> type[AdapterSuite]:
    class OnOneServer(AdapterSuite):
        contract = "1"

        def harness(self) -> Harness:
            server = servers.shared(target, proxied=True)
            harness = redis_harness(server, timeout=2.0)
            harness.connect = harness.connect_other = partial(
                RedisAdapter.from_url, server.url, timeout=2.0, connect_timeout=2.0
            )
            return harness

        def lent_client(self) -> LentClient:
            untyped: Any = redis.asyncio.Redis
            client: Any = untyped.from_url(servers.shared(target, proxied=True).url)

            async def still_works() -> bool:
                return await client.ping() is True

            return LentClient(RedisAdapter(client=client), still_works, client.aclose)

    return OnOneServer


for _target in servers.available():
    globals()[f"TestRedisBackendOn{_target.kind.title()}{_target.version.replace('.', '_')}"] = _on(
        _target
    )
