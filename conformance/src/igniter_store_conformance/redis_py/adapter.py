"""The adapter: the commands of `igniter_store.redis_commands` over redis-py's pool."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract.errors import misconfigured
from igniter_store.redis_commands.adapter import CommandAdapter
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from igniter_store_conformance.redis_py.client import RedisPyClient
from igniter_store_conformance.redis_py.errors import NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class RedisPyAdapter(CommandAdapter):
    """An adapter for Redis, Valkey, Dragonfly or fakeredis; simple rather than fast.

    Args:
        connect: creates a client of redis-py that returns bytes and uses RESP2, without retries and
            without timeouts of its own. `open` calls it, and `close` closes the client. `from_url`
            has one.
        timeout: seconds that a command may take, in addition to the time that a blocking read
            waits.
        connect_timeout: seconds that connecting may take.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self, connect: Callable[[], Redis], *, timeout: float = 5.0, connect_timeout: float = 2.0
    ) -> None:
        super().__init__(partial(RedisPyClient, connect, timeout, connect_timeout))

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
            connect_timeout: see the class.
            unknown: no other options are accepted.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` for an invalid URL, or another option.
        """
        if unknown:
            raise misconfigured(
                f"The adapter has no option {min(unknown)!r}. Use timeout or connect_timeout.", NAME
            )
        connect = partial(client, url, None)
        try:
            connect()
        except ValueError:  # its message may contain a password
            raise misconfigured(
                "The URL is invalid. Write redis://user:password@host:6379/0, rediss://… or "
                "unix:///path.",
                NAME,
            ) from None
        return cls(connect, timeout=timeout, connect_timeout=connect_timeout)


def client(url: str, connect_timeout: float | None = 2.0) -> Redis:
    """Return the client that the adapter needs for a URL; it connects when it is used.

    A client for redis+cluster:// has the same methods.

    Args:
        url: the address of the server.
        connect_timeout: redis-py's own timeout, which also expires if the event loop was blocked.
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
