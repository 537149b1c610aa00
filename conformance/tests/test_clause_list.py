"""The clause list, the suite and the documents agree."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import igniter_store.contract
from _pytest.assertion.rewrite import AssertionRewritingHook
from igniter_store.contract import CAPABILITIES
from igniter_store_conformance import CLAUSES, SECTIONS, AdapterSuite
from igniter_store_conformance.crossing.document import contract_document
from igniter_store_conformance.engine.clause_info import ClauseTest, clause_test_of
from igniter_store_conformance.spec.clauses import VERSIONS, is_newer
from igniter_store_conformance.tools.operations import OPERATIONS

ROOT = Path(__file__).parent.parent.parent
CLAUSE = re.compile(r"\b(?:LIF|KV|CTR|CLM|PUB|STR|SCN|FLT|MDL)-[1-9][0-9]*\b")


def _tests() -> list[ClauseTest]:
    found = [clause_test_of(getattr(AdapterSuite, name)) for name in AdapterSuite.clause_tests()]
    return [test for test in found if test is not None]


def test_every_clause_has_a_test() -> None:
    assert set(CLAUSES) - {test.clause.id for test in _tests()} == set()


def test_every_suite_test_belongs_to_a_clause() -> None:
    unmarked = [
        name
        for name in dir(AdapterSuite)
        if name.startswith("test") and clause_test_of(getattr(AdapterSuite, name)) is None
    ]

    assert unmarked == []


def test_every_test_has_promise_and_hint() -> None:
    silent = [
        test.name
        for test in _tests()
        if not test.promise.endswith((".", ":")) or not test.hint.endswith((".", "?"))
    ]

    assert silent == []


def test_no_two_tests_share_a_name() -> None:
    names = [
        name
        for base in AdapterSuite.__mro__
        for name, member in vars(base).items()
        if clause_test_of(member) is not None
    ]

    assert len(names) == len(set(names))


def test_no_body_returns_before_it_has_checked_anything() -> None:
    early = [
        test.name
        for test in _tests()
        if re.search(r"^ {8}return\b", inspect.getsource(test.body), re.MULTILINE)
    ]

    assert early == []


def test_the_document_is_made_from_the_list() -> None:
    assert (ROOT / "docs" / "contract.md").read_text(encoding="utf-8") == contract_document(), (
        "run: igniter-conformance clauses > docs/contract.md"
    )


def test_ids_are_unique_with_one_prefix_per_section() -> None:
    ids = [clause.id for section in SECTIONS for clause in section.clauses]

    assert len(ids) == len(set(ids))
    assert all(
        len({clause.id.partition("-")[0] for clause in section.clauses}) == 1
        for section in SECTIONS
    )


def test_versions_are_ordered_and_clauses_use_them() -> None:
    assert list(VERSIONS) == sorted(
        VERSIONS, key=lambda version: [int(number) for number in version.split(".")]
    )
    assert all(clause.since in VERSIONS for clause in CLAUSES.values())
    assert is_newer("1.10", "1.9")


def test_documents_and_sources_name_only_existing_clauses() -> None:
    named: dict[str, set[str]] = {}
    for folder in ("core/src", "backends", "conformance", "docs", "examples"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in {".py", ".md", ".lua"}:
                named[str(file)] = set(CLAUSE.findall(file.read_text(encoding="utf-8"))) - set(
                    CLAUSES
                )

    assert {file: clauses for file, clauses in named.items() if clauses} == {}


def test_the_list_of_operations_is_whole() -> None:
    methods = {name for capability in CAPABILITIES for name in capability.__abstractmethods__} - {
        "open",
        "close",
    }

    assert {operation.method for operation in OPERATIONS} == methods


def test_the_list_of_capabilities_is_whole() -> None:
    adapter = igniter_store.contract.Adapter
    public = [getattr(igniter_store.contract, name) for name in igniter_store.contract.__all__]
    capabilities = {
        member
        for member in public
        if inspect.isclass(member) and issubclass(member, adapter) and member is not adapter
    }

    assert set(CAPABILITIES) == capabilities


def test_asserts_of_the_suite_show_their_values() -> None:
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("igniter_store_conformance.")
    ]
    plain = [
        module.__name__
        for module in modules
        if not isinstance(module.__loader__, AssertionRewritingHook)
    ]

    assert {test.body.__module__ for test in _tests()} <= {module.__name__ for module in modules}
    assert plain == []
