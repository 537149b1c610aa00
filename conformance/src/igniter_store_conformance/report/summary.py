"""The adapters' results at the end of a pytest run, in a few plain lines for each.

Rule: it is short by default, with reasons in groups. With -v (or -ra, -rs) it names every test that
    wasn't exercised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store_conformance.report.matrix import matrix
from igniter_store_conformance.report.verdict import STALE, Outcome, is_stale
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from igniter_store_conformance.report.matrix import Column
    from igniter_store_conformance.report.results import Report, Result

_OF_ALL_OPERATIONS: Final = ("LIF", "FLT", "MDL")
_COLOURS: Final = {
    Outcome.CONFORMANT: "green",
    Outcome.AS_MEASURED: "green",
    Outcome.EXCEPT: "yellow",
    Outcome.NOT_MEASURED: "yellow",
    Outcome.NOT_CONFORMANT: "red",
    Outcome.NO_VERDICT: "red",
}


def summary(report: Report, *, detailed: bool = False) -> Iterator[tuple[str, str]]:
    """Yield lines, each with its colour or an empty string.

    Args:
        report: the report.
        detailed: name every test that wasn't exercised or lacks a capability, not only the reasons.
    """
    for column in matrix(report).columns:
        yield from _adapter(column, detailed=detailed)


def counted(column: Column) -> str:
    """Return the counts of all states, and of the tests that didn't run."""
    parts = [f"{number} {state}" for state, number in column.run.counts().items()]
    return ", ".join(parts + ([f"{column.run.missing} not run"] if column.run.missing else []))


def grouped(results: list[Result]) -> dict[str, list[Result]]:
    """Return the results by their reason."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.detail, []).append(result)
    return groups


def failures(column: Column) -> list[Result]:
    """Return the failed tests to show, the most informative first.

    One is enough when the harness fails, because every test then fails for the same reason. Tests
    that use every operation, or random ones, fail for an error in any of them, so they come last.
    """
    failed = sorted(
        column.run.of_state(State.FAILED),
        key=lambda result: result.clause.startswith(_OF_ALL_OPERATIONS),
    )
    return failed if column.run.adapter else failed[:1]


def happened(result: Result) -> str:
    """Return where a failure was found, and the expected and the actual value."""
    return "\n".join(filter(None, (result.where, result.difference or result.detail)))


def headline(column: Column, result: Result) -> str:
    """Return the headline of a failure: its clause, or the harness.

    A failure of the harness doesn't concern any clause.
    """
    if not column.run.adapter:
        return "the harness fails"
    return (
        f"{result.clause}: known failing, and passes"
        if is_stale(result)
        else f"{result.clause} fails"
    )


def _adapter(column: Column, *, detailed: bool) -> Iterator[tuple[str, str]]:
    run = column.run
    yield f"{column.label}: {column.verdict.sentence}", _COLOURS[column.verdict.outcome]
    yield f"  {run.class_name}: {counted(column)}", ""
    if column.lacking:
        yield f"  not offered: {', '.join(column.lacking)}", ""
    broken = {
        result.clause: result.sentence
        for result in run.of_state(State.FAILED)
        if not is_stale(result)
    }
    if run.adapter:
        for clause, sentence in broken.items():
            yield f"  {clause}: {sentence}", "red"
    for result in run.of_state(State.FAILED):
        if is_stale(result):
            yield (
                f"  stale, {result.clause}: {result.test} ({result.detail.removeprefix(STALE)})",
                "red",
            )
    for result in run.of_state(State.KNOWN_FAILING):
        yield f"  known failing, {result.clause}: {result.test} ({result.detail})", ""
    for result in run.of_state(State.NOT_SCORED):
        yield f"  not scored, {result.clause}: {result.test} ({result.detail})", ""
    for state, verb in ((State.NOT_EXERCISED, "it would need"), (State.LACKS, "because")):
        yield from _left_out(
            run.of_state(state),
            f"{state}, {verb}",
            detailed=detailed or state is State.NOT_EXERCISED,
            named=detailed,
        )


def _left_out(
    results: list[Result], intro: str, *, detailed: bool, named: bool
) -> Iterator[tuple[str, str]]:
    if not detailed:
        return
    for reason, those in grouped(results).items():
        yield f"  {intro} {reason} ({len(those)})", ""
        if named:
            for result in those:
                yield f"    {result.clause} {result.test}", ""
