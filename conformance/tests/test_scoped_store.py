"""What the manager passes on keeps the contract: the suite through a scoped store, one namespace at a time.

Each adapter here has one capability, and does it by calling a store. Tests that mix capabilities lack the others: the manager keeps
values, counters and claims under names of their own.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store import BatchEntry, Store
from igniter_store.contract import Adapter, Claims, Counters, Entry, KeyValue, ManualClock
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store.contract import Condition


class Raw:
    """A serializer that changes nothing."""

    def encode(self, value: Any) -> bytes:
        return bytes(value)

    def decode(self, data: bytes, type: Any) -> bytes:
        return data


class ScopedStore(Adapter):
    """The life cycle of a store, seen from a scope of it."""

    name: ClassVar[str] = "store"
    in_process: ClassVar[bool] = True

    def __init__(self, url: str, clock: ManualClock) -> None:
        adapter = MemoryAdapter.from_url(url, clock=clock)
        self.whole = Store.create().with_adapter(adapter).with_service("kit").with_serializer(Raw()).add_scope("tenant").build()
        self.store = self.whole.scope("tenant", "t 1*?[a]\\")
        self.backend = adapter

    async def open(self) -> None:
        await self.whole.open()

    async def close(self) -> None:
        await self.whole.close()

    async def ping(self) -> float:
        return await self.store.ping()


class StoreValues(ScopedStore, KeyValue):
    async def get(self, key: str) -> bytes | None:
        return await self.store.kv.get(key, bytes)

    async def getdel(self, key: str) -> bytes | None:
        return await self.store.kv.pop(key, bytes)

    async def set(self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None) -> bool:
        return await self.store.kv.set(key, value, ttl=ttl, only_if=only_if)

    async def delete(self, keys: Sequence[str]) -> int:
        return await self.store.batch.remove(keys)

    async def exists(self, key: str) -> bool:
        return await self.store.kv.exists(key)

    async def expire(self, key: str, ttl: float) -> bool:
        return await self.store.kv.expire(key, ttl)

    async def persist(self, key: str) -> bool:
        return await self.store.kv.persist(key)

    async def ttl(self, key: str) -> float | None:
        left = await self.store.kv.ttl(key)
        return math.inf if left is None and await self.store.kv.exists(key) else left

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self.store.batch.get(keys, bytes)

    async def mset(self, entries: Sequence[Entry]) -> None:
        await self.store.batch.set([BatchEntry(entry.key, entry.value, entry.ttl) for entry in entries])


class StoreCounters(ScopedStore, Counters):
    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await self.store.counter.increment(key, delta, ttl=ttl)


class StoreClaims(ScopedStore, Claims):
    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await self.store.claim.once(key, owner, ttl=ttl)

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await self.store.claim.release(key, owner)

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.store.claim.renew(key, owner, ttl)

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        # The manager has no lease yet: the adapter's, under the name that the manager gives the claim.
        await self.store.ping()
        prefix = "igniter:store:kit:tenant:t 1*?[a]\\:claim:"
        return await self.backend.acquire(prefix + key, owner, ttl, token_key=token_key)


def store_harness(kind: Callable[[str, ManualClock], Adapter]) -> Harness:
    clock, url = ManualClock(), f"memory://{secrets.token_hex(8)}"
    kept = MemoryAdapter.from_url(url, clock=clock)  # the data lives as long as some adapter of this name

    def connect(_: object = kept) -> Adapter:
        return kind(url, clock)

    return Harness(connect, advance=clock.advance)


class TestValuesThroughAScopedStore(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return store_harness(StoreValues)


class TestCountersThroughAScopedStore(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return store_harness(StoreCounters)


class TestClaimsThroughAScopedStore(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return store_harness(StoreClaims)
