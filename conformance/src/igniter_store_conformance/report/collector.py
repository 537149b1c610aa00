"""Turns pytest's reports into results, one for each test, from any process.

Rule: pytest decides where it reports a failure: a failing setup or teardown is a failure of the
    test.
Rule: the suite decides where pytest would be lenient: a failed test with an xfail mark has failed.
Rule: a worker of pytest-xdist sends its findings with its reports. No code here needs the test's
    own process.
"""

from __future__ import annotations

import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.report.results import AdapterRun, Environment, Report, Result
from igniter_store_conformance.spec import states
from igniter_store_conformance.spec.clauses import CLAUSES, VERSIONS
from igniter_store_conformance.spec.states import State
from igniter_store_conformance.suite.adapter_suite import AdapterSuite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from igniter_store_conformance.engine.clause_info import ClauseTest

ATTRIBUTE: Final = "igniter_conformance"
"""The attribute of a pytest report that describes a test of the suite."""

_KIT: Final = "igniter-store-conformance"
_ADAPTERS: Final = "igniter_store.adapters"  # the entry points by which the core finds adapters
_CAPTURED_LIMIT: Final = (
    4_000  # characters of a test's own output; the last ones are the most informative
)
_NEVER: Final = frozenset({State.LACKS, State.NOT_EXERCISED})


def described(item: pytest.Item) -> dict[str, Any] | None:
    """Return the description of a suite's test in a form that every worker can send.

    Returns `None` for any other test.
    """
    test, owner = clause_test_of(getattr(item, "function", None)), getattr(item, "cls", None)
    if test is None or not (isinstance(owner, type) and issubclass(owner, Suite)):
        return None
    return {
        "suite": suite_of(item),
        "contract": owner.contract,
        "total": len({*AdapterSuite.clause_tests(), *owner.clause_tests()}),
    } | _of(test)


def suite_of(item: pytest.Item) -> str:
    """Return the node id of the test's class, with the parameters.

    A class that runs for several servers therefore counts as several adapters.
    """
    parent = item.nodeid.rsplit("::", 1)[0] if item.parent is None else item.parent.nodeid
    return parent + item.name[len(getattr(item, "originalname", None) or item.name) :]


def state_of(report: pytest.TestReport) -> State:
    """Return the state in a report; for the report of the call, it is the state of the test."""
    noted = dict(report.user_properties).get(states.STATE)
    if report.failed:
        return State.FAILED
    if noted is not None:
        return State(str(noted))
    # This skip isn't the suite's own: it comes from the author's harness, a fixture or a mark.
    return State.NOT_EXERCISED


class Collector:
    """The results collected so far.

    Args:
        root: the directory that paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tests: dict[str, tuple[Mapping[str, Any], Result]] = {}
        self._adapters: dict[str, dict[str, str]] = {}
        self._deselected: dict[str, int] = {}
        self._crashed: dict[str, str] = {}

    def hear(self, report: pytest.TestReport) -> Result | None:
        """Process one of pytest's reports.

        Returns the result of the test, if it is known now or has changed.
        """
        about: Mapping[str, Any] | None = getattr(report, ATTRIBUTE, None)
        if about is None:
            if str(report.when) == "???":  # pytest-xdist's report for a worker that died
                self._crashed[report.nodeid] = report.longreprtext
            return None
        noted = {str(name): str(value) for name, value in report.user_properties}
        self._adapters.setdefault(about["suite"], {}).update(
            {
                name: noted[name]
                for name in (states.ADAPTER, states.CAPABILITIES, states.SERVER)
                if noted.get(name)
            }
        )
        _, before = self._tests.get(report.nodeid, (None, None))
        # A teardown failed after the test had finished.
        ended_before = report.when != "call" and before is not None
        result = self._result(report, about, {} if ended_before else noted)
        self._tests[report.nodeid] = about, result
        return result

    def deselect(self, suites: Mapping[str, int]) -> None:
        """Record how many tests of each class were deselected.

        All workers report the same numbers, which count once.
        """
        for suite, number in suites.items():
            self._deselected[suite] = max(number, self._deselected.get(suite, 0))

    def report(self) -> Report:
        """Return the report, in an order that doesn't depend on which test finished first.

        The suites are sorted by name, the results are in the order of the contract.
        """
        runs: dict[str, list[tuple[Mapping[str, Any], Result]]] = {}
        for about, result in self._tests.values():
            runs.setdefault(about["suite"], []).append((about, result))
        for nodeid, message in self._crashed.items():
            place, _, name = nodeid.partition("[")[0].rpartition("::")
            test = clause_test_of(getattr(AdapterSuite, name, None))
            if test is not None:
                about = {
                    "suite": place,
                    "contract": VERSIONS[-1],
                    "total": len(AdapterSuite.clause_tests()),
                }
                heard = runs.setdefault(place, [])
                heard.append((heard[0][0] if heard else about, _lost(test, name, message)))
        return Report(runs=[self._run(suite, runs[suite]) for suite in sorted(runs)])

    def _run(self, suite: str, heard: Iterable[tuple[Mapping[str, Any], Result]]) -> AdapterRun:
        order = {clause: place for place, clause in enumerate(CLAUSES)}
        abouts, results = zip(*heard, strict=True)
        noted = self._adapters.get(suite, {})
        adapter = noted.get(states.ADAPTER, "")
        return AdapterRun(
            suite=suite,
            adapter=adapter,
            contract=abouts[0]["contract"],
            kit=_version(_KIT),
            capabilities=noted.get(states.CAPABILITIES, "").split(),
            total=max(about["total"] for about in abouts),
            deselected=self._deselected.get(suite, 0),
            environment=environment(adapter, noted.get(states.SERVER, "")),
            results=sorted(
                results, key=lambda result: (order.get(result.clause, len(order)), result.test)
            ),
        )

    def _result(
        self, report: pytest.TestReport, about: Mapping[str, Any], noted: Mapping[str, str]
    ) -> Result:
        state = state_of(report)
        kept = (
            None
            if state in _NEVER
            else (state is State.PASSED or (state is State.NOT_SCORED and report.passed))
        )
        reported = kept is False
        difference = self._without_places(_difference(report, about["clause"])) if reported else ""
        detail = noted.get(states.DETAIL) or _reason(report) or difference.partition("\n")[0]
        where = f"{report.when}: " if report.when != "call" and report.failed else ""
        seed = noted.get(states.SEED, "")
        return Result(
            test=about["test"],
            clause=about["clause"],
            sentence=about["sentence"],
            promise=about["promise"],
            hint=about["hint"],
            state=state,
            kept=kept,
            detail=self._without_places(where + detail),
            seconds=round(report.duration, 4),
            seed=seed,
            where=noted.get(states.WHERE, ""),
            difference=difference,
            failure=self._without_places(_failure(report, about["clause"])) if reported else "",
            again=(
                "pytest "
                f"{shlex.quote(report.nodeid)}{f' --conformance-seed {seed}' if seed else ''}"
            )
            if reported
            else "",
        )

    def _without_places(self, text: str) -> str:
        """Return the text without details of the machine.

        These are its directories, its user, and passwords of URLs.
        """
        text = re.sub(r"[^\s'\"(]*[\\/]((?:site|dist)-packages)[\\/]", r"\1/", text)
        for place in sorted(
            {*filter(None, sys.path), str(self._root), str(Path.cwd())}, key=len, reverse=True
        ):
            text = text.replace(f"{place}/", "").replace(f"{place}\\", "")
        text = text.replace(str(Path.home()), "~")
        text = text.encode("utf-8", "backslashreplace").decode()
        text = re.sub(r"pytest-of-[^\s\\/]+", "pytest-of-user", text)
        return re.sub(r"://[^\s/@'\"]*@", "://...@", text)


def environment(adapter: str, server: str = "") -> Environment:
    """Describe this process, and the versions of the packages under test."""
    names = [_KIT, "igniter-store", "pytest", "hypothesis"]
    for point in metadata.entry_points(group=_ADAPTERS, name=adapter):
        if point.dist is not None:
            requirements = (
                re.match(r"[\w.-]+", requirement) for requirement in point.dist.requires or []
            )
            names += [point.dist.name, *(found[0] for found in requirements if found)]
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=f"{platform.system()} {platform.machine()}",
        server=server,
        packages={name: version for name in names if (version := _version(name))},
    )


def _of(test: ClauseTest) -> dict[str, str]:
    return {
        "test": test.name,
        "clause": test.clause.id,
        "sentence": test.clause.sentence,
        "promise": " ".join(test.promise.split()),
        "hint": " ".join(test.hint.split()),
    }


def _lost(test: ClauseTest, name: str, message: str) -> Result:
    about = _of(test)
    return Result(
        test=name,
        clause=about["clause"],
        sentence=about["sentence"],
        promise=about["promise"],
        hint=about["hint"],
        state=State.FAILED,
        kept=False,
        detail="the process that ran it died",
        failure=message,
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _reason(report: pytest.TestReport) -> str:
    """Return the reason of the skip, as it was given to pytest."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return ""


def _difference(report: pytest.TestReport, clause: str) -> str:
    """Return the expected and the actual value.

    This is the message of the error with pytest's comparison, without the notes of the suite.
    """
    chain: list[Any] = list(getattr(report.longrepr, "chain", ()))
    if hasattr(report, "wasxfail") and len(chain) > 1:
        chain.pop()  # the xfail; the failure that it hides was its cause
    crash = chain[-1][1] if chain else getattr(report.longrepr, "reprcrash", None)
    message = str(crash.message) if crash is not None else report.longreprtext
    return message.partition(f"\n\n{clause}: ")[0].strip()


def _failure(report: pytest.TestReport, clause: str) -> str:
    """Return the traceback, and the captured output and log of the test."""
    notes = rf"^E *\nE +{re.escape(clause)}: .*?^E +To run it again: [^\n]*\n?"
    traceback = re.sub(notes, "", report.longreprtext, flags=re.MULTILINE | re.DOTALL)
    sections = [
        f"--- {title} ---\n{text[-_CAPTURED_LIMIT:]}"
        for title, text in report.sections
        if text.strip()
    ]
    return "\n".join([traceback.strip(), *sections])
