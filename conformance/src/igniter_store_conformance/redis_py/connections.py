"""The connections of redis-py's pool: each is used by one call at a time, or by all subscriptions.

Rule: a connection is closed if its reply was not read completely, for any reason. The rest of its
    command is then not sent any more: the server would apply it after the caller got its error.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import StoreError
from igniter_store.contract.affinity import disconnect, forget_task, release_transport
from igniter_store.redis_commands.encoding import encoded
from igniter_store.redis_commands.reply_errors import ErrorReply
from igniter_store.redis_commands.transport import address
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from igniter_store_conformance.redis_py.errors import ERRORS, NAME, not_reached, reply_error_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from redis.asyncio import Redis

_GRACE: Final = 1.0  # seconds that calls get to release their connections when the adapter closes


class Connections:
    """The connections of one adapter; the `PubSubConnector` of its subscriptions.

    Args:
        connect: creates the client, which connects when it is used.
        timeout: seconds that connecting may take.
    """

    def __init__(self, connect: Callable[[], Redis], timeout: float) -> None:
        self.backend: Final = NAME
        self.unreachable: Final = (RedisError, OSError)
        self._connect: Final = connect
        self._timeout: Final = timeout
        self._client: Redis | None = None
        self._where = ""
        self._calls: dict[FairTimeout, asyncio.Future[None]] = {}
        self._subscribed: set[RedisPyPubSubConnection] = set()

    def open(self) -> None:
        """Create the client."""
        self._client = self._connect()
        options = self._pool.connection_kwargs
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        self._where = options.get("path") or address(host, port)

    async def close(self) -> None:
        """End the pending calls, and close the client once they have released its connections."""
        for limit in self._calls:
            limit.expire()
        if self._calls:
            await asyncio.wait(list(self._calls.values()), timeout=_GRACE)
        for connection in self._subscribed:
            connection.end()
        if self._subscribed:
            await asyncio.wait([connection.serving for connection in self._subscribed])
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def abandon(self, *, is_inherited: bool) -> None:
        """See `CommandClient.abandon`."""
        for connection in self._subscribed:
            connection.abandon(is_inherited=is_inherited)
        if self._client is None:
            return
        pool: Any = self._client.connection_pool
        # redis-py can close them only in their event loop, and has no public names for them
        for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001
            writer = connection._writer  # noqa: SLF001 - the same
            transport = _transport(writer)
            if is_inherited and transport is not None:
                disconnect([transport.get_extra_info("socket")])
            elif not is_inherited:
                if transport is not None:
                    release_transport(transport)
                connection._reader = connection._writer = None  # noqa: SLF001 - the same

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[None]:
        """Within the block, raise `TimeoutError` after `seconds`, or when the adapter closes."""
        released = asyncio.get_running_loop().create_future()
        async with FairTimeout(seconds) as limit:
            self._calls[limit] = released
            try:
                yield
            finally:
                del self._calls[limit]
                released.set_result(None)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Any]:
        """Lend a connection of the pool, for one command.

        redis-py closes the connection when a caller is interrupted while writing or reading. Its
        transport would first send what it has buffered.
        """
        failed: StoreError | None = None
        try:
            connection = await self._connected()
        except (RedisError, OSError) as error:
            failed = error if isinstance(error, StoreError) else self.not_reached(error)
        else:
            writer = connection._writer  # noqa: SLF001 - redis-py has no public name for it
            try:
                yield connection
            except StoreError:  # the reply was rejected
                await connection.disconnect(nowait=True)
                raise
            finally:
                if connection._writer is not writer:  # noqa: SLF001 - the same
                    _abort(writer)
                await self._pool.release(connection)
        if failed is not None:
            try:
                raise failed  # outside of the block, where it would have redis-py's text as context
            finally:
                del failed  # avoids a reference cycle with this frame

    async def drop_idle(self) -> None:
        """Close the idle connections.

        The cause that ended one connection has most likely ended all of them.
        """
        if self._client is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._pool.disconnect(inuse_connections=False)

    async def open_pubsub(self, handle: Callable[[Any], None]) -> RedisPyPubSubConnection:
        """Take a connection from the pool, for messages."""
        connection = await self._connected()
        made = RedisPyPubSubConnection(connection, handle, partial(self._end, connection))
        self._subscribed.add(made)
        made.serving.add_done_callback(lambda _: self._subscribed.discard(made))
        return made

    def not_reached(self, error: Exception) -> StoreError:
        """Return the error for an exception that redis-py raised while it connected."""
        return not_reached(error, self._where)

    @property
    def _pool(self) -> Any:
        if self._client is None:
            raise ERRORS.closed()
        return self._client.connection_pool

    async def _connected(self) -> Any:
        # One iteration of the loop, in which the connections notice that they were closed while
        # they were idle: the pool then replaces them.
        await asyncio.sleep(0)
        async with FairTimeout(self._timeout):
            return await self._pool.get_connection()

    async def _end(self, connection: Any) -> None:
        _abort(connection._writer)  # noqa: SLF001 - redis-py has no public name for it
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)
        await self.drop_idle()


class RedisPyPubSubConnection:
    """A connection that receives messages, which a task reads.

    Args:
        connection: the connection of redis-py.
        handle: called with each message and each reply.
        release: closes the connection, and returns it to the pool.

    Attributes:
        lost: done when the connection is lost.
        heard_at: when the last message or reply arrived, in the event loop's time.
        serving: the task that reads.
    """

    def __init__(
        self,
        connection: Any,
        handle: Callable[[Any], None],
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self.lost: Final[asyncio.Future[None]] = self._loop.create_future()
        self.heard_at: float | None = self._loop.time()
        self._connection: Final = connection
        self._handle: Final = handle
        self._release: Final = release
        self._is_ending = False
        self.serving: Final = asyncio.create_task(self._serve())

    def send(self, *words: Any) -> None:
        """Send a command; its reply arrives among the messages."""
        writer = self._connection._writer  # noqa: SLF001 - redis-py can't send without awaiting
        if not is_closing(writer):
            writer.writelines(self._connection.pack_command(*words))

    def end(self) -> None:
        """Close the connection."""
        if not self._is_ending:
            self._is_ending = True
            self.serving.cancel()

    def abandon(self, *, is_inherited: bool) -> None:
        """End the task; `Connections.abandon` releases the socket."""
        del is_inherited
        forget_task(self.serving)

    async def _serve(self) -> None:
        try:
            with contextlib.suppress(RedisError, OSError):
                while True:
                    self._handle(await self._next())
                    self.heard_at = self._loop.time()
        finally:
            self._is_ending = True  # so `end` doesn't interrupt the release
            try:
                await self._release()
            finally:
                self.lost.set_result(None)

    async def _next(self) -> Any:
        try:
            return await self._connection.read_response()
        except RedisError as error:
            reply_error = reply_error_of(error)
            if not isinstance(reply_error, ErrorReply):
                raise
            return reply_error


async def is_sent(connection: Any, words: tuple[Any, ...]) -> bool:
    """Send a command, and return False when the connection was reset while it was idle.

    redis-py only notices such a reset when it writes. The command hasn't been sent completely then,
    so the server can't have executed it, and another connection may send it.
    """
    if is_closing(connection._writer):  # noqa: SLF001 - see `is_closing`
        await connection.disconnect(nowait=True)  # or the pool would return it again
        return False
    try:
        await connection.send_command(*map(_wire, words))
    except (RedisConnectionError, OSError, AttributeError):
        return False
    return True


def is_closing(writer: Any) -> bool:
    """Whether nothing may be written any more.

    asyncio of Python 3.12 and 3.13.0 doesn't check whether the transport is closed. It raises
    `AttributeError`, or waits for the transport's former descriptor, which may belong to another
    connection by now. redis-py has no public way to get the writer, and the one of fakeredis has no
    transport.
    """
    return writer is None or (isinstance(writer, asyncio.StreamWriter) and writer.is_closing())


def _transport(writer: Any) -> Any:
    """Return the transport of a writer; fakeredis has none."""
    return getattr(writer, "transport", None)


def _abort(writer: Any) -> None:
    """Close a connection, and drop the bytes that weren't sent yet."""
    transport = _transport(writer)
    if transport is not None:
        release_transport(transport)


def _wire(word: Any) -> Any:
    return encoded(word) if isinstance(word, str) else word
