"""The store keeps the contract: the suite runs through a scoped store, one namespace at a time.

Each adapter here has one capability, and implements it by calling a store; the adapter with scans
also has values. An adapter lacks the other capabilities because the store keeps values, counters
and claims under separate names, so tests that mix them can't pass. Calls that the store refuses
with its own error code, before it calls an adapter, are listed as known failing.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from igniter_store import MSGPACK, BatchEntry, Store
from igniter_store.contract import (
    Adapter,
    Claims,
    Counters,
    Entry,
    KeyValue,
    ManualClock,
    PendingEntry,
    PubSub,
    Scan,
    StreamEntry,
    Streams,
    Subscription,
    escape,
    name_from_bytes,
    name_to_bytes,
)
from igniter_store_conformance import AdapterSuite, Harness
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from igniter_store import EventContext
    from igniter_store.contract import Condition, GapCallback, GroupInfo, MessageCallback, ScanPage

pytestmark = pytest.mark.full


class Raw:
    """A serializer that changes nothing."""

    def encode(self, value: Any) -> bytes:
        return bytes(value)

    def decode(self, data: bytes, type: Any) -> bytes:
        return data


TENANT: Final = "t 1*?[a]\\"


class ScopedStore(Adapter):
    """The life cycle of a store, seen from one of its scopes."""

    name: ClassVar[str] = "store"
    in_process: bool = True
    serializer: ClassVar[Any] = Raw()

    def __init__(self, url: str, clock: ManualClock) -> None:
        adapter = MemoryAdapter.from_url(url, clock=clock)
        builder = (
            Store.create()
            .with_adapter(adapter)
            .with_service("kit")
            .with_serializer(self.serializer)
        )
        self.whole = builder.add_scope("tenant").build()
        self.store = self.whole.scope("tenant", TENANT)
        self.backend = adapter

    def complete(self, namespace: str, name: str) -> str:
        """Return the key that the store makes.

        Operations for which the store has no method use it to call the adapter directly.
        """
        return f"igniter:store:kit:tenant:{TENANT}:{namespace}:{name}"

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

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
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
        await self.store.batch.set(
            [BatchEntry(entry.key, entry.value, entry.ttl) for entry in entries]
        )


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
        # The store has no lease yet: use the adapter's, under the store's name for the claim.
        await self.store.ping()
        return await self.backend.acquire(
            self.complete("claim", key), owner, ttl, token_key=token_key
        )


class StoreScan(StoreValues, Scan):
    async def scan(self, pattern: str, *, cursor: str = "0", count: int = 100) -> ScanPage:
        return await self.store.dev.scan(pattern, cursor=cursor, count=count)

    async def delete_prefix(self, prefix: str) -> int:
        await self.store.ping()
        return await self.backend.delete_prefix(self.complete("kv", prefix))


class StoreSubscription(Subscription):
    def __init__(self, cancel: Callable[[], Any]) -> None:
        self._cancel = cancel

    async def cancel(self) -> None:
        await self._cancel()


class StoreEvents(ScopedStore, PubSub):
    serializer = MSGPACK

    async def publish(self, channel: str, payload: bytes) -> int:
        return await self.store.events.publish(channel, payload)

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await self.psubscribe(escape(channel), callback)

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        def handle(context: EventContext[Any]) -> None:
            callback(context.type, context.data)

        return StoreSubscription(
            (await self.store.events.subscribe(pattern, handle, max_queue=100_000)).cancel
        )


class StoreStreams(ScopedStore, Streams):
    serializer = MSGPACK

    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        named = {name_to_bytes(name): value for name, value in fields.items()}
        return await self.store.streams.append(
            stream, named, max_len=max_len, approximate=approximate
        )

    async def xlen(self, stream: str) -> int:
        return await self.store.streams.length(stream)

    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        return await self.store.streams.trim(stream, max_len, approximate=approximate)

    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        return await self.store.streams.remove(stream, ids)

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        return entries(
            await self.store.streams.range(
                stream, start=start, end=end, count=count, type=dict[bytes, bytes]
            )
        )

    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        return entries(
            await self.store.streams.range(
                stream, start=start, end=end, count=count, reverse=True, type=dict[bytes, bytes]
            )
        )

    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        is_new = group not in [known.name for known in await self.store.streams.groups(stream)]
        await self.store.streams.group(group, "consumer").ensure(stream, start=start)
        return is_new

    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        return await self.store.streams.group(group, "consumer").destroy(stream)

    async def xreadgroup(  # noqa: PLR0913 - the signature of the contract
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        reader = self.store.streams.group(group, consumer)
        return entries(
            await reader.read(
                stream, count=count, block=block, type=dict[bytes, bytes], history=history
            )
        )

    async def xgroups(self, stream: str) -> list[GroupInfo]:
        return await self.store.streams.groups(stream)

    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        return await self.store.streams.group(group, "consumer").ack(stream, ids)

    async def xpending(
        self,
        stream: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[PendingEntry]:
        pending = await self.store.streams.group(group, "consumer").pending(
            stream, count=count, consumer=consumer, min_idle=min_idle
        )
        return [
            PendingEntry(message.id, message.consumer, message.idle, message.deliveries)
            for message in pending
        ]

    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        claimer = self.store.streams.group(group, consumer)
        return entries(
            await claimer.claim(stream, min_idle=min_idle, count=count, type=dict[bytes, bytes])
        )


def entries(messages: Sequence[Any]) -> list[StreamEntry]:
    return [
        StreamEntry(
            message.id, {name_from_bytes(name): value for name, value in message.message.items()}
        )
        for message in messages
    ]


def store_harness(kind: Callable[[str, ManualClock], Adapter]) -> Harness:
    clock, url = ManualClock(), f"memory://{secrets.token_hex(8)}"
    # The data lives as long as an adapter of this name exists.
    kept = MemoryAdapter.from_url(url, clock=clock)

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


class TestScansThroughAScopedStore(AdapterSuite):
    contract = "1"

    def harness(self) -> Harness:
        return store_harness(StoreScan)


class TestEventsThroughAScopedStore(AdapterSuite):
    contract = "1"
    known_failing: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "test_channels_that_nearly_agree_are_different",
            "test_patterns_are_rediss_globs",
            "test_a_pattern_matches_whole_channels_of_any_text",
        ),
        (
            "the store doesn't publish under names with glob characters "
            "(STORE_INVALID_EVENT_NAME): only subscriptions can have them"
        ),
    )

    def harness(self) -> Harness:
        return store_harness(StoreEvents)


class TestStreamsThroughAScopedStore(AdapterSuite):
    contract = "1"
    known_failing: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "test_a_malformed_bound_is_refused",
            "test_a_malformed_start_is_refused",
            "test_one_malformed_id_acknowledges_none",
            "test_one_malformed_id_deletes_none",
        ),
        "the store refuses malformed ids itself, with STORE_ARGUMENT_INVALID",
    )

    def harness(self) -> Harness:
        return store_harness(StoreStreams)
