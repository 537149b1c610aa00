"""The adapter: every capability over redis-py, one plain command or script for each method."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import Affinity, ErrorCode, StoreError, store_error
from igniter_store.contract.affinity import keep
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from igniter_store_conformance.redis_py.calls import Calls
from igniter_store_conformance.redis_py.claims import RedisPyClaims
from igniter_store_conformance.redis_py.counters import RedisPyCounters
from igniter_store_conformance.redis_py.errors import NAME
from igniter_store_conformance.redis_py.keyvalue import RedisPyKeyValue
from igniter_store_conformance.redis_py.pubsub import Listener, RedisPyPubSub
from igniter_store_conformance.redis_py.scan import RedisPyScan
from igniter_store_conformance.redis_py.streams import RedisPyStreams

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class RedisPyAdapter(
    RedisPyKeyValue, RedisPyCounters, RedisPyClaims, RedisPyPubSub, RedisPyStreams, RedisPyScan
):
    """An adapter for Redis, Valkey, Dragonfly or fakeredis; simple rather than fast.

    Args:
        connect: creates a client of redis-py that returns bytes and uses RESP2, without retries and
            without timeouts of its own. `open` calls it, and `close` closes the client. `from_url`
            has one.
        timeout: seconds that a command may take, in addition to the time that a blocking read
            waits.
    """

    name: ClassVar[str] = NAME

    def __init__(self, connect: Callable[[], Redis], *, timeout: float = 5.0) -> None:
        self._affinity = Affinity(self.abandon)
        self._calls = Calls(connect, timeout, self._affinity)
        self._listener = Listener(self._calls)
        self._opening = asyncio.Lock()

    @property
    def affinity(self) -> Affinity:
        """The event loop and the process in which it was opened."""
        return self._affinity

    @classmethod
    def from_url(
        cls, url: str, *, timeout: float = 5.0, connect_timeout: float = 2.0, **unknown: Any
    ) -> Self:
        """Return an adapter for a URL.

        The URL is `redis://[user:password@]host[:port][/database]`, valkey://, rediss:// or
        unix:///path.

        Args:
            url: the address of the server.
            timeout: see the class.
            connect_timeout: seconds to wait for a connection.
            unknown: no other options are accepted.
        """
        if unknown:
            raise _misconfigured(
                f"The adapter has no option {min(unknown)!r}; it has timeout and connect_timeout."
            )
        connect = partial(client, url, connect_timeout)
        try:
            connect()
        except ValueError:  # its message may show a password
            raise _misconfigured(
                "A URL looks like redis://user:password@host:6379/0, rediss://… or unix:///path."
            ) from None
        return cls(connect, timeout=timeout)

    async def open(self) -> None:
        self._calls.bind()
        async with self._opening:
            if self.is_open:
                return
            self._listener = Listener(self._calls)
            try:
                await self._calls.open()
            except StoreError as error:
                # Something answers, but it isn't a server, or not a usable one.
                if error.code is ErrorCode.STORE_TIMEOUT:
                    message = (
                        "The server accepts connections and doesn't answer. Is it the right port?"
                    )
                    raise store_error(
                        ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME
                    ) from error
                raise
            self.is_open = True

    async def close(self) -> None:
        if self.affinity.is_inherited:
            self.affinity.inherit()
        else:
            self._calls.bind()
        self._calls.shut()
        self.is_open = False
        await self._listener.end()
        await self._calls.close()
        self.affinity.release()

    def abandon(self) -> None:
        if self.affinity.has_ended:
            self.is_open = False
            if self.affinity.is_inherited:
                keep(self._listener)
            self._listener.abandon()
            self._calls.abandon()
            self._listener, self._opening = Listener(self._calls), asyncio.Lock()
            self.affinity.end()

    async def ping(self) -> float:
        began = time.perf_counter()
        await self._calls.ask("PING")
        return time.perf_counter() - began


def client(url: str, connect_timeout: float = 2.0) -> Redis:
    """Return the client that the adapter needs for a URL; it connects when it is used.

    A client for redis+cluster:// has the same methods.
    """
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": None,
    }
    plain = url.replace("valkey", "redis", 1).replace("redis+cluster://", "redis://", 1)
    untyped: Any = Redis  # from_url has no types for its options
    if plain != url and "+cluster" in url:
        untyped, quiet = RedisCluster, {}
    else:
        quiet = {"retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
    made: Redis = untyped.from_url(plain, **options, **quiet)
    return made


def _misconfigured(message: str) -> StoreError:
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=NAME)
