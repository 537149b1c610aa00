"""The Redis backend keeps the contract on the primary that Sentinel names: `nox -s conformance`, some minutes."""

from __future__ import annotations

import secrets
from functools import cache, partial
from typing import TYPE_CHECKING

from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.redis_py import RedisOracle, RedisTime
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from igniter_store_conformance.servers import SentinelSet


@cache
def shared_set(kind: str) -> SentinelSet:
    """One for the process, which ends with it."""
    return servers.start_sentinel(kind)


class TestBehindSentinel(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        chosen = shared_set("valkey")
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"
        hosts = ",".join(f"{host}:{port}" for host, port in chosen.addresses)
        primary = chosen.servers[0].url
        time = RedisTime(primary, namespace)
        return Harness(
            connect=partial(RedisAdapter.from_url, f"redis+sentinel://{hosts}/{chosen.name}", timeout=2.0, connect_timeout=4.0),
            advance=time.advance,
            rewind=time.rewind,
            oracle=RedisOracle(primary),
            namespace=namespace,
        )
