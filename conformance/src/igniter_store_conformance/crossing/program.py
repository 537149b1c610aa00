"""Programs: lists of calls that an adapter and the reference answer alike."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract import Entry, ErrorCode, KeyValue, Streams
from igniter_store.contract.stream_ids import parse
from msgspec import Struct, structs

from igniter_store_conformance.engine.clock import LATE
from igniter_store_conformance.model.reference import Reference, Stream, answer_of
from igniter_store_conformance.model.script import Script
from igniter_store_conformance.model.subject import UNKNOWN, Subject, agree
from igniter_store_conformance.spec.operations import Kind, Newest, Pair, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from igniter_store_conformance.engine.suite import Suite
    from igniter_store_conformance.engine.trial import FullAdapter, Trial
    from igniter_store_conformance.model.reference import Id

_MILLISECOND: Final = 0.001
_SHRINKING: Final = 20.0  # seconds to look for a shorter program that fails
_FIRST_ID: Final = 1_000
_AT_ONCE: Final = 250  # entries that are appended concurrently
_MAY_LOSE_STREAMS: Final = {"set", "mset", "delete", "delete_prefix", "xadd", "xgroup_create"}

Bindings: TypeAlias = "Mapping[Kind, Any]"


class Call(Struct, frozen=True):
    """One call with its arguments; names are short, as in the model.

    Attributes:
        client: which client makes it, by its place in `Clients`.
    """

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    client: int = 0

    def __str__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self.options.items()]
        return f"{self.method}({', '.join([*map(_shown, self.arguments), *options])})"


class Wait(Struct, frozen=True):
    """A pause, which the harness skips if it moves time."""

    seconds: float


class Append(Struct, frozen=True):
    """Many entries in a stream, with the fields `{"field": b"0"}`, `{"field": b"1"}`, and so on."""

    stream: str
    number: int


Instruction: TypeAlias = Call | Wait | Append
Program: TypeAlias = list[Instruction]


class Difference(Struct, frozen=True):
    """The first reply that isn't the reference's."""

    call: Call
    expected: Any
    answer: Any
    script: str


def bound(step: Step, bindings: Bindings, *, client: int = 0) -> Call:
    """Return a call of the table, with its placeholders replaced."""
    return Call(
        step.method,
        tuple(_filled(part, bindings) for part in step.arguments),
        {name: _filled(part, bindings) for name, part in step.options.items()},
        client,
    )


def look(name: str, groups: Sequence[str] = (), *, client: int = 0) -> Program:
    """Return the calls that show everything that is stored under a name."""
    asked: list[tuple[str, tuple[Any, ...]]] = [
        ("exists", (name,)),
        ("ttl", (name,)),
        ("get", (name,)),
        ("xlen", (name,)),
        ("xrange", (name,)),
        ("xgroups", (name,)),
        *(("xpending", (name, group)) for group in groups),
    ]
    return [Call(method, arguments, {}, client) for method, arguments in asked]


async def follow(
    suite: type[Suite], trial: Trial, program: Program, clients: Sequence[FullAdapter], about: str
) -> None:
    """Make the calls, and fail at the first reply that isn't the reference's.

    Args:
        suite: the author's tests, which the printed script imports.
        trial: makes the clients.
        program: the calls.
        clients: the clients that calls name.
        about: begins the message of a failure.
    """
    __tracebackhide__ = True
    program = _supported(trial, program)
    difference = await _difference(suite, trial, program, clients)
    if difference is None:
        return
    if trial.explains and len(clients) == 1:
        difference = await _shortest(suite, trial, program, difference)
    raise AssertionError(
        f"{about}\n{difference.call}: the adapter answered {_short(difference.answer)}, the "
        f"contract says {_short(difference.expected)}.\n"
        f"This program shows it:\n\n{difference.script}"
    )


async def _difference(
    suite: type[Suite], trial: Trial, program: Program, clients: Sequence[FullAdapter]
) -> Difference | None:
    run = Run(suite, trial, clients)
    for instruction in program:
        if isinstance(instruction, Wait):
            await run.wait(instruction.seconds)
        elif isinstance(instruction, Append):
            await run.append(instruction)
        elif (found := await run.make(instruction)) is not None:
            return found
    return None


async def _shortest(
    suite: type[Suite], trial: Trial, program: Program, difference: Difference
) -> Difference:
    """Drop instructions as long as the program still fails."""
    end = time.monotonic() + _SHRINKING
    size = max(1, len(program) // 2)
    while True:
        place = 0
        while place < len(program):
            if time.monotonic() > end:
                return difference
            shorter = program[:place] + program[place + size :]
            found = await _on_fresh_names(suite, trial, shorter)
            if found is None:
                place += size
            else:
                program, difference = shorter, found
        if size == 1:
            return difference
        size = max(1, size // 2)


async def _on_fresh_names(suite: type[Suite], trial: Trial, program: Program) -> Difference | None:
    again = trial.again(trial.harness)
    await again.open()
    try:
        return await _difference(suite, again, program, [again.adapter])
    except AssertionError:
        return None  # the shorter program fails in another way
    finally:
        with contextlib.suppress(Exception):
            await again.close()


class Run:
    """Makes calls on an adapter and on the reference, side by side."""

    def __init__(self, suite: type[Suite], trial: Trial, clients: Sequence[FullAdapter]) -> None:
        self._trial = trial
        self.reference = Reference()
        self.subject = Subject(trial, clients[0])
        self._subjects = [self.subject, *(self.subject.through(each) for each in clients[1:])]
        self._suite = suite
        # Written out only if the program fails
        self._done: list[tuple[Instruction, Any, Any, Any]] = []
        self._streams: dict[str, Stream] = {}
        self._next = _FIRST_ID
        self._began = time.monotonic()

    async def wait(self, seconds: float) -> None:
        """Let time pass for both."""
        self._done.append((Wait(seconds), None, None, None))
        await self._trial.time.passes(seconds)
        self.reference.advance(seconds)
        self._forget_lost_streams()

    async def append(self, many: Append) -> None:
        """Append many entries to both."""
        self._done.append((many, None, None, None))
        adapter, key = self.subject.adapter, self._trial.key(many.stream)
        added: list[tuple[Id, str, bytes]] = []
        for begin in range(0, many.number, _AT_ONCE):
            values = [b"%d" % each for each in range(begin, min(begin + _AT_ONCE, many.number))]
            ids = await asyncio.gather(*(adapter.xadd(key, {"field": value}) for value in values))
            added += [
                (parse(real) or UNKNOWN, real, value)
                for real, value in zip(ids, values, strict=True)
            ]
            self._trial.watch.beat()
        for _, real, value in sorted(added):  # concurrent calls may get their ids in any order
            self._next += 1
            self.subject.learned(many.stream, real, (self._next, 0))
            self.reference.xadd(many.stream, {"field": value}, new_id=(self._next, 0))
        self._forget_lost_streams()

    def _forget_lost_streams(self) -> None:
        for name, stream in list(self._streams.items()):
            held = self.reference.live(name)
            if held is None or held.value is not stream:
                del self._streams[name]
                self.subject.forget(name)
        for name, held in self.reference.held.items():
            if isinstance(held.value, Stream) and self.reference.live(name) is held:
                self._streams[name] = held.value

    async def make(self, call: Call) -> Difference | None:
        """Make a call on both, and return the difference of the replies, if there is one."""
        arguments = tuple(self.with_ids(call.arguments[0], part) for part in call.arguments)
        options = {
            name: self.with_ids(call.arguments[0], value) for name, value in call.options.items()
        }
        passed: Mapping[str, Any] = options
        new_id: Id | None = None
        if call.method == "xadd":
            self._next += 1
            new_id = (self._next, 0)
            passed = {**options, "new_id": new_id}
        known = {name: value for name, value in passed.items() if name != "block"}
        expected = answer_of(self.reference, call.method, arguments, known)
        self._done.append((call, arguments, options, expected))
        answer = await self._subjects[call.client].ask(
            call.method, arguments, options, new_id=new_id
        )
        if call.method in _MAY_LOSE_STREAMS:
            self._forget_lost_streams()
        if self._agree(call.method, expected, answer):
            return None
        return Difference(call, expected, answer, self._text())

    def _text(self) -> str:
        script = Script(self._suite)
        for instruction, arguments, options, expected in self._done:
            if isinstance(instruction, Wait):
                script.advance(instruction.seconds)
            elif isinstance(instruction, Append):
                script.append(instruction.stream, instruction.number)
            else:
                script.call(instruction.method, arguments, options, expected)
        return script.text()

    def _agree(self, method: str, expected: Any, answer: Any) -> bool:
        elapsed = time.monotonic() - self._began
        if method == "ttl" and isinstance(expected, float) and expected != math.inf:
            granularity = self._trial.time.granularity
            return isinstance(answer, float) and (
                expected - elapsed - _MILLISECOND <= answer <= expected + LATE + granularity
            )
        if method == "xpending" and isinstance(expected, list):
            return isinstance(answer, list) and _pending_agree(expected, answer, elapsed)  # pyright: ignore[reportUnknownArgumentType]  # replies are anything
        return agree(expected, answer)

    def with_ids(self, stream: Any, part: Any) -> Any:
        """Return an argument with the ids of the reference in place of `Newest`."""
        if isinstance(part, list):
            return [self.with_ids(stream, of) for of in part]  # pyright: ignore[reportUnknownVariableType]  # arguments are anything
        if not isinstance(part, Newest):
            return part
        held = self.reference.live(stream)
        issued = held.value.issued if held is not None and isinstance(held.value, Stream) else []
        return issued[-1 - part.place] if part.place < len(issued) else UNKNOWN


def _pending_agree(expected: list[Any], answer: list[Any], elapsed: float) -> bool:
    if len(expected) != len(answer):
        return False
    for ours, theirs in zip(expected, answer, strict=True):
        if ours[:2] != theirs[:2] or ours[3] != theirs[3]:
            return False
        if not ours[2] - _MILLISECOND <= theirs[2] <= ours[2] + elapsed + LATE:
            return False
    return True


def _supported(trial: Trial, program: Program) -> Program:
    """Leave out the calls of capabilities that the adapter lacks."""
    capabilities = (KeyValue, Streams)
    missing = {
        method
        for capability in capabilities
        if capability not in trial.capabilities
        for method in capability.__abstractmethods__
    }
    return [
        each
        for each in program
        if not (isinstance(each, Call) and each.method in missing)
        and not (isinstance(each, Append) and "xadd" in missing)
    ]


def _filled(part: Any, bindings: Bindings) -> Any:
    match part:
        case Kind():
            return bindings[part]
        case Pair():
            return Entry(
                _filled(part.key, bindings),
                _filled(part.value, bindings),
                _filled(part.ttl, bindings),
            )
        case dict():
            return {
                _filled(name, bindings): _filled(value, bindings)
                for name, value in part.items()  # pyright: ignore[reportUnknownVariableType]  # arguments are anything
            }
        case list():
            return [_filled(each, bindings) for each in part]  # pyright: ignore[reportUnknownVariableType]  # the same
        case _:
            return part


def _shown(value: Any) -> str:
    return _short(value)


_LONGEST_SHOWN: Final = 200


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, ErrorCode) else repr(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:80]}…{text[-80:]} ({len(text):,} characters)"


def shifted(program: Program, client: int) -> Program:
    """Return the program with all calls made by another client."""
    return [
        structs.replace(each, client=client) if isinstance(each, Call) else each for each in program
    ]
