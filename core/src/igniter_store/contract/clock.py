"""Time, as backends that keep it themselves see it, so that a test can move it.

Rule: a clock is any function that returns seconds since the epoch. One that also has `call_later`
    decides when waiting is over; with any
other, waits last in real time.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, runtime_checkable

Clock: TypeAlias = Callable[[], float]


class Timer(Protocol):
    """A call that was put off; asyncio's `TimerHandle` is one."""

    def cancel(self) -> None:
        """Don't call any more; twice, or after the call, nothing happens."""
        ...


@runtime_checkable
class TimerClock(Protocol):
    """A clock that also decides when what waits is woken."""

    def __call__(self) -> float:
        """Seconds since the epoch."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `delay` seconds of this clock have passed."""
        ...


def system_clock() -> Clock:
    """A clock that shows the time of day as it was when made, and from there on only runs forward.

    So a machine whose wall clock is set back an hour neither keeps keys an hour longer nor loses
    them.
    """
    offset: Final = time.time() - time.monotonic()
    monotonic = time.monotonic
    return lambda: offset + monotonic()


class ManualClock:
    """A clock that stands still until it is moved; TTLs, idle times and blocked reads follow it.

    Attributes:
        now: the time it shows, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        """The time it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move forward, and make the calls that fall due on the way, in their order, each at its
        own time.

        Raises:
            ValueError: for a negative number; give a backend a function of your own to see a clock
                that runs backwards.
        """
        if not seconds >= 0:
            message = f"a ManualClock only moves forward, not by {seconds!r} seconds"
            raise ValueError(message)
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            timer.fire()
        self.now = max(self.now, end)  # a timer may have moved it further

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` from within the `advance` that moves the clock `delay` seconds from here."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self.now + delay, next(self._order), timer))
        return timer


class _ManualTimer:
    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
