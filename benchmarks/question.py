"""Runs one question in a separate process.

The command is `python -m benchmarks.<name> [--quick] [--results DIRECTORY]`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

from benchmarks.measuring import FULL, QUICK, Pace
from benchmarks.pictures import draw
from benchmarks.results import (
    Comparison,
    Figure,
    Result,
    show,
    show_spread,
    this_machine,
    versions,
    write,
)

RESULTS: Final = Path(__file__).resolve().parent / "results"
_OURS: Final = ("igniter-store", "igniter-store-memory", "msgspec")


class Answer(Struct, frozen=True):
    """The result of a question's function."""

    comparisons: list[Comparison]
    figures: list[Figure]


Asking: TypeAlias = Callable[[Pace], Awaitable[Answer]]


def ask(file: str, question: str | None, asking: Asking, *, packages: Iterable[str] = ()) -> None:
    """Measure, print, and write the raw numbers and the picture.

    Args:
        file: the question's module file, which names the question.
        question: its docstring; the first line is the question.
        asking: the function that measures.
        packages: the distributions of the peers.
    """
    arguments = _parser(question).parse_args()
    quick: bool = arguments.quick
    directory: Path | None = arguments.results or (None if quick else RESULTS)
    found, missing = versions([*_OURS, *packages])
    name, asked = Path(file).stem, (question or "").partition("\n")[0]
    print(f"{name}: {asked}", flush=True)
    for package in missing:
        print(
            f"  NOT COMPARED with {package}: it isn't installed. `uv sync --group bench` installs "
            "it."
        )
    answer = asyncio.run(_answer(asking, QUICK if quick else FULL))
    result = Result(
        name, asked, quick, this_machine(), found, missing, answer.comparisons, answer.figures
    )
    print()
    for figure in result.figures:
        measured = (
            f"{show_spread(figure.rounds)} {figure.unit}".rstrip()
            if figure.rounds
            else "not measured"
        )
        bound = f"; asked: {figure.bound} {show(figure.asked)}" if figure.asked is not None else ""
        print(f"  {figure.id} {figure.text}: {measured}{bound}")
    if directory is not None:
        path = write(result, directory)
        print(f"\n  raw numbers: {path.name}; picture: {draw(result, directory)}")


def _parser(question: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=question, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only check that it runs: few calls, numbers that mean nothing",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="directory for raw numbers and picture (benchmarks/results; none with --quick)",
    )
    return parser


async def _answer(asking: Asking, pace: Pace) -> Answer:
    return await asking(pace)
