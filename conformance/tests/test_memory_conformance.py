"""The in-memory backend keeps the contract, by itself, through the recorder, and as a real server
does.
"""

from __future__ import annotations

import secrets
from functools import partial

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


class TestMemoryInRealTime(AdapterSuite):
    """On the clock of the system, which the kit waits for."""

    contract = "1"

    def harness(self) -> Harness:
        url = f"memory://{secrets.token_hex(8)}"
        kept = MemoryAdapter.from_url(url)  # the data lives as long as some adapter of this name
        return Harness(partial(MemoryAdapter.from_url, url), oracle=MemoryOracle(kept))


class TestMemoryWhoseWaitsAreReal(ModelClauses):
    """Over a clock that is a plain function time is moved, and blocked reads go on in real time:
    the model has to know.
    """

    contract = "1"

    def harness(self) -> Harness:
        clock, url = [1_700_000_000.0], f"memory://{secrets.token_hex(8)}"

        def now() -> float:
            return clock[0]

        def advance(seconds: float) -> None:
            clock[0] += seconds

        kept = MemoryAdapter.from_url(
            url, clock=now
        )  # the data lives as long as some adapter of this name

        def connect(_: object = kept) -> MemoryAdapter:
            return MemoryAdapter.from_url(url, clock=now)

        return Harness(connect, advance=advance)


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
