"""The states in which a test of the suite can end, and the names under which reports find them.

Rule: a skip always has a cause. It is *lacks* (the adapter doesn't inherit the capability) or *not
    exercised* (the harness lacks something that the test needs, and the reason names it).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The six results of a test."""

    PASSED = "pass"
    FAILED = "fail"
    LACKS = "lacks"
    NOT_EXERCISED = "not exercised"
    KNOWN_FAILING = "known failing"
    NOT_SCORED = "not scored"


# The names of a test's result in pytest's `user_properties`, and so in a JUnit file.
CLAUSE: Final = "conformance.clause"
TEST: Final = "conformance.test"
ADAPTER: Final = "conformance.adapter"
CAPABILITIES: Final = "conformance.capabilities"
SERVER: Final = "conformance.server"
CONTRACT: Final = "conformance.contract"
STATE: Final = "conformance.state"
DETAIL: Final = "conformance.detail"
SEED: Final = "conformance.seed"
WHERE: Final = "conformance.where"


class Lacks(Exception):  # noqa: N818 - an end of a test, not an error
    """Raised within a test when the adapter lacks the capability that is tested.

    The message names it.
    """


class NotExercised(Exception):  # noqa: N818 - an end of a test, not an error
    """Raised within a test when the harness lacks something that the test needs.

    The message names the missing part.
    """
