"""What the tests of the memory backend stand on: a clock that they move, and an adapter that looks
at this clock.

That the backend keeps the contract is the conformance kit's to check
(`conformance/tests/test_memory_conformance.py`). The tests here are of what is this backend's
alone, and of what the kit doesn't ask.
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
