"""A connection that receives messages.

Replies to its own commands and messages from publishers arrive on it interleaved.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract.affinity import disconnect, release_transport

from igniter_store_redis.incoming import NOTHING, Incoming, can_complete, reader
from igniter_store_redis.multiplexer import pack_command

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRESS: Final = 65_536  # bytes of an incomplete message that prove that the server still sends

_LOGGER: Final = logging.getLogger("igniter_store")


class RedisPubSubConnection(asyncio.Protocol):
    """The protocol of one connection that receives messages.

    It takes over a transport as `Multiplexer` does.

    Args:
        transport: has no bytes in flight.
        handle: called with each message and each reply.
        largest: bytes that a message or reply may have. A larger one closes the connection.

    Attributes:
        lost: done when the connection is gone.
        heard_at: when a message, or a good part of one, last arrived, in the event loop's time.
        kept: an object that must live as long as the connection.
    """

    def __init__(
        self, transport: asyncio.Transport, handle: Callable[[Any], None], largest: int
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self.lost: Final[asyncio.Future[None]] = self._loop.create_future()
        self.heard_at: float = self._loop.time()
        self.kept: object = None
        self._transport: Final = transport
        self._handle: Final = handle
        self._reader = reader()
        self._incoming: Final = Incoming(largest)
        self._counted = 0
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, *words: Any) -> None:
        """Send a command; its reply arrives among the messages."""
        self._transport.write(pack_command(words))

    def end(self) -> None:
        """Close the connection."""
        self._reader = reader()  # the old one may hold a large partial message
        self._transport.abort()

    def abandon(self, *, is_inherited: bool) -> None:
        """See `Multiplexer.abandon`."""
        if is_inherited:
            disconnect([self._transport.get_extra_info("socket")])
        else:
            release_transport(self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass complete messages and replies on."""
        replies, incoming = self._reader, self._incoming
        replies.feed(data)
        found = 0
        if not incoming.is_partial or can_complete(incoming, data):
            while (answer := self._next()) is not NOTHING:
                found += 1
                self._handle(answer)
        if found:
            self.heard_at, self._counted = self._loop.time(), 0
            incoming.completed(is_partial=replies.has_data())
        elif (reply_error := incoming.more(data)) is not None:
            _LOGGER.error("A subscription's connection is closed: %s.", reply_error)
            self.end()
        elif incoming.size >= self._counted + _PROGRESS:
            self.heard_at, self._counted = self._loop.time(), incoming.size

    def _next(self) -> Any:
        try:
            return self._reader.gets()
        # hiredis raises errors of many classes for bytes that aren't RESP
        except Exception:  # noqa: BLE001
            # Without the traceback, which is hiredis's own and shows nothing about the server.
            _LOGGER.error(  # noqa: TRY400
                "redis: closed a subscription's connection, because the server sent an invalid "
                "reply."
            )
            self.end()
            return NOTHING

    def connection_lost(self, exc: Exception | None) -> None:
        """Resolve `lost` for the listener that owns the connection."""
        del exc
        if not self.lost.done():
            self.lost.set_result(None)
