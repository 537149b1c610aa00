"""Cancel a call at a chosen step.

A coroutine stops whenever it awaits something. `cancelled_at` cancels it at its k-th stop, either
while it waits, or after the awaited result has arrived and before the coroutine has resumed. In the
second case clients confuse their replies most easily.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from igniter_store_conformance.tools.operations import names_for, operations_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

    from igniter_store_conformance.engine.trial import Trial
    from igniter_store_conformance.tools.operations import Operation


Moment: TypeAlias = Literal["waiting", "answered"]


MOMENTS: Final[tuple[Moment, ...]] = ("waiting", "answered")
MOST_STEPS: Final = 200
CLOSING_TURNS: Final = 40
"""Turns of the event loop in which a closing adapter may be busy with those who still wait for it.
"""


class Cancelled(Exception):  # noqa: N818 - what became of a call
    """Raised by `cancelled_at` when the call was cut short."""


class _Stepped:
    """Awaits a call, and cancels the task that does so at the call's k-th stop."""

    def __init__(self, call: Awaitable[Any], step: int, moment: Moment) -> None:
        self._call = call
        self._step = step
        self._moment = moment

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._call.__await__()
        task = asyncio.current_task()
        assert task is not None
        error: BaseException | None = None
        value: Any = None
        step = 0
        while True:
            try:
                waited_for = inner.send(value) if error is None else inner.throw(error)
            except StopIteration as stop:
                return stop.value
            step += 1
            if step == self._step:
                if self._moment == "answered" and asyncio.isfuture(waited_for):
                    # Registered before the task's own callback: the answer is there, and the task
                    # is cancelled before it goes on.
                    waited_for.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            error = None
            try:
                value = yield waited_for
            # passed on to the call, CancelledError above all
            except BaseException as thrown:  # noqa: BLE001
                error = thrown


async def cancelled_at(step: int, call: Awaitable[Any], *, moment: Moment = "waiting") -> Any:
    """The answer of `call`, which is cancelled at its `step`-th stop.

    Raises:
        Cancelled: when it was cut short.
    """

    async def whole() -> Any:
        return await _Stepped(call, step, moment)

    task = asyncio.create_task(whole())
    await asyncio.wait({task})
    if task.cancelled():
        raise Cancelled
    return task.result()


async def prepared(trial: Trial, turn: int) -> list[Operation]:
    """All operations, with what they ask for in this turn."""
    operations = operations_of(trial)
    for operation in operations:
        await operation.prepare(trial.adapter, names_for(trial, operation, turn))
    return operations


async def ended_otherwise(
    trial: Trial, operations: list[Operation], turn: int, getting_under_way: Awaitable[None]
) -> dict[str, Any]:
    """Which operations have ended otherwise than as cancelled, and how, though they were cancelled
    while the adapter closed.

    Args:
        trial: its adapter is closed afterwards.
        operations: as `prepared` for this turn.
        turn: how many turns of the loop `close` has before they are cancelled.
        getting_under_way: what to wait for between calling them and `close`.
    """
    calls = [
        asyncio.ensure_future(operation.ask(trial.adapter, names_for(trial, operation, turn)))
        for operation in operations
    ]
    await getting_under_way
    closing = asyncio.create_task(trial.adapter.close())
    for _ in range(turn):
        await asyncio.sleep(0)
    cut = [
        (operation.title, call)
        for operation, call in zip(operations, calls, strict=True)
        if call.cancel()
    ]
    await asyncio.gather(*calls, return_exceptions=True)
    await closing
    return {title: call.exception() or call.result() for title, call in cut if not call.cancelled()}
