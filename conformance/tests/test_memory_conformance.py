"""The in-memory backend keeps the contract."""

from __future__ import annotations

import secrets

from igniter_store.contract import ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter


class TestMemory(AdapterSuite):
    def harness(self) -> Harness:
        clock, name = ManualClock(), f"memory://{secrets.token_hex(8)}"
        return Harness(connect=lambda: MemoryAdapter.from_url(name, clock=clock), advance=clock.advance)
