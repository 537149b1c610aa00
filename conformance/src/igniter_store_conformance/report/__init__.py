"""The report of a run: collected from pytest, judged, merged, and rendered in several formats.

Rule: `results` is the data, `verdict` and `matrix` interpret it, and every other module here only
    renders it.
"""

from igniter_store_conformance.report.files import FORMATS, write
from igniter_store_conformance.report.results import (
    AdapterRun,
    Environment,
    Report,
    Result,
    UnreadableReport,
    from_json,
    merge,
    to_json,
)
from igniter_store_conformance.report.verdict import Outcome, Verdict, verdict

__all__ = [
    "FORMATS",
    "AdapterRun",
    "Environment",
    "Outcome",
    "Report",
    "Result",
    "UnreadableReport",
    "Verdict",
    "from_json",
    "merge",
    "to_json",
    "verdict",
    "write",
]
