"""What a test of the suite can come to, and how it is told to whoever reports it.

Rule: a skip is never just a skip. It is *lacks* (the adapter doesn't inherit the capability) or
    *not exercised* (the harness doesn't let
the kit do it, and the kit says what it would need).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The six ends of a test."""

    PASSED = "pass"
    FAILED = "fail"
    LACKS = "lacks"
    NOT_EXERCISED = "not exercised"
    KNOWN_FAILING = "known failing"
    NOT_SCORED = "not scored"


# The names under which a test's end stands in pytest's `user_properties`, and so in a JUnit file.
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
    """Raised within a test when the adapter lacks what the test is about.

    The message says what that is.
    """


class NotExercised(Exception):  # noqa: N818 - an end of a test, not an error
    """Raised within a test when the harness can't do what the test needs.

    The message says what it would need.
    """
