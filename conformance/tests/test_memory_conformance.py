"""The in-memory backend keeps the contract, also through the recorder.

The model also compares it with a real server.
"""

from __future__ import annotations

import secrets
from functools import partial

import pytest
from broken_adapters.breaking import MemoryOracle, memory_harness
from igniter_store import RecordingAdapter
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.model.tests import ModelClauses
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_memory import MemoryAdapter


class TestMemory(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return memory_harness()


@pytest.mark.full
class TestMemoryInRealTime(AdapterSuite):
    """Uses the system clock, so the kit waits."""

    contract = "1"

    def harness(self) -> Harness:
        url = f"memory://{secrets.token_hex(8)}"
        # The data lives as long as an adapter of this name exists.
        kept = MemoryAdapter.from_url(url)
        return Harness(partial(MemoryAdapter.from_url, url), oracle=MemoryOracle(kept))


@pytest.mark.full
class TestMemoryWithRealWaits(ModelClauses):
    """A clock that is a plain function: time is moved, but blocked reads wait in real time.

    The model must account for that.
    """

    contract = "1"

    def harness(self) -> Harness:
        clock, url = [1_700_000_000.0], f"memory://{secrets.token_hex(8)}"

        def now() -> float:
            return clock[0]

        def advance(seconds: float) -> None:
            clock[0] += seconds

        # The data lives as long as an adapter of this name exists.
        kept = MemoryAdapter.from_url(url, clock=now)

        def connect(_: object = kept) -> MemoryAdapter:
            return MemoryAdapter.from_url(url, clock=now)

        return Harness(connect, advance=advance)


@pytest.mark.full
class TestMemoryThroughTheRecorder(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return memory_harness().through(RecordingAdapter)


@pytest.mark.full
class TestMemoryBesideValkey(ModelClauses):
    """The model sends both backends the same commands."""

    contract = "1"

    def harness(self) -> Harness:
        return memory_harness()

    def second_oracle(self) -> Harness:
        return redis_harness(servers.or_skip("valkey"))
