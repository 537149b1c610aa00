"""Calls whose effect must not outlive a caller that was cancelled.

Rule: such a call runs in a task of its own, so that its answer is known although its caller is
    gone; only then is it known whether there is
something to undo. An effect that was there before the call is never undone.
Rule: a call that outlives its caller belongs to the connection, whose `close` waits until it is
    undone.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from igniter_store.contract import StoreClosed, StoreError
from igniter_store.contract.affinity import forget_task

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

    from igniter_store.connection import Connection

_ATTEMPTS: Final = 3
_PAUSE: Final = 0.2  # seconds between two attempts to undo
_LEFT: Final = "A call for a claim without TTL was cancelled, and the claim may still be held. Release it by its owner, and pass a TTL for claims."
_IS_EAGER: Final = sys.version_info >= (3, 12)


class Undoing:
    """The calls of one namespace that were left by their callers.

    Args:
        connection: what they live on.
        logger: gets a warning when one can't be undone.
    """

    def __init__(self, connection: Connection, logger: logging.Logger) -> None:
        self._connection: Final = connection
        self._logger: Final = logger
        self._left: Final[set[asyncio.Task[None]]] = set()

    async def whole(
        self, call: Callable[[], Awaitable[bool]], undo: Callable[[], Awaitable[object]]
    ) -> bool:
        """The answer of `call`. When its caller is cancelled and the answer is True, `undo` is
        called.

        The caller's cancellation isn't held up: the undoing goes on behind it.
        """
        calling = _begun(call)
        try:
            if not calling.done():
                await self._answered(calling, undo)
            return calling.result()
        finally:
            del calling  # or its error and this frame would keep each other

    async def _answered(
        self, calling: asyncio.Task[bool], undo: Callable[[], Awaitable[object]]
    ) -> None:
        answered = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            if not answered.done():
                answered.set_result(None)

        calling.add_done_callback(wake)
        try:
            await answered
        except asyncio.CancelledError:
            self._leave(calling, undo)
            raise

    async def end(self) -> None:
        """Wait until everything is undone, as the closing of the store does."""
        loop = asyncio.get_running_loop()
        if left := [task for task in self._left if task.get_loop() is loop]:
            await asyncio.wait(left)

    def abandon(self) -> None:
        """Let go of what the closed event loop has left, or what is the parent's to undo."""
        for task in self._left:
            forget_task(task)
        self._left.clear()

    def _leave(self, calling: asyncio.Task[bool], undo: Callable[[], Awaitable[object]]) -> None:
        undoing = asyncio.get_running_loop().create_task(self._undone(calling, undo))
        self._left.add(undoing)
        with suppress(StoreClosed):  # the connection is closing, and waits for nothing new
            self._connection.add(self)
        undoing.add_done_callback(self._forget)

    def _forget(self, undoing: asyncio.Task[None]) -> None:
        self._left.discard(undoing)
        if not self._left:
            self._connection.discard(self)

    async def _undone(
        self, calling: asyncio.Task[bool], undo: Callable[[], Awaitable[object]]
    ) -> None:
        is_left = True
        try:
            try:
                is_left = await calling
            except StoreError as error:
                is_left = error.maybe_applied
            else:
                if is_left:
                    await _persistently(undo)
                    is_left = False
        # the caller is gone, so it can't be raised; the warning says what is left
        except Exception:  # noqa: BLE001, S110
            pass
        finally:  # also when the event loop ends, and cancels this
            if is_left:
                self._logger.warning(_LEFT)


async def _persistently(undo: Callable[[], Awaitable[object]]) -> None:
    for _ in range(_ATTEMPTS - 1):
        try:
            await undo()
        except StoreError as error:
            if not error.retryable:
                raise
        else:
            return
        await asyncio.sleep(_PAUSE)
    await undo()


async def _answer(call: Callable[[], Awaitable[bool]]) -> bool:
    return await call()


def _begun(call: Callable[[], Awaitable[bool]]) -> asyncio.Task[bool]:
    loop = asyncio.get_running_loop()
    if _IS_EAGER:
        # A backend that answers at once is through when this returns.
        return asyncio.Task(_answer(call), loop=loop, eager_start=True)  # type: ignore[call-arg, unused-ignore]  # since Python 3.12
    return loop.create_task(_answer(call))
