"""The Valkey backend keeps the contract when glide compresses its values.

Run it with `nox -s conformance`; it takes a minute.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from igniter_store_conformance import AdapterSuite, servers
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from igniter_store_conformance import Harness


class TestValkeyBackendWithCompression(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        server = servers.or_skip("valkey", proxied=True)
        harness = redis_harness(server, timeout=2.0)
        url = server.url.replace("redis://", "valkey://") + "?compression=lz4"
        harness.connect = harness.connect_other = partial(
            ValkeyAdapter.from_url, url, timeout=2.0, connect_timeout=2.0
        )
        return harness
