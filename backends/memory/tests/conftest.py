"""Fixtures for the tests of the memory backend: a clock that tests move, and an adapter on it.

The conformance kit checks that the backend keeps the contract
(`conformance/tests/test_memory_conformance.py`). The tests here cover behaviour that only this
backend has, and behaviour that the kit doesn't check.
"""

from __future__ import annotations

import pytest
from igniter_store.contract import ManualClock
from igniter_store_memory import MemoryAdapter


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def adapter(clock: ManualClock) -> MemoryAdapter:
    return MemoryAdapter(clock=clock)
