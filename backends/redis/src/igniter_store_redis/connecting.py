"""From redis-py's way of connecting to a connection of our own.

Rule: redis-py does what it does best: URL, TLS, login, RESP version, database, its retry policy. What it has connected we take over by
asyncio's `set_protocol`; the client and its pool never see that connection again.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract.commands.connections import address
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError, ResponseError

from igniter_store_redis.clients import no_transport
from igniter_store_redis.errors import NAME, UNREACHABLE, Attempt, not_reached
from igniter_store_redis.link import Link
from igniter_store_redis.multiplexer import Multiplexer
from igniter_store_redis.urls import DEFAULT_USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.contract import StoreError

_UNASKED: Final = 0.2  # seconds to wait for it


class Connector:
    """Makes connections to one server, or to whichever Sentinel names.

    Args:
        make: makes a connection of redis-py that isn't connected yet: that of a pool, for what it knows.
        timeout: seconds that connecting and logging in may take.
        sentinels: the addresses of those that are asked first, if there are any.
    """

    def __init__(self, make: Callable[[], Any], timeout: float, sentinels: str = "") -> None:
        self.backend: Final = NAME
        self.unreachable: Final = UNREACHABLE
        self._make: Final = make
        self._timeout: Final = timeout
        self._sentinels: Final = sentinels
        self._last = Attempt("", timeout)  # Sentinel says the address anew each time

    def not_reached(self, error: Exception) -> StoreError:
        """The error for what redis-py raised while it connected, with its cause."""
        return not_reached(error, self._last)

    async def connect(self, patience: float) -> Multiplexer:
        """A connection for one who waits; see `multiplexed`."""
        return await self.multiplexed(patience, _nobody)

    async def multiplexed(self, patience: float, on_lost: Callable[[Multiplexer], None]) -> Multiplexer:
        """A connection for commands, whose answers may take `patience` seconds; see `Multiplexer`."""
        writer = await self._connected()
        multiplexer = Multiplexer(writer.transport, patience, on_lost)
        multiplexer.kept = writer
        return multiplexer

    async def link(self, handle: Callable[[Any], None]) -> Link:
        """A connection for messages; see `Link`."""
        writer = await self._connected()
        link = Link(writer.transport, handle)
        link.kept = writer
        return link

    async def _connected(self) -> Any:
        """The writer of a connection, which has to live as long as its transport: Python 3.12's closes that when it is collected."""
        connection = self._make()
        connection.protocol = 2  # what we read; a client of somebody else may speak 3
        if connection.password and not connection.username and connection.credential_provider is None:
            connection.username = DEFAULT_USER  # as redis-py logs in by HELLO: a server that has no password takes any
        connection.socket_timeout = None  # redis-py holds it by wait_for, which on Python 3.11 can swallow a cancellation; ours is below
        greet = connection.redis_connect_func
        is_there = False

        async def greeted(connection: Any) -> None:
            nonlocal is_there
            is_there = True
            await (connection.on_connect() if greet is None else greet(connection))

        connection.redis_connect_func = greeted
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except BaseException as error:
            self._last = self._attempt(connection, error, is_there=is_there)
            await asyncio.shield(connection.disconnect(nowait=True))
            if is_there and isinstance(error, NotConnected) and (words := await self._unasked()):
                raise ResponseError(words) from None
            raise
        writer = connection._writer  # noqa: SLF001 - redis-py shows it nowhere else
        if not hasattr(getattr(writer, "transport", None), "set_protocol"):
            await asyncio.shield(connection.disconnect(nowait=True))
            raise no_transport(connection)
        connection._reader = connection._writer = None  # noqa: SLF001 - or it would miss them when it is collected
        return writer

    def _attempt(self, connection: Any, error: BaseException, *, is_there: bool) -> Attempt:
        is_asking = bool(self._sentinels) and (isinstance(error, MasterNotFoundError) or not is_there)
        where = self._sentinels if is_asking else getattr(connection, "path", None) or address(connection.host, connection.port)
        return Attempt(where, self._timeout, isinstance(connection, SSLConnection), is_there, is_asking)

    async def _unasked(self) -> str:
        """What the server says to everybody who comes, before it ends the connection: protected mode, too many clients.

        Who sends something meanwhile, as redis-py does, learns only that it can't.
        """
        words = b""

        async def listen(connection: Any) -> None:
            nonlocal words
            words = await connection._reader.readline()  # noqa: SLF001 - redis-py shows it nowhere else

        connection = self._make()
        connection.redis_connect_func = listen
        try:
            with contextlib.suppress(RedisError, OSError):
                async with asyncio.timeout(_UNASKED):
                    await connection.connect()
        finally:
            await asyncio.shield(connection.disconnect(nowait=True))
        return words[1:].decode("utf-8", "replace").strip() if words.startswith(b"-") else ""


def _nobody(lost: Multiplexer) -> None:
    """Whoever waits sees it."""
    del lost
