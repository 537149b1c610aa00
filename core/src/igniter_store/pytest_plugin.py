"""Fixtures for tests of programs that use a store; installed with `igniter-store[testing]`.

    async def test_a_session_ends(igniter_store, igniter_clock):
        await igniter_store.kv.set("session", 1, ttl=60)
        igniter_clock.advance(61)
        assert await igniter_store.kv.get("session") is None

Rule: nothing here needs an async plugin, and the backend is not imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store
    from igniter_store.contract import ManualClock


@pytest.fixture
def igniter_clock() -> ManualClock:
    """A clock that stands still: `igniter_clock.advance(seconds)` moves TTLs, claims, idle times
    and blocked reads of `igniter_store`.
    """
    from igniter_store.contract import ManualClock  # noqa: PLC0415 - as the module says

    return ManualClock()


@pytest.fixture
def igniter_recorder(igniter_clock: ManualClock) -> RecordingAdapter:
    """The adapter of `igniter_store`, which remembers every call that reaches it:
    `igniter_recorder.calls`, `.named("set")`.
    """
    from igniter_store import RecordingAdapter  # noqa: PLC0415 - as above
    from igniter_store.backends import adapter_from_url  # noqa: PLC0415 - as above

    return RecordingAdapter(adapter_from_url("memory://", clock=igniter_clock))


@pytest.fixture
def igniter_store(igniter_recorder: RecordingAdapter) -> Store[str]:
    """A store of its own for each test, in memory, for the service "test".

    It opens by itself and needs no closing.
    """
    from igniter_store import Store  # noqa: PLC0415 - as above

    return Store.create().with_adapter(igniter_recorder).with_service("test").build()
