"""Sends one command on one connection, and reads its reply.

Rule: a read is retried once when the connection was lost. A write is sent on another connection
    only if it can't have reached the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.contract import ErrorCode, StoreError
from igniter_store.redis_commands.blocking import LONGEST_WAIT
from igniter_store.redis_commands.client import CommandClient
from igniter_store.redis_commands.replies import believed, pong
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    ReplyError,
    ReplyTimeout,
    failure,
    without_quotes,
)
from igniter_store.redis_commands.subscriptions import Listener
from redis.exceptions import RedisError

from igniter_store_conformance.redis_py.connections import Connections, is_sent
from igniter_store_conformance.redis_py.errors import ERRORS, NAME, reply_error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription
    from redis.asyncio import Redis

T = TypeVar("T")

CONNECTIONS: Final = 32
"""Connections for commands, unless the caller sets another number. Further callers wait for one."""

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class RedisPyClient(CommandClient):
    """CommandClient over the pool of a client of redis-py.

    Args:
        connect: creates the client, which connects when it is used.
        timeout: seconds that a command may take.
        connect_timeout: seconds that connecting may take.
        connections: how many commands may be in flight.
    """

    errors = ERRORS

    def __init__(
        self,
        connect: Callable[[], Redis],
        timeout: float,
        connect_timeout: float,
        connections: int = CONNECTIONS,
    ) -> None:
        super().__init__()
        self._timeout: Final = timeout
        self._connections: Final = Connections(connect, connect_timeout)
        self._listener: Final = Listener(self._connections, timeout)
        self._crowd_size: Final = connections
        self._crowd = asyncio.Semaphore(connections)

    async def open(self) -> None:
        """Create the client, and check that the server replies."""
        self._connections.open()
        self._listener.open()
        self.accept_calls()
        self._crowd = asyncio.Semaphore(self._crowd_size)  # it belongs to the event loop
        try:
            await self._once(("PING",), pong, _FAILED, writes=False)
        except GeneratorExit:
            raise  # the event loop was closed meanwhile, so nothing can be awaited
        except BaseException as error:
            await self.close()
            self._was_closed = False
            if isinstance(error, StoreError) and error.code is ErrorCode.STORE_TIMEOUT:
                raise self._connections.not_reached(error) from error
            raise

    async def close(self) -> None:
        self.refuse_calls()
        await self._listener.close()
        await self._connections.close()

    def abandon(self, *, is_inherited: bool) -> None:
        self._is_open = False
        self._listener.abandon(is_inherited=is_inherited)
        self._connections.abandon(is_inherited=is_inherited)

    async def read(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        try:
            return await self._once(words, read, code, writes=False)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_CONNECTION_FAILED or not error.retryable:
                raise
        return await self._once(words, read, code, writes=False)

    def write(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        return self._once(words, read, code, writes=True)

    async def block(self, *words: Any, read: Reader[T]) -> T:
        return await self._once(words, read, _FAILED, wait=LONGEST_WAIT, writes=True)

    async def _once(
        self,
        words: tuple[Any, ...],
        read: Reader[T],
        code: ErrorCode,
        *,
        writes: bool,
        wait: float = 0.0,
    ) -> T:
        self.require_open()
        connections = self._connections
        reply_error: ReplyError = ConnectionLost(is_sent=False)
        has_left = False
        try:
            # A blocking command doesn't make other callers wait.
            async with (
                connections.limit(self._timeout + wait),
                contextlib.nullcontext() if wait else self._crowd,
            ):
                for _ in range(CONNECTIONS):
                    async with connections.connection() as connection:
                        has_left = True
                        if await is_sent(connection, words):
                            reply = await connection.read_response()
                            return believed(read, reply, words, code, backend=NAME, writes=writes)
                        has_left = False
        except StoreError:  # some are TimeoutErrors, too
            raise
        except TimeoutError:
            reply_error = ReplyTimeout() if self._is_open else ConnectionClosed()
        except (RedisError, OSError) as error:
            reply_error = reply_error_of(error) or ConnectionLost(is_sent=has_left)
        if isinstance(reply_error, ReplyTimeout):
            await connections.drop_idle()
        raise failure(
            reply_error,
            code,
            self._timeout,
            backend=NAME,
            writes=writes and has_left,
            words=words,
        ) from without_quotes(reply_error)

    async def subscribe(self, subscription: CommandSubscription) -> None:
        self.require_open()
        reply_error = await self._listener.add(subscription)
        if reply_error is not None:
            raise failure(
                reply_error,
                ErrorCode.STORE_SUBSCRIBE_FAILED,
                self._timeout,
                backend=NAME,
                writes=False,
                words=subscription.name,
            ) from without_quotes(reply_error)
