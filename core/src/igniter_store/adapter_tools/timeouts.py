"""Timeouts that allow for a blocked event loop.

While a callback blocks the loop, the loop sends nothing and reads nothing. Afterwards all timers
are due at once; with uvloop, they run even before the sockets are read. So if a timer fires late,
the code here first gives the loop some time to read the data that arrived. A timeout expires only
when its timer fires on time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

_PUNCTUAL: Final = 0.02  # seconds by which a timer may be late in a loop that isn't blocked
_MOMENT: Final = 0.05  # minimum seconds that a blocked loop gets to catch up


def oversleep(loop: asyncio.AbstractEventLoop, timer: asyncio.TimerHandle) -> float:
    """Return the seconds after which to check again, or 0.0 if the timer fired on time.

    Call this when `timer` has just fired. A late timer means that the loop was blocked. The result
    is as long as the delay, so an unresponsive backend is detected soon even in a loop that is
    often blocked.
    """
    late = loop.time() - timer.when()
    return max(late, _MOMENT) if late > _PUNCTUAL else 0.0


async def wait_for_any(awaited: Sequence[asyncio.Future[Any]], seconds: float) -> bool:
    """Wait until one of the futures is done; return False if none is done after `seconds`.

    None of them is ever cancelled.
    """
    loop = asyncio.get_running_loop()
    while True:
        until = loop.time() + seconds
        done, _ = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done:
            return True
        late = loop.time() - until
        if late <= _PUNCTUAL:
            return False
        seconds = max(late, _MOMENT)


class FairTimeout:
    """Like `asyncio.timeout`, but doesn't expire because the event loop was blocked.

    It is an asynchronous context manager that raises `TimeoutError`.

    Args:
        seconds: the time that the block may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(self._seconds, self._judge)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def expired(self) -> bool:
        """Whether the timeout has expired."""
        return self._timeout.expired()

    def expire(self) -> None:
        """End the block now with `TimeoutError`; does nothing if it is already ending."""
        if not self._timeout.expired():
            self._timeout.reschedule(self._loop.time())

    def _judge(self) -> None:
        if rest := oversleep(self._loop, self._timer):
            self._timer = self._loop.call_later(rest, self._judge)
        else:
            self.expire()
