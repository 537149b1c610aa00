"""The clock of backends that keep time themselves, which a test can replace.

Rule: a clock is any function that returns seconds since the epoch. If the clock also has
    `call_later`, it decides when waiting ends; with any other clock, waits last in real time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

Clock: TypeAlias = Callable[[], float]


class Timer(Protocol):
    """A delayed call, for example asyncio's `TimerHandle`."""

    def cancel(self) -> None:
        """Cancel the call; does nothing if it has run or was already cancelled."""
        ...


@runtime_checkable
class TimerClock(Protocol):
    """A clock that also decides when waiting calls wake up."""

    def __call__(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `delay` seconds of this clock."""
        ...


class ManualClock:
    """A clock that stands still until a test moves it.

    TTLs, idle times and blocked reads follow it.

    Attributes:
        now: the current time of this clock, in seconds since the epoch.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now: float = now
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        """Return the current time of this clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and run the calls that become due.

        The calls run in order, each at its own time.

        Raises:
            ValueError: if `seconds` is negative. To test a clock that runs backwards, give the
                backend a function of your own.
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
        """Call `callback` during the `advance` that moves the clock `delay` seconds from now."""
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
