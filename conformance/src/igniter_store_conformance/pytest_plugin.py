"""The pytest plugin of the suite: its options, its marker, and the reports of its tests.

Rule: this module is loaded in every pytest run wherever the kit is installed. It imports no other
    module of the kit, and prints nothing, unless the run has a test of the suite.
Rule: a test that didn't run, for any reason, never looks like one that passed. It has a letter and
    a count of its own, and a reason.
Rule: a run is red when a test of the suite failed, even if an xfail mark would hide it, and when
    tests were collected and none ran.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from igniter_store_conformance.report.collector import Collector
    from igniter_store_conformance.report.results import Report

REQUIRED_BACKENDS: Final = "IGNITER_REQUIRE_BACKENDS"
"""The environment variable of `--require-backends`: names, separated by commas."""

# A copy of the names, because `report.files` would have to be imported.
_FORMATS: Final = ("html", "json", "junit", "markdown", "badge")
_ATTRIBUTE: Final = "igniter_conformance"
_FROM_WORKERS: Final = "igniter_conformance_deselected"
_STATUS: Final = {
    "lacks": ("lacks", "l", ("LACKS", {"cyan": True})),
    "not exercised": ("not exercised", "n", ("NOT EXERCISED", {"yellow": True})),
    "known failing": ("known failing", "k", ("KNOWN FAILING", {"yellow": True})),
    "not scored": ("not scored", "u", ("NOT SCORED", {"cyan": True})),
    "fail": ("failed", "F", ("FAILED", {"red": True})),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the kit."""
    group = parser.getgroup("igniter-conformance", "conformance of adapters of igniter-store")
    group.addoption(
        "--conformance-seed",
        metavar="N",
        type=int,
        help="repeat a run: the seed that a failed test printed",
    )
    group.addoption(
        "--conformance-timeout",
        metavar="SECONDS",
        type=float,
        help="what a usual test may take (30); more for a debugger or a slow backend",
    )
    group.addoption(
        "--conformance-examples",
        metavar="N",
        type=int,
        help=(
            "random examples of each test that compares with the model (up to 500, in 12 "
            "seconds); few for a quick look, many for a night"
        ),
    )
    group.addoption(
        "--conformance-report",
        metavar="FORMAT=FILE",
        action="append",
        default=[],
        help=(
            f"write what the suite found; FORMAT is one of {', '.join(_FORMATS)}; may be given "
            "several times"
        ),
    )
    group.addoption(
        "--require-backends",
        metavar="NAMES",
        help=(
            "servers whose absence fails the run instead of leaving tests unexercised, such as "
            f"redis,valkey; or ${REQUIRED_BACKENDS}"
        ),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the suite's tests, and the listener for their reports."""
    config.addinivalue_line(
        "markers", "clause(*ids): the clauses of the contract that a test holds an adapter to"
    )
    for target in _targets(config):
        check_target(target)
    examples = config.getoption("--conformance-examples")
    if examples is not None and examples < 1:
        message = f"--conformance-examples {examples}: it has to be 1 or more."
        raise pytest.UsageError(message)
    required = config.getoption("--require-backends")
    if required:
        _set_for_this_run(config, REQUIRED_BACKENDS, required)
    config.pluginmanager.register(_ReportReceiver(config), "igniter_conformance_listener")


def check_target(target: str) -> None:
    """Refuse a target that isn't FORMAT=FILE.

    Raises:
        pytest.UsageError: the target is malformed. The message has the fix.
    """
    format, _, file = target.partition("=")
    if format not in _FORMATS or not file:
        message = (
            f"--conformance-report {target}: it has to be FORMAT=FILE, where FORMAT is one of "
            f"{', '.join(_FORMATS)}."
        )
        raise pytest.UsageError(message)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the test's description to each report of the suite's tests.

    It then arrives in the process that collects the results.
    """
    report = yield
    if _is_of_suite(item) and (report.when == "call" or not report.passed):
        # the module's first rule
        from igniter_store_conformance.report.collector import described  # noqa: PLC0415

        about = described(item)
        if about is not None:
            setattr(report, _ATTRIBUTE, about)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, Any] | None:
    """Give the states of the suite letters, words and counts of their own."""
    if (
        not isinstance(report, pytest.TestReport)
        or not hasattr(report, _ATTRIBUTE)
        or report.failed
    ):
        return None
    # the module's first rule
    from igniter_store_conformance.report.collector import state_of  # noqa: PLC0415

    return _STATUS.get(state_of(report)) if report.when == "call" or report.skipped else None


class _ReportReceiver:
    """Receives the reports of all tests, and decides the result of the run.

    Args:
        config: pytest's config.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config: Final = config
        self._in_worker: Final = hasattr(config, "workerinput")
        self._deselected: dict[str, int] = {}
        self._collector: Collector | None = None
        self._notes: list[str] = []

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that are deselected."""
        if any(_is_of_suite(item) for item in items):
            # the module's first rule
            from igniter_store_conformance.report.collector import suite_of  # noqa: PLC0415

            for item in items:
                if _is_of_suite(item):
                    suite = suite_of(item)
                    self._deselected[suite] = self._deselected.get(suite, 0) + 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the result of a test."""
        if self._in_worker or not (hasattr(report, _ATTRIBUTE) or str(report.when) == "???"):
            return
        if self._collector is None:
            # the module's first rule
            from igniter_store_conformance.report.collector import Collector  # noqa: PLC0415

            self._collector = Collector(self._config.rootpath)
        self._collector.hear(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Collect from a worker of pytest-xdist which tests were deselected."""
        del error
        for suite, number in cast(
            "dict[str, int]", getattr(node, "workeroutput", {}).get(_FROM_WORKERS, {})
        ).items():
            self._deselected[suite] = max(number, self._deselected.get(suite, 0))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports, and decide whether the run is red."""
        if self._in_worker:
            cast("Any", self._config).workeroutput[_FROM_WORKERS] = self._deselected
            return
        report = self._report()
        if report is None:
            if _targets(self._config):
                self._notes.append("no test of the suite ran, so no report was written")
            return
        self._write(report, session)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = self._exit_status(report)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Print the verdicts on the adapters."""
        report = self._report()
        if report is None and not self._notes:
            return
        # the module's first rule
        from igniter_store_conformance.report.summary import summary  # noqa: PLC0415

        terminalreporter.section("conformance to the contract of igniter-store")
        detailed = config.get_verbosity() > 0 or bool(
            set("asxA") & set(str(config.getoption("reportchars", "")))
        )
        if report is not None:
            for line, colour in summary(report, detailed=detailed):
                terminalreporter.write_line(line, **{colour: True} if colour else {})
        for note in self._notes:
            terminalreporter.write_line(note)

    def _report(self) -> Report | None:
        if self._collector is None:
            return None
        self._collector.deselect(self._deselected)
        report = self._collector.report()
        return report if report.runs else None

    def _write(self, report: Report, session: pytest.Session) -> None:
        # the module's first rule
        from igniter_store_conformance.report.files import UnwritableReport, write  # noqa: PLC0415

        for target in _targets(self._config):
            try:
                write(report, target, self._config.invocation_params.dir)
            except UnwritableReport as failure:
                self._notes.append(str(failure))
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            else:
                self._notes.append(f"{target.partition('=')[0]} report: {target.partition('=')[2]}")

    def _exit_status(self, report: Report) -> pytest.ExitCode:
        # the module's first rule
        from igniter_store_conformance.report.verdict import nothing_ran  # noqa: PLC0415

        # the module's first rule
        from igniter_store_conformance.spec.states import State  # noqa: PLC0415

        if all(nothing_ran(run) for run in report.runs):
            self._notes.append(
                "Not one test of the suite ran against an adapter, which proves nothing: the run "
                "fails (exit status 5)."
            )
            return pytest.ExitCode.NO_TESTS_COLLECTED
        if any(run.of_state(State.FAILED) for run in report.runs):
            self._notes.append(
                "Tests of the suite failed under a mark of xfail; list them in known_failing "
                "instead. The run fails."
            )
            return pytest.ExitCode.TESTS_FAILED
        return pytest.ExitCode.OK


def _targets(config: pytest.Config) -> list[str]:
    return cast("list[str]", config.getoption("--conformance-report"))


def _is_of_suite(item: pytest.Item) -> bool:
    return hasattr(getattr(item, "function", None), "clause_test")


def _set_for_this_run(config: pytest.Config, name: str, value: str) -> None:
    before = os.environ.get(name)
    os.environ[name] = value  # workers of pytest-xdist inherit it

    def restore() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    config.add_cleanup(restore)
