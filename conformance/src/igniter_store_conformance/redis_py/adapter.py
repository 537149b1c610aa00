"""The adapter: the commands of `igniter_store.redis_commands` over redis-py's pool."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.adapter_tools.options import COMMON
from igniter_store.redis_commands.adapter import CommandAdapter

from igniter_store_conformance.redis_py.client import CONNECTIONS, RedisPyClient
from igniter_store_conformance.redis_py.errors import NAME
from igniter_store_conformance.redis_py.urls import client_of, server_location

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from redis.asyncio import Redis


class RedisPyAdapter(CommandAdapter):
    """An adapter for Redis, Valkey, Dragonfly or fakeredis; simple rather than fast.

    Args:
        connect: creates a client of redis-py that returns bytes and uses RESP2, without retries and
            without timeouts of its own. Its `max_connections` also limits the blocking reads.
            `open` calls it, and `close` closes the client. `from_url` has one.
        timeout: seconds that a command may take, in addition to the time that a blocking read
            waits.
        connect_timeout: seconds that connecting may take.
        connections: how many commands may be in flight; blocking reads aren't counted.
    """

    name: ClassVar[str] = NAME

    def __init__(
        self,
        connect: Callable[[], Redis],
        *,
        timeout: float = 5.0,
        connect_timeout: float = 2.0,
        connections: int = CONNECTIONS,
    ) -> None:
        super().__init__(partial(RedisPyClient, connect, timeout, connect_timeout, connections))

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        **options: Any,
    ) -> Self:
        """Return an adapter for a URL.

        The URL is `redis://[user:password@]host[:port][/database]`, valkey://, dragonfly://,
        rediss:// or unix:///path. The query may hold the options.

        Args:
            url: the address of the server.
            timeout: see the class.
            connect_timeout: see the class.
            options: connections, and the options of TLS. Arguments override the URL.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` for an invalid URL, or another option.
        """
        given = {"timeout": timeout, "connect_timeout": connect_timeout, **options}
        location = server_location(url, given)
        connect = partial(client_of, location, None)
        connect()  # raises for options that don't fit the scheme
        own = {name: value for name, value in location.options.items() if name in COMMON}
        return cls(connect, **own)
