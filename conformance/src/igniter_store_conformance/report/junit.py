"""The report as JUnit XML for CI servers: one test suite per adapter, clause ids as properties.

Rule: only a test that fails the run is a failure. Tests that the adapter lacks, that weren't
    exercised, that are known to fail or that aren't scored are skipped, with the state as their
    type. No count of passed tests includes them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from igniter_store_conformance.report.matrix import matrix
from igniter_store_conformance.spec import states
from igniter_store_conformance.spec.states import State

if TYPE_CHECKING:
    from igniter_store_conformance.report.matrix import Column
    from igniter_store_conformance.report.results import Report, Result


def render(report: Report) -> str:
    """Return the XML document, with a line feed at its end."""
    columns = matrix(report).columns
    root = ET.Element(
        "testsuites",
        {"name": "igniter-store conformance"}
        | _counts([r for column in columns for r in column.run.results]),
    )
    root.extend(_suite(column) for column in columns)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(column: Column) -> ET.Element:
    run = column.run
    suite = ET.Element("testsuite", {"name": _clean(column.label)} | _counts(list(run.results)))
    properties = {
        "conformance.suite": run.suite,
        states.CONTRACT: run.contract,
        states.CAPABILITIES: " ".join(run.capabilities),
        states.SERVER: run.environment.server,
        "conformance.verdict": column.verdict.sentence,
        "conformance.kit": run.kit,
        "conformance.python": run.environment.python,
        "conformance.platform": run.environment.platform,
    }
    _add_properties(suite, properties)
    suite.extend(_case(column, result) for result in run.results)
    return suite


def _case(column: Column, result: Result) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=_clean(column.run.class_name),
        name=result.test,
        time=f"{result.seconds:.3f}",
    )
    _add_properties(
        case,
        {
            states.CLAUSE: result.clause,
            states.STATE: str(result.state),
            states.DETAIL: result.detail,
            states.SEED: result.seed,
        },
    )
    if result.state is State.FAILED:
        failure = ET.SubElement(
            case,
            "failure",
            message=_clean(f"{result.clause}: {result.detail}"),
            type=str(result.state),
        )
        parts = (
            result.sentence,
            result.failure or result.difference,
            f"Where to look: {result.hint}",
            f"To run it again: {result.again}",
        )
        failure.text = _clean("\n\n".join(parts))
    elif result.state is not State.PASSED:
        ET.SubElement(
            case,
            "skipped",
            message=_clean(f"{result.state}: {result.detail}"),
            type=str(result.state),
        )
    return case


def _add_properties(element: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        if value:
            ET.SubElement(properties, "property", name=name, value=_clean(value))


def _counts(results: list[Result]) -> dict[str, str]:
    failed = sum(result.state is State.FAILED for result in results)
    skipped = sum(result.state not in {State.FAILED, State.PASSED} for result in results)
    seconds = sum(result.seconds for result in results)
    return {
        "tests": str(len(results)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{seconds:.3f}",
    }


def _clean(text: str) -> str:
    """Return the text with escapes for the characters that XML 1.0 can't represent."""
    return re.sub(
        "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
        lambda found: f"\\x{ord(found[0]):02x}",
        text,
    )
