"""A connection that comes back by itself.

Rule: there is one attempt to connect at a time, for all who wait for it, and they share what it
    comes to. After a failure the next
attempt waits, longer each time, so that a thousand callers don't storm a server that is coming up.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StoreError
from igniter_store.contract.affinity import forget_task

from igniter_store_redis.errors import UNREACHABLE, closed

if TYPE_CHECKING:
    from igniter_store_redis.connector import Connector
    from igniter_store_redis.multiplexer import Multiplexer

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25  # callers wait for it


class ReconnectingConnection:
    """One multiplexed connection, made when it is wanted.

    Args:
        connector: makes connections.
        timeout: seconds that an answer may take.

    Attributes:
        multiplexer: the present connection, if there is one.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self.multiplexer: Multiplexer | None = None
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._attempt: asyncio.Task[Multiplexer] | None = None
        self._retired: set[Multiplexer] = set()
        self._pause = 0.0

    @property
    def is_idle(self) -> bool:
        """True when no connection is open or about to be."""
        return self.multiplexer is None and self._attempt is None and not self._retired

    def start(self) -> None:
        """Forget earlier failures."""
        self._pause = 0.0

    async def close(self) -> None:
        """Close the connection; callers get `STORE_CLOSED`."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        for multiplexer in (self.multiplexer, *self._retired):
            if multiplexer is not None:
                multiplexer.shut()
                await asyncio.sleep(0)  # the transport's last word

    def abandon(self, *, is_inherited: bool) -> None:
        """See `CommandClient.abandon`."""
        forget_task(self._attempt)
        for multiplexer in (self.multiplexer, *self._retired):
            if multiplexer is not None:
                multiplexer.abandon(is_inherited=is_inherited)

    def retire(self, multiplexer: Multiplexer | None) -> None:
        """Let what was asked on this connection be answered, and go on with a new one, unless that
        has happened.
        """
        if multiplexer is not None and self.multiplexer is multiplexer:
            self.multiplexer = None
            self._retired.add(multiplexer)
            multiplexer.retire()

    async def connected(self) -> Multiplexer:
        """The present connection, or a new one."""
        if self.multiplexer is not None:
            return self.multiplexer
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._connect())
            self._attempt.add_done_callback(_heard)
        attempt = self._attempt
        await asyncio.wait([attempt])  # who is cancelled here is our caller; others wait on
        if attempt.cancelled():  # by `close`
            raise closed()
        try:
            return attempt.result()
        except StoreError:
            raise
        except UNREACHABLE as error:
            reason = self._connector.not_reached(error)
        finally:
            del attempt  # or it, its error and this frame would keep each other
        try:
            # Outside of the block, where it would have the driver's error as its context
            raise reason
        finally:
            del reason

    async def _connect(self) -> Multiplexer:
        try:
            # so that not all come back at once
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311
            multiplexer = await self._connector.multiplexed(self._timeout, self._forget)
        except BaseException:
            self._attempt = None
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _FIRST_PAUSE)
            raise
        self._attempt, self._pause, self.multiplexer = None, 0.0, multiplexer
        return multiplexer

    def _forget(self, multiplexer: Multiplexer) -> None:
        self._retired.discard(multiplexer)
        if self.multiplexer is multiplexer:
            self.multiplexer = None


def _heard(attempt: asyncio.Task[Multiplexer]) -> None:
    # Those who waited for it may all have gone.
    if not attempt.cancelled():
        attempt.exception()
