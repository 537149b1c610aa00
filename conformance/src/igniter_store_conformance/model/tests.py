"""The model's tests: clause MDL-1."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING, Any, Final, cast

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from igniter_store.contract import Claims, Counters, KeyValue, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.model import calls
from igniter_store_conformance.model.calls import Call, Newest
from igniter_store_conformance.model.machines import KeyMachine, Machine, StreamMachine
from igniter_store_conformance.model.reference import Reference, answer_of, is_id
from igniter_store_conformance.model.subject import UNKNOWN, Subject, agree
from igniter_store_conformance.tools.linearizability import (
    Event,
    History,
    described,
    shortest_wrong,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store_conformance.engine.trial import Trial

_EXAMPLES: Final = 500
_FIRST_ROUND: Final = 3  # examples, which measure the speed of the backend
_ROUND: Final = 10  # examples; a fixed number, so that a seed repeats a run
_STEPS: Final = 40
_SECONDS: Final = 12.0  # for each test of this module; a slow backend gets fewer examples
_LONG: Final = 600.0
_MOST_CALLERS: Final = 3


class ModelClauses(Suite):
    """Random calls, compared with a reference."""

    @clause("MDL-1", KeyValue, limit=_LONG)
    def test_values_counters_and_claims_match_the_reference(self, trial: Trial) -> None:
        """Random calls on values, counters and claims get the reference's answers.

        The calls use a few keys, and time is moved in between.

        If this fails, look at the last line of the script in the message. The calls before it are
        the shortest sequence found that leads to it.
        """
        _run_machine(self, trial, KeyMachine)

    @clause("MDL-1", Streams, limit=_LONG)
    def test_streams_and_groups_match_the_reference(self, trial: Trial) -> None:
        """Random calls on streams and groups get the reference's answers.

        The calls use two streams with two groups and two consumers.

        If this fails, look at the last line of the script in the message. The calls before it are
        the shortest sequence found that leads to it.
        """
        _run_machine(self, trial, StreamMachine)

    @clause("MDL-1", KeyValue, Counters, Claims, Streams, limit=_LONG)
    def test_interleaved_callers_get_the_answers_of_some_order(self, trial: Trial) -> None:
        """Some sequential order of concurrent callers' calls explains all their replies.

        There are two or three callers with random programs. A call on several keys counts as one
        call on each, since a cluster may run it slot by slot (KV-11).

        If this fails, see the message: it prints the shortest history that has no explanation.
        """

        def check(seed: int, limits: settings) -> None:
            @hypothesis.seed(seed)
            @limits
            @hypothesis.given(programs=_PROGRAMS, pauses=_PAUSES)
            def each(programs: list[list[Call]], pauses: list[int]) -> None:
                wrong = shortest_wrong(
                    by_keys(asyncio.run(_run_programs(trial, programs, pauses))),
                    Reference(),
                    explained,
                )
                assert not wrong, (
                    f"no order of these calls gives these answers:\n{described(wrong)}"
                )

            each()

        _try_examples(trial, check)


def _of_one_key(call: Call) -> Call:
    """The same call, but a `delete` of several keys becomes a `delete` of one.

    Its reply is a count, which doesn't identify the keys.
    """
    if call.name != "delete" or len(call.arguments[0]) < 2:
        return call
    return Call(call.name, (call.arguments[0][:1],), call.options)


_PROGRAMS: Final = st.lists(
    st.lists(
        st.one_of(
            calls.COUNTER_CALLS,
            calls.CLAIM_CALLS,
            calls.VALUE_CALLS.map(_of_one_key),
            calls.APPEND_CALLS,
            calls.GROUP_CALLS,
            calls.READ_CALLS,
            calls.SETTLE_CALLS,
            calls.TAKEOVER_CALLS,
            calls.RANGE_CALLS,
            calls.SHORTEN_CALLS,
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=2,
    max_size=_MOST_CALLERS,
)
_PAUSES: Final = st.lists(st.integers(0, 2), min_size=12, max_size=12)


def _run_machine(suite: Suite, trial: Trial, kind: type[Machine]) -> None:
    oracle = suite.second_oracle()
    harnesses = [trial.harness, *([] if oracle is None else [oracle])]
    known = {
        "harnesses": harnesses,
        "suite": type(suite),
        "test": trial,
        "waits_follow": asyncio.run(_waits_follow_time(trial)),
    }

    def check(seed: int, limits: settings) -> None:
        machine = type(kind.__name__, (kind,), known)
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=limits)

    _try_examples(trial, check)


def _try_examples(trial: Trial, check: Callable[[int, settings], None]) -> None:
    """Call `check(seed, settings)` in rounds, until there are enough examples or time is over.

    With `--conformance-examples` there is one round of that many examples, however long it takes.
    """
    if trial.examples is not None:
        check(trial.random.getrandbits(32), _settings(trial.examples))
        return
    began = time.monotonic()
    tried = elapsed = 0.0
    while tried < _EXAMPLES and elapsed + _ROUND * elapsed / max(tried, 1) < _SECONDS:
        examples = _ROUND if tried else _FIRST_ROUND
        check(trial.random.getrandbits(32), _settings(examples))
        tried, elapsed = tried + examples, time.monotonic() - began


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=_STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,  # one shrunk failure is readable, several are nested tracebacks
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ),
        print_blob=False,
    )


async def _waits_follow_time(test: Trial) -> bool:
    trial = test.again(test.harness)
    if not (trial.in_process and trial.time.is_moved and Streams in trial.capabilities):
        return False
    await trial.open()
    stream = trial.key()
    await trial.adapter.xgroup_create(stream, "group")
    reading = asyncio.create_task(
        trial.adapter.xreadgroup(stream, "group", "consumer", block=calls.STEP)
    )
    await trial.settle()
    await trial.time.passes(2 * calls.STEP)
    done, _ = await asyncio.wait({reading}, timeout=0.05)
    reading.cancel()
    await asyncio.wait({reading})
    await trial.close()
    return bool(done)


async def _run_programs(test: Trial, programs: list[list[Call]], pauses: list[int]) -> list[Event]:
    trial, history = test.again(test.harness), History()
    await trial.open()
    try:
        clients = await trial.clients(2)
        issued: dict[str, list[tuple[int, int]]] = {}

        async def run(number: int, program: list[Call]) -> None:
            subject = Subject(trial, clients[number % 2], numbered=False)
            for place, call in enumerate(program):
                for _ in range(pauses[(4 * number + place) % len(pauses)]):
                    await asyncio.sleep(0)
                arguments = tuple(
                    _with_ids(issued, call.arguments[0], part) for part in call.arguments
                )
                options = {
                    name: _with_ids(issued, call.arguments[0], part)
                    for name, part in call.options.items()
                }
                asked = (arguments, tuple(options.items()))
                answer = await history.record(
                    f"caller {number}", call.name, asked, subject.ask(call.name, arguments, options)
                )
                if call.name == "xadd" and is_id(answer):
                    issued.setdefault(call.arguments[0], []).append(answer)

        async with asyncio.TaskGroup() as group:
            for number, program in enumerate(programs):
                group.create_task(run(number, program))
    except BaseExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__
    finally:
        await trial.close()
    return history.events


def _with_ids(issued: dict[str, list[tuple[int, int]]], stream: Any, part: Any) -> Any:
    if isinstance(part, list):
        # arguments are anything
        return [_with_ids(issued, stream, of) for of in part]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(part, Newest):
        return part
    known = issued.get(stream, []) if isinstance(stream, str) else []
    return known[-1 - part.place] if part.place < len(known) else UNKNOWN


def by_keys(events: Sequence[Event]) -> list[Event]:
    """The same history, with a call on several keys split into concurrent calls on one key each."""
    found: list[Event] = []
    for event in events:
        (arguments, options), answer = event.arguments, event.answer
        parts: list[tuple[tuple[Any, ...], Any]] = [(arguments, answer)]
        if event.call == "mget" and isinstance(answer, list):
            values = cast("list[Any]", answer)
            parts = [(([key],), [value]) for key, value in zip(arguments[0], values, strict=True)]
        elif event.call == "mset" and answer is None:
            last = {entry.key: entry for entry in arguments[0]}
            parts = [(([entry],), None) for entry in last.values()]
        found += [
            Event(event.caller, event.call, (of_one, options), said, event.began, event.ended)
            for of_one, said in parts
        ]
    return found


def explained(state: Reference, event: Event) -> list[Reference]:
    """The reference after this call, if it gives the same answer as the adapter."""
    after = copy.deepcopy(state)
    arguments, options = event.arguments[0], dict(event.arguments[1])
    if event.call == "xadd" and is_id(event.answer):
        held = after.live(arguments[0])
        if (
            held is not None
            and not isinstance(held.value, bytes)
            and event.answer <= held.value.last
        ):
            return []
        options["new_id"] = event.answer
    elif event.call == "xadd":
        options["new_id"] = UNKNOWN
    return [after] if agree(answer_of(after, event.call, arguments, options), event.answer) else []
