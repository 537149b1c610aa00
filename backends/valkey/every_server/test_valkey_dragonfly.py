"""The Valkey backend on Dragonfly, where one can be had; and on fakeredis that plays one, which is none, and has its own name."""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

import fakeredis
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def fake_port() -> int:
    """Where a fake answers, as long as the process lives."""
    untyped: Any = fakeredis
    fake: Any = untyped.TcpFakeServer(("127.0.0.1", 0), server_type="dragonfly")
    threading.Thread(target=fake.serve_forever, daemon=True).start()
    port: int = fake.server_address[1]
    return port


class TestValkeyBackendOnDragonfly(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        server = servers.or_skip("dragonfly", proxied=True)
        harness = redis_harness(server, timeout=2.0)
        url = server.url.replace("redis://", "dragonfly://")
        harness.connect = harness.connect_other = partial(ValkeyAdapter.from_url, url, timeout=2.0, connect_timeout=2.0)
        return harness


class TestValkeyBackendOnFakeredisAsDragonfly(AdapterSuite):
    contract = "1"
    patience = 0.1
    known_failing: ClassVar[Mapping[str, str]] = {}

    def harness(self) -> Harness:
        url = f"dragonfly://127.0.0.1:{fake_port()}?node_discovery=static"
        return Harness(connect=partial(ValkeyAdapter.from_url, url, timeout=1.0, connect_timeout=1.0))
