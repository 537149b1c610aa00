"""The report as a badge, an SVG for a README.

It shows the version of the contract, how much of it the adapter keeps, and what it doesn't offer.

Rule: the text repeats the meaning of the colour, also for a red badge.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.report.matrix import matrix, scores
from igniter_store_conformance.report.verdict import Outcome

if TYPE_CHECKING:
    from igniter_store_conformance.report.matrix import Matrix
    from igniter_store_conformance.report.results import Report

# White text has a contrast of at least 4.5 to 1 on each of these colours.
_COLOURS: Final = {
    Outcome.CONFORMANT: "#1a7f37",
    Outcome.AS_MEASURED: "#1a7f37",
    Outcome.EXCEPT: "#8a6100",
    Outcome.NOT_MEASURED: "#57606a",
    Outcome.NOT_CONFORMANT: "#b42318",
    Outcome.NO_VERDICT: "#b42318",
}
_LABEL_COLOUR: Final = "#24292f"
_FONT: Final = "Verdana,Geneva,DejaVu Sans,sans-serif"
_HEIGHT: Final = 20
_PADDING: Final = 8
_NARROW: Final = frozenset("fijlrt|.,:;'!()[]/ ·1")
_WIDE: Final = frozenset("mwMW%@")


def render(report: Report) -> str:
    """Return the SVG, with one row for each adapter."""
    table = matrix(report)
    many = len(table.columns) > 1
    rows = [
        (
            f"{column.label}: contract {column.run.contract}"
            if many
            else f"contract {column.run.contract}",
            message(table, place),
            _COLOURS[column.verdict.outcome],
        )
        for place, column in enumerate(table.columns)
    ]
    left = max((_width(label) for label, _, _ in rows), default=0)
    right = max((_width(text) for _, text, _ in rows), default=0)
    parts = [
        part
        for place, (label, text, colour) in enumerate(rows)
        for part in _row(place, label, text, colour, left, right)
    ]
    title = escape("; ".join(f"{label}: {text}" for label, text, _ in rows))
    size = f'width="{left + right}" height="{_HEIGHT * len(rows)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
        f'aria-label="{title}">\n<title>{title}</title>\n'
        f'<g font-family="{_FONT}" font-size="11" fill="#fff" '
        f'text-rendering="geometricPrecision">\n' + "\n".join(parts) + "\n</g>\n</svg>\n"
    )


def message(table: Matrix, place: int) -> str:
    """Return the badge's text for an adapter: "core 34/34 · streams 23/23 · lacks scan"."""
    column = table.columns[place]
    words = (
        []
        if column.verdict.outcome in {Outcome.CONFORMANT, Outcome.EXCEPT}
        else [str(column.verdict.outcome)]
    )
    if column.verdict.outcome is Outcome.EXCEPT:
        words.append(f"{len(column.verdict.clauses)} known failing")
    words += [f"{score.group} {score.kept}/{score.applying}" for score in scores(table, place)]
    if column.lacking:
        words.append(f"lacks {', '.join(name.lower() for name in column.lacking)}")
    return " · ".join(words)


# where and what
def _row(place: int, label: str, text: str, colour: str, left: int, right: int) -> list[str]:  # noqa: PLR0913, PLR0917
    top = place * _HEIGHT
    return [
        f'<rect y="{top}" width="{left}" height="{_HEIGHT}" fill="{_LABEL_COLOUR}"/>',
        f'<rect x="{left}" y="{top}" width="{right}" height="{_HEIGHT}" fill="{colour}"/>',
        _text(label, _PADDING, top),
        _text(text, left + _PADDING, top),
    ]


def _text(text: str, x: int, top: int) -> str:
    # textLength keeps the text within its box, in any font.
    return (
        f'<text x="{x}" y="{top + 14}" textLength="{_width(text) - 2 * _PADDING}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )


def _width(text: str) -> int:
    """Return the approximate width of the text in Verdana at 11 px, with its padding."""
    units = sum(4.2 if letter in _NARROW else 10.0 if letter in _WIDE else 6.9 for letter in text)
    return round(units) + 2 * _PADDING
