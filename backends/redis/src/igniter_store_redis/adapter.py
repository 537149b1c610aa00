"""The adapter: what one client of a server is made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from igniter_store.redis_commands.adapter import CommandAdapter, check_options
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from igniter_store_redis.cluster import ClusterClient
from igniter_store_redis.connector import Connector, abandon_connections
from igniter_store_redis.errors import NAME, misconfigured
from igniter_store_redis.incoming import LARGEST
from igniter_store_redis.redis_py_clients import check_client, sentinels_of
from igniter_store_redis.standalone import StandaloneClient
from igniter_store_redis.urls import client_of, location_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from igniter_store.redis_commands.client import CommandClient

_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0
_CONNECTIONS: Final = 2


class RedisAdapter(CommandAdapter):
    """Every capability on Redis or Valkey, 6.2 or newer: one server, whichever Sentinel names, or a
    cluster.

    Calls that are made in one turn of the event loop share one write on one connection.
    Subscriptions have a connection of their own, and so has each read that waits.

    On a cluster, a call for many keys is one command for each slot, and atomic within each of them;
    `acquire` needs its claim and the counter of its tokens in one slot, as the store's keys are.

    Args:
        client: a client of redis-py. Its settings are used, its connections are not, and it stays
            open (LIF-6); of a cluster's client also what it knows of the nodes, and the connections
            on which it finds that out. fakeredis has no connections: use `memory://`.
        timeout: seconds that an answer may take, beyond the time that a waiting read waits.
        connect_timeout: seconds that connecting and logging in may take.
        connections: how many may be open to a server for commands that don't wait. The second one
            is opened once the first is busy with a large value or with more commands than it takes.
        sharded_pubsub: publish and subscribe by SPUBLISH and SSUBSCRIBE, which keep a message at
            the nodes of its channel's slot instead of sending it to all (Redis 7, Valkey). All who
            share a channel have to do the same. Patterns are refused then
            (`STORE_CAPABILITY_UNSUPPORTED`).
        max_reply_bytes: how large a reply or a message may be; 512 MiB, which is the largest value
            that a server takes, unless you say otherwise. A reply is held in memory, so a larger
            one is an error (`STORE_OPERATION_FAILED`), and its connection is closed.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for something else than a client, or an
            option that makes no sense.
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
        check_client(client)
        check_options(
            NAME, timeout=timeout, connect_timeout=connect_timeout, sharded_pubsub=sharded_pubsub
        )
        if type(connections) is not int or connections < 1:
            raise misconfigured("connections must be an integer of 1 or more.")
        if type(max_reply_bytes) is not int or max_reply_bytes < 1:
            raise misconfigured("max_reply_bytes must be an integer of 1 or more.")
        self._client = client
        self._make_client: Callable[[], Redis | RedisCluster] | None = (
            None  # of a client that is ours
        )

        def commands() -> CommandClient:
            if isinstance(self._client, RedisCluster):
                return ClusterClient(
                    self._client, timeout, connect_timeout, connections, max_reply_bytes
                )
            pool = self._client.connection_pool
            connector = Connector(
                pool.make_connection, connect_timeout, max_reply_bytes, sentinels_of(pool)
            )
            return StandaloneClient(connector, timeout, connections)

        super().__init__(commands, sharded_pubsub=sharded_pubsub)

    @classmethod
    def from_url(  # noqa: PLR0913 - the same
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
        """An adapter for `redis://[user:password@]host[:port][/database]`, with several hosts where
        there are several.

        Args:
            url: redis://; rediss:// for TLS; unix:///path?db=0;
                redis+sentinel://host:port,host:port/service[/database], where the sentinels' own
                user and password are `sentinel_username` and `sentinel_password` of the query;
                redis+cluster://host:port,host:port; the last two also with rediss. The query may
                hold the options.
            timeout: as for the class; the same without an argument, if the URL has none.
            connect_timeout: the same.
            connections: the same.
            sharded_pubsub: the same.
            max_reply_bytes: the same.
            options: what redis-py can do beyond, such as `ssl_ca_certs` or `client_name`; the
                README lists them. Arguments win over the URL.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`, with what is wrong; a misspelt option
                is named, a value never.
        """
        own = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "connections": connections,
            "sharded_pubsub": sharded_pubsub,
            "max_reply_bytes": max_reply_bytes,
        }
        location, chosen = location_of(url, {**own, **options})
        make_client = partial(client_of, location, chosen.get("connect_timeout", _CONNECT_TIMEOUT))
        adapter = cls(make_client(), **chosen)
        adapter._make_client = make_client
        return adapter

    async def _ended(self) -> None:
        """Close what redis-py has opened to find the servers; it opens it again when it is asked
        again.
        """
        if self._make_client is None:
            return
        if isinstance(self._client, RedisCluster):
            for nodes in ("nodes_cache", "startup_nodes"):
                await self._client.nodes_manager.aclose(nodes)
        elif isinstance(self._client.connection_pool, SentinelConnectionPool):
            untyped: Any = self._client
            for sentinel in (
                untyped.connection_pool.sentinel_manager.sentinels
            ):  # redis-py 8.0 has no aclose() of them all
                await sentinel.aclose()

    def _abandon_client(self, *, is_inherited: bool) -> None:
        abandon_connections(self._client, is_inherited=is_inherited)
        if self._make_client is not None:
            self._client = self._make_client()
