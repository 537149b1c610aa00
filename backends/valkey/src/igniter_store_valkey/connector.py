"""Connections for blocking reads and for subscriptions; each is a client of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.redis_commands.encoding import as_bytes
from igniter_store.redis_commands.reply_errors import ConnectionClosed, ReplyError

from igniter_store_valkey.errors import NAME, UNREACHABLE, not_reached, reply_error_of
from igniter_store_valkey.glide_clients import (
    GRACE,
    abandon_client,
    answers_to,
    connected,
    mended,
    varied,
)
from igniter_store_valkey.handshake import no_subscriptions
from igniter_store_valkey.pubsub_connection import GlidePubSubConnection
from igniter_store_valkey.replies import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from igniter_store.contract import StoreError

    from igniter_store_valkey.glide_types import Client, Configuration


# Lost connections in a row on CLIENT ID, before the first subscription, after which it isn't sent
# any more. A single one may be a connection that was lost just then.
_HANG_UPS: Final = 2


class GlideConnector:
    """Makes clients to the servers of one configuration.

    Args:
        configuration: of glide; the connector changes only copies of it.
        timeout: seconds that a reply may take.
        connect_timeout: seconds that connecting may take.
        is_sharded: whether channels are sharded.
    """

    def __init__(
        self,
        configuration: Configuration,
        timeout: float,
        connect_timeout: float,
        *,
        is_sharded: bool,
    ) -> None:
        self.backend: Final = NAME
        self.unreachable: Final = UNREACHABLE
        self._configuration: Final = configuration
        self._timeout: Final = timeout
        self._connect_timeout: Final = connect_timeout
        self._is_sharded: Final = is_sharded
        self._ending: set[asyncio.Task[None]] = set()
        self._hang_ups = 0

    def not_reached(self, error: Exception) -> StoreError:
        """The error for an exception while a client connected."""
        return not_reached(error, self._configuration, was_connected=True)

    async def connect(self, patience: float) -> GlideConnection:
        """A client for a blocking read."""
        return GlideConnection(await self._connected(patience, None), patience, self.end)

    async def open_pubsub(self, handle: Callable[[Any], None]) -> GlidePubSubConnection:
        """A client for messages.

        Raises:
            StoreError: if the server can't be reached, or rejects HELLO.
        """
        if self._configuration.protocol is glide.ProtocolVersion.RESP2:
            raise no_subscriptions()
        loop = asyncio.get_running_loop()
        connection: GlidePubSubConnection | None = None

        def on_message(message: Any, _: Any) -> None:
            # glide calls this in the loop that reads its pipe, which may be another one.
            # `get_running_loop`, the public function, raises where no loop runs
            if asyncio._get_running_loop() is loop:  # noqa: SLF001
                hear(message)
            else:
                loop.call_soon_threadsafe(hear, message)

        def hear(message: Any) -> None:
            if connection is not None:
                connection.hear(message)

        client = await self._connected(self._timeout, on_message)
        connection = GlidePubSubConnection(
            client,
            handle,
            self.end,
            patience=self._timeout,
            is_sharded=self._is_sharded,
            note_client_id=self._note_client_id if self._hang_ups < _HANG_UPS else None,
        )
        return connection

    def _note_client_id(self, is_answered: bool) -> None:  # noqa: FBT001 - a callback
        self._hang_ups = 0 if is_answered else self._hang_ups + 1

    async def ended(self) -> None:
        """Wait until the discarded clients are closed."""
        while self._ending:
            # Not gather: its cancellation would cancel the tasks, and leave clients open
            await asyncio.wait(self._ending)

    async def _connected(
        self, patience: float, on_message: Callable[[Any, Any], None] | None
    ) -> Client:
        other = varied(
            self._configuration,
            timeout=patience,
            connect_timeout=self._connect_timeout,
            on_message=on_message,
        )
        return await connected(other, self._connect_timeout, was_connected=True)

    def end(self, closing: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that no caller's cancellation interrupts; `ended` waits for it."""
        task = asyncio.get_running_loop().create_task(closing)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class GlideConnection:
    """A client that one caller uses for a while; its replies may take `patience` seconds."""

    def __init__(
        self, client: Client, patience: float, end: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self.is_live: bool = True
        self._client: Final = client
        self._patience: Final = patience + GRACE
        self._end: Final = end

    def send(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Send a command, and return the future of its reply or of a `ReplyError`."""
        return asyncio.get_running_loop().create_task(self._answer(words))

    def shut(self) -> None:
        """Close the client; a pending caller gets `ConnectionClosed`."""
        if self.is_live:
            self.is_live = False
            self._end(self._client.close())

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the client, because the event loop is closed."""
        self.is_live = False
        abandon_client(self._client, is_inherited=is_inherited)

    async def _answer(self, words: tuple[Any, ...]) -> Any:
        limit = FairTimeout(self._patience)
        answer: Any
        try:
            async with limit:
                # As a batch: for a single blocking command, glide reads the time from the command
                # and adds only half a second for the server's reply.
                [answer] = await answers_to(self._client, [[as_bytes(word) for word in words]])
        # errors of glide; reply_error_of raises others again
        except Exception as error:  # noqa: BLE001
            # glide's own timeout is shorter, so its pipe is no longer read
            if limit.expired():
                await mended(self._client)
            answer = reply_error_of(error)
        if isinstance(answer, glide.RequestError):
            answer = reply_error_of(answer)
        if isinstance(answer, ReplyError):
            return answer if self.is_live else ConnectionClosed()
        return plain(words, answer)
