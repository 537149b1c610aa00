"""Runs pytest in a process of its own: its command, environment, progress and report.

Rule: pytest reads only the kit's configuration, loads only the kit's plugin (and pytest-xdist for
    -n), and keeps no cache in the user's directory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from igniter_store_conformance.cli.failures import INTERRUPTED, NOT_CONFORMANT, CommandFailure
from igniter_store_conformance.cli.harness_lookup import CONTRACT_VARIABLE, NAME_VARIABLE
from igniter_store_conformance.cli.output import console
from igniter_store_conformance.cli.progress_plugin import (
    BEGAN,
    ENDED,
    EXPECTED,
    FILE_VARIABLE,
    USAGE,
)
from igniter_store_conformance.report.results import Report, from_json
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HERE: Final = Path(__file__).parent
_SUITE: Final = _HERE / "command_line_suite.py"
_LOOK_EVERY: Final = 0.1  # seconds
_LAST_WORDS: Final = 2_000  # characters of pytest's output, when it left no report
_NOTHING_COLLECTED: Final = 5
# pytest's exit statuses for a complete run; with the others it broke off.
_COMPLETE: Final = frozenset({0, 1, _NOTHING_COLLECTED})


class Started(Struct, frozen=True, kw_only=True):
    """The parameters of a run.

    Attributes:
        name: `module:harness`.
        contract: the version to pin, if not the suite's own.
        tests: their names; empty for all.
        arguments: further arguments for pytest.
        processes: the number of processes that run tests; `None` for one.
        expected: the number of tests, as far as it is known beforehand.
        directory: for the files that the two processes exchange.
    """

    name: str
    contract: str | None
    tests: Sequence[str]
    arguments: Sequence[str]
    processes: int | None
    expected: int
    directory: Path


def run_pytest(started: Started) -> tuple[Report, str]:
    """Run pytest to its end, show its progress, and return its report.

    Returns:
        The report, and the reason why it is incomplete; empty when it is complete.

    Raises:
        CommandFailure: pytest left no report: the name is wrong, nothing was selected, or pytest
            itself failed.
    """
    progress_file, report_file, printed = (
        started.directory / name for name in ("progress", "report.json", "printed")
    )
    progress_file.touch()
    with printed.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a command of this repository
            _command(started, report_file),
            env=_environment(started, progress_file),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            seen = _watch(process, progress_file, started.expected)
        except BaseException as error:
            process.terminate()
            process.wait()
            latest = "".join(step.get(BEGAN, "") for step in _begun(progress_file)[-1:])
            if isinstance(error, KeyboardInterrupt) and latest:
                raise CommandFailure(
                    f"Interrupted in {latest}; no report was written.", INTERRUPTED
                ) from None
            raise
    if seen.against_usage:
        raise CommandFailure(seen.against_usage)
    status = process.returncode
    if report_file.exists():
        report = from_json(report_file.read_bytes())
        return (
            report,
            ""
            if status in _COMPLETE
            else f"pytest ended with {_status(status)} before all tests had:\n{_last(printed)}",
        )
    if status == _NOTHING_COLLECTED and not seen.latest:
        raise CommandFailure(
            "No test of the suite was selected. `igniter-conformance list` prints their names."
        )
    where = f" in {seen.latest}" if seen.latest else ""
    message = (
        f"The process that runs the tests died with {_status(status)}{where}, and there is no "
        "report. The adapter or the harness ended it, such as by os._exit or a crash in C code. "
        f"It printed at the end:\n{_last(printed)}"
    )
    raise CommandFailure(message, NOT_CONFORMANT)


def _command(started: Started, report_file: Path) -> list[str]:
    nodes = [f"{_SUITE}::TestAdapter::{test}" for test in started.tests] or [str(_SUITE)]
    plugins = [
        "igniter_store_conformance.pytest_plugin",
        "igniter_store_conformance.cli.progress_plugin",
    ]
    processes: list[str] = []
    if started.processes:
        plugins.append("xdist")
        processes = ["-n", str(started.processes)]
    loaded = [part for plugin in plugins for part in ("-p", plugin)]
    configuration = [
        "-c",
        str(_HERE / "pytest.ini"),
        "--rootdir",
        str(_HERE),
        "-p",
        "no:cacheprovider",
    ]
    report = ["--conformance-report", f"json={report_file}"]
    return [
        sys.executable,
        "-m",
        "pytest",
        *configuration,
        *loaded,
        *processes,
        *report,
        *started.arguments,
        *nodes,
    ]


def _environment(started: Started, progress_file: Path) -> Mapping[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTEST_ADDOPTS", "PYTEST_PLUGINS"}
    }
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Not only for this process: clients in processes of their own import the harness too.
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH")))
    )
    environment[NAME_VARIABLE] = started.name
    environment[CONTRACT_VARIABLE] = started.contract or ""
    environment[FILE_VARIABLE] = str(progress_file)
    return environment


class _Seen:
    """The reports of the process: an error in the command, and the test that began last."""

    against_usage = ""
    latest = ""


def _watch(process: subprocess.Popen[bytes], progress_file: Path, expected: int) -> _Seen:
    """Show the progress until the process has ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    ended: Counter[str] = Counter()
    seen = _Seen()
    screen = console(stderr=True)
    with (
        Progress(
            *columns, console=screen, transient=True, disable=not screen.is_terminal
        ) as progress,
        progress_file.open("rb") as file,
    ):
        task = progress.add_task("starting", total=expected)
        while True:
            is_over = process.poll() is not None
            for step in _steps(file.readlines(), file):
                seen.against_usage = step.get(USAGE, seen.against_usage)
                if BEGAN in step:
                    seen.latest = step[BEGAN]
                    progress.update(task, description=_described(ended, seen.latest))
                if EXPECTED in step:
                    progress.update(task, total=step[EXPECTED])
                if ENDED in step:
                    ended[step[ENDED]] += 1
                    progress.update(task, advance=1, description=_described(ended, seen.latest))
            if is_over:
                return seen
            time.sleep(_LOOK_EVERY)


def _steps(lines: Sequence[bytes], file: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.endswith(b"\n"):  # still being written
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield json.loads(line)


def _begun(progress_file: Path) -> list[dict[str, Any]]:
    with progress_file.open("rb") as file:
        return [step for step in _steps(file.readlines(), file) if BEGAN in step]


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _last(printed: Path) -> str:
    return printed.read_text(encoding="utf-8", errors="replace").strip()[-_LAST_WORDS:]


def _described(ended: Counter[str], latest: str) -> str:
    return ", ".join([*(f"{ended[state]} {state}" for state in State if ended[state]), latest])
