"""Results become states of clauses, verdicts, and reports in every format."""

from __future__ import annotations

import getpass
import json
import platform
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from igniter_store_conformance import CLAUSES, State
from igniter_store_conformance.report import (
    AdapterRun,
    Environment,
    Outcome,
    Report,
    Result,
    UnreadableReport,
    from_json,
    merge,
    verdict,
)
from igniter_store_conformance.report.collector import environment
from igniter_store_conformance.report.files import FORMATS, UnwritableReport, rendered, write
from igniter_store_conformance.report.matrix import matrix, scores
from igniter_store_conformance.report.page_parts import LEGEND, STATE_LOOKS
from igniter_store_conformance.report.summary import summary
from igniter_store_conformance.report.terminal import show
from igniter_store_conformance.report.verdict import clause_state
from rich.console import Console

KEPT = {State.PASSED: True, State.FAILED: False, State.KNOWN_FAILING: False}
NASTY = "<script>alert(1)</script> | ``` & \x00 \ud83d"
ALL = ("KeyValue", "Counters", "Claims", "PubSub", "Streams", "Scan")


def result(state: State, clause: str = "KV-1", test: str = "test_it", **others: Any) -> Result:
    others.setdefault("kept", KEPT.get(state))
    return Result(
        test=test,
        clause=clause,
        sentence=CLAUSES[clause].sentence if clause in CLAUSES else "A new one.",
        state=state,
        **others,
    )


def run(*results: Result, **others: Any) -> AdapterRun:
    given: dict[str, Any] = {
        "suite": "test_mine.py::TestMine",
        "adapter": "mine",
        "contract": "1",
        "capabilities": ALL,
    }
    given |= {"total": len(results)} | others
    return AdapterRun(results=results, **given)


def failing_run(**others: Any) -> AdapterRun:
    failed = result(
        State.FAILED,
        "KV-4",
        "test_a_set_replaces",
        promise="It replaces.",
        hint="look at the upsert.",
        detail="assert 1 == 2",
        difference="assert 1 == 2\n" + NASTY,
        failure="the whole traceback " + NASTY,
        seed="42",
        again="pytest 'test_mine.py::TestMine::test_a_set_replaces' --conformance-seed 42",
    )
    idle = result(State.NOT_EXERCISED, "KV-2", "test_an_oracle", detail="Harness(oracle=...)")
    return run(
        failed,
        idle,
        result(State.PASSED),
        result(State.LACKS, "SCN-1", detail="no Scan"),
        capabilities=ALL[:5],
        **others,
    )


STALE = result(
    State.FAILED,
    test="test_old",
    kept=True,
    detail="stale: listed as known failing (x), and passes",
)
PASS, FAIL, KNOWN = (
    result(State.PASSED),
    result(State.FAILED, detail="it broke"),
    result(State.KNOWN_FAILING, detail="ticket 1"),
)
LACKS, IDLE = result(State.LACKS, detail="no Scan"), result(State.NOT_EXERCISED, detail="an oracle")
NEW_PASS, NEW_FAIL = (
    result(State.NOT_SCORED, kept=True, detail="it passes"),
    result(State.NOT_SCORED, kept=False, detail="it fails: x"),
)


@pytest.mark.parametrize(
    ("results", "word", "note"),
    [
        ([], "not run", ""),
        ([PASS], "pass", ""),
        ([PASS, FAIL, KNOWN, IDLE], "fail", "1 of 4 tests"),
        ([PASS, FAIL, STALE], "fail", "1 of 3 tests"),
        ([PASS, STALE, KNOWN], "stale", "1 of 3: listed as known failing (x), and passes"),
        ([STALE], "stale", "listed as known failing (x), and passes"),
        ([PASS, KNOWN, NEW_FAIL], "known failing", "1 of 3: ticket 1"),
        ([PASS, NEW_FAIL], "not scored", "1 of 2: it fails: x"),
        ([PASS, NEW_PASS], "pass", "1 of 2 not scored: it passes"),
        ([PASS, PASS, PASS, IDLE], "pass*", "1 of 4 not exercised: an oracle"),
        ([PASS, LACKS], "pass", "1 of 2 lacks: no Scan"),
        ([NEW_PASS, IDLE], "not scored", "1 of 2: it passes"),
        ([IDLE, LACKS], "not exercised", "1 of 2 not exercised: an oracle; 1 of 2 lacks: no Scan"),
        ([IDLE, IDLE], "not exercised", "an oracle"),
        ([LACKS, LACKS], "lacks", "no Scan"),
    ],
)
def test_clause_state_follows_from_its_tests(results: list[Result], word: str, note: str) -> None:
    state = clause_state(results)

    assert (state.word, state.note) == (word, note)


@pytest.mark.parametrize(
    ("measured", "outcome", "sentence", "red"),
    [
        (run(PASS), Outcome.CONFORMANT, "conformant to contract 1", False),
        (run(PASS, LACKS, NEW_FAIL), Outcome.CONFORMANT, "conformant to contract 1", False),
        (
            run(PASS, IDLE),
            Outcome.CONFORMANT,
            "conformant to contract 1 (1 of 2 tests not exercised)",
            False,
        ),
        (
            run(PASS, KNOWN),
            Outcome.EXCEPT,
            "conformant to contract 1 except KV-1 (known failing)",
            False,
        ),
        (
            run(PASS, FAIL, KNOWN, total=9),
            Outcome.NOT_CONFORMANT,
            "not conformant to contract 1: KV-1",
            True,
        ),
        (
            run(PASS, total=9, deselected=8),
            Outcome.NOT_MEASURED,
            "not measured: 8 of 9 tests were deselected",
            False,
        ),
        (
            run(PASS, total=9, deselected=2),
            Outcome.NOT_MEASURED,
            "not measured: 8 of 9 tests did not run",
            False,
        ),
        (
            run(PASS, KNOWN, total=3),
            Outcome.NOT_MEASURED,
            "not measured: 1 of 3 tests did not run, except KV-1 (known failing)",
            False,
        ),
        (
            run(PASS, result(State.NOT_EXERCISED, "FLT-1")),
            Outcome.AS_MEASURED,
            "conformant to contract 1 as far as it was measured, not exercised: FLT-1",
            False,
        ),
        (run(IDLE, LACKS), Outcome.NOT_MEASURED, "not measured: nothing ran (an oracle)", True),
        (
            run(PASS, STALE),
            Outcome.NO_VERDICT,
            "no verdict: test_old passes and is listed as known failing; take it off the list",
            True,
        ),
        (
            run(FAIL, STALE),
            Outcome.NOT_CONFORMANT,
            (
                "not conformant to contract 1: KV-1 (and test_old passes and is listed as known "
                "failing; take it off the list)"
            ),
            True,
        ),
        (
            run(FAIL, adapter=""),
            Outcome.NO_VERDICT,
            "no verdict: the harness fails before there is an adapter (it broke)",
            True,
        ),
    ],
)
def test_a_verdict_follows_from_the_results(
    measured: AdapterRun,
    outcome: Outcome,
    sentence: str,
    red: bool,  # noqa: FBT001
) -> None:
    judged = verdict(measured)

    assert (judged.outcome, judged.sentence, judged.red) == (outcome, sentence, red)


def test_stale_test_does_not_fail_its_clause() -> None:
    """Every format shows the clause as stale."""
    report = Report(runs=[run(FAIL, msgspec.structs.replace(STALE, clause="KV-2"))])

    assert json.loads(rendered(report, "json"))["judged"][0]["clauses"]["KV-2"]["state"] == "stale"
    assert re.search(r"^\| KV-2 .*\| \*\*stale\*\* \|$", rendered(report, "markdown"), re.MULTILINE)
    assert '<span class="state bad"><span aria-hidden="true">!</span> stale</span>' in rendered(
        report, "html"
    )
    assert scores(matrix(report), 0)[0].failed == 1
    assert ("  stale, KV-2: test_old (listed as known failing (x), and passes)", "red") in list(
        summary(report)
    )


def test_a_verdict_on_many_clauses_names_a_dozen() -> None:
    broken = [result(State.FAILED, clause) for clause in CLAUSES]

    assert verdict(run(*broken)).sentence.endswith(
        f"{list(CLAUSES)[11]} and {len(CLAUSES) - 12} more"
    )
    assert list(verdict(run(*broken)).clauses) == list(CLAUSES)


def test_a_report_survives_json() -> None:
    where = Environment(python="CPython 3.11.7", packages={"pytest": "9"})
    report = Report(
        runs=[run(PASS, FAIL, KNOWN, LACKS, IDLE, NEW_PASS, NEW_FAIL, environment=where)]
    )

    read = from_json(rendered(report, "json"))

    assert msgspec.json.encode(read) == msgspec.json.encode(report)
    assert read.runs[0].results[-1] == NEW_FAIL


def test_report_with_unencodable_text_is_written(tmp_path: Path) -> None:
    """The text contains NUL and a lone surrogate."""
    path = write(Report(runs=[failing_run()]), "json=report.json", tmp_path)

    assert from_json(path.read_bytes()).runs[0].results[0].difference.startswith("assert 1 == 2")


def test_json_includes_verdict_counts_and_clauses() -> None:
    judged = json.loads(rendered(Report(runs=[run(PASS, IDLE, LACKS)]), "json"))["judged"][0]

    assert judged["verdict"] == "conformant"
    assert judged["counts"] == {"pass": 1, "lacks": 1, "not exercised": 1}
    assert judged["clauses"]["KV-1"] == {
        "state": "pass*",
        "note": "1 of 3 not exercised: an oracle; 1 of 3 lacks: no Scan",
    }
    assert judged["clauses"]["KV-4"]["state"] == "not run"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "no json",
        '{"format": "1"}',
        '{"format": 1, "runs": [{"suite": 1}]}',
        b"\xff",
    ],
)
def test_invalid_report_is_refused_with_the_cure(text: str | bytes) -> None:
    with pytest.raises(
        UnreadableReport,
        match=r"^it\.json isn't a report of the conformance kit .* --report json=FILE",
    ):
        from_json(text, source="it.json")


def test_later_report_format_is_refused_with_the_cure() -> None:
    with pytest.raises(UnreadableReport, match=r"form 2.*use the newest igniter-store-conformance"):
        from_json('{"format": 2, "runs": []}')


def test_unknown_fields_are_ignored_and_clauses_shown() -> None:
    """A report of a later kit can be read."""
    document = msgspec.to_builtins(Report(runs=[run(PASS, result(State.PASSED, "NEW-1"))])) | {
        "mood": "good"
    }

    report = from_json(json.dumps(document))

    assert [row.id for row in matrix(report).sections[-1].rows] == ["NEW-1"]
    assert "NEW-1" in rendered(report, "html")


def test_merged_reports_have_one_column_per_run() -> None:
    first, second = Report(runs=[run(PASS)]), Report(runs=[run(FAIL, adapter="theirs")])

    merged = merge([first, second, first])

    assert [column.label for column in matrix(merged).columns] == ["mine", "theirs"]


def test_columns_of_one_adapter_show_their_difference() -> None:
    def on(server: str, python: str, **others: Any) -> AdapterRun:
        return run(PASS, environment=Environment(server=server, python=python), **others)

    def labels(*runs: AdapterRun) -> list[str]:
        return [column.label for column in matrix(Report(runs=runs)).columns]

    assert labels(on("7.0", "3.11"), on("8.2", "3.11")) == ["mine 7.0", "mine 8.2"]
    assert labels(on("", "3.11"), on("", "3.13")) == ["mine 3.11", "mine 3.13"]
    assert labels(on("", "", suite="a::TestOne"), on("", "", suite="a::TestTwo")) == [
        "mine TestOne",
        "mine TestTwo",
    ]
    assert labels(on("", "", suite="a::TestOne"), on("", "", suite="b::TestOne")) == [
        "mine (1)",
        "mine (2)",
    ]
    assert labels(on("", "", adapter="")) == ["TestMine"]


def test_scores_count_the_clauses_that_apply() -> None:
    table = matrix(Report(runs=[failing_run()]))

    assert [(score.group, score.kept, score.applying) for score in scores(table, 0)] == [
        ("core", 1, 3)
    ]


class Page(HTMLParser):
    """Checks that every element is closed correctly, and collects the page's references."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src"}:
                self.targets.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def page(report: Report) -> tuple[str, Page]:
    text = rendered(report, "html")
    parsed = Page()
    parsed.feed(text)
    parsed.close()
    return text, parsed


def test_page_is_well_formed_and_self_contained() -> None:
    text, parsed = page(
        Report(
            runs=[
                failing_run(),
                run(PASS, KNOWN, NEW_FAIL, adapter="theirs"),
                run(FAIL, adapter=""),
            ]
        )
    )

    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {target.removeprefix("#") for target in parsed.targets} <= set(parsed.ids)
    assert not parsed.seen & {"script", "link", "img", "iframe"}
    assert "url(" not in text
    assert "@import" not in text


def test_page_shows_failure_with_hint_and_command() -> None:
    """The page shows the sentence of the clause and the difference, too."""
    text, _ = page(Report(runs=[failing_run()]))
    article = text[text.index("<article") : text.index("</article>")]

    assert (
        "<code>set</code> replaces the value. It also removes an existing TTL, or replaces it if "
        "the call passes a TTL. <em>(Redis)</em>"
    ) in article
    assert "assert 1 == 2" in article
    assert "Look at the upsert." in article
    assert "--conformance-seed 42" in article
    assert "&lt;script&gt;alert(1)" in article


def test_page_shows_missing_capabilities_and_harness_options() -> None:
    text, _ = page(Report(runs=[failing_run()]))

    assert "Scan <span>not offered</span>" in text
    assert "would need Harness(oracle=...)" in text
    assert "Not conformant to contract 1: KV-4" in text


def test_page_does_not_rely_on_colour() -> None:
    assert len({look.sign for look in STATE_LOOKS.values()}) == len(STATE_LOOKS)
    assert {str(state) for state in State} <= {word for word, _, _ in LEGEND}


def test_junit_counts_only_passed_tests_as_passed() -> None:
    report = Report(runs=[failing_run(), run(PASS, KNOWN, NEW_PASS, NEW_FAIL, adapter="theirs")])

    root = ET.fromstring(rendered(report, "junit"))  # noqa: S314 - the kit has written it

    assert {name: root.get(name) for name in ("tests", "failures", "skipped", "errors")} == {
        "tests": "8",
        "failures": "1",
        "skipped": "5",
        "errors": "0",
    }
    assert len(root.findall(".//skipped")) == 5
    case = root.find(".//testcase[@name='test_a_set_replaces']")
    assert case is not None
    assert {entry.get("name"): entry.get("value") for entry in case.iter("property")} == {
        "conformance.clause": "KV-4",
        "conformance.state": "fail",
        "conformance.detail": "assert 1 == 2",
        "conformance.seed": "42",
    }


def test_markdown_escapes_text_of_adapters() -> None:
    text = rendered(Report(runs=[failing_run(suite="a::TestPipe", adapter="a|b")]), "markdown")

    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4, 7}
    assert "````text\nassert 1 == 2\n" in text
    assert "| **fail** |" in text


def test_badge_label_contains_the_verdict() -> None:
    conformant, broken = (
        rendered(Report(runs=[run(PASS, capabilities=ALL[:5])]), "badge"),
        rendered(Report(runs=[failing_run()]), "badge"),
    )

    # our own
    assert ET.fromstring(conformant).get("aria-label") == "contract 1: core 1/1 · lacks scan"  # noqa: S314
    assert (
        ET.fromstring(broken).get("aria-label")  # noqa: S314 - the kit has written it
        == "contract 1: not conformant · core 1/3 · lacks scan"
    )


def test_a_badge_has_a_row_for_each_adapter() -> None:
    # our own
    root = ET.fromstring(rendered(Report(runs=[run(PASS), run(KNOWN, adapter="theirs")]), "badge"))  # noqa: S314

    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [
        "mine: contract 1",
        "core 1/1",
        "theirs: contract 1",
        "1 known failing · core 0/1",
    ]


def test_terminal_shows_matrix_and_failures() -> None:
    screen = Console(file=StringIO(), width=100)

    show(Report(runs=[failing_run(), run(PASS, adapter="theirs")]), screen)

    assert isinstance(screen.file, StringIO)
    shown = screen.file.getvalue()
    assert re.search(r"KV-4 +`set` replaces the value\. .*… +fail +not run", shown)
    assert "mine: KV-4 fails" in shown
    assert (
        "to run it again  pytest 'test_mine.py::TestMine::test_a_set_replaces' --conformance-seed "
        "42"
    ) in shown
    assert "theirs: conformant to contract 1" in shown


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_wide_matrix_is_split_and_not_truncated(
    width: int,
) -> None:
    """A matrix that is wider than the terminal becomes several."""
    screen = Console(file=StringIO(), width=width)
    names = [f"an adapter of number {number}" for number in range(12)]

    show(Report(runs=[run(PASS, IDLE, adapter=name) for name in names]), screen)

    assert isinstance(screen.file, StringIO)
    lines = screen.file.getvalue().splitlines()
    headers = [line for line in lines if line.split()[:2] == ["clause", "promise"]]
    assert [name for header in headers for name in re.split("   +", header.strip())[2:]] == names
    rows = [line for line in lines if re.match(r" ?KV-1 ", line)]
    assert len(rows) == len(headers) > 1
    assert sum(row.split().count("pass*") for row in rows) == len(names)


def test_failing_harness_is_shown_once_without_clauses() -> None:
    """A failing harness is shown as one failure instead of one for each clause."""
    failed = [
        result(State.FAILED, clause, f"test_{clause}", detail="no server", difference="no server")
        for clause in CLAUSES
    ]
    report = Report(runs=[run(*failed, adapter="")])
    screen = Console(file=StringIO(), width=100)

    show(report, screen)

    assert isinstance(screen.file, StringIO)
    assert screen.file.getvalue().count("the harness fails ─") == 1
    assert "KV-4" not in screen.file.getvalue()
    assert rendered(report, "html").count("<article") == 1
    assert rendered(report, "markdown").count("### The harness fails") == 1


def test_summary_groups_reasons_and_names_tests_if_detailed() -> None:
    report = Report(runs=[failing_run()])

    short, long = (
        [line for line, _ in summary(report, detailed=detailed)] for detailed in (False, True)
    )

    assert short[0] == "mine: not conformant to contract 1: KV-4"
    assert "  TestMine: 1 pass, 1 fail, 1 lacks, 1 not exercised" in short
    assert "  not offered: Scan" in short
    assert "  not exercised, it would need Harness(oracle=...) (1)" in short
    assert "    KV-2 test_an_oracle" not in short
    assert "    KV-2 test_an_oracle" in long


def test_every_format_can_be_written_into_new_directories(tmp_path: Path) -> None:
    for format in FORMATS:
        path = write(Report(runs=[failing_run()]), f"{format}=deep/report.{format}", tmp_path)
        assert path.stat().st_size > 100


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_renders_an_empty_report(format: str) -> None:
    assert rendered(Report(), format)


def test_unwritable_report_raises_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(
        UnwritableReport,
        match=r"The json report can't be written to file/report\.json: .*Name a file",
    ):
        write(Report(), "json=file/report.json", tmp_path)
    with pytest.raises(UnwritableReport, match="'pdf=x' has to be FORMAT=FILE"):
        write(Report(), "pdf=x", tmp_path)


def test_the_environment_names_no_machine_and_no_user() -> None:
    described = environment("memory", "7.0.15")

    assert described.server == "7.0.15"
    assert {
        "igniter-store",
        "igniter-store-conformance",
        "igniter-store-memory",
        "cachetools",
        "pytest",
    } <= set(described.packages)
    text = json.dumps(msgspec.to_builtins(described))
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_broken_capability_has_no_check_mark() -> None:
    page = rendered(
        Report(
            runs=[
                run(
                    FAIL,
                    result(State.PASSED, "CTR-1"),
                    result(State.NOT_EXERCISED, "PUB-1", detail="it"),
                )
            ]
        ),
        "html",
    )

    marks = dict.fromkeys(re.findall(r"<li>(. [A-Za-z, ]+) <span", page))
    assert list(marks) == [
        "✗ core, KeyValue",
        "✓ Counters",
        "· Claims",
        "○ PubSub",
        "· Streams",
        "· Scan",
    ]


def test_simplest_clauses_come_first_among_failures() -> None:
    failed = [
        result(State.FAILED, clause, f"test_{clause}", detail="it broke")
        for clause in ("LIF-4", "KV-1", "FLT-1", "STR-2", "MDL-1")
    ]

    page = rendered(Report(runs=[run(*failed)]), "html")

    assert re.findall(r"([A-Z]+-[0-9]) fails", page) == ["KV-1", "STR-2", "LIF-4", "FLT-1", "MDL-1"]
