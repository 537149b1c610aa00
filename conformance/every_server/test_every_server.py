"""Every available server keeps the contract, over redis-py.

The model sends each of them and the memory backend the same commands. Run it with `nox -s
conformance`: it takes minutes for each server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broken_adapters.breaking import memory_harness
from igniter_store_conformance import AdapterSuite, Harness, servers
from igniter_store_conformance.model.tests import ModelClauses
from igniter_store_conformance.redis_py import redis_harness

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Target


def _over(target: Target) -> type[AdapterSuite]:
    class OverRedisPy(AdapterSuite):
        contract = "1"

        def harness(self) -> Harness:
            return redis_harness(servers.shared(target, proxied=True), timeout=2.0)

    return OverRedisPy


def _beside(target: Target) -> type[ModelClauses]:
    class MemoryBeside(ModelClauses):
        contract = "1"

        def harness(self) -> Harness:
            return memory_harness()

        def second_oracle(self) -> Harness:
            return redis_harness(servers.shared(target))

    return MemoryBeside


for _target in servers.available():
    _name = f"{_target.kind.title()}{_target.version.replace('.', '_')}"
    globals()[f"Test{_name}"] = _over(_target)
    globals()[f"TestMemoryBeside{_name}"] = _beside(_target)
