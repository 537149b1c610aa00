"""Commands that wait at the server: each on a connection that nobody else uses meanwhile, and that goes back when it is answered.

Rule: a wait that was cancelled leaves its connection in the middle of an answer, so the connection is closed: the server then hands nothing
out to it, or what it has handed out is pending.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store_redis.errors import UNREACHABLE, closed, not_reached
from igniter_store_redis.multiplexer import Refused

if TYPE_CHECKING:
    from igniter_store_redis.connecting import Connector
    from igniter_store_redis.multiplexer import Multiplexer

LONGEST_WAIT: Final = 0.5
"""Seconds that a command may wait at the server at most; whoever wants to wait longer asks again."""

_MOST_IDLE: Final = 4  # connections that are kept for the next ones who wait


class Waiters:
    """The connections of those who wait.

    Args:
        connector: makes them.
        timeout: seconds that an answer may take beyond the time that the server waits.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._idle: list[Multiplexer] = []
        self._busy: set[Multiplexer] = set()
        self._is_open = False
        self._connecting: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Let callers in."""
        self._is_open = True

    def retire(self) -> None:
        """Keep no connection that nobody waits on."""
        for multiplexer in self._idle:
            multiplexer.shut()
        self._idle.clear()

    @property
    def is_idle(self) -> bool:
        """True when no connection is open or about to be."""
        return not (self._idle or self._busy or self._connecting)

    async def close(self) -> None:
        """Close all connections; those who wait get `STORE_CLOSED`."""
        self._is_open = False
        for multiplexer in [*self._idle, *self._busy]:
            multiplexer.shut()
        self._idle.clear()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    async def ask(self, words: tuple[Any, ...], *, is_asking: bool) -> Any:
        """The answer to a command that waits at the server for `LONGEST_WAIT` at most, or what came instead of it; see `Server.attempt`."""
        multiplexer = await self._taken()
        self._busy.add(multiplexer)
        try:
            if is_asking:
                multiplexer.ask(("ASKING",))
            answer = await multiplexer.ask(words)
        except BaseException:
            multiplexer.shut()
            raise
        finally:
            self._busy.discard(multiplexer)
        is_welcome = not isinstance(answer, Refused)  # a server that refused may have become a replica
        if is_welcome and multiplexer.is_live and self._is_open and len(self._idle) < _MOST_IDLE:
            self._idle.append(multiplexer)
        else:
            multiplexer.shut()
        return answer

    async def _taken(self) -> Multiplexer:
        while self._idle:
            multiplexer = self._idle.pop()
            if multiplexer.is_live:
                return multiplexer
        connecting = asyncio.create_task(self._connector.multiplexed(LONGEST_WAIT + self._timeout, _nothing))
        self._connecting.add(connecting)
        try:
            multiplexer = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if connecting.cancelled():  # by `close`, not by our caller
                raise closed() from None
            connecting.add_done_callback(_unwanted)
            connecting.cancel()
            raise
        except UNREACHABLE as error:
            raise not_reached(error) from error
        finally:
            connecting.add_done_callback(self._connecting.discard)
        if not self._is_open:
            multiplexer.shut()
            raise closed()
        return multiplexer


def _nothing(_: Multiplexer) -> None:
    pass


def _unwanted(connecting: asyncio.Task[Multiplexer]) -> None:
    # It may have been through before it could be cancelled.
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().shut()
