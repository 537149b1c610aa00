"""A result as an SVG picture.

It has a panel for each comparison, a bar for each contestant, and a whisker from its slowest to its
fastest round.

Rule: The same numbers give the same file, without a date or random ids. So a picture changes only
    if the numbers do.
"""

from __future__ import annotations

from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import EMPTY
from benchmarks.results import show

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Comparison, Result

_OURS, _THEIRS, _INK = "#c2410c", "#94a3b8", "#1e293b"
_WIDTH: Final = 8.0  # inches
_BAR: Final = 0.32
_PANEL: Final = 0.75  # inches that a panel needs besides its bars
_STYLE: Final[dict[str, Any]] = {
    "svg.hashsalt": "igniter-store",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _INK,
}


def draw(result: Result, directory: Path) -> str:
    """Draw `result`, and return a line with the file's name, or the reason why there is none."""
    try:
        # Imported by name, because matplotlib is optional here: type checkers see it as `Any`, with
        # and without it.
        matplotlib, figures = import_module("matplotlib"), import_module("matplotlib.figure")
    except ImportError:
        return "none, as matplotlib is not installed (`uv sync --group bench`)"
    bars = [_bars(comparison) for comparison in result.comparisons]
    heights = [len(names) * _BAR + _PANEL for names in bars]
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(
            figsize=(_WIDTH, sum(heights) + 0.4), layout="constrained", facecolor="white"
        )
        figure.suptitle(result.question)
        panels = figure.subplots(len(bars), 1, squeeze=False, height_ratios=heights)
        for (panel,), names, comparison in zip(panels, bars, result.comparisons, strict=True):
            _fill(panel, names, comparison)
        path = directory / f"{result.name}.svg"
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # Matplotlib leaves spaces at the ends of lines.
    path.write_text(
        "".join(f"{line.rstrip()}\n" for line in path.read_text("utf-8").splitlines()), "utf-8"
    )
    return path.name


def _bars(comparison: Comparison) -> list[str]:
    # Next to the empty coroutine, the other bars would be too short.
    return [name for name in comparison.rounds if name != EMPTY]


def _fill(panel: Any, names: list[str], comparison: Comparison) -> None:
    medians = [median(comparison.rounds[name]) for name in names]
    below = [
        middle - min(comparison.rounds[name]) for name, middle in zip(names, medians, strict=True)
    ]
    above = [
        max(comparison.rounds[name]) - middle for name, middle in zip(names, medians, strict=True)
    ]
    colours = [_OURS if name.startswith(("igniter-store", "store")) else _THEIRS for name in names]
    panel.barh(
        names,
        medians,
        xerr=(below, above),
        color=colours,
        height=0.62,
        error_kw={"ecolor": _INK, "capsize": 2, "lw": 0.8},
    )
    panel.invert_yaxis()
    panel.set_title(f"{comparison.title} ({comparison.unit})", loc="left", fontsize=9)
    panel.spines[["top", "right"]].set_visible(b=False)
    most = max(max(comparison.rounds[name]) for name in names)
    panel.set_xlim(0, most * 1.15)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    for place, (name, middle) in enumerate(zip(names, medians, strict=True)):
        panel.text(max(comparison.rounds[name]) + most * 0.015, place, show(middle), va="center")
