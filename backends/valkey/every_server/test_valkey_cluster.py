"""The Valkey backend keeps the contract on a cluster of three primaries with their replicas.

Run it with `nox -s conformance`; it takes some minutes.
"""

from __future__ import annotations

import secrets
from functools import cache, partial
from typing import TYPE_CHECKING

import glide
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import RedisOracle, RedisTime
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Cluster


@cache
def shared_cluster(kind: str) -> Cluster:
    """Return this process's cluster, which ends with the process."""
    return servers.start_cluster(servers.find(kind), proxied=True)


class TestValkeyBackendOnAValkeyCluster(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        cluster = shared_cluster("valkey")
        namespace = f"igniter-conformance-{secrets.token_hex(6)}:"
        hosts = [f"{node.address.host}:{node.address.port}" for node in cluster.primaries]
        time = RedisTime(f"redis+cluster://{hosts[0]}", namespace)
        return Harness(
            connect=partial(
                ValkeyAdapter.from_url,
                f"valkey+cluster://{','.join(hosts)}",
                timeout=2.0,
                connect_timeout=4.0,
            ),
            advance=time.advance,
            rewind=time.rewind,
            oracle=RedisOracle(f"redis+cluster://{hosts[0]}"),
            namespace=namespace,
            server=cluster,
        )

    async def lent_client(self) -> LentClient:
        address = shared_cluster("valkey").primaries[0].address
        client = await glide.GlideClusterClient.create(
            glide.GlideClusterClientConfiguration([glide.NodeAddress(address.host, address.port)])
        )

        async def still_works() -> bool:
            return await client.ping() == b"PONG"

        return LentClient(ValkeyAdapter(client=client), still_works, client.close)
