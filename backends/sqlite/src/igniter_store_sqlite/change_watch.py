"""Who waits for something to be written is woken: at once by what this adapter wrote, soon by what
another process did.

Rule: nobody asks the database while nobody waits. While somebody does, one question serves all:
    whether another connection has written
(`PRAGMA data_version`), asked often while that is so, and less and less often while it isn't.
Rule: to be woken says that something changed, never what: who waits looks, and waits again.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StoreError
from igniter_store.contract.affinity import forget_task

if TYPE_CHECKING:
    from collections.abc import Generator

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_OFTEN: Final = 0.002  # seconds between two questions, just after a change
# And after some time without any: so a quiet listener costs a few questions a second more than
# twenty
_SELDOM: Final = 0.05
_NEVER: Final = (-1, -1)  # what `_version` never returns
_SLOWER: Final = 1.5  # how much longer each pause is than the one before


class Waiting:
    """Somebody who waits."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let `until` return."""
        self._woken.set()

    async def until(self, moment: float | None) -> None:
        """Return after the next change, at once if one came since the last time, or at this moment
        on the loop's clock.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self._woken.wait()
        self._woken.clear()


class Changes:
    """Watches for changes while somebody waits for them."""

    def __init__(self) -> None:
        self._waiting: set[Waiting] = set()
        self._is_wanted = asyncio.Event()
        self._alarm = asyncio.Event()  # it is time to ask
        self._was_told = False
        self._watching: asyncio.Task[None] | None = None

    def start(self, reads: Worker | None) -> None:
        """Be ready to watch, with a connection that sees what others write; `None` where nobody
        else can write.
        """
        if reads is not None:
            self._watching = asyncio.create_task(self._watch(reads))

    async def close(self) -> None:
        """Wake all who wait, and end."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        self._wake_all()

    def abandon(self) -> None:
        """As `close`, when the event loop is closed: nobody waits any more."""
        forget_task(self._watching)

    def tell(self) -> None:
        """Something was written here."""
        if self._waiting:
            self._was_told = True
            self._alarm.set()
            self._wake_all()

    @contextlib.contextmanager
    def waiting(self) -> Generator[Waiting]:
        """Be woken by changes, within the block."""
        one = Waiting()
        self._waiting.add(one)
        self._is_wanted.set()
        try:
            yield one
        finally:
            self._waiting.discard(one)
            if not self._waiting:
                self._is_wanted.clear()

    def _wake_all(self) -> None:
        for one in self._waiting:
            one.wake()

    async def _watch(self, reads: Worker) -> None:
        loop = asyncio.get_running_loop()
        seen: tuple[int, int] | None = None
        pause = _OFTEN
        while True:
            await self._is_wanted.wait()
            alarm = loop.call_later(pause, self._alarm.set)
            await self._alarm.wait()
            alarm.cancel()
            self._alarm.clear()
            was_told, self._was_told = self._was_told, False
            try:
                await reads.call(_nothing)
            except StoreError:
                seen, pause = None, _SELDOM
                # They will find out themselves what is wrong, and are woken again when it isn't any
                # more
                self._wake_all()
                continue
            commits = None if reads.version is None else reads.version.commits
            if commits == seen and not was_told:
                pause = min(_SELDOM, pause * _SLOWER)
                continue
            seen, pause = commits, _OFTEN
            self._wake_all()


def _nothing(_: Session) -> None:
    """Each transaction looks what others have committed, and that is all that is wanted here."""
