"""The suite in a user's pytest run: its output, and when the run is red."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from igniter_store_conformance import AdapterSuite
from igniter_store_conformance.engine.clause_info import clause_test_of
from igniter_store_conformance.report.collector import Collector

pytestmark = pytest.mark.full

pytest_plugins = ["pytester"]

ADAPTERS = """
import asyncio, os, secrets
import pytest
from igniter_store.contract import KeyValue, ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter

class Broken(MemoryAdapter):
    name = "broken"
    async def get(self, key):
        return await super().get(key) or b""

class Minimal(KeyValue):
    name = "minimal"
    in_process = True
    def __init__(self, inner):
        self.inner = inner

def forwarding(name):
    async def method(self, *arguments, **options):
        return await getattr(self.inner, name)(*arguments, **options)
    return method

for name in (*KeyValue.__abstractmethods__, "open", "close", "ping"):
    setattr(Minimal, name, forwarding(name))
Minimal.__abstractmethods__ = frozenset()

def harness(kind=MemoryAdapter):
    clock, name = ManualClock(), f"memory://{secrets.token_hex(8)}"
    return Harness(connect=lambda: kind.from_url(name, clock=clock), advance=clock.advance)

def minimal():
    clock, name = ManualClock(), f"memory://{secrets.token_hex(8)}"
    return Harness(connect=lambda: Minimal(MemoryAdapter.from_url(name, clock=clock)), \
advance=clock.advance)
"""

MEMORY = "class TestMemory(AdapterSuite):\n    def harness(self): return harness()\n"
BROKEN = "class TestBroken(AdapterSuite):\n    def harness(self): return harness(Broken)\n"
NOTHING_IS_NONE = "test_a_missing_key_is_none"
A_FEW = f"{NOTHING_IS_NONE} or test_every_byte_comes_back or test_the_store_holds_the_bytes"


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTEST_ADDOPTS",
        "IGNITER_REQUIRE_BACKENDS",
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_WORKER_COUNT",
    ):
        monkeypatch.delenv(name, raising=False)


def run(
    pytester: pytest.Pytester, suites: str, *arguments: str, few: bool = True
) -> pytest.RunResult:
    pytester.makepyfile(test_mine=ADAPTERS + suites)
    return again(pytester, *(("-k", A_FEW) if few else ()), *arguments)


def again(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # This file keeps pytest from using a configuration in a parent directory.
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def lines(result: pytest.RunResult) -> list[str]:
    """Return the lines of the kit's section."""
    all_lines: list[str] = result.outlines
    begin = next(
        place for place, line in enumerate(all_lines) if "conformance to the contract" in line
    )
    return [line for line in all_lines[begin + 1 : -1] if line and not line.startswith("=")]


@pytest.fixture
def _small_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the suite to a few tests and select all of them: the whole suite takes too long."""
    names = [
        name
        for name in AdapterSuite.clause_tests()
        if any(part in name for part in A_FEW.split(" or "))
    ]
    monkeypatch.setattr(AdapterSuite, "clause_tests", lambda: names)


@pytest.mark.usefixtures("_small_suite")
def test_an_adapter_that_passes_is_conformant(pytester: pytest.Pytester) -> None:
    result = run(pytester, MEMORY)

    assert result.ret == 0
    assert lines(result) == [
        "memory: conformant to contract 1 (1 of 3 tests not exercised)",
        "  TestMemory: 2 pass, 1 not exercised",
        (
            "  not exercised, it would need Harness(oracle=...): a way to read and write stored "
            "bytes around the adapter (1)"
        ),
    ]


@pytest.mark.usefixtures("_small_suite")
def test_minimal_adapter_is_conformant_and_lists_missing_capabilities(
    pytester: pytest.Pytester,
) -> None:
    suite = "class TestMinimal(AdapterSuite):\n    def harness(self): return minimal()\n"

    result = run(
        pytester, suite, "-k", f"{A_FEW} or test_increments_of_zero_create_the_counter", few=False
    )

    assert result.ret == 0
    assert lines(result)[0] == "minimal: conformant to contract 1 (1 of 3 tests not exercised)"
    assert "  TestMinimal: 2 pass, 1 lacks, 1 not exercised" in lines(result)
    assert "  not offered: Counters, Claims, PubSub, Streams, Scan" in lines(result)


def test_broken_adapter_summary_names_clause_and_sentence(pytester: pytest.Pytester) -> None:
    result = run(pytester, BROKEN)

    assert result.ret == 1
    assert lines(result)[0] == "broken: not conformant to contract 1: KV-1"
    clause = '`get` of a missing key returns `None`. `get` of an empty value returns `b""`.'
    assert f"  KV-1: {clause}" in lines(result)


def test_unexercised_tests_have_own_letter_word_and_count(
    pytester: pytest.Pytester,
) -> None:
    short = run(pytester, MEMORY)
    long = again(pytester, "-v", "-k", A_FEW)

    short.stdout.fnmatch_lines(
        ["test_mine.py ..n *", "*2 passed, * deselected, 1 not exercised in *"]
    )
    long.stdout.fnmatch_lines(["*test_the_store_holds_the_bytes_without_a_cache NOT EXERCISED*"])
    assert "    KV-2 test_the_store_holds_the_bytes_without_a_cache" in lines(long)
    assert "    KV-2 test_the_store_holds_the_bytes_without_a_cache" not in lines(short)
    assert "running.py" not in short.stdout.str() + long.stdout.str()


def test_deselected_tests_leave_adapter_unmeasured_and_run_green(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, MEMORY)

    assert result.ret == 0
    verdict = lines(result)[0]
    total = len(AdapterSuite.clause_tests())
    assert verdict == f"memory: not measured: {total - 3} of {total} tests were deselected"


def test_uncollected_tests_leave_adapter_unmeasured(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, MEMORY, f"test_mine.py::TestMemory::{NOTHING_IS_NONE}", few=False)

    assert result.ret == 0
    assert "tests did not run" in lines(result)[0]


def test_known_failure_shows_reason_and_keeps_run_green(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester, BROKEN + f"    known_failing = {{'{NOTHING_IS_NONE}': 'ticket 12'}}\n", "-v"
    )

    assert result.ret == 0
    assert lines(result)[0].endswith("tests were deselected, except KV-1 (known failing)")
    assert f"  known failing, KV-1: {NOTHING_IS_NONE} (ticket 12)" in lines(result)
    result.stdout.fnmatch_lines([f"*{NOTHING_IS_NONE} KNOWN FAILING*"])


def test_passing_known_failure_is_stale_and_red(pytester: pytest.Pytester) -> None:
    result = run(pytester, MEMORY + f"    known_failing = {{'{NOTHING_IS_NONE}': 'ticket 12'}}\n")

    assert result.ret == 1
    assert lines(result)[0] == (
        f"memory: no verdict: {NOTHING_IS_NONE} passes and is listed as known failing; take it "
        "off the list"
    )


def test_newer_clauses_are_shown_and_not_scored(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (NOTHING_IS_NONE, "test_every_byte_comes_back"):
        monkeypatch.setattr(clause_test_of(getattr(AdapterSuite, name)), "since", "2")

    result = run(pytester, BROKEN, "-v")

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"*{NOTHING_IS_NONE} NOT SCORED*", "*test_every_byte_comes_back NOT SCORED*"]
    )
    assert f"  not scored, KV-1: {NOTHING_IS_NONE} (it fails: assert b'' is None)" in lines(result)
    assert "  not scored, KV-2: test_every_byte_comes_back (it passes)" in lines(result)
    assert "KV-1" not in lines(result)[0]


SKIPPING = "class TestAway(AdapterSuite):\n    def harness(self): pytest.skip('no server here')\n"


def test_run_without_a_test_is_red(pytester: pytest.Pytester) -> None:
    result = run(pytester, SKIPPING)

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert lines(result)[0] == "TestAway: not measured: nothing ran (no server here)"
    assert "the run fails (exit status 5)" in lines(result)[-1]


def test_skipped_adapter_does_not_look_passed(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, MEMORY + SKIPPING)

    assert result.ret == 0
    assert "TestAway: not measured: nothing ran (no server here)" in lines(result)
    result.stdout.fnmatch_lines(["*2 passed, * 4 not exercised in *"])


def test_skip_mark_counts_as_not_exercised(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.skip(reason='not today')\n" + MEMORY)

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert lines(result)[0] == "TestMemory: not measured: nothing ran (not today)"


def test_xfail_mark_hides_no_failure(pytester: pytest.Pytester) -> None:
    result = run(pytester, "@pytest.mark.xfail\n" + BROKEN)

    assert result.ret == 1
    assert lines(result)[0] == "broken: not conformant to contract 1: KV-1"
    assert any("list them in known_failing instead" in line for line in lines(result))


REQUIRED = """
from igniter_store_conformance.servers import find_or_skip
class TestServer(AdapterSuite):
    def harness(self):
        find_or_skip("redis", "0.0.1")  # a version that doesn't exist
        return harness()
"""


def test_missing_required_server_makes_the_run_red(pytester: pytest.Pytester) -> None:
    result = run(pytester, REQUIRED, "--require-backends", "valkey,redis")

    assert result.ret == 1
    assert lines(result)[0].startswith(
        "TestServer: no verdict: the harness fails before there is an adapter ("
    )
    assert "IGNITER_REQUIRE_BACKENDS" not in os.environ


def test_missing_optional_server_is_skipped_with_reason(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, MEMORY + REQUIRED)

    assert result.ret == 0
    assert any(line.startswith("TestServer: not measured: nothing ran (") for line in lines(result))


def test_xdist_workers_report_the_same(pytester: pytest.Pytester) -> None:
    options = ("--require-backends=redis", "--conformance-seed=7")
    serial = run(pytester, MEMORY + BROKEN + REQUIRED, *options)
    parallel = again(pytester, "-n", "2", "-k", A_FEW, *options)

    assert parallel.ret == serial.ret == 1
    assert "TestServer: no verdict: " in serial.stdout.str()
    assert sorted(lines(parallel)) == sorted(lines(serial))


def test_dying_worker_fails_its_test() -> None:
    place = "test_mine.py::TestDying"
    crash = pytest.TestReport(
        f"{place}::{NOTHING_IS_NONE}",
        ("", None, ""),
        {},
        "failed",
        "worker 'gw0' crashed",
        cast("Any", "???"),
    )
    collector = Collector(Path.cwd())

    collector.hear(crash)

    (of_adapter,) = collector.report().runs
    assert (of_adapter.suite, of_adapter.results[0].clause, of_adapter.results[0].state) == (
        place,
        "KV-1",
        "fail",
    )
    assert of_adapter.results[0].detail == "the process that ran it died"


def test_no_async_plugin_is_needed(pytester: pytest.Pytester) -> None:
    result = run(pytester, MEMORY, "-p", "no:asyncio", "-p", "no:anyio")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*2 passed, *"])


@pytest.mark.parametrize(
    ("place", "verdict"),
    [("", "no verdict: the harness fails"), ("yield;", "not conformant to contract 1: KV-1")],
)
def test_failing_fixture_fails_the_test(
    pytester: pytest.Pytester, place: str, verdict: str
) -> None:
    fixture = (
        f"    @pytest.fixture(autouse=True)\n    def room(self):\n        {place} raise "
        "RuntimeError('no room')\n"
    )

    result = run(pytester, MEMORY + fixture, "-k", NOTHING_IS_NONE, few=False)

    assert result.ret == 1
    assert verdict in lines(result)[0]


def test_parametrized_class_is_reported_as_several_adapters(
    pytester: pytest.Pytester,
) -> None:
    """Each parameter of a fixture, such as a server, is reported as an adapter."""
    several = (
        "class TestBoth(AdapterSuite):\n"
        "    @pytest.fixture(autouse=True, params=['whole', 'broken'])\n"
        "    def kind(self, request): self.adapter_class = {'whole': MemoryAdapter, 'broken': "
        "Broken}[request.param]\n"
        "    def harness(self): return harness(self.adapter_class)\n"
    )

    result = run(pytester, several)

    assert {line.partition(",")[0] for line in lines(result)} >= {
        "  TestBoth[whole]: 2 pass",
        "  TestBoth[broken]: 1 pass",
    }


def test_reports_are_written_in_every_format(pytester: pytest.Pytester) -> None:
    formats = ("html", "json", "junit", "markdown", "badge")

    result = run(
        pytester,
        BROKEN,
        *(f"--conformance-report={format}=out/report.{format}" for format in formats),
    )

    assert [line for line in lines(result) if " report: " in line] == [
        f"{format} report: out/report.{format}" for format in formats
    ]
    assert all(
        (pytester.path / "out" / f"report.{format}").stat().st_size > 500 for format in formats
    )


def test_failure_report_is_complete_and_names_no_machine(
    pytester: pytest.Pytester,
) -> None:
    """The report has the clause, hint, difference, command and traceback, and no local path."""
    run(pytester, BROKEN, "--conformance-report=json=report.json", "--conformance-seed=7")

    text = (pytester.path / "report.json").read_text()
    failed: dict[str, Any] = next(
        entry for entry in json.loads(text)["runs"][0]["results"] if entry["state"] == "fail"
    )
    assert failed["sentence"].startswith("`get` of a missing key returns `None`")
    assert failed["hint"].startswith("check the reply of your backend")
    assert failed["difference"] == "AssertionError: assert b'' is None"
    assert (
        failed["again"]
        == f"pytest test_mine.py::TestBroken::{NOTHING_IS_NONE} --conformance-seed 7"
    )
    assert "igniter_store_conformance/suite/keyvalue/values.py" in failed["failure"]
    assert "To run it again" not in failed["failure"]
    assert str(pytester.path) not in text
    assert str(Path.home()) not in text


def test_passwords_of_urls_are_not_in_reports(pytester: pytest.Pytester) -> None:
    suite = (
        "class TestAway(AdapterSuite):\n    def harness(self): raise RuntimeError('not there: "
        "my://me:hush@host/1')\n"
    )

    run(
        pytester,
        suite,
        "--tb=native",
        "--conformance-report=json=report.json",
        "-k",
        NOTHING_IS_NONE,
        few=False,
    )

    failed = json.loads((pytester.path / "report.json").read_text())["runs"][0]["results"][0]
    assert failed["detail"] == "RuntimeError: not there: my://...@host/1"
    assert "my://me:hush@host" not in failed["difference"]


@pytest.mark.parametrize("target", ["html", "html=", "pdf=report.pdf"])
def test_wrong_report_option_is_refused_with_the_cure(
    pytester: pytest.Pytester, target: str
) -> None:
    result = run(pytester, MEMORY, f"--conformance-report={target}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            (
                f"ERROR: --conformance-report {target}: it has to be FORMAT=FILE, where FORMAT is "
                "one of html, json, *"
            )
        ]
    )


def test_unwritable_report_makes_the_run_red(pytester: pytest.Pytester) -> None:
    result = run(pytester, MEMORY, "--conformance-report=json=test_mine.py/report.json")

    assert result.ret == 1
    assert any(
        line.startswith("The json report can't be written to test_mine.py/report.json")
        for line in lines(result)
    )


def test_kit_loads_and_prints_nothing_without_a_suite(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]")
    pytester.makepyfile(
        "import sys\n"
        "def test_it():\n"
        "    assert not {'igniter_store_conformance.report', "
        "'igniter_store_conformance.engine.suite'} & {*sys.modules}\n"
    )

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    assert result.ret == 0
    assert "conformance to the contract" not in result.stdout.str()


def test_kit_prints_nothing_when_no_suite_test_runs(
    pytester: pytest.Pytester,
) -> None:
    """The output doesn't have the kit's section."""
    result = run(pytester, MEMORY + "def test_of_mine(): pass\n", "-k", "test_of_mine", few=False)

    assert result.ret == 0
    assert "conformance to the contract" not in result.stdout.str()


@pytest.mark.parametrize(
    ("harness", "message"),
    [
        ("harness()", "has to return a Harness, and returned NoneType. Is a `return` missing?"),
        (
            "return Harness(connect=lambda: None)",
            "and returned an object of type NoneType. Is a `return` missing?",
        ),
        (
            "return Harness(connect=lambda: MemoryAdapter)",
            "the class igniter_store_memory.adapter.MemoryAdapter. It is the class itself: call",
        ),
        (
            "return Harness(connect=MemoryAdapter())",
            "and not an object of type igniter_store_memory.adapter.MemoryAdapter",
        ),
        ("return Harness(connect=connect)", "`connect` is a plain function, without async"),
    ],
)
def test_wrong_harness_is_refused_with_the_cure(
    pytester: pytest.Pytester, harness: str, message: str
) -> None:
    suite = (
        "async def connect(): return MemoryAdapter()\nclass TestMine(AdapterSuite):\n    def "
        f"harness(self): {harness}\n"
    )

    result = run(pytester, suite)

    assert result.ret == 1
    assert message in " ".join(result.stdout.str().split())


def test_failing_harness_is_shown_in_full_once(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        "class TestMine(AdapterSuite):\n    def harness(self): raise RuntimeError('no room')\n",
        "--tb=long",
    )

    assert result.ret == 1
    output = result.stdout.str()
    assert output.count("def harness(self): raise") == 1
    assert output.count("the harness fails, as for test_") >= 2
    assert lines(result)[0].startswith("TestMine: no verdict: the harness fails")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("contract = 1", 'It is text: contract = "1".'),
        (
            "known_failing = ['test_a_missing_key_is_none']",
            "known_failing is a dict of tests and reasons",
        ),
        ("known_failing = {'test_a_missing_key_is_none': ' '}", "has no reason"),
        (
            "known_failing = {'test_a_missing_key_is_nothing': 'ticket 12'}",
            "Is it test_a_missing_key_is_none?",
        ),
        ("known_failing = {'KV-4': 'ticket 12'}", "It lists tests by name"),
    ],
)
def test_wrong_class_attribute_is_refused_with_the_cure(
    pytester: pytest.Pytester, attribute: str, message: str
) -> None:
    result = run(pytester, f"{MEMORY}    {attribute}\n")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    output = " ".join(line.removeprefix("E").strip() for line in result.stdout.lines)
    assert message in output


def test_missing_server_control_leaves_tests_not_exercised(
    pytester: pytest.Pytester,
) -> None:
    """A test isn't run if the harness's server lacks a method that the test needs."""
    suite = (
        "class Shared(MemoryAdapter):\n    in_process = False\n"
        "class Power:\n    proxy = None\n    async def stop(self): pass\n"
        "class TestMine(AdapterSuite):\n"
        "    def harness(self):\n        made = harness(Shared)\n        made.server = Power()\n  "
        "      return made\n"
    )

    result = run(
        pytester,
        suite,
        "-k",
        "test_opening_ends_when_server_is_silent or test_the_servers_refusals",
        few=False,
    )

    result.stdout.fnmatch_lines(["*2 not exercised in *"])
    assert "`pause` of Harness(server=...): Power hasn't got it" in result.stdout.str()
