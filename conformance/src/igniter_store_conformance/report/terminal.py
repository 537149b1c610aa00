"""The report on a terminal: each adapter's verdict and failures, then the matrix of clauses.

Rule: a state is a word, and its colour only repeats it.
Rule: no text from an adapter is read as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from igniter_store_conformance.report.matrix import matrix
from igniter_store_conformance.report.summary import counted, failures, grouped, happened, headline
from igniter_store_conformance.report.verdict import Outcome, is_stale
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from igniter_store_conformance.report.matrix import Column, Matrix
    from igniter_store_conformance.report.results import Report, Result
    from igniter_store_conformance.report.verdict import ClauseState

_VERDICT_STYLES: Final = {
    Outcome.CONFORMANT: "bold green",
    Outcome.AS_MEASURED: "bold green",
    Outcome.EXCEPT: "bold yellow",
    Outcome.NOT_MEASURED: "bold yellow",
    Outcome.NOT_CONFORMANT: "bold red",
    Outcome.NO_VERDICT: "bold red",
}
_STATE_STYLES: Final = {
    State.PASSED: "green",
    State.FAILED: "bold red",
    State.LACKS: "dim",
    State.NOT_EXERCISED: "yellow",
    State.KNOWN_FAILING: "magenta",
    State.NOT_SCORED: "cyan",
}
_DIFFERENCE_LINES: Final = 12  # of a failure; the reports in files have all of it
_SCRIPT_LINES: Final = 150
_LINE_WIDTH: Final = 400
_WIDEST_SENTENCE: Final = 72
_NARROWEST_SENTENCE: Final = 20
_CLAUSE_WIDTH: Final = 9  # STR-23, and a gap
_STATE_WIDTH: Final = 13  # "not exercised", "known failing"
_GAP: Final = 3
_EDGES: Final = 2


def show(report: Report, console: Console, *, whole_matrix: bool = True) -> None:
    """Print the report.

    Args:
        report: the report.
        console: the console to print on.
        whole_matrix: include the clauses of which no test ran.
    """
    table = matrix(report)
    if any(column.run.adapter for column in table.columns):
        for places in _beside_each_other(table, console.width):
            console.print(_matrix(table, places, console.width, whole=whole_matrix))
        if any(
            cell.partial for section in table.sections for row in section.rows for cell in row.cells
        ):
            console.print(
                Text(
                    (
                        "pass*: kept as far as it was exercised; some tests of the clause need "
                        "what the harness doesn't give"
                    ),
                    style="dim",
                )
            )
    for column in table.columns:
        for result in failures(column):
            _show_failure(column, result, console)
    for column in table.columns:
        _show_adapter(column, console)


def _width(column: Column) -> int:
    return max(len(column.label), _STATE_WIDTH) + _GAP


def _beside_each_other(table: Matrix, width: int) -> list[list[int]]:
    """Split the columns into as many tables as needed, so that no table is cut off."""
    tables: list[list[int]] = []
    left = 0
    for place, column in enumerate(table.columns):
        if not tables or _width(column) > left:
            tables.append([])
            left = width - _EDGES - _CLAUSE_WIDTH - _NARROWEST_SENTENCE
        tables[-1].append(place)
        left -= _width(column)
    return tables


def _matrix(table: Matrix, places: Sequence[int], width: int, *, whole: bool) -> Table:
    shown = Table(box=SIMPLE, pad_edge=False, expand=False)
    shown.add_column("clause", no_wrap=True)
    # The sentences get the space that the adapters leave.
    left = width - _EDGES - _CLAUSE_WIDTH - sum(_width(table.columns[place]) for place in places)
    room = max(_NARROWEST_SENTENCE, min(_WIDEST_SENTENCE, left))
    shown.add_column("promise", max_width=room, no_wrap=True, overflow="ellipsis", style="dim")
    for place in places:
        shown.add_column(Text(table.columns[place].label), no_wrap=True)
    for section in table.sections:
        rows = [
            row
            for row in section.rows
            if whole or any(cell.state is not None for cell in row.cells)
        ]
        if rows:
            shown.add_row("", Text(section.title, style="bold"))
        for row in rows:
            shown.add_row(
                Text(row.id), Text(row.sentence), *(_cell(row.cells[place]) for place in places)
            )
    return shown


def _cell(cell: ClauseState) -> Text:
    return Text(
        cell.word,
        style="dim"
        if cell.state is None
        else "yellow"
        if cell.partial
        else _STATE_STYLES[cell.state],
    )


def _show_failure(column: Column, result: Result, console: Console) -> None:
    title = headline(column, result)
    console.rule(Text(f"{column.label}: {title}", style="bold red"), align="left", style="red")
    if column.run.adapter:
        console.print(Text(result.sentence, style="bold"))
        console.print(Text(f"{result.test}: {result.promise}"))
        console.print()
    lines = happened(result).splitlines()
    # A script is shown in full, because half of it can't be run.
    most = _SCRIPT_LINES if result.clause == "MDL-1" else _DIFFERENCE_LINES
    for line in lines[:most]:
        shown = line if len(line) <= _LINE_WIDTH else f"{line[:_LINE_WIDTH]} ..."
        console.print(Text(f"    {shown}", style="red"))
    if len(lines) > most:
        console.print(
            Text(
                f"    ... and {len(lines) - most} lines more; --report html=FILE has them all",
                style="dim",
            )
        )
    console.print()
    if result.hint and column.run.adapter and not is_stale(result):
        console.print(Text.assemble(("where to look  ", "bold"), capitalized(result.hint)))
    console.print(Text.assemble(("to run it again  ", "bold"), result.again), soft_wrap=True)
    console.print()


def _show_adapter(column: Column, console: Console) -> None:
    run = column.run
    console.print(
        Text.assemble(
            (f"{column.label}: {column.verdict.sentence}", _VERDICT_STYLES[column.verdict.outcome])
        )
    )
    console.print(Text(f"  {counted(column)}"))
    if column.lacking:
        console.print(Text(f"  not offered: {', '.join(column.lacking)}"))
    for result in run.of_state(State.KNOWN_FAILING, State.NOT_SCORED):
        console.print(Text(f"  {result.state}, {result.clause}: {result.test} ({result.detail})"))
    for need, results in grouped(run.of_state(State.NOT_EXERCISED)).items():
        console.print(Text(f"  {len(results)} not exercised, would need {need}"))


def capitalized(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]
