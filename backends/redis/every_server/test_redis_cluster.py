"""The Redis backend keeps the contract on a cluster of three primaries with their replicas.

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
from redis.asyncio import RedisCluster

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Cluster


@cache
def shared_cluster(kind: str) -> Cluster:
    """Return this process's cluster, which ends with the process."""
    return servers.start_cluster(servers.find(kind), proxied=True)


def cluster_url(cluster: Cluster) -> str:
    return "redis+cluster://" + ",".join(
        f"{node.address.host}:{node.port}" for node in cluster.primaries
    )


class _OnACluster(AdapterSuite):
    __test__ = False
    contract = "1"
    kind: str

    def harness(self) -> Harness:
        cluster = shared_cluster(self.kind)
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"
        one = f"redis+cluster://{cluster.primaries[0].address.host}:{cluster.primaries[0].address.port}"
        time = RedisTime(one, namespace)
        return Harness(
            connect=partial(
                RedisAdapter.from_url, cluster_url(cluster), timeout=2.0, connect_timeout=4.0
            ),
            advance=time.advance,
            rewind=time.rewind,
            oracle=RedisOracle(one),
            namespace=namespace,
            server=cluster,
        )

    def lent_client(self) -> LentClient:
        node = shared_cluster(self.kind).primaries[0]
        untyped: Any = RedisCluster
        client: Any = untyped(host=node.address.host, port=node.address.port)

        async def still_works() -> bool:
            return await client.ping() is True

        return LentClient(RedisAdapter(client=client), still_works, client.aclose)


class TestOnAValkeyCluster(_OnACluster):
    __test__ = True
    kind = "valkey"
