"""An adapter that never gives back: an event loop that is held up, or a test that nothing can end.

Rule: what hangs is a failure of its test, and the run goes on. A timeout of asyncio ends what waits; here is what ends the rest, by the
alarm of the operating system, where there is one (not on Windows), and where nobody else uses it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

_HELD_UP: Final = 30.0  # seconds; with a shorter limit for tests so many, but not fewer than five
_LEAST: Final = 5.0
_AGAIN: Final = 5.0  # seconds until the next alarm: what cleans up may hang as well
_GRACE: Final = 25.0  # seconds that closing may take once a test's own limit is over


class Hangs(BaseException):
    """Raised where something never comes back. No `Exception`: neither hypothesis nor the adapter may take it for one of theirs."""


class Watch:
    """Within the block, raises `Hangs` in the main thread when `beat` was not called for a while.

    Args:
        limit: seconds that the block may take; after that, and some grace, beats don't count any more.
    """

    def __init__(self, limit: float) -> None:
        self._patience: Final = max(_LEAST, min(_HELD_UP, limit))
        self._end: Final = time.monotonic() + 1.5 * limit + _GRACE
        self._is_armed = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and hasattr(signal, "SIGALRM") and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN):
            self._before = signal.signal(signal.SIGALRM, self._ring)
            # Python swallows what is raised in a finalizer or a callback of the garbage collector. The alarm rings again.
            self._report, sys.unraisablehook = sys.unraisablehook, self._report_others
            self._is_armed = True
            self.beat()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._is_armed:
            self._is_armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
            sys.unraisablehook = self._report

    def _report_others(self, unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, Hangs):
            self._report(unraisable)

    @property
    def every(self) -> float:
        """Seconds between beats that are enough."""
        return self._patience / 4

    @property
    def for_one_call(self) -> float:
        """Seconds that one call may take, where a test makes thousands: fewer than until the alarm, which says less."""
        return 0.8 * self._patience

    def beat(self) -> None:
        """Something got on."""
        if self._is_armed and time.monotonic() < self._end:
            signal.setitimer(signal.ITIMER_REAL, self._patience, _AGAIN)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if time.monotonic() < self._end:
            raise Hangs(f"the event loop was held up for {self._patience:g} seconds: something blocks it instead of awaiting")
        raise Hangs("it could not be ended: something waits and takes no cancellation")
