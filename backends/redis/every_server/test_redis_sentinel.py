"""The Redis backend keeps the contract on the primary that Sentinel names.

Run it with `nox -s conformance`; it takes some minutes.
"""

from __future__ import annotations

import secrets
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import RedisOracle, RedisTime
from igniter_store_redis import RedisAdapter
from redis.asyncio import Sentinel

if TYPE_CHECKING:
    from igniter_store_conformance.servers import SentinelSet


@cache
def shared_set(kind: str) -> SentinelSet:
    """Return this process's Sentinel set, which ends with the process.

    Failovers have tests of their own: here the primary must stay the primary.
    """
    return servers.start_sentinel(kind, proxied=True, down_after=60.0)


class TestBehindSentinel(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        chosen = shared_set("valkey")
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"
        hosts = ",".join(f"{host}:{port}" for host, port in chosen.addresses)
        primary = chosen.primary().direct_url
        time = RedisTime(primary, namespace)
        return Harness(
            connect=partial(
                RedisAdapter.from_url,
                f"redis+sentinel://{hosts}/{chosen.name}",
                timeout=2.0,
                connect_timeout=4.0,
            ),
            advance=time.advance,
            rewind=time.rewind,
            oracle=RedisOracle(primary),
            namespace=namespace,
            server=chosen,
        )

    def lent_client(self) -> LentClient:
        chosen = shared_set("valkey")
        untyped: Any = Sentinel
        sentinel: Any = untyped(chosen.addresses)
        client: Any = sentinel.master_for(chosen.name)

        async def still_works() -> bool:
            return await client.ping() is True

        async def close() -> None:
            for one in (client, *sentinel.sentinels):
                await one.aclose()

        return LentClient(RedisAdapter(client=client), still_works, close)
