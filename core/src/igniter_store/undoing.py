"""Undoes calls whose effect must not outlive a cancelled caller.

Rule: such a call runs in a task of its own, so that its result is known even if the caller is gone.
    Only the result shows whether there is something to undo. An effect that existed before the call
    is never undone.
Rule: a call that outlives its caller belongs to the connection, whose `close` waits until the call
    is undone.
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

    from igniter_store.connection import StoreConnection

_ATTEMPTS: Final = 3
_PAUSE: Final = 0.2  # seconds between two attempts to undo
_LEFT: Final = (
    "A call for a claim without TTL was cancelled, and the claim may still be held. Release it by "
    "its owner, and pass a TTL for claims."
)
_IS_EAGER: Final = sys.version_info >= (3, 12)


class Undoing:
    """The calls of one namespace whose callers were cancelled.

    Args:
        connection: the connection that the calls belong to.
        logger: gets a warning when a call can't be undone.
    """

    def __init__(self, connection: StoreConnection, logger: logging.Logger) -> None:
        self._connection: Final = connection
        self._logger: Final = logger
        self._left: Final[set[asyncio.Task[None]]] = set()

    async def whole(
        self, call: Callable[[], Awaitable[bool]], undo: Callable[[], Awaitable[object]]
    ) -> bool:
        """Run `call` and return its result; undo it if the caller is cancelled.

        `undo` is called if the caller is cancelled and the result is True. It runs in the
        background, so it doesn't delay the caller's cancellation.
        """
        calling = _begun(call)
        try:
            if not calling.done():
                await self._answered(calling, undo)
            return calling.result()
        finally:
            del calling  # otherwise its error and this frame would be a reference cycle

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
        """Wait until all calls are undone. Closing the store calls this."""
        loop = asyncio.get_running_loop()
        if left := [task for task in self._left if task.get_loop() is loop]:
            await asyncio.wait(left)

    def abandon(self) -> None:
        """Forget all calls: their event loop is closed, or the parent process undoes them."""
        for task in self._left:
            forget_task(task)
        self._left.clear()

    def _leave(self, calling: asyncio.Task[bool], undo: Callable[[], Awaitable[object]]) -> None:
        undoing = asyncio.get_running_loop().create_task(self._undone(calling, undo))
        self._left.add(undoing)
        with suppress(StoreClosed):  # the connection is closing, and accepts nothing new
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
        # the caller is gone, so nothing can be raised to it; the warning reports the claim
        except Exception:  # noqa: BLE001, S110
            pass
        finally:  # also if the event loop ends and cancels this task
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
        # With a backend that replies immediately, the task is done when this returns.
        # since Python 3.12
        return asyncio.Task(_answer(call), loop=loop, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    return loop.create_task(_answer(call))
