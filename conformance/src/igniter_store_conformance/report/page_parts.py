"""The look of states and verdicts in the HTML report: a sign, a style, and an explanation.

Rule: no two states share both their sign and their word, so that the page reads the same in black
    and white.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from igniter_store_conformance.report.verdict import Outcome
from igniter_store_conformance.spec.states import State


class Look(Struct, frozen=True):
    """A sign, and the class of the style sheet that colours it."""

    sign: str
    tone: str


STATE_LOOKS: Final = {
    State.PASSED: Look("✓", "good"),
    State.FAILED: Look("✗", "bad"),
    State.LACKS: Look("–", "plain"),  # noqa: RUF001 - a dash, and meant
    State.NOT_EXERCISED: Look("○", "warn"),
    State.KNOWN_FAILING: Look("!", "warn"),
    State.NOT_SCORED: Look("◇", "note"),
}
STALE_LOOK: Final = Look("!", "bad")
UNRUN_LOOK: Final = Look("·", "plain")

VERDICT_LOOKS: Final = {
    Outcome.CONFORMANT: Look("✓", "good"),
    Outcome.AS_MEASURED: Look("✓", "good"),
    Outcome.EXCEPT: Look("!", "warn"),
    Outcome.NOT_MEASURED: Look("○", "warn"),
    Outcome.NOT_CONFORMANT: Look("✗", "bad"),
    Outcome.NO_VERDICT: Look("?", "bad"),
}

LEGEND: Final = (
    (
        "pass",
        STATE_LOOKS[State.PASSED],
        (
            "Every test of the clause that applies to the adapter ran, and the adapter did as "
            "promised."
        ),
    ),
    (
        "pass*",
        Look("✓", "warn"),
        (
            "As far as it was exercised, the clause is kept; some of its tests need what the "
            "harness doesn't give."
        ),
    ),
    (
        "fail",
        STATE_LOOKS[State.FAILED],
        "At least one test found the clause broken. Such an adapter isn't conformant.",
    ),
    (
        "stale",
        STALE_LOOK,
        (
            "A test that the adapter's author listed as known to fail passes. It has to be taken "
            "off the list."
        ),
    ),
    (
        "known failing",
        STATE_LOOKS[State.KNOWN_FAILING],
        "The adapter's author listed the test, with a reason. It ran, and failed as expected.",
    ),
    (
        "not exercised",
        STATE_LOOKS[State.NOT_EXERCISED],
        (
            "The harness doesn't let the kit test this, so its result is unknown. The report says "
            "what the test would need."
        ),
    ),
    (
        "lacks",
        STATE_LOOKS[State.LACKS],
        "The clause is about what the adapter doesn't offer. This is honest, and no fault.",
    ),
    (
        "not scored",
        STATE_LOOKS[State.NOT_SCORED],
        (
            "The clause is newer than the version of the contract that the suite pins. It ran, "
            "and counts for nothing."
        ),
    ),
    (
        "not run",
        UNRUN_LOOK,
        (
            "No test of the clause came to an end: none was selected, the run stopped before, or "
            "the suite has none yet."
        ),
    ),
)
"""Each word of the matrix, its look, and its meaning."""
