"""The harness of the redis-py adapter: server control, its time, and an oracle."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from igniter_store_conformance.engine.harness import Harness
from igniter_store_conformance.redis_py.adapter import RedisPyAdapter
from igniter_store_conformance.redis_py.clock import RedisTime
from igniter_store_conformance.redis_py.oracle import RedisOracle

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Server


def redis_harness(server: Server, *, timeout: float = 5.0, namespace: str | None = None) -> Harness:
    """Return the complete harness for `server`; create a new one for every test, it is cheap.

    Args:
        server: from `servers.start` or `servers.shared`. Adapters connect through its proxy, if it
            has one; time and oracle connect directly.
        timeout: seconds that a command of the adapters may take.
        namespace: the prefix of every key; a new one if `None`.
    """
    chosen = f"igniter-conformance-{secrets.token_hex(6)}:" if namespace is None else namespace
    return Harness(
        connect=partial(RedisPyAdapter.from_url, server.url, timeout=timeout),
        server=server if server.controllable else None,
        advance=RedisTime(server.direct_url, chosen).advance,
        rewind=RedisTime(server.direct_url, chosen).rewind,
        oracle=RedisOracle(server.direct_url),
        namespace=chosen,
    )
