"""The command `igniter-conformance`: its arguments, its output and its exit codes."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_conformance import CLAUSES, AdapterSuite
from igniter_store_conformance.cli import main
from igniter_store_conformance.crossing.document import contract_document
from igniter_store_conformance.spec.clauses import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.full

ADAPTERS = """
import os, secrets
from igniter_store.contract import ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter

class Broken(MemoryAdapter):
    name = "broken"
    async def get(self, key):
        return await super().get(key) or b""

class Deadly(MemoryAdapter):
    async def get(self, key):
        os._exit(7)

def harness(kind=MemoryAdapter):
    clock, name = ManualClock(), f"memory://{secrets.token_hex(8)}"
    return Harness(connect=lambda: kind.from_url(name, clock=clock), advance=clock.advance)

def broken():
    return harness(Broken)

def deadly():
    return harness(Deadly)

class Suite(AdapterSuite):
    known_failing = {"test_a_missing_key_is_none": "ticket 12"}
    def harness(self):
        return broken()

ready = harness()
number = 3

def gives_a_number():
    return 3

def needs_something(url):
    return harness()

async def waits():
    return harness()

def fails():
    raise RuntimeError("no server at my://me:hush@host")
"""

ONE = "test_a_missing_key_is_none"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "adapters_of_mine.py").write_text(ADAPTERS)
    return tmp_path


class CommandResult:
    """The output and the exit code of the command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run_command(directory: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> CommandResult:
        try:
            code = main(arguments)
        except SystemExit as leaving:  # --help and --version
            code = int(leaving.code or 0)
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run


def test_adapter_that_passes_selected_clause_exits_with_0(run_command: Any) -> None:
    result = run_command("run", "adapters_of_mine:harness", "--clause", "KV-1")

    assert result.code == 0
    assert "memory: not measured: " in result.out
    assert "KV-1     `get` of a missing key" in result.out
    assert "KV-4" not in result.out


def test_broken_adapter_exits_with_1_and_details(run_command: Any) -> None:
    """The output names the clause, the difference, the hint and the command to run it again."""
    result = run_command("run", "adapters_of_mine:broken", "--test", ONE, "--seed", "7")

    assert result.code == 1
    assert "broken: KV-1 fails" in result.out
    assert "assert b'' is None" in result.out
    assert "where to look  Check the reply of your backend" in result.out
    assert (
        f"to run it again  igniter-conformance run adapters_of_mine:broken --test {ONE} --seed 7\n"
        in result.out
    )
    assert "broken: not conformant to contract 1: KV-1" in result.out


def test_known_failures_of_a_class_are_used(run_command: Any) -> None:
    result = run_command(
        "run", "adapters_of_mine:Suite", "--test", ONE, "--contract", "1", "--json"
    )

    assert result.code == 0
    assert result.document["runs"][0]["suite"] == "adapters_of_mine:Suite"
    assert result.document["runs"][0]["results"][0]["state"] == "known failing"
    assert result.document["judged"][0]["sentence"].endswith("except KV-1 (known failing)")


def test_xdist_workers_find_the_harness(run_command: Any) -> None:
    result = run_command(
        "run",
        "adapters_of_mine:ready",
        "-n",
        "1",
        "-k",
        "missing_key_is_none or every_byte",
        "--timeout",
        "60",
        "--json",
    )

    assert result.code == 0
    assert result.document["judged"][0]["counts"] == {"pass": 2}


def test_reports_of_several_runs_become_one_matrix(run_command: Any, directory: Path) -> None:
    run_command("run", "adapters_of_mine:broken", "--test", ONE, "--report", "json=broken.json")
    text = (directory / "broken.json").read_text()
    (directory / "whole.json").write_text(
        text.replace('"adapter": "broken"', '"adapter": "memory"').replace('"fail"', '"pass"')
    )

    result = run_command(
        "report",
        "whole.json",
        "broken.json",
        "--report",
        "html=both.html",
        "--report",
        "badge=both.svg",
    )

    assert result.code == 0
    assert "memory    broken" in result.out
    assert "pass      fail" in result.out
    assert '<h2 id="adapter-1">broken</h2>' in (directory / "both.html").read_text()
    assert (directory / "both.svg").read_text().startswith("<svg")


def test_configuration_of_the_directory_is_ignored(
    run_command: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (directory / "conftest.py").write_text("raise RuntimeError('never')\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option-either")

    result = run_command("run", "adapters_of_mine:harness", "--test", ONE)

    assert result.code == 0
    assert not (directory / ".pytest_cache").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "adapters_of_mine",
            (
                "'adapters_of_mine' has to be module:harness, as one would import it: "
                "adapters_of_mine:harness"
            ),
        ),
        ("mine/adapters.py:it", "as one would import it: mine.adapters:it"),
        (
            "no_such_module:harness",
            "There is no module 'no_such_module'. Modules are looked for in the directory",
        ),
        (
            "adapters_of_mine:harnes",
            (
                "adapters_of_mine has no harnes. It has harness, Suite, ready. Name a Harness, a "
                "function"
            ),
        ),
        (
            "adapters_of_mine:Broken",
            (
                "adapters_of_mine:Broken is an adapter, and the kit makes its own: harness = "
                "Harness(connect="
            ),
        ),
        (
            "adapters_of_mine:number",
            "adapters_of_mine:number is an object of type int. Name a Harness",
        ),
        (
            "adapters_of_mine:gives_a_number",
            "adapters_of_mine:gives_a_number has returned an object of type int. Name a Harness",
        ),
        (
            "adapters_of_mine:needs_something",
            "can't be called without arguments (missing a required argument: 'url')",
        ),
        ("adapters_of_mine:waits", "is a coroutine function. Make it a plain one"),
        (
            "not_importable:harness",
            (
                "not_importable can't be imported (not_importable.py:2 in <module>): "
                "ZeroDivisionError: division by zero. Does `python -c"
            ),
        ),
        (
            "needs_more:harness",
            (
                "needs_more can't be imported: it needs the module 'no_such_module', which is not "
                "installed."
            ),
        ),
    ],
)
def test_untestable_name_is_refused_with_the_cure(
    directory: Path, name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it imports the whole suite
    from igniter_store_conformance.cli import harness_lookup  # noqa: PLC0415

    (directory / "not_importable.py").write_text("a = 1\n1 / 0\n")
    (directory / "needs_more.py").write_text("import no_such_module\n")
    monkeypatch.setattr(sys, "path", [str(directory), *sys.path])
    monkeypatch.delitem(sys.modules, "adapters_of_mine", raising=False)
    monkeypatch.setenv(harness_lookup.NAME_VARIABLE, name)

    with pytest.raises(harness_lookup.WrongName) as caught:
        harness_lookup.check_named()

    assert words in str(caught.value)


def test_wrong_name_exits_with_2_and_one_line(run_command: Any) -> None:
    result = run_command("run", "adapters_of_mine:gives_a_number")

    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(
        "igniter-conformance: adapters_of_mine:gives_a_number has returned"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clause", "KV99"], "There is no clause KV99. Is it KV-"),
        (
            ["--test", "test_a_missing_key_is_non"],
            f"There is no test test_a_missing_key_is_non. Is it {ONE}",
        ),
        (["--timeout", "soon"], "'soon' isn't a number of seconds above 0"),
        (["-n", "0"], "'0' isn't a count. Give 1 or more."),
        (["--report", "pdf=x"], "'pdf=x' has to be FORMAT=FILE, such as html=report.html"),
        (["--contract", "0"], "invalid choice: '0'"),
        (["-k", "a", "--clause", "KV-1"], "not allowed with argument"),
    ],
)
def test_wrong_arguments_exit_with_2(run_command: Any, arguments: list[str], words: str) -> None:
    result = run_command("run", "adapters_of_mine:harness", *arguments)

    assert result.code == 2
    assert words in result.err


def test_expression_without_a_match_exits_with_2(run_command: Any) -> None:
    result = run_command("run", "adapters_of_mine:harness", "-k", "no_such_test")

    assert result.code == 2
    assert "No test of the suite was selected" in result.err


def test_adapter_that_ends_its_process_is_reported(run_command: Any) -> None:
    result = run_command("run", "adapters_of_mine:deadly", "--test", ONE)

    assert result.code == 1
    assert f"died with exit status 7 in {ONE}, and there is no report" in result.err


def test_failing_harness_exits_with_1_and_no_verdict(run_command: Any) -> None:
    result = run_command("run", "adapters_of_mine:fails", "--clause", "KV-1")

    assert result.code == 1
    assert (
        "adapters_of_mine:fails: no verdict: the harness fails before there is an adapter"
        in result.out
    )
    assert "hush" not in result.out


def test_clauses_prints_the_contract(run_command: Any) -> None:
    text, document = run_command("clauses"), run_command("clauses", "--json")

    assert text.out == contract_document()
    assert [
        clause["id"] for section in document.document["sections"] for clause in section["clauses"]
    ] == [*CLAUSES]


def test_list_prints_tests_with_clauses_and_promises(run_command: Any) -> None:
    text, document = run_command("list"), run_command("list", "--json")

    assert {test["test"] for test in document.document["tests"]} == set(AdapterSuite.clause_tests())
    assert all(
        test["promise"] and test["hint"] and test["clause"] in CLAUSES
        for test in document.document["tests"]
    )
    assert (
        f"\n  {ONE}\n    `get` of a key that was never set returns `None`. It neither raises an "
        "error nor returns empty bytes.\n"
    ) in text.out


@pytest.mark.parametrize("command", [(), ("run",), ("report",), ("clauses",), ("list",)])
def test_every_command_has_help_with_example(run_command: Any, command: tuple[str, ...]) -> None:
    result = run_command(*command, "--help")

    assert result.code == 0
    assert result.out.startswith(f"usage: {' '.join(('igniter-conformance', *command))}")
    assert "\nexample:\n  " in result.out


@pytest.mark.parametrize("command", [(), ("run",)])
def test_help_mentions_classes_of_tests(run_command: Any, command: tuple[str, ...]) -> None:
    """The help shows that a class of tests can be named instead of a harness."""
    shown = " ".join(run_command(*command, "--help").out.split())

    assert "inherits AdapterSuite" in shown
    assert ":TestMyAdapter" in shown


def test_version_option_prints_version_and_newest_contract(run_command: Any) -> None:
    version = metadata.version("igniter-store-conformance")

    assert run_command("--version").out == (
        f"igniter-store-conformance {version}, contract {VERSIONS[-1]}\n"
    )


def test_missing_command_exits_with_2(run_command: Any) -> None:
    assert run_command().code == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "can't be read: No such file"), ("{}", "isn't a report of the conformance kit")],
)
def test_report_of_invalid_file_exits_with_2(
    run_command: Any, directory: Path, content: str | None, words: str
) -> None:
    """A file that is missing, or that isn't a report, is refused."""
    if content is not None:
        (directory / "a.json").write_text(content)

    result = run_command("report", "a.json")

    assert result.code == 2
    assert words in result.err


def test_unwritable_report_exits_with_2_after_the_summary(
    run_command: Any,
) -> None:
    result = run_command(
        "run",
        "adapters_of_mine:harness",
        "--test",
        ONE,
        "--report",
        "json=adapters_of_mine.py/report.json",
    )

    assert result.code == 2
    assert "memory: not measured: " in result.out
    assert "The json report can't be written to adapters_of_mine.py/report.json" in result.err
