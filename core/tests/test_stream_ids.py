"""Ids of stream entries and bounds of ranges, as text and as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igniter_store.contract.stream_ids import (
    FIRST,
    LAST,
    StreamId,
    lower_bound,
    parse,
    spell,
    upper_bound,
)

MAX = 2**64 - 1
NUMBERS = st.integers(0, 3) | st.integers(MAX - 3, MAX) | st.integers(0, MAX)
IDS = st.tuples(NUMBERS, NUMBERS)
MALFORMED = [
    "",
    "-1",
    "1-",
    "1-2-3",
    "1--2",
    "+1",
    "1-+2",
    " 1",
    "1 ",
    "1\n",
    "1-2\n",
    "0x1",
    "1.0",
    "1_0",
    "abc",
    "$",
    ">",
    "*",
    "1-*",
    "((1",
    "(",
    "(-",
    "(+",
    "18446744073709551616",
    "1-18446744073709551616",
    "9" * 5_000,
    "\u0661",  # a digit that int() accepts
]


@given(stream_id=IDS)
def test_an_id_is_read_as_it_was_spelled(stream_id: StreamId) -> None:
    assert parse(spell(stream_id)) == stream_id


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("0", (0, 0)),
        ("5", (5, 0)),
        ("5-0", (5, 0)),
        ("5-7", (5, 7)),
        ("0-1", (0, 1)),
        (f"{MAX}-{MAX}", (MAX, MAX)),
        ("007-01", (7, 1)),
    ],
)
def test_id_without_sequence_number_defaults_to_zero(text: str, parsed: StreamId) -> None:
    assert parse(text) == parsed


def test_parse_fills_missing_sequence_from_argument() -> None:
    assert parse("5", sequence=MAX) == (5, MAX)
    assert parse("5-7", sequence=MAX) == (5, 7)


@pytest.mark.parametrize("text", [*MALFORMED, "-", "+", "(1-0"])
def test_malformed_id_parses_to_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.clause("STR-2")
@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_bound_parses_to_none(text: str) -> None:
    assert lower_bound(text) is None
    assert upper_bound(text) is None


@pytest.mark.clause("STR-2")
@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("-", FIRST, FIRST),
        ("+", LAST, LAST),
        ("5", (5, 0), (5, MAX)),
        ("5-7", (5, 7), (5, 7)),
        ("(5-7", (5, 8), (5, 6)),
        ("(5", (5, 1), (5, MAX - 1)),
        ("(5-0", (5, 1), (4, MAX)),
        (f"(5-{MAX}", (6, 0), (5, MAX - 1)),
        ("(0-1", (0, 2), FIRST),
        (f"({MAX}-{MAX - 1}", LAST, (MAX, MAX - 2)),
    ],
)
def test_bound_parses_to_first_or_last_included_id(
    text: str, low: StreamId, high: StreamId
) -> None:
    assert lower_bound(text) == low
    assert upper_bound(text) == high


@pytest.mark.clause("STR-2")
def test_bound_beyond_all_ids_is_refused() -> None:
    """The servers refuse it, too."""
    assert lower_bound(f"({MAX}-{MAX}") is None
    assert upper_bound("(0-0") is None


@pytest.mark.clause("STR-2")
@given(bound=IDS, stream_id=IDS)
def test_exclusive_bound_excludes_only_its_own_id(bound: StreamId, stream_id: StreamId) -> None:
    low, high = lower_bound(f"({spell(bound)}"), upper_bound(f"({spell(bound)}")

    assert (low is not None and stream_id >= low) is (stream_id > bound)
    assert (high is not None and stream_id <= high) is (stream_id < bound)
