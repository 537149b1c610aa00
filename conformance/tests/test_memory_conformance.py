"""The in-memory backend keeps the contract, by itself, through the recorder, and as a real server does."""

from __future__ import annotations

import secrets
from functools import partial

from broken_adapters.breaking import MemoryOracle, memory_harness
from igniter_store import RecordingAdapter
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.model.clauses import ModelClauses
from igniter_store_conformance.redis_py import redis_harness
from igniter_store_memory import MemoryAdapter


class TestMemory(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return memory_harness()


class TestMemoryInRealTime(AdapterSuite):
    """On the clock of the system, which the kit waits for."""

    contract = "1"

    def harness(self) -> Harness:
        url = f"memory://{secrets.token_hex(8)}"
        kept = MemoryAdapter.from_url(url)  # the data lives as long as some adapter of this name
        return Harness(partial(MemoryAdapter.from_url, url), oracle=MemoryOracle(kept))


class TestMemoryThroughTheRecorder(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return memory_harness().through(RecordingAdapter)


class TestMemoryBesideValkey(ModelClauses):
    """The model asks both the same."""

    contract = "1"

    def harness(self) -> Harness:
        return memory_harness()

    def second_oracle(self) -> Harness:
        return redis_harness(servers.or_skip("valkey"))
