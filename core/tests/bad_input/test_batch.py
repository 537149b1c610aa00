"""Batches: bad keys and entries are refused, and one bad entry writes none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import BatchEntry, ErrorCode

from .operations import failure_of, sent
from .wrong_values import NOT_LISTS

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store


@pytest.mark.parametrize("bad", [*NOT_LISTS, "mapping"])
@pytest.mark.parametrize("method", ["get", "remove"])
async def test_batch_refuses_invalid_keys_argument(
    method: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    keys = {"k": 1} if bad == "mapping" else NOT_LISTS[bad]()

    error = await failure_of(getattr(igniter_store.batch, method)(keys))

    assert error.code == ErrorCode.STORE_BATCH_KEYS_REQUIRED
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("bad", NOT_LISTS)
async def test_batch_set_refuses_invalid_entries_argument(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    """Entries are an iterable of entries, or a mapping."""
    error = await failure_of(igniter_store.batch.set(NOT_LISTS[bad]()))

    assert error.code == ErrorCode.STORE_BATCH_ENTRIES_REQUIRED
    assert sent(igniter_recorder) == []


async def test_invalid_entries_error_names_accepted_types(igniter_store: Any) -> None:
    error = await failure_of(igniter_store.batch.set("k"))

    assert "must be a dict of keys and values, or a list of BatchEntry objects" in error.message


BAD_ENTRIES: dict[str, tuple[Any, ErrorCode]] = {
    "none": (None, ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "tuple": (("k", 1), ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "text": ("k", ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "no key": ({"value": 1}, ErrorCode.STORE_KEY_REQUIRED),
    "no value": ({"key": "k"}, ErrorCode.STORE_VALUE_REQUIRED),
    "empty": ({}, ErrorCode.STORE_VALUE_REQUIRED),
    "another field": ({"key": "k", "value": 1, "tll": 60}, ErrorCode.STORE_ARGUMENT_INVALID),
    "a non-text field": ({"key": "k", "value": 1, 7: 60}, ErrorCode.STORE_ARGUMENT_INVALID),
}


@pytest.mark.parametrize("bad", BAD_ENTRIES)
async def test_one_bad_entry_of_a_batch_writes_none(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    entry, code = BAD_ENTRIES[bad]

    error = await failure_of(igniter_store.batch.set([BatchEntry("right", 1), entry]))

    assert error.code == code
    assert sent(igniter_recorder) == []
    assert await igniter_store.kv.exists("right") is False


@pytest.mark.parametrize(
    "nothing", [[], (), set[str](), iter(())], ids=lambda nothing: type(nothing).__name__
)
async def test_empty_batch_makes_no_call(
    nothing: Any, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    answers = await asyncio.gather(
        igniter_store.batch.get(nothing),
        igniter_store.batch.set(nothing),
        igniter_store.batch.remove(nothing),
        igniter_store.streams.remove("s", nothing),
    )

    assert answers == [[], None, 0, 0]
    assert sent(igniter_recorder) == []
