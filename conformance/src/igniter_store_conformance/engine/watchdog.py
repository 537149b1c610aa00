"""Ends tests that never return: a blocked event loop, or a test that can't be cancelled.

Rule: a hang is a failure of its test, and the run continues. An asyncio timeout ends calls that
    wait. This module ends everything else with the operating system's alarm signal, where there is
    one (not on Windows) and where no other code uses it.
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

_HELD_UP: Final = 30.0  # seconds; the test's limit if that is shorter, but at least five
_LEAST: Final = 5.0
_AGAIN: Final = 5.0  # seconds until the next alarm: the cleanup may hang as well
_GRACE: Final = 25.0  # seconds that closing may take after a test's own limit


class Hangs(BaseException):
    """Raised in code that never returns.

    It isn't an `Exception`: neither hypothesis nor the adapter may handle it as one of its own.
    """


class Watch:
    """Within the block, raises `Hangs` in the main thread if `beat` isn't called for a while.

    Args:
        limit: seconds that the block may take. After that and a grace period, beats are ignored.
    """

    def __init__(self, limit: float) -> None:
        self._patience: Final = max(_LEAST, min(_HELD_UP, limit))
        self._end: Final = time.monotonic() + 1.5 * limit + _GRACE
        self._is_armed = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if (
            is_main
            and hasattr(signal, "SIGALRM")
            and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
        ):
            self._before = signal.signal(signal.SIGALRM, self._ring)
            # Python ignores an exception that is raised in a finalizer. The alarm rings again.
            self._report, sys.unraisablehook = sys.unraisablehook, self._report_others
            self._is_armed = True
            self.beat()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        """A sufficient interval between beats, in seconds."""
        return self._patience / 4

    @property
    def for_one_call(self) -> float:
        """The time limit of one call in seconds, in a test that makes thousands of them.

        It is shorter than the time until the alarm, because the alarm reports less.
        """
        return 0.8 * self._patience

    def beat(self) -> None:
        """Report progress."""
        if self._is_armed and time.monotonic() < self._end:
            signal.setitimer(signal.ITIMER_REAL, self._patience, _AGAIN)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if time.monotonic() < self._end:
            raise Hangs(
                f"the event loop was held up for {self._patience:g} seconds: something blocks it "
                "instead of awaiting"
            )
        raise Hangs("it could not be ended: something waits and takes no cancellation")
