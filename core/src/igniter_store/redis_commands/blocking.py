"""CommandClient that wait at the server: each on a connection that nobody else uses meanwhile, and
that goes back when it is answered.

Rule: a wait that was cancelled leaves its connection in the middle of an answer, so the connection
    is closed: the server then hands nothing
out to it, or what it has handed out is pending.
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
"""Seconds that a command may wait at the server at most; whoever wants to wait longer asks again.
"""

_MOST_IDLE: Final = 4  # connections that are kept for the next ones who wait


class BlockingConnections:
    """The connections of those who wait.

    Args:
        connector: makes them.
        timeout: seconds that an answer may take beyond the time that the server waits.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._is_open = False
        self._connecting: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Let callers in."""
        self._is_open = True

    def retire(self) -> None:
        """Keep no connection that nobody waits on."""
        for connection in self._idle:
            connection.shut()
        self._idle.clear()

    @property
    def is_idle(self) -> bool:
        """True when no connection is open or about to be."""
        return not (self._idle or self._busy or self._connecting)

    async def close(self) -> None:
        """Close all connections; those who wait get `STORE_CLOSED`."""
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
        """The answer to a command that waits at the server for `LONGEST_WAIT` at most, or what came
        instead of it; see `Server.attempt`.

        Raises:
            StoreError: for a reply that its reader refuses.
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
        if isinstance(
            answer, ReplyTimeout
        ):  # the connection may be dead, and the idle ones with it
            connection.shut()
            self.retire()
        # A server that refused may have become a replica, and one that didn't answer may be out of
        # reach on this connection.
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
        except asyncio.CancelledError:  # our caller, and nobody else
            connecting.add_done_callback(_unwanted)
            connecting.cancel()
            raise
        finally:
            connecting.add_done_callback(self._connecting.discard)
        if connecting.cancelled():  # by `close`
            raise closed(self._connector.backend)
        try:
            connection = self._made(connecting)
        finally:
            del connecting  # or it, its error and this frame would keep each other
        if not self._is_open:
            connection.shut()
            raise closed(self._connector.backend)
        return connection

    def _made(self, connecting: asyncio.Task[Connection]) -> Connection:
        failed = connecting.exception()
        if failed is None:
            return connecting.result()
        try:
            if isinstance(failed, StoreError) or not isinstance(
                failed, self._connector.unreachable
            ):  # some are OSErrors, too
                raise failed
            raise self._connector.not_reached(failed)
        finally:
            del failed, connecting  # as above


def _unwanted(connecting: asyncio.Task[Connection]) -> None:
    # It may have been through before it could be cancelled.
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().shut()
