"""One connection that hears messages: answers to its own commands and messages of others come on it as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from hiredis import Reader
from igniter_store.contract.affinity import disconnect, release_transport
from igniter_store.contract.commands.troubles import Refused

from igniter_store_redis.multiplexer import pack_command

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING: Final = object()


class Link(asyncio.Protocol):
    """The protocol of one connection that hears messages; takes over a transport as `Multiplexer` does.

    Attributes:
        lost: done when the connection is gone.
        kept: what has to live as long as the connection.
    """

    def __init__(self, transport: asyncio.Transport, handle: Callable[[Any], None]) -> None:
        self.lost: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.kept: object = None
        self._transport: Final = transport
        self._handle: Final = handle
        self._reader: Final = Reader(replyError=Refused, notEnoughData=_NOTHING)
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, *words: Any) -> None:
        """Send a command; its answer comes as messages do."""
        self._transport.write(pack_command(words))

    def end(self) -> None:
        """Close the connection."""
        self._transport.abort()

    def abandon(self, *, is_inherited: bool) -> None:
        """As `Multiplexer.abandon`."""
        if is_inherited:
            disconnect([self._transport.get_extra_info("socket")])
        else:
            release_transport(self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what has come."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not _NOTHING:
            self._handle(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who keeps it."""
        del exc
        if not self.lost.done():
            self.lost.set_result(None)
