"""The adapter: what one client of a server is made of."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from igniter_store_redis.claims import RedisClaims
from igniter_store_redis.connecting import Connector
from igniter_store_redis.counters import RedisCounters
from igniter_store_redis.errors import NAME, misconfigured
from igniter_store_redis.keyvalue import RedisKeyValue
from igniter_store_redis.line import Line
from igniter_store_redis.pubsub import Listener, RedisPubSub
from igniter_store_redis.scan import RedisScan
from igniter_store_redis.streams import RedisStreams
from igniter_store_redis.waiting import Waiters

if TYPE_CHECKING:
    from typing import Self

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_LOOKS_LIKE: Final = (
    "The URL can't be used. It looks like redis://user:password@host:6379/0, where the database is a number and the query has what "
    "redis-py knows; rediss:// for TLS, unix:///path?db=0 for a socket."
)
_TIMEOUT: Final = 5.0
_CONNECT_TIMEOUT: Final = 5.0
_LONGEST: Final = 1e6  # seconds: more is a mistake of units


class RedisAdapter(RedisKeyValue, RedisCounters, RedisClaims, RedisPubSub, RedisStreams, RedisScan):
    """Every capability on one Redis or Valkey server, 6.2 or newer.

    Calls that are made in one turn of the event loop share one write on one connection. Subscriptions have a connection of their own, and
    so has each read that waits.

    Args:
        client: a client of redis-py. Its settings are used, its connections are not, and it stays open (LIF-6).
        timeout: seconds that an answer may take, beyond the time that a waiting read waits.
        connect_timeout: seconds that connecting and logging in may take.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for something else than a client, or a timeout that is no time.
    """

    name: ClassVar[str] = NAME

    def __init__(self, client: Redis, *, timeout: float = _TIMEOUT, connect_timeout: float = _CONNECT_TIMEOUT) -> None:
        if not isinstance(client, Redis):
            raise misconfigured(f"RedisAdapter takes a redis.asyncio.Redis, and got {_article(client)}. For a URL there is from_url().")
        for option, value in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _LONGEST:
                raise misconfigured(f"{option} is a number of seconds above 0.")
        connector = Connector(client.connection_pool, connect_timeout)
        self._line = Line(connector, timeout)
        self._waiters = Waiters(connector, timeout)
        self._listener = Listener(connector, timeout)
        self._changing = asyncio.Lock()

    @classmethod
    def from_url(cls, url: str, *, timeout: float = _TIMEOUT, connect_timeout: float = _CONNECT_TIMEOUT, **unknown: Any) -> Self:
        """An adapter for `redis://[user:password@]host[:port][/database]`, rediss:// for TLS, or unix:///path?db=0.

        The query may hold what redis-py knows, such as `ssl_ca_certs` or `client_name`.
        """
        if unknown:
            raise misconfigured(f"The Redis backend has no option {min(unknown)!r}; it has timeout and connect_timeout.")
        if not url.startswith(_SCHEMES):
            raise misconfigured(_LOOKS_LIKE)
        _check_path(url)
        untyped: Any = ConnectionPool
        try:
            pool = untyped.from_url(url, protocol=2, socket_timeout=None, retry=Retry(NoBackoff(), 0), health_check_interval=0)
            pool.make_connection()
        except (ValueError, TypeError):  # its message may show a password
            raise misconfigured(_LOOKS_LIKE) from None
        return cls(Redis(connection_pool=pool), timeout=timeout, connect_timeout=connect_timeout)

    async def open(self) -> None:
        async with self._changing:
            if self.is_open:
                return
            await self._line.open()
            self._waiters.open()
            self._listener.open()
            self.is_open = True

    async def close(self) -> None:
        async with self._changing:
            self.is_open = False
            self._waiters.close()
            await self._listener.close()
            await self._line.close()

    async def ping(self) -> float:
        began = time.perf_counter()
        await self._line.ask("PING")
        return time.perf_counter() - began


def _check_path(url: str) -> None:
    # redis-py takes what is no number for database 0, and an empty path of a socket for one.
    try:
        parts = urlsplit(url)
    except ValueError:
        raise misconfigured(_LOOKS_LIKE) from None
    path = parts.path.strip("/")
    if not path if parts.scheme == "unix" else path and not path.isdecimal():
        raise misconfigured(_LOOKS_LIKE)


def _article(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"a thing of type {type(thing).__name__}"
