"""Formats results as Markdown, to print and for README.md, between its two marks."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.results import show, show_spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.results import Comparison, Figure, Result

BEGIN: Final = "<!-- measured: begin; written by `python -m benchmarks` -->"
END: Final = "<!-- measured: end -->"


def document(results: Sequence[Result]) -> str:
    """Format everything that was measured.

    The document has the figures with their notes, and each question's numbers and picture.
    """
    parts = [_circumstances(results), figures_table(results), *_notes(results)]
    for result in results:
        parts += [f"### {result.name}", result.question]
        parts += [
            f"Not compared with {package}, which was not installed." for package in result.missing
        ]
        parts += [_comparison_table(comparison) for comparison in result.comparisons]
        parts.append(
            f"![{result.question}](results/{result.name}.svg)\n\nRaw numbers: "
            f"[{result.name}.json](results/{result.name}.json)"
        )
    return "\n\n".join(parts)


def figures_table(results: Iterable[Result]) -> str:
    """Format the final table."""
    lines = ["| id | figure | asked | measured | met |", "|---|---|---|---|---|"]
    lines += [_figure_line(figure) for result in results for figure in result.figures]
    return "\n".join(lines)


def fill(readme: Path, text: str) -> None:
    """Put `text` between the marks of `readme`.

    Raises:
        ValueError: when a mark is missing or occurs more than once.
    """
    old = readme.read_text("utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        message = f"{readme.name} needs {BEGIN!r} and {END!r}, once each."
        raise ValueError(message)
    readme.write_text(
        f"{old.partition(BEGIN)[0]}{BEGIN}\n\n{text}\n\n{END}{old.partition(END)[2]}", "utf-8"
    )


def _circumstances(results: Iterable[Result]) -> str:
    machines = {
        f"{result.machine.python}, {result.machine.platform}, {result.machine.cpus} CPUs"
        for result in results
    }
    packages = {
        f"{name} {number}" for result in results for name, number in result.packages.items()
    }
    return f"Measured with {'; '.join(sorted(machines))}.\n{', '.join(sorted(packages))}."


def _figure_line(figure: Figure) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    asked = "-" if figure.asked is None else f"{figure.bound} {show(figure.asked)}{unit}"
    measured = f"{show_spread(figure.rounds)}{unit}" if figure.rounds else "not measured"
    met = {True: "yes", False: "**no**", None: "-"}[figure.is_met]
    return f"| {figure.id} | {figure.text} | {asked} | {measured} | {met} |"


def _notes(results: Iterable[Result]) -> list[str]:
    notes = list(
        dict.fromkeys(
            f"{figure.id}: {figure.note}"
            for result in results
            for figure in result.figures
            if figure.note
        )
    )
    return ["\n".join(f"- {note}" for note in notes)] if notes else []


def _comparison_table(comparison: Comparison) -> str:
    checked = (
        f", {comparison.answers_checked:,} answers checked" if comparison.answers_checked else ""
    )
    lines = [
        f"| {comparison.title} | {comparison.unit}: median | lowest round | highest round |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {show(median(n))} | {show(min(n))} | {show(max(n))} |"
        for name, n in comparison.rounds.items()
    ]
    return (
        "\n".join(lines)
        + f"\n\n{len(next(iter(comparison.rounds.values())))} rounds in turn{checked}."
    )
