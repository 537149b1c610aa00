"""A connection that is made on demand and reconnects after it is lost.

Rule: at most one attempt to connect runs at a time. All callers wait for it and share its outcome.
Rule: after a failed attempt the next one waits, longer each time, so that a thousand callers don't
    overload a server that is starting.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.adapter_tools.backoff import Backoff
from igniter_store.contract import StoreError
from igniter_store.contract.affinity import forget_task

from igniter_store_redis.errors import ERRORS, UNREACHABLE

if TYPE_CHECKING:
    from igniter_store_redis.connector import RedisConnector
    from igniter_store_redis.multiplexer import Multiplexer

# Seconds between attempts, during which callers wait
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25


class ReconnectingConnection:
    """One multiplexed connection, opened when it is first needed.

    Args:
        connector: makes connections.
        timeout: seconds that a reply may take.

    Attributes:
        multiplexer: the current connection, if there is one.
    """

    def __init__(self, connector: RedisConnector, timeout: float) -> None:
        self.multiplexer: Multiplexer | None = None
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._attempt: asyncio.Task[Multiplexer] | None = None
        self._retired: set[Multiplexer] = set()
        self._backoff: Final = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self.start()

    @property
    def is_idle(self) -> bool:
        """True when no connection is open or being opened."""
        return self.multiplexer is None and self._attempt is None and not self._retired

    def start(self) -> None:
        """Make the next attempt without a pause."""
        self._backoff.reset(has_pause=False)

    async def close(self) -> None:
        """Close the connection; pending callers get `STORE_CLOSED`."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        for multiplexer in (self.multiplexer, *self._retired):
            if multiplexer is not None:
                multiplexer.shut()
                await asyncio.sleep(0)  # lets the transport report that it has closed

    def abandon(self, *, is_inherited: bool) -> None:
        """See `CommandClient.abandon`."""
        forget_task(self._attempt)
        for multiplexer in (self.multiplexer, *self._retired):
            if multiplexer is not None:
                multiplexer.abandon(is_inherited=is_inherited)

    def retire(self, multiplexer: Multiplexer | None) -> None:
        """Stop using this connection, which closes once its pending commands have replies.

        The next command opens a new connection. Retiring a connection twice does nothing.
        """
        if multiplexer is not None and self.multiplexer is multiplexer:
            self.multiplexer = None
            self._retired.add(multiplexer)
            multiplexer.retire()

    async def connected(self) -> Multiplexer:
        """Return the current connection, or open a new one."""
        if self.multiplexer is not None:
            return self.multiplexer
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._connect())
            self._attempt.add_done_callback(_heard)
        attempt = self._attempt
        await asyncio.wait([attempt])  # a cancellation here leaves the shared attempt running
        if attempt.cancelled():  # by `close`
            raise ERRORS.closed()
        try:
            return attempt.result()
        except StoreError:
            raise
        except UNREACHABLE as error:
            reason = self._connector.not_reached(error)
        finally:
            del attempt  # or the task, its error and this frame would form a reference cycle
        try:
            # Raised outside the except block, which would set the driver's error as its context
            raise reason
        finally:
            del reason

    async def _connect(self) -> Multiplexer:
        try:
            await self._backoff.pause()
            multiplexer = await self._connector.multiplexed(self._timeout, self._forget)
        except BaseException:
            self._attempt = None
            raise
        self._attempt, self.multiplexer = None, multiplexer
        self.start()
        return multiplexer

    def _forget(self, multiplexer: Multiplexer) -> None:
        self._retired.discard(multiplexer)
        if self.multiplexer is multiplexer:
            self.multiplexer = None


def _heard(attempt: asyncio.Task[Multiplexer]) -> None:
    # Every caller that waited for the attempt may be gone, so this retrieves the exception.
    if not attempt.cancelled():
        attempt.exception()
