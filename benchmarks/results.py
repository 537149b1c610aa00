"""The parts of a question's answer, and its file of raw numbers.

Rule: Tables and pictures are made only from the file, so they show the measured numbers.
Rule: The file describes the machine only as far as the numbers need it, and without its name.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_LARGE: Final = 1_000
_SMALL: Final = 10


class Comparison(Struct, frozen=True):
    """The numbers of contestants measured in turn.

    Attributes:
        title: the operation that was measured.
        unit: of the numbers in `rounds`.
        callers: number of concurrent tasks.
        answers_checked: number of timed calls whose results were checked, in all rounds together.
        rounds: each contestant's number in each round, in turn.
    """

    title: str
    unit: str
    callers: int
    answers_checked: int
    rounds: dict[str, list[float]]

    def ratios(self, name: str, to: str) -> list[float]:
        """The numbers of `name` divided by those of `to`, round by round."""
        return [
            ours / theirs for ours, theirs in zip(self.rounds[name], self.rounds[to], strict=True)
        ]

    def microseconds_between(self, name: str, to: str) -> list[float]:
        """How many microseconds more a call of `name` takes than one of `to`, round by round.

        Both numbers are calls per second.
        """
        return [
            1e6 / ours - 1e6 / theirs
            for ours, theirs in zip(self.rounds[name], self.rounds[to], strict=True)
        ]


class Figure(Struct, frozen=True):
    """One line of the final table.

    Attributes:
        id: number of the figure in the requirements.
        text: the two things that are compared.
        rounds: the figure in each round; the median counts. Empty if it could not be measured.
        asked: the bound, or `None` for a figure that only explains another.
        bound: the good side of `asked`.
        unit: "" for ratios.
        note: an explanation for readers.
    """

    id: str
    text: str
    rounds: list[float]
    asked: float | None = None
    bound: Literal["at least", "at most"] = "at least"
    unit: str = ""
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the median keeps the bound.

        `None` without a bound, or without a measurement.
        """
        if self.asked is None or not self.rounds:
            return None
        measured = median(self.rounds)
        return measured >= self.asked if self.bound == "at least" else measured <= self.asked


class Machine(Struct, frozen=True):
    """The machine that the numbers depend on."""

    python: str
    platform: str
    cpus: int | None


class Result(Struct, frozen=True):
    """The answer to a question.

    Attributes:
        name: the module that asks it.
        question: the first line of its docstring.
        quick: True for a smoke test, whose numbers mean nothing.
        packages: versions of the packages measured.
        missing: packages left out of the comparison, because they are not installed.
    """

    name: str
    question: str
    quick: bool
    machine: Machine
    packages: dict[str, str]
    missing: list[str]
    comparisons: list[Comparison]
    figures: list[Figure]


def this_machine() -> Machine:
    """Describe the machine that this runs on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Machine(
        python=python, platform=f"{platform.system()} {platform.machine()}", cpus=os.cpu_count()
    )


def versions(packages: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return the version of each distribution, and the distributions that are not installed."""
    found: dict[str, str] = {}
    missing: list[str] = []
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return found, missing


def write(result: Result, directory: Path) -> Path:
    """Write the raw numbers of `result`, and return the path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{result.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return path


def read(path: Path) -> Result:
    """Read the result whose raw numbers are in `path`."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def show(number: float) -> str:
    """Format `number` with its significant digits."""
    if abs(number) >= _LARGE:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= _SMALL else f"{number:.2f}"


def show_spread(numbers: Sequence[float]) -> str:
    """Format the median, the minimum and the maximum."""
    return f"{show(median(numbers))} ({show(min(numbers))}..{show(max(numbers))})"
