"""Scans: bad patterns, cursors and namespaces are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode

from .operations import failure_of, sent
from .wrong_values import BAD_NAMES, SURROGATE

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_a_bad_pattern_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    pattern, is_missing = BAD_NAMES[bad]

    error = await failure_of(igniter_store.dev.scan(pattern))

    assert error.code == (
        ErrorCode.STORE_SCAN_PATTERN_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_iterate_refuses_bad_pattern_at_first_key(bad: str, igniter_store: Any) -> None:
    pattern, is_missing = BAD_NAMES[bad]

    error = await failure_of(anext(igniter_store.dev.iterate(pattern)))

    assert error.code == (
        ErrorCode.STORE_SCAN_PATTERN_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


BAD_CURSORS: dict[str, Any] = {
    "empty": "",
    "text": "one",
    "negative": "-1",
    "space": "0 ",
    "accent": "é",
    "newline": "1\n",
    "none": None,
    "zero": 0,
    "bytes": b"0",
    "surrogate": SURROGATE,
}


@pytest.mark.clause("SCN-4")
@pytest.mark.parametrize("bad", BAD_CURSORS)
async def test_invalid_scan_cursor_is_refused(bad: str, igniter_store: Any) -> None:
    error = await failure_of(igniter_store.dev.scan("*", cursor=BAD_CURSORS[bad]))

    assert error.code == ErrorCode.STORE_SCAN_FAILED


BAD_NAMESPACES: dict[str, Any] = {
    "empty": "",
    "capitals": "KV",
    "unknown": "cache",
    "none": None,
    "zero": 0,
    "list": ["kv"],
}


@pytest.mark.parametrize("bad", BAD_NAMESPACES)
async def test_an_unknown_namespace_is_not_scanned(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.dev.scan("*", namespace=BAD_NAMESPACES[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []
