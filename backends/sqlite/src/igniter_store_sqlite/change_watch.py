"""Wakes waiting callers after a write: at once for this adapter, soon for another process.

Rule: the database is polled only while a caller waits. One query serves all of them: it checks
    whether another connection has written (`PRAGMA data_version`). Polling is frequent after a
    change, and slows down while there is none.
Rule: a wake-up means that something has changed, but not what: the caller reads again, and waits
    again.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StoreError
from igniter_store.contract.affinity import background, forget_task

if TYPE_CHECKING:
    from collections.abc import Generator

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

_OFTEN: Final = 0.002  # seconds between two polls, just after a change
# Seconds between two polls after some time without a change. A quiet listener costs a few polls a
# second more than twenty.
_SELDOM: Final = 0.05
_NEVER: Final = (-1, -1)  # a value that `_version` never returns
_SLOWER: Final = 1.5  # factor by which each pause is longer than the previous one


class ChangeWaiter:
    """One waiting caller."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Make `until` return."""
        self._woken.set()

    async def until(self, moment: float | None) -> None:
        """Wait for the next change, or until `moment` on the loop's clock.

        It returns at once if a change came since the last call.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self._woken.wait()
        self._woken.clear()


class Changes:
    """Watches for changes while a caller waits for one."""

    def __init__(self) -> None:
        self._waiting: set[ChangeWaiter] = set()
        self._is_wanted = asyncio.Event()
        self._alarm = asyncio.Event()  # set when it is time to poll
        self._was_told = False
        self._watching: asyncio.Task[None] | None = None

    def start(self, reads: Worker | None) -> None:
        """Get ready to watch.

        Args:
            reads: a connection that sees the commits of others; `None` if there are no other
                writers.
        """
        if reads is not None:
            self._watching = asyncio.create_task(background(partial(self._watch, reads)))

    async def close(self) -> None:
        """Wake all waiting callers, and stop."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self._watching = None
        self._wake_all()

    def abandon(self) -> None:
        """Do as `close`, for a closed event loop: there are no callers left to wake."""
        forget_task(self._watching)

    def tell(self) -> None:
        """Report a write by this adapter."""
        if self._waiting:
            self._was_told = True
            self._alarm.set()
            self._wake_all()

    @contextlib.contextmanager
    def waiting(self) -> Generator[ChangeWaiter]:
        """Register a waiting caller within the block."""
        one = ChangeWaiter()
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
                # The callers will see the error themselves. They are woken again once it is gone.
                self._wake_all()
                continue
            commits = None if reads.version is None else reads.version.commits
            if commits == seen and not was_told:
                pause = min(_SELDOM, pause * _SLOWER)
                continue
            seen, pause = commits, _OFTEN
            self._wake_all()


def _nothing(_: Session) -> None:
    """Do nothing: each transaction checks for commits of others, and only that is needed here."""
