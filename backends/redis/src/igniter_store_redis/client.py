"""Client for one server.

Callers share a connection (several under load); blocking reads and subscriptions have their own.

Rule: a read is retried once when the connection was lost; a write only if it hadn't been sent.
Rule: a connection on which an impossible reply arrives is closed, because the next replies may
    belong to other commands.
Rule: calls share the first connection, so that the calls of one event-loop iteration are one write.
    A call uses the next connection only while the first is full, that is while too many commands or
    a value of megabytes are in flight on it. So small calls don't wait behind a large one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.contract import ErrorCode, StoreError
from igniter_store.contract.affinity import LoopEnd
from igniter_store.redis_commands.blocking import BlockingConnections
from igniter_store.redis_commands.client import CommandClient
from igniter_store.redis_commands.replies import MALFORMED, unexpected
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    ErrorReply,
    ReplyError,
    error_prefix,
    failure,
    without_quotes,
)
from igniter_store.redis_commands.subscriptions import Listener

from igniter_store_redis.errors import ERRORS, NAME
from igniter_store_redis.reconnecting import ReconnectingConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription

    from igniter_store_redis.connector import RedisConnector
    from igniter_store_redis.multiplexer import Multiplexer

T = TypeVar("T")

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class RedisClient(CommandClient):
    """CommandClient to one server.

    Args:
        connector: makes connections.
        timeout: seconds that a reply may take.
        connections: how many may be open for commands that don't block.
        on_astray: see `Listener`.

    Attributes:
        listener: the subscriptions.
    """

    errors = ERRORS

    def __init__(
        self,
        connector: RedisConnector,
        timeout: float,
        connections: int,
        on_astray: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.timeout: Final = timeout
        self._connections: Final = [
            ReconnectingConnection(connector, timeout) for _ in range(connections)
        ]
        self._first: Final = self._connections[0]
        self._blocking: Final = BlockingConnections(connector, timeout)
        self.listener: Final = Listener(connector, timeout, on_astray)
        self._loop_end: LoopEnd | None = None

    def start(self) -> None:
        """Accept calls; the first one connects."""
        self.accept_calls()
        self._watch_loop_end(LoopEnd(self._release_connections))
        self._blocking.open()
        self.listener.open()
        for connection in self._connections:
            connection.start()

    async def open(self) -> None:
        """Accept calls, and connect."""
        self.start()
        try:
            await self._first.connected()
        except (
            GeneratorExit
        ):  # the event loop was closed meanwhile; nothing can be awaited any more
            raise
        except BaseException:  # a cancellation, for example: the shared attempt would continue
            await self.close()
            self._was_closed = False
            raise

    async def close(self) -> None:
        """Close all connections; pending callers get `STORE_CLOSED`."""
        self.refuse_calls()
        self._watch_loop_end(None)
        await self.listener.close()
        await self._blocking.close()
        for connection in self._connections:
            await connection.close()

    def abandon(self, *, is_inherited: bool) -> None:
        self._is_open = False
        self._watch_loop_end(None)
        self.listener.abandon(is_inherited=is_inherited)
        self._blocking.abandon(is_inherited=is_inherited)
        for connection in self._connections:
            connection.abandon(is_inherited=is_inherited)

    def _watch_loop_end(self, loop_end: LoopEnd | None) -> None:
        if self._loop_end is not None:
            self._loop_end.cancel()
        self._loop_end = loop_end

    def _release_connections(self) -> None:
        # The next call opens a new one.
        self._blocking.retire()
        for connection in self._connections:
            multiplexer = connection.multiplexer
            connection.retire(multiplexer)
            if multiplexer is not None and not multiplexer.is_awaited:
                multiplexer.shut()

    def retire(self) -> None:
        """Close each connection once its pending commands have replies.

        Subscriptions get no more messages.
        """
        self.listener.retire()
        self._blocking.retire()
        for connection in self._connections:
            connection.retire(connection.multiplexer)

    @property
    def is_idle(self) -> bool:
        """True when no connection is open."""
        return (
            self.listener.is_idle
            and self._blocking.is_idle
            and all(connection.is_idle for connection in self._connections)
        )

    # `read` and `write` differ only in `writes`. Both are written out because a call between them
    # and the multiplexer would slow down every command.
    async def read(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.send(words)
        if isinstance(answer, ReplyError):
            answer = await self._after(answer, words, multiplexer, writes=False)
            if isinstance(answer, ReplyError):
                raise failure(
                    answer, code, self.timeout, backend=NAME, writes=False, words=words
                ) from without_quotes(answer)
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=False)

    async def write(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.send(words)
        if isinstance(answer, ReplyError):
            answer = await self._after(answer, words, multiplexer, writes=True)
            if isinstance(answer, ReplyError):
                raise failure(
                    answer, code, self.timeout, backend=NAME, writes=True, words=words
                ) from without_quotes(answer)
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=True)

    async def block(self, *words: Any, read: Reader[T]) -> T:
        answer: Any = await self.attempt_to_wait(words, read)
        if isinstance(answer, ReplyError):
            raise failure(
                answer, _FAILED, self.timeout, backend=NAME, writes=True, words=words
            ) from without_quotes(answer)
        return answer  # type: ignore[no-any-return]  # the reader has checked its type

    async def attempt(
        self,
        words: tuple[Any, ...],
        read: Reader[Any],
        code: ErrorCode,
        *,
        writes: bool,
        is_asking: bool = False,
    ) -> Any:
        """Send a command; return the result of its reader, or the `ReplyError` that it got.

        For callers that handle a `ReplyError` themselves.

        Args:
            words: the command and its arguments.
            read: the reader of its reply.
            code: the error code for a reply that the reader rejects.
            writes: whether the command changes data.
            is_asking: whether to send ASKING first, for a slot in migration to this node.

        Raises:
            StoreError: if the reader rejects the reply, or no connection can be made.
        """
        multiplexer = await self._free()
        if is_asking:
            # ASKING applies to the next command on this connection, which is the one below
            multiplexer.send(("ASKING",))
        answer = await multiplexer.send(words)
        if isinstance(answer, ReplyError) and not is_asking:
            answer = await self._after(answer, words, multiplexer, writes=writes)
        if isinstance(answer, ReplyError):
            return answer
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=writes)

    async def attempt_to_wait(
        self, words: tuple[Any, ...], read: Reader[Any], *, is_asking: bool = False
    ) -> Any:
        """As `attempt`, for a command that blocks at the server."""
        self.require_open()
        answer = await self._blocking.send(words, read, is_asking=is_asking)
        return answer if self._is_open else ConnectionClosed()

    async def attempt_to_subscribe(
        self, subscription: CommandSubscription, *, is_asking: bool = False
    ) -> ReplyError | None:
        """As `attempt`, for a subscription."""
        del is_asking  # no node replies to a subscription with ASK
        return await self.listener.add(subscription)

    async def subscribe(self, subscription: CommandSubscription) -> None:
        self.require_open()
        await self.listener.subscribe(subscription)

    async def _after(
        self,
        reply_error: ReplyError,
        words: tuple[Any, ...],
        multiplexer: Multiplexer,
        *,
        writes: bool,
    ) -> Any:
        """Return the outcome of a command that failed with `reply_error`.

        Retries it if that can't apply it twice; otherwise returns `reply_error`.
        """
        if isinstance(reply_error, ErrorReply):
            # The server was the primary before; a new connection reaches the current one.
            if error_prefix(str(reply_error)) == "READONLY":
                for connection in self._connections:
                    connection.retire(multiplexer)
        elif (
            isinstance(reply_error, ConnectionLost)
            and self._is_open
            and not (writes and reply_error.is_sent)
        ):
            return await (await self._free()).send(words)
        return reply_error

    async def _free(self) -> Multiplexer:
        """Return a connection that has room."""
        while True:
            self.require_open()
            for connection in self._connections:
                try:
                    multiplexer = connection.multiplexer or await connection.connected()
                except StoreError:
                    if connection is self._first:
                        raise
                    break  # the server may accept no more connections
                if not multiplexer.is_full:
                    return multiplexer
            await self._room()

    async def _room(self) -> None:
        waiting = [
            asyncio.ensure_future(connection.multiplexer.room())
            for connection in self._connections
            if connection.multiplexer is not None
        ]
        try:
            if waiting:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for room in waiting:
                room.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
