"""The report as Markdown, for a README, a pull request or the summary of a CI job.

It has the verdicts, the failures, then the matrix.

Rule: it is readable as plain text too. Text from an adapter can't break out of its cell or its
    block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store_conformance.report.matrix import matrix
from igniter_store_conformance.report.summary import counted, failures, grouped, happened
from igniter_store_conformance.report.terminal import capitalized
from igniter_store_conformance.report.verdict import is_stale
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from igniter_store_conformance.report.matrix import Column, Matrix
    from igniter_store_conformance.report.results import Report, Result


def render(report: Report) -> str:
    """Return the document, with a line feed at its end."""
    table = matrix(report)
    parts = ["# Conformance to the contract of igniter-store", _overview(table)]
    for column in table.columns:
        parts += _failures(column)
        parts += _gaps(column)
    parts += ["## Clause by clause", *_sections(table)]
    return "\n\n".join(parts) + "\n"


def _overview(table: Matrix) -> str:
    header = ("adapter", "verdict", "tests", "offers", "does not offer", "measured on")
    rows = (
        (
            f"**{_cell(column.label)}**",
            _cell(column.verdict.sentence),
            counted(column),
            ", ".join(column.offered),
            ", ".join(column.lacking),
            _cell(
                ", ".join(
                    filter(
                        None,
                        (
                            column.run.environment.server,
                            column.run.environment.python,
                            column.run.environment.platform,
                        ),
                    )
                )
            ),
        )
        for column in table.columns
    )
    return _table(header, rows)


def _failures(column: Column) -> Iterator[str]:
    failed = failures(column)
    if failed:
        yield f"## {_text(column.label)}: what failed"
    for result in failed:
        if column.run.adapter:
            yield f"### {result.clause} {_text(result.sentence)}"
            yield f"`{result.test}`: {_text(result.promise)}"
        else:
            yield "### The harness fails"
        yield _block(happened(result))
        if result.hint and column.run.adapter and not is_stale(result):
            yield f"Where to look: {_text(capitalized(result.hint))}"
        yield f"To run it again:\n\n{_block(result.again, 'sh')}"


def _gaps(column: Column) -> Iterator[str]:
    run = column.run
    lines = [
        f"- known failing, {result.clause} `{result.test}`: {_text(result.detail)}"
        for result in run.of_state(State.KNOWN_FAILING)
    ]
    lines += [
        f"- not scored, {result.clause} `{result.test}`: {_text(result.detail)}"
        for result in run.of_state(State.NOT_SCORED)
    ]
    for need, results in grouped(run.of_state(State.NOT_EXERCISED)).items():
        lines.append(f"- not exercised, would need {_text(need)}: {_named(results)}")
    if lines:
        yield f"## {_text(column.label)}: what is not kept, or not known"
        yield "\n".join(lines)


def _sections(table: Matrix) -> Iterator[str]:
    header = ("clause", "promise", *(_cell(column.label) for column in table.columns))
    for section in table.sections:
        yield f"### {section.title}"
        yield _table(
            header,
            (
                (
                    row.id,
                    _cell(row.sentence),
                    *(
                        f"**{cell.word}**" if cell.state is State.FAILED else cell.word
                        for cell in row.cells
                    ),
                )
                for row in section.rows
            ),
        )


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(header)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _named(results: Iterable[Result]) -> str:
    return ", ".join(f"{result.clause} `{result.test}`" for result in results)


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Return one line in which neither HTML nor a picture can begin.

    Code and emphasis stay, because the clauses use them.
    """
    return (
        " ".join(text.split())
        .replace("<", "&lt;")
        .replace("![", "!\\[")
        .replace("pass*", "pass\\*")
    )


def _block(text: str, language: str = "text") -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
