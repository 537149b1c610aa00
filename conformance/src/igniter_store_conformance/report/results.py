"""The results as data: a `Result` per test, an `AdapterRun` per class, a `Report` for all runs.

Rule: a report is self-contained. It includes the sentences of the clauses that it names, so another
    version of the kit can read and merge it.
Rule: a report contains no host, no user, no path of a machine and no password of a URL, because it
    is made to be published.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence  # noqa: TC003 - msgspec looks at the annotations
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = 1
"""The version of the JSON format.

It increases only when an old reader would misread a new report; added fields don't count.
"""


class UnreadableReport(Exception):  # noqa: N818 - named as the caller sees it
    """Raised for a file that isn't a report. The message includes the fix."""


class Result(Struct, frozen=True, kw_only=True):
    """The result of one test.

    Attributes:
        test: the method's name.
        clause: the id of the clause that it tests.
        sentence: the clause, in the words of the contract.
        promise: the part of the clause that this test checks.
        hint: where to look if it fails.
        state: the state in which it ended.
        kept: whether the adapter did what the test requires; `None` if the test didn't ask it
            (lacks, not exercised).
        detail: the reason for the state: the missing capability, the missing part of the harness,
            the reason for a known failure, the first line of the failure.
        seconds: its duration.
        seed: the seed of its random numbers, if it failed.
        where: the line of the suite that found the failure, and the last line of the adapter's
            code, one per line.
        difference: the expected and the actual value, without the lines of code.
        failure: the whole traceback.
        again: the command that runs this one test.
    """

    test: str
    clause: str
    state: State
    sentence: str = ""
    promise: str = ""
    hint: str = ""
    kept: bool | None = None
    detail: str = ""
    seconds: float = 0.0
    seed: str = ""
    where: str = ""
    difference: str = ""
    failure: str = ""
    again: str = ""


class Environment(Struct, frozen=True, kw_only=True):
    """The environment of the run, without private details.

    Attributes:
        python: implementation and version.
        platform: operating system and processor.
        server: the version that the harness's server reports; empty without a server.
        packages: versions of the kit, the core, the adapters, and the adapters' dependencies.
    """

    python: str = ""
    platform: str = ""
    server: str = ""
    packages: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class AdapterRun(Struct, frozen=True, kw_only=True):
    """One run of a class of tests: a column of the matrix.

    Attributes:
        suite: the node id of the class; on the command line, the name that was given there.
        adapter: the adapter's `name`; empty if no test got as far as creating one.
        contract: the version of the contract that the suite pins.
        kit: the version of the kit.
        capabilities: the names of the capabilities that the adapter inherits.
        total: the number of tests that the suite has for an adapter, selected or not.
        deselected: the number of tests that `-k`, `-m` or `--deselect` excluded.
        environment: the environment of the run.
        results: one for every test that finished, in the order of the contract.
    """

    suite: str
    adapter: str = ""
    contract: str
    kit: str = ""
    capabilities: Sequence[str] = ()
    total: int = 0
    deselected: int = 0
    environment: Environment = Environment()
    results: Sequence[Result] = ()

    def counts(self) -> dict[State, int]:
        """Return the number of results in each state that occurs, the best state first."""
        counted = Counter(result.state for result in self.results)
        return {state: counted[state] for state in State if counted[state]}

    def of_state(self, *states: State) -> list[Result]:
        """Return the results in one of these states."""
        return [result for result in self.results if result.state in states]

    @property
    def missing(self) -> int:
        """The number of tests without a result: deselected, or the run stopped before."""
        return max(0, self.total - len(self.results))

    @property
    def class_name(self) -> str:
        """The last part of `suite`."""
        return self.suite.rsplit("::", 1)[-1]


class Report(Struct, frozen=True, kw_only=True):
    """Any number of runs, of one session or of many.

    Attributes:
        format: the version of the format.
        runs: the columns of the matrix.
    """

    format: int = FORMAT
    runs: Sequence[AdapterRun] = ()


def merge(reports: Iterable[Report]) -> Report:
    """Return one report with the runs of all reports, in order and without duplicates."""
    runs: list[AdapterRun] = []
    for report in reports:
        runs.extend(run for run in report.runs if run not in runs)
    return Report(runs=runs)


def from_json(text: bytes | str, *, source: str = "the report") -> Report:
    """Read the output of `to_json`.

    Args:
        text: the document.
        source: the name of the document in error messages.

    Raises:
        UnreadableReport: it isn't a report, or has a format that this version doesn't know.
    """
    try:
        version = msgspec.json.decode(text, type=_Header).format
        if version != FORMAT:
            message = (
                f"{source} is a report of form {version}, and this kit reads form {FORMAT}: use "
                "the newest igniter-store-conformance."
            )
            raise UnreadableReport(message)
        return msgspec.json.decode(text, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = (
            f"{source} isn't a report of the conformance kit ({error}). Make one with --report "
            "json=FILE."
        )
        raise UnreadableReport(message) from error


def to_json(report: Report, judged: Mapping[str, Any] | None = None) -> str:
    """Return the report as JSON, indented so that two of them can be compared.

    Args:
        report: the data.
        judged: conclusions for readers without the kit; not read back, because they follow from the
            data.
    """
    document: dict[str, Any] = msgspec.to_builtins(report)
    text = json.dumps(document | dict(judged or {}), indent=2, ensure_ascii=False)
    # Half a surrogate pair, from a test's key, can't be encoded.
    return text.encode("utf-8", "replace").decode() + "\n"


class _Header(Struct):
    format: int
