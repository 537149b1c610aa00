"""A plugin for the pytest of `igniter-conformance run`: it reports progress as lines of JSON.

Rule: a name on the command line that can't be tested ends the run before a test is collected, with
    the message for the user.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from igniter_store_conformance.cli.harness_lookup import NAME_VARIABLE, WrongName, check_named
from igniter_store_conformance.report.collector import ATTRIBUTE, state_of

FILE_VARIABLE: Final = "IGNITER_CONFORMANCE_PROGRESS"
USAGE: Final = "usage"
BEGAN: Final = "began"
ENDED: Final = "ended"
EXPECTED: Final = "expected"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start to report, in the process that receives the reports of all tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(
            _Teller(Path(os.environ[FILE_VARIABLE])), "igniter_conformance_teller"
        )


class _Teller:
    def __init__(self, file: Path) -> None:
        self._file: Final = file
        self._ended: dict[str, str] = {}

    def pytest_sessionstart(self) -> None:
        """Look up the name of the command line."""
        try:
            check_named()
        except WrongName as failure:
            self._tell({USAGE: str(failure)})
            pytest.exit(
                f"{os.environ[NAME_VARIABLE]}: {failure}",
                returncode=int(pytest.ExitCode.USAGE_ERROR),
            )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Report the number of tests; it is unknown here when workers collect them."""
        if session.items:
            self._tell({EXPECTED: len(session.items)})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Report which test begins, in case it is the last one."""
        self._tell({BEGAN: nodeid.rsplit("::", 1)[-1]})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Report the result of a test, once."""
        if hasattr(report, ATTRIBUTE) and report.nodeid not in self._ended:
            self._ended[report.nodeid] = state_of(report).value
            self._tell({ENDED: self._ended[report.nodeid]})

    def _tell(self, step: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(step) + "\n")
