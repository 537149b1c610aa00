"""Fixtures for tests of programs that use a store; installed with `igniter-store[testing]`.

    async def test_a_session_ends(igniter_store, igniter_clock):
        await igniter_store.kv.set("session", 1, ttl=60)
        igniter_clock.advance(61)
        assert await igniter_store.kv.get("session") is None

Rule: no async plugin is needed, and the backend isn't imported until a test requests a fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store
    from igniter_store.contract import ManualClock


@pytest.fixture
def igniter_clock() -> ManualClock:
    """Return a clock that advances only when the test advances it.

    `igniter_clock.advance(seconds)` affects TTLs, claims, idle times and blocked reads of
    `igniter_store`.
    """
    # imported on first use, see above
    from igniter_store.contract import ManualClock  # noqa: PLC0415

    return ManualClock()


@pytest.fixture
def igniter_recorder(igniter_clock: ManualClock) -> RecordingAdapter:
    """Return the adapter of `igniter_store`, which records every call that reaches it.

    For example `igniter_recorder.calls` and `igniter_recorder.named("set")`.
    """
    from igniter_store import RecordingAdapter  # noqa: PLC0415 - not before a test requests it
    from igniter_store.backends import adapter_from_url  # noqa: PLC0415 - not before a test requests it

    return RecordingAdapter(adapter_from_url("memory://", clock=igniter_clock))


@pytest.fixture
def igniter_store(igniter_recorder: RecordingAdapter) -> Store[str]:
    """Return a new in-memory store for each test, with the service "test".

    It opens on first use and doesn't have to be closed.
    """
    from igniter_store import Store  # noqa: PLC0415 - not before a test requests it

    return Store.create().with_adapter(igniter_recorder).with_service("test").build()
