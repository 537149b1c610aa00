"""Stores that refuse every operation: a closed one, and one that lacks a required scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from igniter_store import ErrorCode, Store

from .operations import EVERY_OPERATION, failure_of

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter


@pytest.mark.clause("LIF-2")
@pytest.mark.parametrize("operation", EVERY_OPERATION)
async def test_a_closed_store_does_nothing(
    operation: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.get("k")
    await igniter_store.close()
    igniter_recorder.calls.clear()

    error = await failure_of(EVERY_OPERATION[operation](igniter_store))

    assert error.code == ErrorCode.STORE_CLOSED
    assert igniter_recorder.calls == []


@pytest.mark.parametrize("operation", [name for name in EVERY_OPERATION if name != "ping"])
async def test_store_outside_required_scope_refuses_every_operation(
    operation: str, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_scope("org", required=True)
        .build()
    )

    error = await failure_of(EVERY_OPERATION[operation](store))

    assert error.code == ErrorCode.STORE_SCOPE_REQUIRED
    assert error.details == {"missing": ["org"]}
    assert igniter_recorder.calls == []
