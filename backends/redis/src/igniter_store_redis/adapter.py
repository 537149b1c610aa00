"""The adapter for Redis and Valkey servers, over a client of redis-py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from igniter_store.redis_commands.adapter import CommandAdapter, check_options
from redis.asyncio import Redis, RedisCluster

from igniter_store_redis.client import RedisClient
from igniter_store_redis.cluster import RedisClusterClient
from igniter_store_redis.connector import RedisConnector, abandon_connections
from igniter_store_redis.errors import ERRORS, NAME
from igniter_store_redis.incoming import LARGEST
from igniter_store_redis.redis_py_clients import check_client, nodes_asked_by, sentinels_of
from igniter_store_redis.urls import ClientFactory, location_of

if TYPE_CHECKING:
    from typing import Self

    from igniter_store.redis_commands.client import CommandClient

_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0
_CONNECTIONS: Final = 2


class RedisAdapter(CommandAdapter):
    """Every capability on Redis or Valkey, 6.2 or newer.

    The client connects to one server, to the primary that Sentinel names, or to a cluster.

    Calls of one event-loop iteration share one write on one connection. Subscriptions have a
    connection of their own, and so has each blocking read.

    On a cluster, a call with many keys is one command for each slot, and is atomic only within a
    slot. `acquire` requires the claim and the counter of its tokens in one slot; the store names
    its keys so.

    Args:
        client: a client of redis-py. The adapter uses its settings, but not its connections, and
            doesn't close it (LIF-6). Of a cluster client the adapter also uses the topology, and
            the connections on which redis-py discovers that. fakeredis has no connections: use
            `memory://`.
        timeout: seconds that a reply may take, beyond the time for which a blocking read waits.
        connect_timeout: seconds that connecting and logging in may take.
        connections: how many may be open to a server for commands that don't block. The second
            connection is opened when the first is busy with a large value or has reached its limit
            of commands in flight.
        sharded_pubsub: publish and subscribe by SPUBLISH and SSUBSCRIBE, which keep a message at
            the nodes of its channel's slot instead of sending it to all (Redis 7, Valkey). All
            publishers and subscribers of a channel must use the same setting. Patterns are then
            rejected (`STORE_CAPABILITY_UNSUPPORTED`).
        max_reply_bytes: bytes that a reply or a message may have. The default is 512 MiB, the
            largest value that a server accepts. A reply is held in memory, so a larger one is an
            error (`STORE_OPERATION_FAILED`), and its connection is closed.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if `client` isn't a client of redis-py, or
            an option is invalid.
    """

    name: ClassVar[str] = NAME

    def __init__(  # noqa: PLR0913 - each is an option
        self,
        client: Redis | RedisCluster,
        *,
        timeout: float = _TIMEOUT,
        connect_timeout: float = _CONNECT_TIMEOUT,
        connections: int = _CONNECTIONS,
        sharded_pubsub: bool = False,
        max_reply_bytes: int = LARGEST,
    ) -> None:
        given: object = client
        # Makes clients, if the adapter owns them
        self._factory = given if isinstance(given, ClientFactory) else None
        self._client = client if self._factory is None else self._factory.make()
        check_client(self._client)
        check_options(
            NAME, timeout=timeout, connect_timeout=connect_timeout, sharded_pubsub=sharded_pubsub
        )
        if type(connections) is not int or connections < 1:
            raise ERRORS.misconfigured("connections must be an integer of 1 or more.")
        if type(max_reply_bytes) is not int or max_reply_bytes < 1:
            raise ERRORS.misconfigured("max_reply_bytes must be an integer of 1 or more.")

        def commands() -> CommandClient:
            if isinstance(self._client, RedisCluster):
                return RedisClusterClient(
                    self._client,
                    timeout,
                    connect_timeout,
                    connections,
                    max_reply_bytes,
                    is_ours=self._factory is not None,
                )
            pool = self._client.connection_pool
            connector = RedisConnector(
                pool.make_connection, connect_timeout, max_reply_bytes, sentinels_of(pool)
            )
            return RedisClient(connector, timeout, connections)

        super().__init__(commands, sharded_pubsub=sharded_pubsub)

    @classmethod
    def from_url(  # noqa: PLR0913 - each option is an argument
        cls,
        url: str,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        connections: int | None = None,
        sharded_pubsub: bool | None = None,
        max_reply_bytes: int | None = None,
        **options: Any,
    ) -> Self:
        """Make an adapter from `redis://[user:password@]host[:port][/database]`.

        Schemes for Sentinel and clusters accept several hosts.

        Args:
            url: redis://; rediss:// for TLS; unix:///path?db=0;
                redis+sentinel://host:port,host:port/service[/database], where the sentinels' own
                user and password are `sentinel_username` and `sentinel_password` of the query;
                redis+cluster://host:port,host:port; the last two also with rediss. The query may
                hold the options.
            timeout: as for the class, and with the same default if the URL doesn't set it either.
            connect_timeout: the same.
            connections: the same.
            sharded_pubsub: the same.
            max_reply_bytes: the same.
            options: further options of redis-py, such as `ssl_ca_certs` or `client_name`; the
                README lists them. Arguments override the URL.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`, with the reason. The message names a
                misspelt option, but never contains a value.
        """
        own = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "connections": connections,
            "sharded_pubsub": sharded_pubsub,
            "max_reply_bytes": max_reply_bytes,
        }
        location, chosen = location_of(url, {**own, **options})
        # In place of a client, so that the adapter owns the clients that it makes
        factory: Any = ClientFactory(location, chosen.get("connect_timeout", _CONNECT_TIMEOUT))
        return cls(factory, **chosen)

    async def _ended(self) -> None:
        """Close the connections that redis-py opened to find the servers.

        redis-py reopens them when it next needs them.
        """
        if self._factory is not None:
            for node in nodes_asked_by(self._client):
                await node.disconnect()

    def _abandon_client(self, *, is_inherited: bool) -> None:
        abandon_connections(nodes_asked_by(self._client), is_inherited=is_inherited)
        if self._factory is not None:
            self._client = self._factory.make()
