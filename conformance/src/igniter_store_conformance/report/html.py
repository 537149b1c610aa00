"""The report as one self-contained page: each adapter, its failures, then every clause.

Rule: the page has no script, font, picture or external address. It can be mailed, archived and
    opened in ten years.
Rule: a sign and a word show a state; colour only repeats them. Headings, lists and tables use the
    elements of that name.
Rule: every text from outside of this module goes through `_escaped`.
"""

from __future__ import annotations

import re
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.report.matrix import CAPABILITIES, Score, matrix, scores
from igniter_store_conformance.report.page_parts import (
    LEGEND,
    STALE_LOOK,
    STATE_LOOKS,
    UNRUN_LOOK,
    VERDICT_LOOKS,
)
from igniter_store_conformance.report.summary import failures, grouped, happened, headline
from igniter_store_conformance.report.terminal import capitalized
from igniter_store_conformance.report.verdict import is_stale
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from igniter_store_conformance.report.matrix import Column, Matrix, Row
    from igniter_store_conformance.report.page_parts import Look
    from igniter_store_conformance.report.results import Report, Result
    from igniter_store_conformance.report.verdict import ClauseState

_TITLE: Final = "Conformance to the contract of igniter-store"


def render(report: Report) -> str:
    """Return the page."""
    table = matrix(report)
    style = (
        resources.files(__package__ or "igniter_store_conformance.report")
        .joinpath("page.css")
        .read_text(encoding="utf-8")
    )
    failed = "".join(_failures(table.columns))
    gaps = "".join(_gaps(column, place) for place, column in enumerate(table.columns))
    kits = sorted({column.run.kit for column in table.columns if column.run.kit})
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="igniter-store-conformance {_escaped(", ".join(kits))}">
<title>{_escaped(_title(table))}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{_TITLE}</h1>
<p class="soft">Clause by clause, what was asked of each adapter and what it did.</p>
<nav aria-label="On this page">{_contents(failed, gaps)}</nav>
</header>
<main>
<div class="cards">
{"".join(_card(table, place) for place in range(len(table.columns)))}</div>
{failed}{gaps}<h2 id="clauses">Clause by clause</h2>
<div class="wide" role="region" aria-labelledby="clauses" tabindex="0">
{_table(table)}</div>
<h2 id="legend">Legend</h2>
<dl>
{
        "".join(
            f"<dt>{_state(look, word)}</dt><dd>{_escaped(meaning)}</dd>"
            for word, look, meaning in LEGEND
        )
    }
</dl>
</main>
<footer>Made by igniter-store-conformance {_escaped(", ".join(kits))}.</footer>
</body>
</html>
"""


def _title(table: Matrix) -> str:
    return (
        "; ".join(f"{column.label}: {column.verdict.sentence}" for column in table.columns)
        or _TITLE
    )


def _contents(failed: str, gaps: str) -> str:
    links = [("failures", "What failed")] if failed else []
    links += [("gaps-0", "Broken or unknown clauses")] if 'id="gaps-0"' in gaps else []
    links += [("clauses", "Clause by clause"), ("legend", "Legend")]
    return " ".join(f'<a href="#{anchor}">{text}</a>' for anchor, text in links)


# The summary


def _card(table: Matrix, place: int) -> str:
    column = table.columns[place]
    look = VERDICT_LOOKS[column.verdict.outcome]
    return f"""\
<section class="card" aria-labelledby="adapter-{place}">
<h2 id="adapter-{place}">{_escaped(column.label)}</h2>
<p class="verdict {look.tone}">{look.sign} {_escaped(capitalized(column.verdict.sentence))}</p>
<ul class="bare counts" aria-label="Tests by state">{"".join(_counts(column))}</ul>
<h3>Capabilities</h3>
<ul class="bare capabilities">{"".join(_capabilities(table, place))}</ul>
<dl>{"".join(_facts(column))}</dl>
</section>
"""


def _counts(column: Column) -> Iterator[str]:
    for state, number in column.run.counts().items():
        look = STATE_LOOKS[state]
        yield f'<li class="{look.tone}">{look.sign} {number} {state}</li>'
    if column.run.missing:
        yield f'<li class="{UNRUN_LOOK.tone}">{UNRUN_LOOK.sign} {column.run.missing} not run</li>'


def _capabilities(table: Matrix, place: int) -> Iterator[str]:
    column = table.columns[place]
    score = {score.group: score for score in scores(table, place)}
    if not column.run.adapter:
        yield '<li class="absent">not known: the harness made no adapter</li>'
        return
    if core := score.get("core"):
        yield _capability(_core(column), core)
    for name in CAPABILITIES:
        if name == "KeyValue" and name in column.offered:
            continue  # within the core
        if name in column.lacking:
            yield (
                f'<li class="absent">{STATE_LOOKS[State.LACKS].sign} {name} '
                f"<span>not offered</span></li>"
            )
        else:
            yield _capability(name, score.get(name.lower(), Score(name, 0, 0)))


def _capability(name: str, score: Score) -> str:
    if not score.applying:
        return f"<li>{UNRUN_LOOK.sign} {name} <span class=soft>not measured</span></li>"
    look = STATE_LOOKS[
        State.FAILED
        if score.failed
        else State.PASSED
        if score.kept == score.applying
        else State.NOT_EXERCISED
    ]
    return (
        f"<li>{look.sign} {name} <span class=soft>{score.kept} of {score.applying} clauses "
        "kept</span></li>"
    )


def _core(column: Column) -> str:
    return "core, KeyValue" if "KeyValue" in column.offered else "core"


def _facts(column: Column) -> Iterator[str]:
    run = column.run
    facts = {
        "contract": run.contract,
        "tests": run.suite,
        "server": run.environment.server,
        "python": run.environment.python,
        "platform": run.environment.platform,
        "packages": ", ".join(
            f"{name} {version}" for name, version in run.environment.packages.items()
        ),
    }
    for name, value in facts.items():
        if value:
            yield f"<dt>{name}</dt><dd>{_escaped(value)}</dd>"


# Failures and gaps


def _failures(columns: Sequence[Column]) -> Iterator[str]:
    failed = [
        (place, result) for place, column in enumerate(columns) for result in failures(column)
    ]
    if failed:
        yield '<h2 id="failures">What failed</h2>\n'
    for place, result in failed:
        yield _failure(place, columns[place], result)


def _failure(place: int, column: Column, result: Result) -> str:
    about = (
        f"<p><strong>{_prose(result.sentence)}</strong></p>\n"
        f"<p><code>{_escaped(result.test)}</code>: {_prose(result.promise)}</p>\n"
    )
    hint = (
        f"<h4>Where to look</h4>\n<p>{_prose(capitalized(result.hint))}</p>\n"
        if result.hint and not is_stale(result)
        else ""
    )
    if not column.run.adapter:
        about = hint = ""
    traceback = (
        (
            "<details><summary>The whole traceback</summary>\n"
            f"<pre>{_escaped(result.failure)}</pre></details>\n"
        )
        if result.failure
        else ""
    )
    return f"""\
<article class="failure" id="{_anchor(place, result)}">
<h3>{
        _state(
            STALE_LOOK if is_stale(result) else STATE_LOOKS[result.state],
            headline(column, result),
        )
    } {_escaped(column.label)}</h3>
{about}<h4>What happened</h4>
<pre>{_escaped(happened(result))}</pre>
{hint}<h4>To run this one test</h4>
<pre>{_escaped(result.again)}</pre>
{traceback}</article>
"""


def _gaps(column: Column, place: int) -> str:
    run = column.run
    items = [
        f"<li>{_state(STATE_LOOKS[result.state], result.state.value)} {result.clause} "
        f"<code>{_escaped(result.test)}</code>: {_prose(result.detail)}{_hidden(result)}</li>"
        for result in run.of_state(State.KNOWN_FAILING, State.NOT_SCORED)
    ]
    look = STATE_LOOKS[State.NOT_EXERCISED]
    for need, results in grouped(run.of_state(State.NOT_EXERCISED)).items():
        tests = ", ".join(
            f"{result.clause} <code>{_escaped(result.test)}</code>" for result in results
        )
        items.append(
            f"<li>{_state(look, State.NOT_EXERCISED.value)} would need "
            f"{_prose(need)}<br>{tests}</li>"
        )
    if not items:
        return ""
    title = f"{_escaped(column.label)}: what is not kept, or not known"
    return (
        f'<h2 id="gaps-{place}">{title}</h2>\n<ul>\n'
        f"{''.join(f'{item}{chr(10)}' for item in items)}</ul>\n"
    )


def _hidden(result: Result) -> str:
    if not result.difference:
        return ""
    return (
        "<details><summary>What happens</summary>\n"
        f"<pre>{_escaped(result.difference)}</pre></details>"
    )


# The matrix


def _table(table: Matrix) -> str:
    labels = "".join(f'<th scope="col">{_escaped(column.label)}</th>' for column in table.columns)
    width = len(table.columns) + 2
    body: list[str] = []
    for section in table.sections:
        body.append(
            f'<tr><th class="section" scope="colgroup" '
            f'colspan="{width}">{_escaped(section.title)}</th></tr>\n'
        )
        body += [_row(row, table.columns) for row in section.rows]
    return (
        '<table>\n<thead><tr><th scope="col">clause</th><th scope="col">promise</th>'
        f"{labels}</tr></thead>\n<tbody>\n{''.join(body)}</tbody>\n</table>\n"
    )


def _row(row: Row, columns: Sequence[Column]) -> str:
    tests: dict[str, str] = {}
    for column in columns:
        tests.update(
            {
                result.test: result.promise
                for result in column.run.results
                if result.clause == row.id
            }
        )
    listed = "".join(
        f"<li><code>{_escaped(test)}</code>: {_prose(promise)}</li>"
        for test, promise in tests.items()
    )
    details = (
        f"<details><summary>{_number(len(tests), 'test')}</summary><ul>{listed}</ul></details>"
        if tests
        else ""
    )
    cells = "".join(
        _cell(cell, column, place, row.id)
        for place, (cell, column) in enumerate(zip(row.cells, columns, strict=True))
    )
    anchor = _escaped(row.id)
    return (
        f'<tr id="{anchor}"><th scope="row">{anchor}</th>'
        f"<td>{_prose(row.sentence)}{details}</td>{cells}</tr>\n"
    )


def _cell(cell: ClauseState, column: Column, place: int, clause: str) -> str:
    look = (
        UNRUN_LOOK
        if cell.state is None
        else STATE_LOOKS[State.NOT_EXERCISED if cell.partial else cell.state]
    )
    look = STALE_LOOK if cell.stale else look
    shown = _state(
        look, cell.word, sign=STATE_LOOKS[State.PASSED].sign if cell.partial else look.sign
    )
    failed = next((result for result in failures(column) if result.clause == clause), None)
    if failed is not None:
        shown = f'<a href="#{_anchor(place, failed)}">{shown}</a>'
    why = f'<span class="why">{_escaped(cell.note)}</span>' if cell.note else ""
    return f'<td class="cell">{shown}{why}</td>'


# Text


def _state(look: Look, word: str, *, sign: str | None = None) -> str:
    return (
        f'<span class="state {look.tone}">'
        f'<span aria-hidden="true">{look.sign if sign is None else sign}</span> '
        f"{_escaped(word)}</span>"
    )


def _anchor(place: int, result: Result) -> str:
    return f"failure-{place}-{re.sub(r'[^A-Za-z0-9_-]', '-', result.test)}"


def _number(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _prose(text: str) -> str:
    """Return a sentence of the contract: escaped, with its `code` and its *emphasis*."""
    pieces: Iterable[str] = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"<code>{_escaped(piece[1:-1])}</code>"
        if len(piece) > 2 and piece.startswith("`") and piece.endswith("`")
        else re.sub(r"\*(\([^*]+\))\*", r"<em>\1</em>", _escaped(piece))
        for piece in pieces
    )


def _escaped(text: str) -> str:
    return escape(
        "".join(
            letter if letter.isprintable() or letter in "\n\t" else f"\\x{ord(letter):02x}"
            for letter in text
        )
    )
