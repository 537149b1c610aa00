"""An event loop that other code blocks for longer than the timeout of a call: clause FLT-10.

Rule: the loop is blocked as user code does it, by a callback that computes or sleeps. A reply that
    arrives meanwhile has arrived in time.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import NotExercised
from igniter_store_conformance.tools.operations import answer_or_code, names_for, operations_of
from igniter_store_conformance.tools.recovery import LONG
from igniter_store_conformance.tools.worker_processes import Workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_BLOCKED: Final = 3.0  # seconds: the adapters of a harness have timeouts of one or two
_ATTEMPTS: Final = 3
_TURNS: Final = (
    5,
    2,
    1,
    0,
)  # iterations of the event loop that a call gets before the loop is blocked, longest first


class BlockedLoopClauses(Suite):
    """Calls in an event loop that was blocked."""

    @clause("FLT-10", limit=LONG)
    async def test_answer_that_arrived_is_no_timeout(self, trial: Trial) -> None:
        """A reply that arrived while the event loop was blocked isn't a timeout.

        Each operation is called, and the event loop is blocked for longer than the timeout, at
        several moments. Each call gets its reply.

        If this fails, look for a timer that only compares the clock. When the loop resumes, the
        timer is due at once, before the reply is read.
        """
        trial.require_shared("no answer arrives while the event loop is blocked")
        asked = [
            (turns, operation, names_for(trial, operation, f"blocked {turns}"))
            for turns in _TURNS
            for operation in operations_of(trial)
        ]
        for _, operation, names in asked:
            await operation.prepare(trial.adapter, names)
        calls: list[asyncio.Task[Any]] = []
        async for turns in _before_blocking():
            now = [(operation, names) for before, operation, names in asked if before == turns]
            calls += [
                asyncio.create_task(answer_or_code(operation.ask, trial.adapter, names))
                for operation, names in now
            ]
        time.sleep(_BLOCKED)  # noqa: ASYNC251 - blocking the loop is the purpose
        wrong: list[str] = []
        for (turns, operation, _), call in zip(asked, calls, strict=True):
            answer = await trial.done(call, operation.title)
            if not operation.is_right(answer):
                wrong.append(f"{operation.title}, blocked after {turns} turns: {answer!r}")
        assert wrong == []

    @clause("FLT-10", limit=LONG)
    async def test_opening_in_a_blocked_loop_is_no_timeout(self, trial: Trial) -> None:
        """Opening an adapter in a blocked event loop doesn't time out.

        The event loop is blocked for longer than the connect timeout, at several moments. The
        adapter opens.

        If this fails, look for a timeout around the whole of connecting: its steps continue only
        when the loop does.
        """
        trial.require_shared("there is nothing to connect to")
        opened: list[tuple[int, FullAdapter, asyncio.Task[None]]] = []
        async for turns in _before_blocking():
            adapter = trial.connect()
            opened.append((turns, adapter, asyncio.create_task(adapter.open())))
        time.sleep(_BLOCKED)  # noqa: ASYNC251 - see above
        for turns, adapter, opening in opened:
            await trial.done(opening, f"opening, blocked after {turns} turns")
            assert await adapter.ping() >= 0

    @clause("FLT-10", Streams, limit=LONG)
    async def test_read_returns_entry_when_event_loop_was_blocked(self, trial: Trial) -> None:
        """A blocked read returns an entry that arrived while the event loop was blocked.

        The event loop is blocked beyond the end of the read. Meanwhile another process appends an
        entry, and the reader gets it.

        If this fails, make a blocked read check once more for entries when its time is over.
        """
        for attempt in range(_ATTEMPTS):
            key = trial.key(f"{attempt}")
            await trial.adapter.xgroup_create(key, "group")
            async with Workers(trial, [(append, (key,))]) as workers:
                end = time.monotonic() + _BLOCKED / 2  # the read waits at least until then
                reading = asyncio.create_task(
                    trial.adapter.xreadgroup(key, "group", "consumer", block=_BLOCKED / 2)
                )
                await trial.settle()
                workers.begin()
                time.sleep(_BLOCKED)  # noqa: ASYNC251 - see above
                [(added, when)] = await workers.results()
            entries = await trial.done(reading, "a blocked read")
            if when < end:
                assert [entry.id for entry in entries] == [added]
                return
        raise NotExercised("a machine that isn't too busy to append within a second")


async def append(adapter: FullAdapter, key: str) -> tuple[str, float]:
    """Append an entry, in another process.

    Returns its id, and the time of `time.monotonic` after the append.
    """
    added = await adapter.xadd(key, {"n": b"1"})
    return added, time.monotonic()


async def _before_blocking() -> AsyncGenerator[int]:
    """Yield each number of `_TURNS`, so many event-loop iterations before the loop is blocked."""
    for turns, next_turns in pairwise((*_TURNS, 0)):
        yield turns
        for _ in range(turns - next_turns):
            await asyncio.sleep(0)
