"""The report as JSON: data that the kit can read back and merge, and conclusions from it.

The conclusions are for readers without the kit.

Rule: the verdicts, counts and states of clauses under `judged` are never read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store_conformance.report.matrix import matrix, scores
from igniter_store_conformance.report.results import to_json

if TYPE_CHECKING:
    from igniter_store_conformance.report.matrix import Matrix
    from igniter_store_conformance.report.results import Report


def render(report: Report) -> str:
    """Return the JSON document, with a line feed at its end."""
    table = matrix(report)
    return to_json(
        report, {"judged": [_judged(table, place) for place in range(len(table.columns))]}
    )


def _judged(table: Matrix, place: int) -> dict[str, Any]:
    column = table.columns[place]
    return {
        "label": column.label,
        "suite": column.run.suite,
        "verdict": column.verdict.outcome.value,
        "sentence": column.verdict.sentence,
        "offered": list(column.offered),
        "lacking": list(column.lacking),
        "counts": {str(state): number for state, number in column.run.counts().items()},
        "not_run": column.run.missing,
        "scores": {
            score.group: {"kept": score.kept, "applying": score.applying}
            for score in scores(table, place)
        },
        "clauses": {
            row.id: {"state": row.cells[place].word, "note": row.cells[place].note}
            for section in table.sections
            for row in section.rows
        },
    }
