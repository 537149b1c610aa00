"""The Valkey backend keeps the contract on every available server.

Run it with `nox -s conformance`; it takes some minutes for each.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import glide
from igniter_store_conformance import AdapterSuite, servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from igniter_store_conformance import Harness
    from igniter_store_conformance.servers import Target

_TOO_OLD: Final = "6."  # glide requires Redis 6.2 at least, and isn't made for 6.x


def _on(target: Target) -> type[AdapterSuite]:
    class OnOneServer(AdapterSuite):
        contract = "1"

        def harness(self) -> Harness:
            server = servers.shared(target, proxied=True)
            harness = redis_harness(server, timeout=2.0)
            url = server.url.replace("redis://", "valkey://")
            harness.connect = harness.connect_other = partial(
                ValkeyAdapter.from_url, url, timeout=2.0, connect_timeout=2.0
            )
            return harness

        async def lent_client(self) -> LentClient:
            address = servers.shared(target, proxied=True).address
            client = await glide.GlideClient.create(
                glide.GlideClientConfiguration([glide.NodeAddress(address.host, address.port)])
            )

            async def still_works() -> bool:
                return await client.ping() == b"PONG"

            return LentClient(ValkeyAdapter(client=client), still_works, client.close)

    return OnOneServer


for _target in servers.available():
    if not _target.version.startswith(_TOO_OLD):
        globals()[
            f"TestValkeyBackendOn{_target.kind.title()}{_target.version.replace('.', '_')}"
        ] = _on(_target)
