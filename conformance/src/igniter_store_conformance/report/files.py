"""Where a report is written to: FORMAT=FILE, and the module that knows each format.

Rule: a format's module is imported when somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_conformance.report.results import Report

FORMATS: Final = {
    "html": "igniter_store_conformance.report.html",
    "json": "igniter_store_conformance.report.json_report",
    "junit": "igniter_store_conformance.report.junit",
    "markdown": "igniter_store_conformance.report.markdown",
    "badge": "igniter_store_conformance.report.badge",
}
"""The module of each format; it has `render(report)`, which returns the text."""


class UnwritableReport(Exception):  # noqa: N818 - named for what it is to the caller
    """Raised for a format that there isn't, or a file that can't be written.

    The message says what is wrong, and the cure.
    """


def parsed(target: str) -> tuple[str, str]:
    """The format and the file of FORMAT=FILE.

    Raises:
        UnwritableReport: it is not of that form.
    """
    format, _, file = target.partition("=")
    if format not in FORMATS or not file:
        message = f"{target!r} has to be FORMAT=FILE, such as html=report.html; FORMAT is one of {', '.join(FORMATS)}."
        raise UnwritableReport(message)
    return format, file


def rendered(report: Report, format: str) -> str:
    """The report in one of the formats."""
    render: Callable[[Report], str] = import_module(FORMATS[format]).render
    return render(report)


def write(report: Report, target: str, directory: Path | None = None) -> Path:
    """Write a report, and the directories that it needs.

    Args:
        report: what was measured.
        target: FORMAT=FILE.
        directory: what a relative FILE is relative to; where the process runs, if left out.

    Raises:
        UnwritableReport: it can't be written there.
    """
    format, file = parsed(target)
    path = (directory or Path.cwd()) / file
    text = rendered(report, format)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        message = f"The {format} report can't be written to {file}: {error.strerror or error}. Name a file in a directory that you may write to."
        raise UnwritableReport(message) from error
    return path
