"""Cancel a call at a chosen step.

A coroutine is suspended whenever it awaits something. `cancelled_at` cancels it at its k-th
suspension, either while it waits, or after the awaited result has arrived and before the coroutine
resumes. In the second case, clients are most likely to mix up their replies.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from igniter_store_conformance.tools.operations import names_for, operations_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

    from igniter_store_conformance.engine.trial import Trial
    from igniter_store_conformance.tools.operations import AdapterOperation


CancelMoment: TypeAlias = Literal["waiting", "answered"]


MOMENTS: Final[tuple[CancelMoment, ...]] = ("waiting", "answered")
MOST_STEPS: Final = 200
CLOSING_TURNS: Final = 40
"""Event-loop iterations in which a closing adapter may still be handling pending calls."""


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """Raised by `cancelled_at` if the call was cancelled."""


class _Stepped:
    """Awaits a call, and cancels the awaiting task at the call's k-th suspension.

    If `twice`, it is cancelled again at the next suspension, while it cleans up.
    """

    def __init__(
        self, call: Awaitable[Any], step: int, moment: CancelMoment, *, twice: bool
    ) -> None:
        self._call = call
        self._steps = {step, step + 1} if twice else {step}
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
            if step in self._steps:
                if self._moment == "answered" and asyncio.isfuture(waited_for):
                    # Registered before the task's own callback: the result has arrived, and the
                    # task is cancelled before it resumes.
                    waited_for.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            error = None
            try:
                value = yield waited_for
            # passed on to the call, in particular CancelledError
            except BaseException as thrown:  # noqa: BLE001
                error = thrown


async def cancelled_at(
    step: int, call: Awaitable[Any], *, moment: CancelMoment = "waiting", twice: bool = False
) -> Any:
    """Await `call`, cancel it at its `step`-th suspension, and return its result if it has one.

    If `twice`, it is cancelled again at the next suspension, while it cleans up.

    Raises:
        Cancelled: if the call was cancelled.
    """

    async def whole() -> Any:
        return await _Stepped(call, step, moment, twice=twice)

    task = asyncio.create_task(whole())
    await asyncio.wait({task})
    if task.cancelled():
        raise Cancelled
    return task.result()


async def prepared(trial: Trial, turn: int) -> list[AdapterOperation]:
    """Return all operations, after preparing their keys for this turn."""
    operations = operations_of(trial)
    for operation in operations:
        await operation.prepare(trial.adapter, names_for(trial, operation, turn))
    return operations


async def ended_otherwise(
    trial: Trial, operations: list[AdapterOperation], turn: int, getting_under_way: Awaitable[None]
) -> dict[str, Any]:
    """Cancel all operations while the adapter closes, and return those that ended differently.

    The result maps the title of each operation that didn't end as cancelled to its exception or its
    result.

    Args:
        trial: its adapter is closed afterwards.
        operations: the operations, `prepared` for this turn.
        turn: the number of event-loop iterations between the call of `close` and the cancellations.
        getting_under_way: awaited between calling the operations and calling `close`.
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
