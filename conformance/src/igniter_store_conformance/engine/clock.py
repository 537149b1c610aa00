"""How time passes in a test: the harness moves it if it can, otherwise the kit waits.

Rule: no verdict depends on the speed of the machine. The times that the kit measures around a call
    bound the moment at which the backend acted on it. If the bounds don't settle the question, the
    kit repeats the check with a wider margin.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, Final

from igniter_store_conformance.spec.states import NotExercised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.harness import Harness

LATE: Final = 0.05  # how long KV-7 allows a key to outlive its TTL
_MOVED_TTL: Final = 100.0
_WAITED_TTL: Final = 0.4
_ATTEMPTS: Final = 8


class PassingTime:
    """The time of one test.

    Attributes:
        is_moved: True when the harness moves time; False when the kit has to wait.
        granularity: the resolution of the backend's TTLs in seconds.
    """

    def __init__(self, harness: Harness) -> None:
        self.granularity: Final = harness.granularity
        self.is_moved: Final = harness.advance is not None
        self._advance: Final = harness.advance
        self._rewind: Final = harness.rewind
        self._moved = 0.0

    @property
    def ttl(self) -> float:
        """A TTL in seconds that is short enough for a test to wait until it ends."""
        return _MOVED_TTL if self.is_moved else max(_WAITED_TTL, 10 * self.granularity)

    def now(self) -> float:
        """Return the kit's own time in seconds: real time plus the time that was moved."""
        return time.monotonic() + self._moved

    async def passes(self, seconds: float) -> None:
        """Let this many seconds pass."""
        if self._advance is None:
            await asyncio.sleep(seconds)
            return
        answer = self._advance(seconds)
        if inspect.isawaitable(answer):
            await answer
        self._moved += seconds

    async def goes_back(self, seconds: float) -> None:
        """Set the backend's clock back.

        Times that the test measures with `now` are meaningless afterwards.
        """
        if self._rewind is None:
            raise NotExercised("Harness(rewind=...): a way to set the backend's clock back")
        answer = self._rewind(seconds)
        if inspect.isawaitable(answer):
            await answer

    async def expires(self, ttl: float) -> None:
        """Let `ttl` seconds pass from now on, plus the time that a key may outlive its TTL."""
        await self.passes(ttl + LATE + self.granularity)

    async def until_done(self, waiting: asyncio.Future[Any], seconds: float) -> float:
        """Let time pass in small steps until `waiting` is done, and return how long that took.

        It should be done after `seconds`.
        """
        began = self.now()
        while not waiting.done():
            if self.is_moved:
                await self.passes(seconds / 50)
            await asyncio.wait({waiting}, timeout=0.002 if self.is_moved else seconds / 50)
        return self.now() - began

    async def bracket(
        self,
        ttl: float,
        write: Callable[[float], Awaitable[object]],
        is_there: Callable[[], Awaitable[bool]],
    ) -> None:
        """Check that the value of `write(ttl)` exists until its TTL ends, and no longer.

        The value must be gone `LATE` seconds after the end of the TTL. A request shortly before the
        end must find the value if the reply arrived in time. A late negative reply proves nothing,
        so the margin grows and the whole check is repeated.
        """
        margin = 2 * self.granularity if self.is_moved else max(0.02, 2 * self.granularity)
        for _ in range(_ATTEMPTS):
            began = self.now()
            await write(ttl)
            written = self.now()
            await self.passes(max(0.0, began + ttl - margin - self.now()))
            lives = await is_there()
            asked = self.now() - began
            assert lives or asked >= ttl, (
                f"gone after less than {asked:.3f} seconds, with a TTL of {ttl} seconds"
            )
            if lives:
                await self.passes(max(0.0, written + ttl + LATE + self.granularity - self.now()))
                assert not await is_there(), (
                    f"still there {LATE} seconds after its TTL of {ttl} seconds"
                )
                return
            margin = min(4 * margin, 0.75 * ttl)
