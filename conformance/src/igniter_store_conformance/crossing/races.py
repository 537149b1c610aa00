"""Concurrent calls of an operation: their results are those of calls one after the other."""

from __future__ import annotations

import copy
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from igniter_store.contract import KeyValue, Streams

from igniter_store_conformance.crossing.dimension import main_name, sample
from igniter_store_conformance.crossing.program import Call, Run, bound
from igniter_store_conformance.crossing.states import clause_of
from igniter_store_conformance.model.reference import Reference, answer_of
from igniter_store_conformance.spec.operations import OPERATIONS, Kind, Operation, Trait
from igniter_store_conformance.tools.remote_adapter import answer_or_error, remote_adapters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from igniter_store_conformance.engine.suite import Suite
    from igniter_store_conformance.engine.trial import Trial
    from igniter_store_conformance.model.reference import Id

_TASKS: Final = 8
_CLIENTS: Final = 3
_PROCESSES: Final = 3
_KEYS: Final = 40
# Clauses that promise atomicity for an operation, if not the one that says what it does
_CLAUSES: Final = {
    "set": "KV-5",
    "increment": "CTR-2",
    "set_nx": "CLM-1",
    "acquire": "CLM-6",
}
# What differs between callers; the results don't depend on it
_VARYING: Final = (Kind.VALUE, Kind.CONSUMER)

RACED: Final = [operation for operation in OPERATIONS if Trait.EXCLUSIVE in operation.traits]
"""The operations that are atomic among concurrent callers."""


def race_clause(operation: Operation) -> str:
    """Return the clause that promises atomicity."""
    return _CLAUSES.get(operation.method) or clause_of(operation)


async def race_tasks(suite: type[Suite], trial: Trial, operation: Operation) -> None:
    """Race tasks of one client."""
    for number in range(_KEYS):
        raced = _Race(suite, trial, operation, number)
        await raced.prepare()
        calls = [partial(answer_or_error, trial.adapter, call) for call in raced.calls(_TASKS)]
        await raced.check(await trial.race(calls))


async def race_clients(suite: type[Suite], trial: Trial, operation: Operation) -> None:
    """Race several clients."""
    clients = await trial.clients(_CLIENTS)
    for number in range(_KEYS):
        raced = _Race(suite, trial, operation, number)
        await raced.prepare()
        calls: list[Callable[[], Awaitable[Any]]] = [
            partial(answer_or_error, client, call)
            for client, call in zip(clients, raced.calls(_CLIENTS), strict=True)
        ]
        await raced.check(await trial.race(calls))


async def race_processes(suite: type[Suite], trial: Trial, operation: Operation) -> None:
    """Race processes, each of which makes the same calls in the same order."""
    races = [_Race(suite, trial, operation, number) for number in range(_KEYS)]
    for raced in races:
        await raced.prepare()
    made = [raced.calls(_PROCESSES) for raced in races]
    async with remote_adapters(trial, _PROCESSES) as remotes:
        answers: list[list[Any]] = await trial.race(
            [
                partial(remote.one_by_one, [calls[place] for calls in made])
                for place, remote in enumerate(remotes)
            ]
        )
    for raced, found in zip(races, zip(*answers, strict=True), strict=True):
        await raced.check(list(found))


class _Race:
    def __init__(self, suite: type[Suite], trial: Trial, operation: Operation, number: int) -> None:
        self._run = Run(suite, trial, [trial.adapter])
        self._trial = trial
        self._operation = operation
        self._number = number
        self._bindings = sample(f"race {number}")
        self._made: list[Call] = []

    async def prepare(self) -> None:
        for step in self._operation.before:
            difference = await self._run.make(bound(step, self._bindings))
            assert difference is None, f"{difference.call}: {difference.answer!r}"

    def calls(self, number: int) -> list[tuple[str, list[Any], dict[str, Any]]]:
        varying = {*_VARYING} if self._operation.method != "getdel" else set[Kind]()
        if self._operation.method in {"set_nx", "acquire"}:
            varying.add(Kind.OWNER)
        self._made = [
            bound(self._operation.call, self._bindings | _varied(self._bindings, varying, place))
            for place in range(number)
        ]
        subject = self._run.subject
        found: list[tuple[str, list[Any], dict[str, Any]]] = []
        for call in self._made:
            arguments = tuple(
                self._run.with_ids(call.arguments[0], each) for each in call.arguments
            )
            found.append(
                (
                    call.method,
                    subject.own_arguments(call.method, arguments),
                    subject.own_options(call.method, arguments, call.options),
                )
            )
        return found

    def _arguments(self, call: Call) -> tuple[Any, ...]:
        return tuple(self._run.with_ids(call.arguments[0], each) for each in call.arguments)

    async def check(self, answers: Sequence[Any]) -> None:
        expected = self._one_after_the_other()
        method = self._operation.method
        got = [_result(method, answer) for answer in answers]
        wanted = [_result(method, answer) for answer in expected]
        assert Counter(map(repr, got)) == Counter(map(repr, wanted)), (
            f"{len(got)} concurrent calls of {self._operation.title} returned {got!r}; one after "
            f"the other they return {wanted!r}"
        )
        distinct = [answer for answer in answers if method in {"xadd", "acquire"} and answer]
        assert len(set(distinct)) == len(distinct), f"not distinct: {sorted(distinct)!r}"
        await self._check_state()

    def _one_after_the_other(self) -> list[Any]:
        answers: list[Any] = []
        self._after: Reference = copy.deepcopy(self._run.reference)
        new_id: Id = (10_000, 0)
        for call in self._made:
            arguments = tuple(
                self._run.with_ids(call.arguments[0], each) for each in call.arguments
            )
            options = dict(call.options)
            if call.method == "xadd":
                new_id = (new_id[0] + 1, 0)
                options["new_id"] = new_id
            answers.append(answer_of(self._after, call.method, arguments, options))
        return answers

    async def _check_state(self) -> None:
        kind = main_name(self._operation)
        name = self._bindings[kind]
        adapter, key = self._trial.adapter, self._trial.key(name)
        if self._operation.capability is Streams:
            assert await adapter.xlen(key) == self._after.xlen(name)
            groups = [group.name for group in await adapter.xgroups(key)]
            assert groups == [group[0] for group in self._after.xgroups(name)]
            for group in groups:
                pending = await adapter.xpending(key, group)
                assert len(pending) == len(self._after.xpending(name, group))
        if KeyValue not in self._trial.capabilities:
            return
        assert await adapter.exists(key) is self._after.exists(name)
        left, wanted = await adapter.ttl(key), self._after.ttl(name)
        assert (left is None, left == float("inf")) == (wanted is None, wanted == float("inf"))
        if self._operation.method == "increment":
            assert await adapter.get(key) == self._after.get(name)


def _varied(bindings: dict[Kind, Any], varying: set[Kind], place: int) -> dict[Kind, Any]:
    return {
        kind: bindings[kind]
        + (b" %d" % place if isinstance(bindings[kind], bytes) else f" {place}")
        for kind in varying
    }


def _result(method: str, answer: Any) -> Any:
    """Return the part of a result that doesn't depend on which caller was first."""
    if method == "xadd":
        return type(answer).__name__ if not isinstance(answer, tuple) else "str"
    if method == "acquire":
        return None if answer is None else "token"
    if isinstance(answer, list):
        return sorted(map(_fields_of, cast("list[Any]", answer)))
    return answer


def _fields_of(entry: Any) -> str:
    fields: dict[str, bytes] = dict(getattr(entry, "fields", None) or entry[1])
    return repr(sorted(fields.items()))
