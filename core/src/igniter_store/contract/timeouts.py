"""Time limits for an event loop that was blocked: what arrived meanwhile is looked at before
anything is judged to be late.

While a callback blocks the loop, nothing is sent and nothing is read; then all timers are due at
once, with uvloop even before the sockets are read. So a timer that comes late gives the loop some
time first, and judges when it comes in time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

_PUNCTUAL: Final = 0.02  # seconds by which a timer may be late in a loop that isn't blocked
_MOMENT: Final = 0.05  # seconds that a loop which was blocked gets at least


def oversleep(loop: asyncio.AbstractEventLoop, timer: asyncio.TimerHandle) -> float:
    """Seconds after which a timer that has just been called should look again, because the loop was
    blocked; 0.0 if it came in time.

    They are as many as it was late, so a backend that doesn't answer is found out soon even in a
    loop that is often blocked.
    """
    late = loop.time() - timer.when()
    return max(late, _MOMENT) if late > _PUNCTUAL else 0.0


async def wait_for_any(awaited: Sequence[asyncio.Future[Any]], seconds: float) -> bool:
    """Wait until one of these is done; False if none is after so many seconds. None of them is
    cancelled, whatever happens.
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
    """As `asyncio.timeout`: an asynchronous context manager that raises `TimeoutError`; but not
    because the loop was blocked.

    Args:
        seconds: that the block may take.
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
        """Whether the block's time was over."""
        return self._timeout.expired()

    def expire(self) -> None:
        """End the block now, with `TimeoutError`; nothing happens if it is ending already."""
        if not self._timeout.expired():
            self._timeout.reschedule(self._loop.time())

    def _judge(self) -> None:
        if rest := oversleep(self._loop, self._timer):
            self._timer = self._loop.call_later(rest, self._judge)
        else:
            self.expire()
