"""Connections for commands that block at the server.

Each blocking command has a connection to itself, which returns to the pool after the reply.

Rule: a cancelled wait leaves its connection in the middle of a reply, so the connection is closed.
    The server then delivers no entries to it; entries that it has already delivered are pending.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract.affinity import forget_task
from igniter_store.contract.errors import ErrorCode, StoreError, closed
from igniter_store.redis_commands.replies import believed
from igniter_store.redis_commands.reply_errors import ReplyError, ReplyTimeout

if TYPE_CHECKING:
    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.transport import Connection, Connector

LONGEST_WAIT: Final = 0.5
"""The maximum seconds that a command blocks at the server; to wait longer, the caller repeats it.
"""

_MOST_IDLE: Final = 4  # idle connections that are kept for later calls


class BlockingConnections:
    """The pool of connections for blocking commands.

    Args:
        connector: creates the connections.
        timeout: seconds that a reply may take beyond the time that the server blocks.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._is_open = False
        self._connecting: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Accept calls."""
        self._is_open = True

    def retire(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.shut()
        self._idle.clear()

    @property
    def is_idle(self) -> bool:
        """True if no connection is open or being opened."""
        return not (self._idle or self._busy or self._connecting)

    async def close(self) -> None:
        """Close all connections; pending calls raise `STORE_CLOSED`."""
        self._is_open = False
        for connection in [*self._idle, *self._busy]:
            connection.shut()
        self._idle.clear()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def abandon(self, *, is_inherited: bool) -> None:
        """See `CommandClient.abandon`."""
        for connection in (*self._idle, *self._busy):
            connection.abandon(is_inherited=is_inherited)
        for task in self._connecting:
            forget_task(task)

    async def send(self, words: tuple[Any, ...], read: Reader[Any], *, is_asking: bool) -> Any:
        """Send a command that blocks for at most `LONGEST_WAIT`; return its reply.

        If there is no reply, the method returns a `ReplyError` instead. `is_asking` sends ASKING
        first.

        Raises:
            StoreError: if the reader rejects the reply.
        """
        connection = await self._taken()
        self._busy.add(connection)
        try:
            if is_asking:
                connection.send(("ASKING",))
            answer = await connection.send(words)
            if not isinstance(answer, ReplyError):
                answer = believed(
                    read,
                    answer,
                    words,
                    ErrorCode.STORE_OPERATION_FAILED,
                    backend=self._connector.backend,
                    writes=True,
                )
        except BaseException:
            connection.shut()
            raise
        finally:
            self._busy.discard(connection)
        # The connection may be dead, and the idle ones with it.
        if isinstance(answer, ReplyTimeout):
            connection.shut()
            self.retire()
        # After an error reply the server may have become a replica, and after a timeout it may be
        # unreachable on this connection.
        is_welcome = not isinstance(answer, ReplyError)
        if is_welcome and connection.is_live and self._is_open and len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.shut()
        return answer

    async def _taken(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_live:
                return connection
        connecting = asyncio.create_task(self._connector.connect(LONGEST_WAIT + self._timeout))
        self._connecting.add(connecting)
        try:
            await asyncio.wait([connecting])
        except asyncio.CancelledError:  # only the caller was cancelled
            connecting.add_done_callback(_unwanted)
            connecting.cancel()
            raise
        finally:
            connecting.add_done_callback(self._connecting.discard)
        if connecting.cancelled():  # `close` cancelled it
            raise closed(self._connector.backend)
        try:
            connection = self._made(connecting)
        finally:
            del connecting  # avoids a reference cycle of the task, its error and this frame
        if not self._is_open:
            connection.shut()
            raise closed(self._connector.backend)
        return connection

    def _made(self, connecting: asyncio.Task[Connection]) -> Connection:
        failed = connecting.exception()
        if failed is None:
            return connecting.result()
        try:
            # Some StoreErrors are OSErrors too.
            if isinstance(failed, StoreError) or not isinstance(
                failed, self._connector.unreachable
            ):
                raise failed
            raise self._connector.not_reached(failed)
        finally:
            del failed, connecting  # as above


def _unwanted(connecting: asyncio.Task[Connection]) -> None:
    # It may have connected before it could be cancelled.
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().shut()
