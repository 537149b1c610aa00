"""Consumer groups: bad names of groups and consumers, and bad filters, are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, StoreError

from .operations import failure_of, sent
from .wrong_values import BAD_NAMES

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_bad_group_name_is_refused(bad: str, igniter_store: Any) -> None:
    name, is_missing = BAD_NAMES[bad]

    with pytest.raises(StoreError) as caught:
        igniter_store.streams.group(name, "c")

    assert caught.value.code == (
        ErrorCode.STORE_STREAM_GROUP_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_bad_consumer_name_is_refused(bad: str, igniter_store: Any) -> None:
    name, is_missing = BAD_NAMES[bad]

    with pytest.raises(StoreError) as caught:
        igniter_store.streams.group("g", name)

    assert caught.value.code == (
        ErrorCode.STORE_STREAM_CONSUMER_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


# None selects every consumer.
@pytest.mark.parametrize("bad", [name for name in BAD_NAMES if name != "none"])
async def test_bad_pending_consumer_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    name, is_missing = BAD_NAMES[bad]

    error = await failure_of(igniter_store.streams.group("g", "c").pending("s", consumer=name))

    assert error.code == (
        ErrorCode.STORE_STREAM_CONSUMER_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"count": -1}, ErrorCode.STORE_ARGUMENT_INVALID),
        ({"count": True}, ErrorCode.STORE_ARGUMENT_INVALID),
        ({"count": 1.0}, ErrorCode.STORE_ARGUMENT_INVALID),
        ({"count": "1"}, ErrorCode.STORE_ARGUMENT_INVALID),
        ({"min_idle": -1}, ErrorCode.STORE_TTL_INVALID),
        ({"min_idle": "1"}, ErrorCode.STORE_TTL_INVALID),
    ],
    ids=str,
)
async def test_bad_pending_filter_is_refused(
    bad: dict[str, Any], code: ErrorCode, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.streams.group("g", "c").pending("s", **bad))

    assert error.code == code
    assert sent(igniter_recorder) == []
