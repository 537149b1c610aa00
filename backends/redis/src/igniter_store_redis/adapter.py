"""The adapter: what one client of a server is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from igniter_store.contract.commands.adapter import CommandAdapter, check_options
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from igniter_store_redis.clients import check_client, sentinels_of
from igniter_store_redis.cluster import Cluster
from igniter_store_redis.connecting import Connector
from igniter_store_redis.errors import NAME, misconfigured
from igniter_store_redis.server import Server
from igniter_store_redis.urls import client_of, location_of

if TYPE_CHECKING:
    from typing import Self

    from igniter_store.contract.commands.commands import Commands

_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0
_CONNECTIONS: Final = 2


class RedisAdapter(CommandAdapter):
    """Every capability on Redis or Valkey, 6.2 or newer: one server, whichever Sentinel names, or a cluster.

    Calls that are made in one turn of the event loop share one write on one connection. Subscriptions have a connection of their own, and
    so has each read that waits.

    On a cluster, a call for many keys is one command for each slot, and atomic within each of them; `acquire` needs its claim and the
    counter of its tokens in one slot, as the manager's keys are.

    Args:
        client: a client of redis-py. Its settings are used, its connections are not, and it stays open (LIF-6); of a cluster's client also
            what it knows of the nodes, and the connections on which it finds that out. fakeredis has no connections: use `memory://`.
        timeout: seconds that an answer may take, beyond the time that a waiting read waits.
        connect_timeout: seconds that connecting and logging in may take.
        connections: how many may be open to a server for commands that don't wait. The second one is opened once the first is busy with
            a large value or with more commands than it takes.
        sharded_pubsub: publish and subscribe by SPUBLISH and SSUBSCRIBE, which keep a message at the nodes of its channel's slot instead of
            sending it to all (Redis 7, Valkey). All who share a channel have to do the same. Patterns are refused then
            (`STORE_CAPABILITY_UNSUPPORTED`).

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for something else than a client, or an option that makes no sense.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        timeout: float = _TIMEOUT,
        connect_timeout: float = _CONNECT_TIMEOUT,
        connections: int = _CONNECTIONS,
        sharded_pubsub: bool = False,
    ) -> None:
        check_client(client)
        check_options(NAME, timeout=timeout, connect_timeout=connect_timeout, sharded_pubsub=sharded_pubsub)
        if type(connections) is not int or connections < 1:
            raise misconfigured("connections is a number of 1 or more.")
        self._made: Redis | RedisCluster | None = None
        commands: Commands
        if isinstance(client, RedisCluster):
            commands = Cluster(client, timeout, connect_timeout, connections)
        else:
            connector = Connector(client.connection_pool.make_connection, connect_timeout, sentinels_of(client.connection_pool))
            commands = Server(connector, timeout, connections)
        super().__init__(commands, sharded_pubsub=sharded_pubsub)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        connections: int | None = None,
        sharded_pubsub: bool | None = None,
        **options: Any,
    ) -> Self:
        """An adapter for `redis://[user:password@]host[:port][/database]`, with several hosts where there are several.

        Args:
            url: redis://; rediss:// for TLS; unix:///path?db=0; redis+sentinel://host:port,host:port/service[/database], where the
                sentinels' own user and password are `sentinel_username` and `sentinel_password` of the query;
                redis+cluster://host:port,host:port; the last two also with rediss. The query may hold the options.
            timeout: as for the class; the same without an argument, if the URL has none.
            connect_timeout: the same.
            connections: the same.
            sharded_pubsub: the same.
            options: what redis-py can do beyond, such as `ssl_ca_certs` or `client_name`; the README lists them. Arguments win over the
                URL.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`, with what is wrong; a misspelt option is named, a value never.
        """
        own = {"timeout": timeout, "connect_timeout": connect_timeout, "connections": connections, "sharded_pubsub": sharded_pubsub}
        location, chosen = location_of(url, {**own, **options})
        client = client_of(location, chosen.get("connect_timeout", _CONNECT_TIMEOUT))
        adapter = cls(client, **chosen)
        adapter._made = client
        return adapter

    async def _ended(self) -> None:
        """Close what redis-py has opened to find the servers; it opens it again when it is asked again."""
        if isinstance(self._made, RedisCluster):
            for nodes in ("nodes_cache", "startup_nodes"):
                await self._made.nodes_manager.aclose(nodes)
        elif self._made is not None and isinstance(self._made.connection_pool, SentinelConnectionPool):
            untyped: Any = self._made
            for sentinel in untyped.connection_pool.sentinel_manager.sentinels:  # redis-py 8.0 has no aclose() of them all
                await sentinel.aclose()
