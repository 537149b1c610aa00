"""Streams: bad names, message ids and bounds of a range are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode

from .operations import TAKES_STREAM, failure_of, sent
from .wrong_values import BAD_NAMES, NOT_LISTS, SURROGATE

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store

    from .operations import Call


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("method", TAKES_STREAM)
async def test_a_bad_stream_name_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    name, is_missing = BAD_NAMES[bad]

    error = await failure_of(TAKES_STREAM[method](igniter_store, name))

    assert error.code == (
        ErrorCode.STORE_STREAM_NAME_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert sent(igniter_recorder) == []


BAD_IDS: dict[str, Any] = {
    "text": ["1-1", "one"],
    "empty": ["1-1", ""],
    "bound": ["1-1", "-"],
    "exclusive": ["1-1", "(1-1"],
    "too large": ["1-1", f"{2**64}-0"],
    "other digits": ["1-1", "\u0661-\u0661"],
    "newline": ["1-1", "1-1\n"],
    "number": ["1-1", 5],
    "none": ["1-1", None],
    "bytes": ["1-1", b"1-1"],
    "surrogate": ["1-1", SURROGATE],
}
TAKES_IDS: dict[str, Call] = {
    "remove": lambda s, ids: s.streams.remove("s", ids),
    "ack": lambda s, ids: s.streams.group("g", "c").ack("s", ids),
}


@pytest.mark.clause("STR-9")
@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("method", TAKES_IDS)
async def test_one_malformed_id_refuses_whole_call(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_IDS[method](igniter_store, BAD_IDS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("bad", NOT_LISTS)
@pytest.mark.parametrize("method", TAKES_IDS)
async def test_ids_must_be_a_list(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_IDS[method](igniter_store, NOT_LISTS[bad]()))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


BAD_BOUNDS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "number": 5,
    "text": "first",
    "lone bracket": "(",
    "dollar": "$",
    "surrogate": SURROGATE,
}


@pytest.mark.parametrize("bad", BAD_BOUNDS)
@pytest.mark.parametrize("argument", ["start", "end"])
async def test_a_malformed_bound_is_refused(
    argument: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.streams.range("s", **{argument: BAD_BOUNDS[bad]}))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("bad", [name for name in BAD_BOUNDS if name != "dollar"])
async def test_a_malformed_start_of_a_group_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(
        igniter_store.streams.group("g", "c").ensure("s", start=BAD_BOUNDS[bad])
    )

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []
