"""Connects with redis-py, and takes over the transports of its connections.

Rule: redis-py handles the URL, TLS, login, RESP version, database and its retry policy. The backend
    then takes over the transport with asyncio's `set_protocol`; the client and its pool never see
    that connection again.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract.affinity import disconnect, keep, release_transport
from igniter_store.redis_commands.transport import address
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError, ResponseError

from igniter_store_redis.errors import NAME, UNREACHABLE, ConnectAttempt, not_reached
from igniter_store_redis.multiplexer import Multiplexer
from igniter_store_redis.pubsub_connection import RedisPubSubConnection
from igniter_store_redis.redis_py_clients import no_transport
from igniter_store_redis.urls import DEFAULT_USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from igniter_store.contract import StoreError

_INTRODUCTION: Final = "CLIENT SETINFO"
_UNASKED: Final = 0.2  # seconds to wait for an error that the server sends unprompted


class RedisConnector:
    """Makes connections to one server, or to the primary that Sentinel names.

    Args:
        make: makes a connection of redis-py that isn't connected yet, with the settings of a pool.
        timeout: seconds that connecting and logging in may take.
        largest: bytes that a reply may have.
        sentinels: the addresses of the sentinels that are queried first, if there are any.
    """

    def __init__(
        self, make: Callable[[], Any], timeout: float, largest: int, sentinels: str = ""
    ) -> None:
        self.backend: Final = NAME
        self.unreachable: Final = UNREACHABLE
        self._make: Final = make
        self._timeout: Final = timeout
        self._largest: Final = largest
        self._sentinels: Final = sentinels
        self._last = ConnectAttempt("", timeout)  # Sentinel may name another address each time
        self._sent = ""  # the last command of the handshake that was sent
        self._introduces_itself = True

    def not_reached(self, error: Exception) -> StoreError:
        """The `StoreError` for an error of redis-py while connecting, with its cause."""
        return not_reached(error, self._last)

    async def connect(self, patience: float) -> Multiplexer:
        """A connection for a blocking read; see `multiplexed`."""
        return await self.multiplexed(patience, _ignore_loss)

    async def multiplexed(
        self, patience: float, on_lost: Callable[[Multiplexer], None]
    ) -> Multiplexer:
        """A connection for commands, whose replies may take `patience` seconds.

        See `Multiplexer`.
        """
        writer = await self._connected()
        multiplexer = Multiplexer(writer.transport, patience, on_lost, self._largest)
        multiplexer.kept = writer
        return multiplexer

    async def open_pubsub(self, handle: Callable[[Any], None]) -> RedisPubSubConnection:
        """A connection for messages; see `RedisPubSubConnection`."""
        writer = await self._connected()
        connection = RedisPubSubConnection(writer.transport, handle, self._largest)
        connection.kept = writer
        return connection

    async def _connected(self) -> Any:
        """The writer of a new connection.

        It must live as long as its transport: on Python 3.12 a writer closes the transport when it
        is garbage-collected.
        """
        end = asyncio.get_running_loop().time() + self._timeout
        try:
            return await self._greeted(end)
        except NotConnected as error:
            # A subclass means that the server replied: it requires a password, or is still loading
            # its data.
            if (
                type(error) is not NotConnected
                or not self._introduces_itself
                or self._sent != _INTRODUCTION
            ):
                raise
        # Some proxies close the connection on commands that they don't support. CLIENT SETINFO is
        # optional, so try again without it.
        self._introduces_itself = False
        try:
            return await self._greeted(end)
        except BaseException:
            self._introduces_itself = True
            raise

    async def _greeted(self, end: float) -> Any:
        loop = asyncio.get_running_loop()
        connection = self._make()
        connection.protocol = 2  # the version that this backend parses; a user's client may use 3
        if (
            connection.password
            and not connection.username
            and connection.credential_provider is None
        ):
            # redis-py then sends AUTH with the user, and a server without a password accepts any.
            connection.username = DEFAULT_USER
        # redis-py applies these with wait_for, which on Python 3.11 can swallow a cancellation, and
        # which mistakes a blocked event loop for a silent server. The FairTimeout below replaces
        # them.
        connection.socket_timeout = connection.socket_connect_timeout = None
        if not self._introduces_itself:
            connection.driver_info = None
        greet, send = connection.redis_connect_func, connection.send_command
        self._sent = ""
        is_there = False

        async def greeted(connection: Any) -> None:
            nonlocal is_there
            is_there = True
            # redis-py has no public name for it
            if not hasattr(getattr(connection._writer, "transport", None), "set_protocol"):  # noqa: SLF001
                raise no_transport(connection)
            await (connection.on_connect() if greet is None else greet(connection))
            # A server that requires TLS, or isn't Redis, closes the connection on the first command
            if not self._sent:
                with contextlib.suppress(ResponseError):
                    await connection.send_command("PING")
                    await connection.read_response()

        async def noted(*words: Any, **options: Any) -> None:
            self._sent = " ".join(str(word) for word in words[: 2 if words[0] == "CLIENT" else 1])
            await send(*words, **options)

        connection.redis_connect_func = greeted
        connection.send_command = noted
        try:
            async with FairTimeout(max(0.0, end - loop.time())):
                await connection.connect()
        except BaseException as error:
            if loop.is_closed():  # nothing can be awaited any more
                raise
            self._last = self._attempt(connection, error, is_there=is_there)
            await asyncio.shield(connection.disconnect(nowait=True))
            if is_there and isinstance(error, NotConnected) and (words := await self._unasked()):
                raise ResponseError(words) from None
            raise
        finally:
            del connection.send_command  # or it and the connection would form a reference cycle
        writer = connection._writer  # noqa: SLF001 - redis-py has no public name for it
        # or redis-py would warn about an open connection when this object is garbage-collected
        connection._reader = connection._writer = None  # noqa: SLF001
        return writer

    def _attempt(self, connection: Any, error: BaseException, *, is_there: bool) -> ConnectAttempt:
        is_asking = bool(self._sentinels) and (
            isinstance(error, MasterNotFoundError) or not is_there
        )
        where = (
            self._sentinels
            if is_asking
            else getattr(connection, "path", None) or address(connection.host, connection.port)
        )
        return ConnectAttempt(
            where,
            self._timeout,
            isinstance(connection, SSLConnection),
            is_there,
            is_asking,
            self._sent,
        )

    async def _unasked(self) -> str:
        """The error that the server sends to every new connection before it closes it.

        Protected mode and too many clients are such errors. A client that sends a command
        meanwhile, as redis-py does, gets only a failed write.
        """
        words = b""

        async def listen(connection: Any) -> None:
            nonlocal words
            # redis-py has no public name for the reader
            words = await connection._reader.readline()  # noqa: SLF001

        connection = self._make()
        connection.redis_connect_func = listen
        try:
            # ValueError: the server may send a line without an end
            with contextlib.suppress(RedisError, OSError, ValueError):
                async with asyncio.timeout(_UNASKED):
                    await connection.connect()
        finally:
            await asyncio.shield(connection.disconnect(nowait=True))
        return words[1:].decode("utf-8", "replace").strip() if words.startswith(b"-") else ""


def _ignore_loss(lost: Multiplexer) -> None:
    """Do nothing: the caller that waits on the connection notices by itself."""
    del lost


def abandon_connections(nodes: Iterable[Any], *, is_inherited: bool) -> None:
    """Release redis-py's own connections, which query a cluster's nodes or the sentinels.

    See `CommandClient.abandon`. redis-py can close these connections only in the event loop that
    opened them. Connections of another loop that is still open belong to a user, and stay open.

    Args:
        nodes: redis-py's `ClusterNode`s and connection pools.
        is_inherited: whether the connections belong to the parent process.
    """
    for node in nodes:
        for connection in _connections_of(node):
            writer = connection._writer  # noqa: SLF001 - see above
            if writer is None:
                continue
            if is_inherited:
                keep(writer)
                disconnect([writer.transport.get_extra_info("socket")])
            elif writer._loop.is_closed():  # noqa: SLF001 - see above
                release_transport(writer.transport)
            else:
                continue
            # redis-py reconnects when the connection is next used
            connection._reader = connection._writer = None  # noqa: SLF001


def _connections_of(node: Any) -> list[Any]:
    # redis-py has no public names for them
    is_node = type(node) is ClusterNode
    names = ("_connections",) if is_node else ("_available_connections", "_in_use_connections")
    return [connection for name in names for connection in getattr(node, name)]
