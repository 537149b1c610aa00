"""The tests of the crossing: one for each operation in each dimension."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import KeyValue, PubSub

from igniter_store_conformance.crossing.dimensions import DIMENSIONS
from igniter_store_conformance.crossing.edges import token_edges
from igniter_store_conformance.crossing.messages import MESSAGES, WAYS
from igniter_store_conformance.crossing.program import follow
from igniter_store_conformance.crossing.races import (
    RACED,
    race_clause,
    race_clients,
    race_processes,
    race_tasks,
)
from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_conformance.crossing.dimension import Cell, Dimension
    from igniter_store_conformance.crossing.messages import MessageQuestion
    from igniter_store_conformance.engine.trial import Trial
    from igniter_store_conformance.spec.operations import Operation

_NO_WORD: Final = re.compile("[^a-z0-9]+")


class CrossedClauses(Suite):
    """Every operation in every dimension."""

    @clause("CLM-5", KeyValue, limit=60.0)
    async def test_edges_of_tokens(self, trial: Trial) -> None:
        """`acquire` counts tokens exactly from any number, and refuses to leave 64 bits.

        If this fails, look for a number that is kept in 32 bits or as a float, which has 53 bits:
        in a script, a column or a conversion.
        """
        await token_edges(trial)


def _test_of(dimension: Dimension, cell: Cell) -> Callable[..., None]:
    async def body(self: Suite, trial: Trial) -> None:
        __tracebackhide__ = True
        async with dimension.clients(trial) as clients:
            await follow(type(self), trial, dimension.program(cell, trial), clients, about)

    about = f"{dimension.clause(cell)} · {cell.operation.title} · {dimension.title}"
    words: dict[str, Any] = {"operation": f"`{cell.operation.title}`", "kind": cell.kind or ""}
    name = f"test_{dimension.word}_{cell.operation.title}_{cell.kind or ''}"
    body.__name__ = _NO_WORD.sub("_", name.lower()).strip("_")
    body.__qualname__ = f"CrossedClauses.{body.__name__}"
    body.__doc__ = f"{dimension.promise.format(**words)}\n\nIf this fails, {dimension.hint}"
    capability = cell.operation.capability
    return clause(dimension.clause(cell), capability, limit=dimension.limit)(body)


_RACERS: Final = {
    "tasks": ("of tasks", race_tasks),
    "clients": ("of clients", race_clients),
    "processes": ("of processes", race_processes),
}


def _race_of(racers: str, operation: Operation) -> Callable[..., None]:
    whose, race = _RACERS[racers]

    async def body(self: Suite, trial: Trial) -> None:
        __tracebackhide__ = True
        await race(type(self), trial, operation)

    body.__name__ = _NO_WORD.sub("_", f"test_race_{whose}_{operation.title}".lower())
    body.__qualname__ = f"CrossedClauses.{body.__name__}"
    body.__doc__ = (
        f"Concurrent calls {whose} of `{operation.title}` give the results of calls one after the "
        "other.\n\nIf this fails, look for an operation in two steps, for a lock that only this "
        "client or this process knows, and for a check outside of the transaction."
    )
    return clause(race_clause(operation), operation.capability, limit=120.0)(body)


def _message_test_of(question: MessageQuestion, way: str) -> Callable[..., None]:
    async def body(self: Suite, trial: Trial) -> None:
        __tracebackhide__ = True
        del self
        await question.ask(trial, way)

    body.__name__ = f"test_{question.word}_messages_of_{way}"
    body.__qualname__ = f"CrossedClauses.{body.__name__}"
    promise = question.promise.format(operation=f"`{way}`")
    body.__doc__ = f"{promise}\n\nIf this fails, {question.hint}"
    return clause(question.clause, PubSub, limit=120.0)(body)


for _question in MESSAGES:
    for _way in WAYS:
        _test = _message_test_of(_question, _way)
        setattr(CrossedClauses, _test.__name__, _test)

for _racers in _RACERS:
    for _operation in RACED:
        _test = _race_of(_racers, _operation)
        assert not hasattr(CrossedClauses, _test.__name__), _test.__name__
        setattr(CrossedClauses, _test.__name__, _test)

for _dimension in DIMENSIONS:
    for _cell in _dimension.cells():
        _test = _test_of(_dimension, _cell)
        assert not hasattr(CrossedClauses, _test.__name__), _test.__name__
        setattr(CrossedClauses, _test.__name__, _test)
