"""What was measured, as data: one `Result` a test, one `AdapterRun` for each class of tests, one
`Report` for any number of those.

Rule: a report stands by itself. It carries the sentences of the clauses that it names, so another
    version of the kit can read and merge it.
Rule: no host, no user, no path of a machine and no password of a URL is in it; it is made to be
    published.
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
"""The version of the JSON form.

It grows only when an old reader would misread a new report; added fields don't count.
"""


class UnreadableReport(Exception):  # noqa: N818 - named for what it is to the caller
    """Raised for a file that is no report. The message says what is wrong, and the cure."""


class Result(Struct, frozen=True, kw_only=True):
    """What one test came to.

    Attributes:
        test: the method's name.
        clause: the id of the clause that it holds the adapter to.
        sentence: the clause, in the words of the contract.
        promise: what the test alone asks for.
        hint: where to look if it fails.
        state: its end.
        kept: whether the adapter did what the test asks; `None` where nobody asked it (lacks, not
            exercised).
        detail: the state's reason: what is lacking, what it would need, why it is known, the first
            line of the failure.
        seconds: how long it took.
        seed: what its random numbers came from, where it failed.
        where: the line of the suite that found it, and the last one of the adapter's author, a line
            each.
        difference: what was expected and what came, without the lines of code.
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
    """Where it was measured, as far as a stranger may know it.

    Attributes:
        python: implementation and version.
        platform: operating system and processor.
        server: what the harness's server calls its version; empty without one.
        packages: versions of the kit, the core, the adapters, and what those are built upon.
    """

    python: str = ""
    platform: str = ""
    server: str = ""
    packages: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class AdapterRun(Struct, frozen=True, kw_only=True):
    """One class of tests, run once: a column of the matrix.

    Attributes:
        suite: the class, by its node id; on the command line what was named there.
        adapter: the adapter's `name`; empty if no test got as far as having one.
        contract: the version of the contract that the suite pins.
        kit: the version of the kit.
        capabilities: the names of those that the adapter inherits.
        total: how many tests the suite has for an adapter, whether they were selected or not.
        deselected: how many of them were left out by `-k`, `-m` or `--deselect`.
        environment: where it was measured.
        results: one for every test that came to an end, in the order of the contract.
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
        """How many results there are of each state, those that occur, the best first."""
        counted = Counter(result.state for result in self.results)
        return {state: counted[state] for state in State if counted[state]}

    def of_state(self, *states: State) -> list[Result]:
        """The results in one of these states."""
        return [result for result in self.results if result.state in states]

    @property
    def missing(self) -> int:
        """How many tests came to no end at all: not selected, or the run stopped before."""
        return max(0, self.total - len(self.results))

    @property
    def class_name(self) -> str:
        """The last part of `suite`."""
        return self.suite.rsplit("::", 1)[-1]


class Report(Struct, frozen=True, kw_only=True):
    """Any number of runs, of one session or of many.

    Attributes:
        format: the version of the form.
        runs: the columns of the matrix.
    """

    format: int = FORMAT
    runs: Sequence[AdapterRun] = ()


def merge(reports: Iterable[Report]) -> Report:
    """One report with the runs of all, in order; a run that occurs twice is there once."""
    runs: list[AdapterRun] = []
    for report in reports:
        runs.extend(run for run in report.runs if run not in runs)
    return Report(runs=runs)


def from_json(text: bytes | str, *, source: str = "the report") -> Report:
    """Read what `to_json` wrote.

    Args:
        text: the document.
        source: how messages should call it.

    Raises:
        UnreadableReport: it is something else, or of a form that this version doesn't know.
    """
    try:
        version = msgspec.json.decode(text, type=_Header).format
        if version != FORMAT:
            message = f"{source} is a report of form {version}, and this kit reads form {FORMAT}: use the newest igniter-store-conformance."
            raise UnreadableReport(message)
        return msgspec.json.decode(text, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{source} is no report of the conformance kit ({error}). Make one with --report json=FILE."
        raise UnreadableReport(message) from error


def to_json(report: Report, judged: Mapping[str, Any] | None = None) -> str:
    """The report as JSON, indented so that two of them can be compared.

    Args:
        report: the data.
        judged: what readers without the kit want besides; not read back, since it follows from the
            data.
    """
    document: dict[str, Any] = msgspec.to_builtins(report)
    text = json.dumps(document | dict(judged or {}), indent=2, ensure_ascii=False)
    return (
        text.encode("utf-8", "replace").decode() + "\n"
    )  # half a surrogate pair, of a key that a test tried, is no text


class _Header(Struct):
    format: int
