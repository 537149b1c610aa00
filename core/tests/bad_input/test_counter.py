"""Counters: a step that isn't an integer, or exceeds 64 bits, is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode

from .operations import failure_of, sent
from .wrong_values import BAD_NUMBERS

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter

BAD_STEPS = [name for name in BAD_NUMBERS if name not in {"negative", "2**63"}]
STEPS_BEYOND_64_BIT = {
    "too large": ("increment", 2**63),
    "too small": ("increment", -(2**63) - 1),
    "negated": ("decrement", -(2**63)),
}


@pytest.mark.parametrize("bad", BAD_STEPS)
@pytest.mark.parametrize("method", ["increment", "decrement"])
async def test_non_integer_step_is_refused(
    method: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(getattr(igniter_store.counter, method)("k", BAD_NUMBERS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize("bad", STEPS_BEYOND_64_BIT)
async def test_a_step_beyond_64_bit_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    method, by = STEPS_BEYOND_64_BIT[bad]

    error = await failure_of(getattr(igniter_store.counter, method)("k", by))

    assert error.code == ErrorCode.STORE_INCREMENT_FAILED
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize(
    ("by", "cure"),
    [("1", "not str."), (True, "not bool."), (1.5, "Count in a smaller unit, such as cents.")],
)
async def test_step_of_another_type_is_named(by: Any, cure: str, igniter_store: Any) -> None:
    error = await failure_of(igniter_store.counter.increment("k", by))

    assert error.message.endswith(cure)
