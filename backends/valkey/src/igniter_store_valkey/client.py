"""CommandClient over a client of glide, which connects to one server or to a cluster.

Rule: a read is retried once when the connection was lost; a write only if it hadn't been sent.
Rule: with several servers, glide determines the primary when a client connects, and never again. So
    where the primary may have changed, a new client replaces the current one, which is closed once
    its pending calls have replies.
Rule: glide's cache isn't invalidated for changes that happen while it has no connection. So a
    client whose connection has changed is replaced too, and its cache with it.
Rule: glide waits for a lost server for the whole timeout of a call, and then reports a timeout.
    `reachability` finds the reason.
Rule: glide 2.6 keeps a connection that never gets a reply again. A client without any reply for a
    whole timeout is replaced if it doesn't reply to a PING while the server replies to a new
    client. The calls in flight on it count as lost.
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Never, TypeVar

import glide
from igniter_store.adapter_tools.backoff import Backoff
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import ErrorCode, StoreError
from igniter_store.contract.affinity import background, forget_task
from igniter_store.redis_commands.blocking import BlockingConnections
from igniter_store.redis_commands.client import CommandClient
from igniter_store.redis_commands.replies import believed
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    ErrorReply,
    ReplyError,
    ReplyTimeout,
    error_prefix,
    failure,
    without_quotes,
)
from igniter_store.redis_commands.subscriptions import Listener

from igniter_store_valkey.batches import Batches
from igniter_store_valkey.connection_id import INTERVAL, connection_id
from igniter_store_valkey.connector import GlideConnector
from igniter_store_valkey.errors import (
    ERRORS,
    NAME,
    UNREACHABLE,
    ServerLoading,
    ServerUnreachable,
    UndecompressedReply,
    lent_is_closed,
    lent_is_late,
    not_reached,
    value_is_too_large,
)
from igniter_store_valkey.glide_clients import (
    abandon_client,
    answer_to,
    connected,
    is_answered,
    refuse_inherited,
    varied,
)
from igniter_store_valkey.handshake import settled
from igniter_store_valkey.reachability import Reachability
from igniter_store_valkey.replies import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription

    from igniter_store_valkey.glide_types import Client, Configuration

T = TypeVar("T")

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED
_GLIDES_TIMEOUT: Final = 250  # milliseconds, where a configuration has none
# Seconds for a PING on a connection that had no reply for a whole timeout
_PATIENCE_WITH_THE_SILENT: Final = 0.5
# Seconds before a client that reconnects is retried
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25


class ValkeyClient(CommandClient):
    """CommandClient through glide.

    Args:
        configuration: the client's configuration.
        timeout: seconds that a reply may take. On the user's own client, that client's
            `request_timeout` applies instead.
        connect_timeout: seconds that connecting may take.
        lent: the user's own client; if None, the adapter makes one.
        is_sharded: whether channels are sharded.
    """

    errors = ERRORS

    def __init__(
        self,
        configuration: Configuration,
        timeout: float,
        connect_timeout: float,
        *,
        lent: Client | None = None,
        is_sharded: bool = False,
    ) -> None:
        super().__init__()
        configuration = copy.copy(configuration)  # `settled` changes it
        configuration.protocol = glide.ProtocolVersion.RESP3
        self.timeout: Final[float] = (
            timeout if lent is None else (lent.config.request_timeout or _GLIDES_TIMEOUT) / 1000
        )
        self._own_timeout: Final = timeout  # for all calls that aren't sent by the user's client
        self.changes_values: bool = (
            configuration.compression is not None and configuration.compression.enabled
        )
        self._configuration: Final = configuration
        self._connect_timeout: Final = connect_timeout
        self._lent: Final = lent
        self._client: Client | None = None
        self._batches: Batches | None = None
        self._connector: Final = GlideConnector(
            configuration, timeout, connect_timeout, is_sharded=is_sharded
        )
        self._blocking: Final = BlockingConnections(self._connector, timeout)
        self._listener: Final = Listener(self._connector, timeout)
        self._reachability: Final = Reachability(configuration, self._replace_if_silent)
        # A cluster client follows a change of the primary by itself, and the adapter must not
        # replace the user's own client.
        self._may_move: Final = (
            lent is None
            and isinstance(configuration, glide.GlideClientConfiguration)
            and (
                len(configuration.addresses) > 1
                or configuration.node_discovery_mode is glide.NodeDiscoveryMode.DISCOVER_ALL
            )
        )
        cache = configuration.client_side_cache
        self._cache: Final = cache if lent is None else None
        self._watching: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None
        # Batches of clients that were replaced, and still have pending calls
        self._former: set[Batches] = set()

    async def open(self) -> None:
        """Connect, or ping the user's own client."""
        if self._lent is None:
            client = await settled(self._configuration, self._connected)
        else:
            client = self._lent
            refuse_inherited(client)
            reason: StoreError | None = None
            try:
                async with FairTimeout(self._connect_timeout):
                    await answer_to(client, ["PING"])
            except glide.ClosingError:
                raise lent_is_closed() from None
            except UNREACHABLE as error:
                reason = not_reached(error, self._configuration)
            # Raised outside the except block, which would set glide's own error as its context
            if reason is not None:
                try:
                    raise reason
                finally:
                    del reason  # or it and this frame would form a reference cycle
        self._client, self._batches = client, self._batches_to(client)
        self.accept_calls()
        self._blocking.open()
        self._listener.open()
        if self._cache is not None and self._cache.server_assisted:
            self._watching = asyncio.create_task(background(self._watch_cache))

    async def _connected(self) -> Client:
        configuration = varied(
            self._configuration, timeout=self.timeout, connect_timeout=self._connect_timeout
        )
        # glide identifies a cache by its id; with the same id it would reuse the former cache
        if self._cache is not None:
            configuration.client_side_cache = replace(
                self._cache, cache_id=glide.ClientSideCache.create(1, 1).cache_id
            )
        return await connected(configuration, self._connect_timeout)

    def _batches_to(self, client: Client) -> Batches:
        return Batches(client, max(self.timeout, self._connect_timeout), is_ours=self._lent is None)

    async def close(self) -> None:
        """Close all connections but the user's own; pending callers get `STORE_CLOSED`."""
        self.refuse_calls()
        ending = [task for task in (self._watching, self._moving) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for batches in [*self._former]:
            await batches.close()
        await self._listener.close()
        await self._blocking.close()
        if self._batches is not None:
            await self._batches.close()
        if self._client is not None and self._client is not self._lent:
            await self._client.close()
        # Last: if this close is cancelled, the next one finishes it
        self._client = self._batches = None
        await self._connector.ended()
        await self._reachability.close()

    def abandon(self, *, is_inherited: bool) -> None:
        self._is_open = False
        self._listener.abandon(is_inherited=is_inherited)
        self._blocking.abandon(is_inherited=is_inherited)
        self._reachability.abandon()
        for task in (self._watching, self._moving):
            forget_task(task)
        clients = [
            batches.abandon() for batches in (*self._former, self._batches) if batches is not None
        ]
        for client in clients:
            if client is not self._lent:
                abandon_client(client, is_inherited=is_inherited)

    def read(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        return self._answered(words, read, code, writes=False)

    def write(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        return self._answered(words, read, code, writes=True)

    async def block(self, *words: Any, read: Reader[T]) -> T:
        self.require_open()
        answer: Any = await self._blocking.send(words, read, is_asking=False)
        if not self._is_open:
            answer = ConnectionClosed()
        if isinstance(answer, ReplyError):
            raise failure(
                answer, _FAILED, self._own_timeout, backend=NAME, writes=True, words=words
            ) from without_quotes(answer)
        return answer  # type: ignore[no-any-return]  # the reader has checked its type

    async def subscribe(self, subscription: CommandSubscription) -> None:
        self.require_open()
        await self._listener.subscribe(subscription)

    async def _answered(
        self, words: tuple[Any, ...], read: Reader[T], code: ErrorCode, *, writes: bool
    ) -> T:
        answer = await self._asked(words, writes=writes)
        if isinstance(answer, UndecompressedReply) and not writes and self._batches is not None:
            answer = await self._batches.ask_alone(words)
        if isinstance(answer, ReplyError):
            answer = await self._after(
                answer, partial(self._asked, words, writes=writes), code, words, writes=writes
            )
        return believed(read, plain(words, answer), words, code, backend=NAME, writes=writes)

    async def _after(
        self,
        reply_error: ReplyError,
        again: Callable[[], Awaitable[Any]],
        code: ErrorCode,
        words: tuple[Any, ...] = (),
        *,
        writes: bool,
    ) -> Any:
        """Return the outcome of a command that failed with `reply_error`.

        Retries it if that can't apply it twice; otherwise raises the error.

        Args:
            reply_error: the failure of the first attempt.
            again: makes one more attempt, and returns its reply or a `ReplyError`.
            code: the error code for an error reply that has no code of its own.
            words: the command and its arguments.
            writes: whether the command changes data.
        """
        answer: Any = reply_error
        if (
            isinstance(answer, ConnectionLost)
            and not isinstance(answer, ServerUnreachable)
            and not (writes and answer.is_sent)
        ):
            answer = await again()
        loop = asyncio.get_running_loop()
        end, backoff = loop.time() + self._own_timeout, Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while isinstance(answer, ServerLoading) and loop.time() < end:
            await backoff.pause()
            answer = await again()
        if (
            self._can_move
            and isinstance(answer, ErrorReply)
            and error_prefix(str(answer)) == "READONLY"
        ):
            await asyncio.wait([self._move()])
            answer = await again()
        if isinstance(answer, ReplyError):
            raise await self._error(answer, code, words, writes=writes)
        return answer

    @property
    def _can_move(self) -> bool:
        return self._may_move and self._is_open

    def _move(self) -> asyncio.Task[None]:
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._moved())
        return self._moving

    async def _moved(self) -> None:
        try:
            client = await self._connected()
        except StoreError:
            return  # the next call raises this error, or tries to replace the client again
        if self._client is not None and self._batches is not None:
            self._former.add(self._batches)
            self._connector.end(self._retired(self._client, self._batches))
        self._client, self._batches = client, self._batches_to(client)

    async def _replace_if_silent(self) -> None:
        """Replace the client if it gets no reply.

        The server replies to other clients, so the connection is dead. A middlebox may have dropped
        it: both ends then see it as open, and glide never reconnects.
        """
        client, batches = self._client, self._batches
        if (
            self._lent is not None
            or client is None
            or batches is None
            or await is_answered(client, _PATIENCE_WITH_THE_SILENT)
        ):
            return
        if not self._is_open or client is not self._client:
            return
        await asyncio.wait([self._move()])
        # A cluster's other nodes may still reply
        if client is not self._client and not isinstance(client, glide.GlideClusterClient):
            batches.lose()

    async def _retired(self, client: Client, batches: Batches) -> None:
        await batches.answered()
        await batches.close()
        self._former.discard(batches)
        await client.close()

    async def _watch_cache(self) -> None:
        client, known = self._client, None
        while client is not None:
            try:
                identity = await connection_id(client, self.timeout, all_nodes=True)
                if known is not None and identity != known:
                    await asyncio.wait([self._move()])
                known = known or identity
            # The cache still returns values, though the server can't send it invalidations
            except (TimeoutError, glide.TimeoutError):
                await self._replace_if_silent()
            except UNREACHABLE:
                pass
            if client is not self._client:
                client, known = self._client, None
            else:
                await asyncio.sleep(INTERVAL)

    async def _error(
        self, reply_error: ReplyError, code: ErrorCode, words: tuple[Any, ...], *, writes: bool
    ) -> StoreError:
        cause: BaseException = without_quotes(reply_error)
        client = self._client
        if (
            isinstance(reply_error, (ReplyTimeout, ServerUnreachable))
            and (error := await self._reachability.check()) is not None
        ):
            error.maybe_applied = writes and isinstance(reply_error, ReplyTimeout)
        elif isinstance(reply_error, ServerUnreachable):
            if self._can_move:
                self._move()
            error = not_reached(
                reply_error.__cause__ or reply_error, self._configuration, was_connected=True
            )
        elif isinstance(reply_error, UndecompressedReply):
            error = value_is_too_large(writes=writes)
        elif isinstance(reply_error, ConnectionClosed) and self._is_open and self._lent is not None:
            error = lent_is_closed()
        elif isinstance(reply_error, ReplyTimeout) and self._lent is not None:
            error = lent_is_late(self.timeout, writes=writes)
        else:
            if self._can_move and isinstance(reply_error, ReplyTimeout) and client is self._client:
                self._move()
            error = failure(
                reply_error, code, self.timeout, backend=NAME, writes=writes, words=words
            )
        error.__cause__ = cause
        return error

    def _asked(self, words: tuple[Any, ...], *, writes: bool) -> Awaitable[Any]:
        self.require_open()
        if self._batches is None:
            raise ERRORS.closed()
        if (known := self._reachability.known_error) is not None:
            return _raised(known)
        return self._batches.send(words, writes=writes)


async def _raised(error: StoreError) -> Never:
    await asyncio.sleep(0)  # a caller that retries in a loop must let other tasks run
    try:
        raise error
    finally:
        del error  # or it and this frame would form a reference cycle
