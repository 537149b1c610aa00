"""The matrix of clauses and adapters, for every format that shows it.

It has the columns with their labels, and the rows in the order of the contract.

Rule: a clause that this kit doesn't know, from a report of a newer kit, is shown too, in a section
    of its own.
"""

from __future__ import annotations

from collections.abc import Sequence  # noqa: TC003 - msgspec looks at the annotations
from typing import TYPE_CHECKING, Final

from msgspec import Struct

# msgspec looks at the annotations
from igniter_store_conformance.report.results import AdapterRun  # noqa: TC001
from igniter_store_conformance.report.verdict import ClauseState, Verdict, clause_state, verdict
from igniter_store_conformance.spec.clauses import SECTIONS
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_conformance.report.results import Report

CAPABILITIES: Final = tuple(
    dict.fromkeys(
        section.capability.__name__
        for section in SECTIONS
        if section.capability.__name__ != "Adapter"
    )
)
"""The names of all capabilities, in the order of the contract."""

_OTHERS: Final = "Clauses that this version of the kit does not have"
_CORE: Final = ("Adapter", "KeyValue")


class Column(Struct, frozen=True):
    """One adapter.

    Attributes:
        label: its name in this report; no two columns have the same.
        run: the results.
        verdict: the verdict on the adapter.
        offered: its capabilities, in the order of the contract.
        lacking: the capabilities that it doesn't offer; empty if they are unknown because no
            adapter was ever created.
    """

    label: str
    run: AdapterRun
    verdict: Verdict
    offered: Sequence[str]
    lacking: Sequence[str]


class Row(Struct, frozen=True):
    """One clause, and its state in each column."""

    id: str
    sentence: str
    cells: Sequence[ClauseState]


class Rows(Struct, frozen=True):
    """The clauses of one section of the contract."""

    title: str
    capability: str
    rows: Sequence[Row]


class Matrix(Struct, frozen=True):
    """The whole matrix."""

    columns: Sequence[Column]
    sections: Sequence[Rows]


def matrix(report: Report) -> Matrix:
    """Return the state of every clause for every adapter."""
    columns = [
        _column(label, run) for label, run in zip(_labels(report.runs), report.runs, strict=True)
    ]
    sentences = {result.clause: result.sentence for run in report.runs for result in run.results}
    sections: list[Rows] = []
    for section in SECTIONS:
        rows = [
            _row(clause.id, sentences.pop(clause.id, "") or clause.sentence, report.runs)
            for clause in section.clauses
        ]
        sections.append(Rows(section.title, section.capability.__name__, rows))
    if sentences:  # the clauses that are left
        sections.append(
            Rows(
                _OTHERS,
                "",
                [_row(clause, sentence, report.runs) for clause, sentence in sentences.items()],
            )
        )
    return Matrix(columns, sections)


class Score(Struct, frozen=True):
    """The number of applicable, kept and broken clauses in one group of clauses."""

    group: str
    kept: int
    applying: int
    failed: int = 0


def scores(table: Matrix, place: int) -> list[Score]:
    """Return the scores of a column: core first, then one for each further capability.

    Capabilities that don't apply have no score.
    """
    kept: dict[str, int] = {}
    applying: dict[str, int] = {}
    failed: dict[str, int] = {}
    for section in table.sections:
        group = "core" if section.capability in _CORE else section.capability.lower()
        for row in section.rows:
            state = row.cells[place].state
            if state in {None, State.LACKS, State.NOT_SCORED}:
                continue
            applying[group] = applying.get(group, 0) + 1
            kept[group] = kept.get(group, 0) + (state is State.PASSED)
            failed[group] = failed.get(group, 0) + (
                state is State.FAILED and not row.cells[place].stale
            )
    return [Score(group, kept[group], number, failed[group]) for group, number in applying.items()]


def _column(label: str, run: AdapterRun) -> Column:
    offered = [name for name in CAPABILITIES if name in run.capabilities]
    lacking = [name for name in CAPABILITIES if name not in run.capabilities] if run.adapter else []
    return Column(label, run, verdict(run), offered, lacking)


def _row(clause: str, sentence: str, runs: Sequence[AdapterRun]) -> Row:
    cells = [
        clause_state([result for result in run.results if result.clause == clause]) for run in runs
    ]
    return Row(clause, sentence, cells)


def _labels(runs: Sequence[AdapterRun]) -> list[str]:
    """Return the shortest unique label for each column, with a number if nothing else differs."""
    labels = [run.adapter or run.class_name for run in runs]
    details: tuple[Callable[[AdapterRun], str], ...] = (
        lambda run: run.environment.server,
        lambda run: run.class_name,
        lambda run: run.environment.python,
        lambda run: run.environment.platform,
    )
    for detail in details:
        labels = [_distinguished(place, labels, runs, detail) for place in range(len(runs))]
    return [
        f"{label} ({labels[: place + 1].count(label)})" if labels.count(label) > 1 else label
        for place, label in enumerate(labels)
    ]


def _distinguished(
    place: int,
    labels: Sequence[str],
    runs: Sequence[AdapterRun],
    detail: Callable[[AdapterRun], str],
) -> str:
    own = detail(runs[place])
    alike = {detail(run) for label, run in zip(labels, runs, strict=True) if label == labels[place]}
    return f"{labels[place]} {own}" if own and len(alike) > 1 else labels[place]
