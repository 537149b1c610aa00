"""Checks that a client of redis-py is one the adapter can use.

Rule: the adapter takes over the transports that redis-py has connected. A client without transports
    (fakeredis, a mock) is rejected when the adapter is made, because its commands would never reach
    a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract.errors import described_type
from igniter_store.redis_commands.transport import address
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from igniter_store_redis.errors import ERRORS

if TYPE_CHECKING:
    from igniter_store.contract import StoreError

_SENTINEL_PORT: Final = 26379
_KINDS: Final = "a redis.asyncio.Redis or RedisCluster"
_IN_MEMORY: Final = (
    "To run without a server, use MemoryAdapter() from igniter-store-memory, or the URL "
    "memory://, which keeps the same contract; or pass the address of fakeredis's TcpFakeServer "
    "to from_url()."
)
# Methods that a connection class overrides if it answers by itself. `_connect` isn't one of them: a
# tunnel may connect in its own way.
_TRANSPORT: Final = ("send_packed_command", "read_response")


def check_client(client: object) -> None:
    """Reject anything but a client of redis-py with real connections.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`, with what to use instead.
    """
    # `type` and not `isinstance`, which a mock deceives.
    kind = type(client)
    package = kind.__module__.partition(".")[0]
    if not issubclass(kind, (Redis, RedisCluster)):
        if package in {"fakeredis", "unittest", "mock"}:
            raise ERRORS.misconfigured(
                f"RedisAdapter needs a real server, but got {described_type(client)}. {_IN_MEMORY}"
            )
        cure = "To use a URL, call from_url()."
        if package == "redis" and not isinstance(client, type):
            cure = "Import Redis from redis.asyncio: redis.Redis blocks the event loop."
        raise ERRORS.misconfigured(
            f"RedisAdapter takes {_KINDS}, but got {described_type(client)}. {cure}"
        )
    untyped: Any = client
    if issubclass(kind, RedisCluster):
        classes = {
            node.connection_class
            for node in (*untyped.get_nodes(), *untyped.nodes_manager.startup_nodes.values())
        }
    else:
        classes = {untyped.connection_pool.connection_class}
    if any(_answers_by_itself(one) for one in classes):
        raise no_transport(client)


def nodes_asked_by(client: Any) -> list[Any]:
    """The cluster nodes, or the pools of the sentinels, that a client queries to find servers."""
    if isinstance(client, RedisCluster):
        manager: Any = client.nodes_manager
        return [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
    if isinstance(client.connection_pool, SentinelConnectionPool):
        untyped: Any = client.connection_pool
        return [one.connection_pool for one in untyped.sentinel_manager.sentinels]
    return []


def sentinels_of(pool: Any) -> str:
    """The addresses of the sentinels that a pool queries; empty for a pool without sentinels."""
    if not issubclass(type(pool), SentinelConnectionPool):
        return ""
    asked: Any = pool.sentinel_manager
    places: list[dict[str, Any]] = [
        sentinel.connection_pool.connection_kwargs for sentinel in asked.sentinels
    ]
    return ", ".join(
        address(place.get("host", "localhost"), place.get("port", _SENTINEL_PORT))
        for place in places
    )


def no_transport(client: object) -> StoreError:
    """The error for a client whose connections reach no server."""
    return ERRORS.misconfigured(
        f"RedisAdapter needs connections to a real server, but {described_type(client)} doesn't "
        f"have any. {_IN_MEMORY}"
    )


def _answers_by_itself(connection_class: Any) -> bool:
    if not isinstance(connection_class, type):
        return False
    for method in _TRANSPORT:
        owner = next((one for one in connection_class.__mro__ if method in vars(one)), None)
        if owner is None or owner.__module__.partition(".")[0] != "redis":
            return True
    return False
