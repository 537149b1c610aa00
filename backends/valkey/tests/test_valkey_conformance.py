"""Runs the conformance suite for the Valkey backend on real servers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import glide
from igniter_store_conformance import AdapterSuite, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from igniter_store_conformance import Harness
    from igniter_store_conformance.servers import Server


def valkey_backend(server: Server) -> Harness:
    """The backend on this server, with the kit's clock and oracle for all such servers."""
    harness = redis_harness(server, timeout=2.0)
    url = server.url.replace("redis://", "valkey://")
    harness.connect = harness.connect_other = partial(
        ValkeyAdapter.from_url, url, timeout=2.0, connect_timeout=2.0
    )
    return harness


async def lent_client(server: Server) -> LentClient:
    """The backend with a client that belongs to the user."""
    client = await glide.GlideClient.create(
        glide.GlideClientConfiguration(
            [glide.NodeAddress(server.address.host, server.address.port)]
        )
    )

    async def still_works() -> bool:
        return await client.ping() == b"PONG"

    return LentClient(ValkeyAdapter(client=client), still_works, client.close)


class TestValkeyBackendOnValkey(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return valkey_backend(servers.or_skip("valkey", proxied=True))

    async def lent_client(self) -> LentClient:
        return await lent_client(servers.or_skip("valkey"))
