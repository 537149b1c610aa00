"""The meaning of results: the state of a clause, and the one-line verdict on an adapter.

The tests of a clause decide its state. The first line that applies decides:

    its tests                                                the clause
    one failed                                               fail
    one is listed as known to fail, and passes               stale
    one is known to fail, and does                           known failing
    one is newer than the pinned contract, and fails         not scored
    some passed, and all were exercised                      pass
    some passed, some were not exercised                     pass*, with the number of the latter
    some are newer than the pinned contract, and pass        not scored
    some were not exercised                                  not exercised
    all are about what the adapter lacks                     lacks
    none ran                                                 not run

The verdict on an adapter follows the same way:

    a test of the adapter failed                             not conformant, and what is stale
    the harness failed, or a known failure passes            no verdict
    a test was left out, or none ran                         not measured
    a clause was not exercised                               conformant as far as it was measured
    a test is known to fail                                  conformant except for its clause
    otherwise                                                conformant

Rule: a test that didn't run never counts as passed: not a skip, not a deselected test, not a clause
    that the harness couldn't exercise.
Rule: tests newer than the pinned contract never change a verdict.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from igniter_store_conformance.report.results import AdapterRun, Result

STALE: Final = "stale: "
"""The start of a failure's detail when the test passes and is listed as known to fail."""

_NAMED: Final = 12  # clauses that one line names; the lists below it name all


class Outcome(StrEnum):
    """The six verdicts."""

    CONFORMANT = "conformant"
    EXCEPT = "conformant except"
    AS_MEASURED = "conformant as far as measured"
    NOT_MEASURED = "not measured"
    NOT_CONFORMANT = "not conformant"
    NO_VERDICT = "no verdict"


class Verdict(Struct, frozen=True):
    """The verdict on an adapter.

    Attributes:
        outcome: which of the six.
        sentence: the whole line, as reports show it.
        clauses: the clauses that it is about.
        red: whether the run must fail.
    """

    outcome: Outcome
    sentence: str
    clauses: Sequence[str] = ()
    red: bool = False


class ClauseState(Struct, frozen=True):
    """The state of one clause for one adapter.

    Attributes:
        state: a state as of a test; `None` if none of its tests ran.
        partial: whether it passed, but was not exercised completely.
        stale: whether it failed only because a test passes that is listed as known to fail.
        note: an explanation of the state.
    """

    state: State | None
    partial: bool = False
    stale: bool = False
    note: str = ""

    @property
    def word(self) -> str:
        """The state in a word or two, never only as a colour."""
        if self.stale:
            return "stale"
        return "not run" if self.state is None else f"{self.state}{'*' if self.partial else ''}"


def clause_state(results: Sequence[Result]) -> ClauseState:
    """Return the state of a clause, by the table above."""
    if not results:
        return ClauseState(None)
    state = _deciding_state(results)
    idle = sum(result.state is State.NOT_EXERCISED for result in results)
    stale = state is State.FAILED and all(
        is_stale(result) for result in results if result.state is state
    )
    return ClauseState(
        state,
        partial=state is State.PASSED and idle > 0,
        stale=stale,
        note=_note(state, results, stale=stale),
    )


def of_clauses(results: Iterable[Result]) -> dict[str, ClauseState]:
    """Return the state of each clause that has results."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.clause, []).append(result)
    return {clause: clause_state(of_clause) for clause, of_clause in grouped.items()}


def is_stale(result: Result) -> bool:
    """Return whether the test only failed because it was expected to fail."""
    return result.state is State.FAILED and result.detail.startswith(STALE)


def nothing_ran(run: AdapterRun) -> bool:
    """Return whether no test exercised the adapter."""
    return all(result.kept is None for result in run.results)


def verdict(run: AdapterRun) -> Verdict:
    """Return the verdict on an adapter, by the table above."""
    return _failed(run) or _unmeasured(run) or _conformant(run)


def enumerated(words: Iterable[str]) -> str:
    """Return up to a dozen words without duplicates, and how many more there are."""
    unique = list(dict.fromkeys(words))
    more = len(unique) - _NAMED
    return ", ".join(unique[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _deciding_state(results: Sequence[Result]) -> State:
    there = {result.state for result in results}
    if State.FAILED in there:
        return State.FAILED
    if State.KNOWN_FAILING in there:
        return State.KNOWN_FAILING
    if any(result.state is State.NOT_SCORED and result.kept is False for result in results):
        return State.NOT_SCORED
    return next(
        state
        for state in (State.PASSED, State.NOT_SCORED, State.NOT_EXERCISED, State.LACKS)
        if state in there
    )


def _note(state: State, results: Sequence[Result], *, stale: bool) -> str:
    deciding = [result for result in results if result.state is state and is_stale(result) is stale]
    if state is State.FAILED and not stale:  # the findings of each are too long for a cell
        return f"{len(deciding)} of {len(results)} tests" if len(results) > len(deciding) else ""
    if stale or state in {State.KNOWN_FAILING, State.NOT_SCORED}:
        others = f"{len(deciding)} of {len(results)}: " if len(results) > len(deciding) else ""
        return f"""{others}{
            "; ".join(
                dict.fromkeys(
                    result.detail.removeprefix(STALE) for result in deciding if result.detail
                )
            )
        }"""
    parts = [
        f"{len(those)} of {len(results)} {word}: {enumerated(result.detail for result in those)}"
        for other, word in (
            (State.NOT_EXERCISED, "not exercised"),
            (State.LACKS, "lacks"),
            (State.NOT_SCORED, "not scored"),
        )
        if (those := [result for result in results if result.state is other])
    ]
    if len(parts) == 1 and all(result.state is state for result in results):
        return enumerated(result.detail for result in results)
    return "; ".join(parts)


def _failed(run: AdapterRun) -> Verdict | None:
    failed = [result for result in run.results if result.state is State.FAILED]
    stale = [result for result in failed if is_stale(result)]
    if not run.adapter and failed:
        reason = f"the harness fails before there is an adapter ({failed[0].detail})"
        return Verdict(Outcome.NO_VERDICT, f"no verdict: {reason}", (), red=True)
    passes = (
        f"{enumerated(result.test for result in stale)} passes and is listed as known failing; "
        "take it off the list"
    )
    if broken := _ids(result for result in failed if not is_stale(result)):
        message = (
            f"not conformant to contract {run.contract}: "
            f"{enumerated(broken)}{f' (and {passes})' if stale else ''}"
        )
        return Verdict(Outcome.NOT_CONFORMANT, message, broken, red=True)
    if stale:
        return Verdict(Outcome.NO_VERDICT, f"no verdict: {passes}", _ids(stale), red=True)
    return None


def _unmeasured(run: AdapterRun) -> Verdict | None:
    idle = [
        clause
        for clause, state in of_clauses(_scored(run)).items()
        if state.state is State.NOT_EXERCISED
    ]
    if nothing_ran(run):
        reason = (
            enumerated(result.detail for result in run.of_state(State.NOT_EXERCISED))
            or "the adapter has no capability"
        )
        return Verdict(
            Outcome.NOT_MEASURED, f"not measured: nothing ran ({reason})", idle, red=True
        )
    if run.missing:
        what = "were deselected" if run.missing == run.deselected else "did not run"
        return Verdict(
            Outcome.NOT_MEASURED,
            f"not measured: {run.missing} of {run.total} tests {what}{_but_known(run)}",
            idle,
        )
    if idle:
        message = (
            f"conformant to contract {run.contract} as far as it was measured, not exercised: "
            f"{enumerated(idle)}{_but_known(run)}"
        )
        return Verdict(Outcome.AS_MEASURED, message, idle)
    return None


def _conformant(run: AdapterRun) -> Verdict:
    idle = len(run.of_state(State.NOT_EXERCISED))
    gaps = f" ({idle} of {run.total} tests not exercised)" if idle else ""
    known = _ids(run.of_state(State.KNOWN_FAILING))
    if known:
        message = (
            f"conformant to contract {run.contract} except {enumerated(known)} (known "
            f"failing){gaps}"
        )
        return Verdict(Outcome.EXCEPT, message, known)
    return Verdict(Outcome.CONFORMANT, f"conformant to contract {run.contract}{gaps}")


def _but_known(run: AdapterRun) -> str:
    known = _ids(run.of_state(State.KNOWN_FAILING))
    return f", except {enumerated(known)} (known failing)" if known else ""


def _scored(run: AdapterRun) -> list[Result]:
    return [result for result in run.results if result.state is not State.NOT_SCORED]


def _ids(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(result.clause for result in results))
