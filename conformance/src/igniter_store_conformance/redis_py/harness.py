"""The harness of the adapter over redis-py: on a server, with power over it, its time, and a way
around it.
"""

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
    """The whole harness for `server`; a fresh one for every test, which costs nothing.

    Args:
        server: from `servers.start` or `servers.shared`. Adapters go through its proxy, if it has
            one; time and oracle go straight.
        timeout: seconds that a command of the adapters may take.
        namespace: what every key begins with; a new one if `None`.
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
