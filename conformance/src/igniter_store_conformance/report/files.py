"""Writes a report to a file: FORMAT=FILE, and the module for each format.

Rule: a format's module is imported only when the format is used.
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
"""The module of each format; its `render(report)` returns the text."""


class UnwritableReport(Exception):  # noqa: N818 - named as the caller sees it
    """Raised for an unknown format, or a file that can't be written.

    The message includes the fix.
    """


def parsed(target: str) -> tuple[str, str]:
    """Return the format and the file of FORMAT=FILE.

    Raises:
        UnwritableReport: it isn't of that form.
    """
    format, _, file = target.partition("=")
    if format not in FORMATS or not file:
        message = (
            f"{target!r} has to be FORMAT=FILE, such as html=report.html; FORMAT is one of "
            f"{', '.join(FORMATS)}."
        )
        raise UnwritableReport(message)
    return format, file


def rendered(report: Report, format: str) -> str:
    """Return the report in one of the formats."""
    render: Callable[[Report], str] = import_module(FORMATS[format]).render
    return render(report)


def write(report: Report, target: str, directory: Path | None = None) -> Path:
    """Write a report, and create missing directories.

    Args:
        report: the report.
        target: FORMAT=FILE.
        directory: the directory that a relative FILE is relative to; the current directory by
            default.

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
        message = (
            f"The {format} report can't be written to {file}: {error.strerror or error}. Name a "
            "file in a directory that you may write to."
        )
        raise UnwritableReport(message) from error
    return path
