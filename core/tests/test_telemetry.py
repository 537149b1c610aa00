"""Telemetry gets exactly the events in the registry, for every operation.

It never gets a key, a value, an identifier or an owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import (
    BatchEntry,
    ErrorCode,
    LoggingTelemetry,
    RecordingAdapter,
    Store,
    StoreError,
)
from igniter_store.contract import Subscription
from igniter_store.telemetry import EVENTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

SERVICE = "billing"
# Sentinels: none of them may appear in any attribute.
KEY, VALUE, OWNER, TENANT, MEMBER, ACTOR, MESSAGE = (
    "a-key",
    "a-value",
    "an-owner",
    "a-tenant",
    "a-member",
    "an-actor",
    "a-message",
)
SENTINELS = (KEY, VALUE, OWNER, TENANT, MEMBER, ACTOR, MESSAGE)
# These may appear: the names of streams, groups, consumers and events are chosen by the program.
STREAM, GROUP, CONSUMER, EVENT = "orders", "packers", "packer-1", "user:created"


class Collecting:
    """A sink that keeps its events."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, str, dict[str, Any]]] = []

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        self.emitted.append((name, level, dict(attributes)))

    def names(self) -> list[str]:
        return [name.removeprefix("igniter.store.") for name, _, _ in self.emitted]

    def last(self) -> dict[str, Any]:
        return self.emitted[-1][2]


class Broken(RecordingAdapter):
    """Raises from every method once it is broken; then subscriptions can't be cancelled either."""

    is_broken = False

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.is_broken and method not in {"open", "close"}:
            raise ValueError(VALUE)
        answer = await super().pass_on(method, *args, **kwargs)
        return BrokenSubscription(self, answer) if isinstance(answer, Subscription) else answer


class BrokenSubscription(Subscription):
    def __init__(self, adapter: Broken, inner: Subscription) -> None:
        self._adapter = adapter
        self._inner = inner

    async def cancel(self) -> None:
        await self._inner.cancel()
        if self._adapter.is_broken:
            raise ValueError(VALUE)


class Bench:
    """A store in two scopes that collects telemetry, over an adapter that can be broken."""

    def __init__(self, recorder: RecordingAdapter) -> None:
        self.sink = Collecting()
        self.adapter: Any = Broken(recorder)
        self.plain = (
            Store.create()
            .with_adapter(self.adapter)
            .with_service(SERVICE)
            .with_telemetry(self.sink)
            .build()
        )
        self.store = (
            self.plain.scope("organization", TENANT)
            .scope("member", MEMBER)
            .as_actor(ACTOR, type=ACTOR)
        )

    async def put(self, namespace: str, key: str, value: bytes) -> None:
        """Write to the adapter directly."""
        await self.adapter.set(
            f"igniter:store:{SERVICE}:organization:{TENANT}:member:{MEMBER}:{namespace}:{key}",
            value,
        )


@pytest.fixture
def bench(igniter_recorder: RecordingAdapter) -> Bench:
    return Bench(igniter_recorder)


async def key_values(store: Store[str]) -> None:
    await store.kv.set(KEY, VALUE, ttl=60)
    await store.kv.get(KEY)
    await store.kv.exists(KEY)
    await store.kv.expire(KEY, 60)
    await store.kv.touch(KEY, 60)
    await store.kv.ttl(KEY)
    await store.kv.persist(KEY)
    await store.kv.pop(KEY)
    await store.kv.remove(KEY)


async def counters(store: Store[str]) -> None:
    await store.counter.increment(KEY, 2, ttl=60)
    await store.counter.decrement(KEY, ttl=60)
    await store.counter.get(KEY)
    await store.counter.expire(KEY, 60)
    await store.counter.ttl(KEY)
    await store.counter.remove(KEY)


async def claims(store: Store[str]) -> None:
    await store.claim.once(KEY, OWNER, ttl=60)
    await store.claim.owner(KEY)
    await store.claim.ttl(KEY)
    await store.claim.renew(KEY, OWNER, 60)
    await store.claim.release(KEY, OWNER)


async def batches(store: Store[str]) -> None:
    await store.batch.set([BatchEntry(KEY, VALUE)])
    await store.batch.get([KEY, "missing"])
    await store.batch.remove([KEY])


async def events(store: Store[str]) -> None:
    handled = asyncio.Event()
    subscription = await store.events.subscribe(EVENT, lambda _: handled.set())
    await store.events.publish(EVENT, VALUE)
    async with asyncio.timeout(5):
        await handled.wait()
    await subscription.cancel()


async def streams(store: Store[str]) -> None:
    id = await store.streams.append(STREAM, MESSAGE)
    await store.streams.range(STREAM)
    await store.streams.length(STREAM)
    group = store.streams.group(GROUP, CONSUMER)
    await group.ensure(STREAM)
    await store.streams.groups(STREAM)
    await group.read(STREAM)
    await group.pending(STREAM)
    await group.claim(STREAM, min_idle=0)
    await group.ack(STREAM, [id])
    await store.streams.remove(STREAM, [id])
    await store.streams.trim(STREAM, 0)
    await group.destroy(STREAM)
    await store.streams.drop(STREAM)


async def scans(store: Store[str]) -> None:
    await store.dev.scan("*")


TOURS: tuple[Callable[[Store[str]], Awaitable[None]], ...] = (
    key_values,
    counters,
    claims,
    batches,
    events,
    streams,
    scans,
)

FAILURES: dict[str, Callable[[Store[str]], Awaitable[Any]]] = {
    "kv.get": lambda store: store.kv.get(KEY),
    "kv.set": lambda store: store.kv.set(KEY, VALUE, ttl=60),
    "kv.exists": lambda store: store.kv.exists(KEY),
    "kv.remove": lambda store: store.kv.remove(KEY),
    "kv.pop": lambda store: store.kv.pop(KEY),
    "kv.expire": lambda store: store.kv.expire(KEY, 60),
    "kv.touch": lambda store: store.kv.touch(KEY, 60),
    "kv.ttl": lambda store: store.kv.ttl(KEY),
    "kv.persist": lambda store: store.kv.persist(KEY),
    "counter.increment": lambda store: store.counter.increment(KEY, ttl=60),
    "counter.decrement": lambda store: store.counter.decrement(KEY, ttl=60),
    "counter.get": lambda store: store.counter.get(KEY),
    "counter.expire": lambda store: store.counter.expire(KEY, 60),
    "counter.ttl": lambda store: store.counter.ttl(KEY),
    "counter.remove": lambda store: store.counter.remove(KEY),
    "claim.acquire": lambda store: store.claim.once(KEY, OWNER, ttl=60),
    "claim.owner": lambda store: store.claim.owner(KEY),
    "claim.ttl": lambda store: store.claim.ttl(KEY),
    "claim.release": lambda store: store.claim.release(KEY, OWNER),
    "claim.renew": lambda store: store.claim.renew(KEY, OWNER, 60),
    "batch.get": lambda store: store.batch.get([KEY]),
    "batch.set": lambda store: store.batch.set({KEY: VALUE}),
    "batch.remove": lambda store: store.batch.remove([KEY]),
    "events.publish": lambda store: store.events.publish(EVENT, VALUE),
    "events.subscribe": lambda store: store.events.subscribe(EVENT, print),
    "stream.append": lambda store: store.streams.append(STREAM, MESSAGE),
    "stream.range": lambda store: store.streams.range(STREAM),
    "stream.length": lambda store: store.streams.length(STREAM),
    "stream.trim": lambda store: store.streams.trim(STREAM, 1),
    "stream.remove": lambda store: store.streams.remove(STREAM, ["1-1"]),
    "stream.drop": lambda store: store.streams.drop(STREAM),
    "stream.destroy": lambda store: store.streams.group(GROUP, CONSUMER).destroy(STREAM),
    "stream.groups": lambda store: store.streams.groups(STREAM),
    "stream.group": lambda store: store.streams.group(GROUP, CONSUMER).ensure(STREAM),
    "stream.read": lambda store: store.streams.group(GROUP, CONSUMER).read(STREAM),
    "stream.ack": lambda store: store.streams.group(GROUP, CONSUMER).ack(STREAM, ["1-1"]),
    "stream.pending": lambda store: store.streams.group(GROUP, CONSUMER).pending(STREAM),
    "stream.claim": lambda store: store.streams.group(GROUP, CONSUMER).claim(STREAM, min_idle=1),
    "dev.scan": lambda store: store.dev.scan("*"),
}


async def failures(bench: Bench) -> None:
    """Call every operation on an adapter that raises."""
    subscription = await bench.store.events.subscribe(EVENT, print)
    bench.adapter.is_broken = True
    for call in FAILURES.values():
        with pytest.raises(StoreError):
            await call(bench.store)
    with pytest.raises(StoreError):
        await subscription.cancel()
    bench.adapter.is_broken = False


async def late_failures(bench: Bench) -> None:
    """Read data that then can't be decoded or handled."""
    store, group = bench.store, bench.store.streams.group(GROUP, CONSUMER)
    await bench.put("kv", KEY, b"\xff")
    await group.ensure(STREAM)
    await store.streams.append(STREAM, MESSAGE)
    reads: list[Awaitable[Any]] = [
        store.kv.get(KEY),
        store.batch.get([KEY]),
        store.kv.pop(KEY),
    ]
    for read in reads:
        with pytest.raises(StoreError):
            await read
    await store.streams.range(STREAM, type=int)
    await group.read(STREAM, type=int)
    await group.claim(STREAM, min_idle=0, type=int)

    handled = asyncio.Event()

    def handle(_: Any) -> None:
        handled.set()
        raise ValueError(VALUE)

    subscription = await store.events.subscribe(EVENT, handle)
    await store.events.publish(EVENT, VALUE)
    async with asyncio.timeout(5):
        await handled.wait()
    await subscription.cancel()


async def all_emitted(bench: Bench) -> list[tuple[str, str, dict[str, Any]]]:
    for tour in TOURS:
        await tour(bench.store)
    await failures(bench)
    await late_failures(bench)
    return bench.sink.emitted


async def test_every_event_is_emitted_and_no_other(bench: Bench) -> None:
    emitted = await all_emitted(bench)

    assert {name for name, _, _ in emitted} == set(EVENTS)


async def test_every_attribute_is_emitted_and_no_other(bench: Bench) -> None:
    emitted: dict[str, set[str]] = defaultdict(set)

    for name, _, attributes in await all_emitted(bench):
        emitted[name] |= attributes.keys()

    assert emitted == {name: set(attributes) for name, attributes in EVENTS.items()}


async def test_attribute_types_match_registry(bench: Bench) -> None:
    emitted = await all_emitted(bench)

    # The exact types: isinstance accepts a bool as an int, and an int isn't a float.
    assert [
        (name, attribute, value)
        for name, _, attributes in emitted
        for attribute, value in attributes.items()
        if type(value) is not EVENTS[name][attribute]
    ] == []


async def test_attributes_never_contain_user_data(bench: Bench) -> None:
    """User data are keys, values, identifiers and owners."""
    emitted = await all_emitted(bench)

    assert [
        (name, sentinel)
        for name, _, attributes in emitted
        for sentinel in SENTINELS
        if sentinel in repr(attributes)
    ] == []


async def test_error_events_have_level_error_others_debug(
    bench: Bench,
) -> None:
    emitted = await all_emitted(bench)

    assert {(name.rpartition(".")[2], level) for name, level, _ in emitted} == {
        ("started", "debug"),
        ("success", "debug"),
        ("error", "error"),
    }


async def test_every_started_operation_ends(bench: Bench) -> None:
    emitted = await all_emitted(bench)

    started = sorted(
        name.removesuffix(".started") for name, _, _ in emitted if name.endswith(".started")
    )
    ended = sorted(
        name.rpartition(".")[0] for name, _, _ in emitted if not name.endswith(".started")
    )
    assert started == ended


@pytest.mark.parametrize("operation", FAILURES)
async def test_each_operation_reports_its_failure(operation: str, bench: Bench) -> None:
    bench.adapter.is_broken = True

    with pytest.raises(StoreError) as caught:
        await FAILURES[operation](bench.store)

    assert bench.sink.names() == [f"{operation}.started", f"{operation}.error"]
    assert bench.sink.last()["ctx.error.code"] == caught.value.code
    assert bench.sink.last()["ctx.error.operation"] == caught.value.operation
    assert bench.sink.last()["ctx.error.message"] == caught.value.message


async def test_store_reports_service_and_backend(bench: Bench) -> None:
    await bench.plain.kv.get(KEY)

    assert bench.sink.emitted[0][2] == {
        "ctx.store.service": SERVICE,
        "ctx.store.namespace": "kv",
        "ctx.store.backend": "memory",
    }


async def test_scoped_store_reports_innermost_key_and_depth(bench: Bench) -> None:
    await bench.store.kv.get(KEY)

    assert bench.sink.last()["ctx.store.scope_key"] == "member"
    assert bench.sink.last()["ctx.store.scope_depth"] == 2


@pytest.mark.parametrize(("value", "found"), [(None, True), (0, True), ("", True)])
# the expected result
async def test_a_falsy_value_is_found(value: Any, found: bool, bench: Bench) -> None:  # noqa: FBT001
    await bench.store.kv.set(KEY, value)

    await bench.store.kv.get(KEY)

    assert bench.sink.last()["ctx.kv.found"] is found


async def test_a_missing_key_is_not_found(bench: Bench) -> None:
    await bench.store.kv.get(KEY)

    assert bench.sink.last()["ctx.kv.found"] is False


async def test_batch_event_counts_requested_and_found_keys(bench: Bench) -> None:
    await bench.store.kv.set(KEY, VALUE)

    await bench.store.batch.get([KEY, "missing", KEY])

    assert bench.sink.last()["ctx.batch.count"] == 3
    assert bench.sink.last()["ctx.batch.found"] == 2


async def test_decrement_reports_negative_delta(bench: Bench) -> None:
    await bench.store.counter.decrement(KEY, 3)

    assert bench.sink.last()["ctx.counter.delta"] == -3
    assert bench.sink.last()["ctx.counter.value"] == -3


async def test_claim_reports_whether_it_was_acquired(bench: Bench) -> None:
    await bench.store.claim.once(KEY, OWNER)

    await bench.store.claim.once(KEY, "another")

    assert bench.sink.last()["ctx.claim.acquired"] is False


@pytest.mark.parametrize(("name", "is_pattern"), [("user:*", True), ("user:created", False)])
async def test_subscription_reports_whether_it_is_a_pattern(
    name: str,
    is_pattern: bool,  # noqa: FBT001 - the expected result, as a parameter
    bench: Bench,
) -> None:
    await bench.store.events.subscribe(name, print)

    assert bench.sink.last()["ctx.events.wildcard"] is is_pattern
    assert bench.sink.last()["ctx.events.channel"] == name


async def test_refused_argument_is_reported(bench: Bench) -> None:
    with pytest.raises(StoreError):
        await bench.store.kv.set("", VALUE)

    assert bench.sink.names() == ["kv.set.started", "kv.set.error"]
    assert bench.sink.last()["ctx.error.code"] == ErrorCode.STORE_KEY_REQUIRED


async def test_a_cancelled_operation_only_starts(bench: Bench) -> None:
    group = bench.store.streams.group(GROUP, CONSUMER)
    await group.ensure(STREAM)
    bench.sink.emitted.clear()
    reading = asyncio.ensure_future(group.read(STREAM, block=60))
    await asyncio.sleep(0)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert bench.sink.names() == ["stream.read.started"]


class Raising:
    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        raise RuntimeError("the sink is broken")


@pytest.mark.parametrize("tour", TOURS, ids=lambda tour: tour.__name__)
async def test_a_sink_that_raises_never_reaches_the_caller(
    tour: Callable[[Store[str]], Awaitable[None]], igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service(SERVICE)
        .with_telemetry(Raising())
        .build()
    )

    await tour(store)

    assert igniter_recorder.calls != []


async def test_a_sink_that_raises_changes_no_error(igniter_recorder: RecordingAdapter) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service(SERVICE)
        .with_telemetry(Raising())
        .build()
    )

    with pytest.raises(StoreError) as caught:
        await store.kv.get("")

    assert caught.value.code == ErrorCode.STORE_KEY_REQUIRED


async def test_raising_sink_is_logged_once_across_scopes(
    igniter_recorder: RecordingAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service(SERVICE)
        .with_telemetry(Raising())
        .build()
    )

    await store.kv.get(KEY)
    await store.scope("organization", TENANT).counter.increment(KEY)
    await store.scope("organization", TENANT).kv.get(KEY)

    assert [record.getMessage() for record in caplog.records] == [
        "The telemetry sink Raising raised; later failures of it are not logged."
    ]
    assert caplog.records[0].exc_info is not None


async def test_the_log_takes_each_event_at_its_level(
    igniter_recorder: RecordingAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "igniter_store.telemetry")
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service(SERVICE)
        .with_telemetry(LoggingTelemetry())
        .build()
    )

    await store.kv.exists(KEY)
    with pytest.raises(StoreError):
        await store.kv.exists("")

    assert [
        (record.name, record.levelname, record.getMessage().split()[0]) for record in caplog.records
    ] == [
        ("igniter_store.telemetry", "DEBUG", "igniter.store.kv.exists.started"),
        ("igniter_store.telemetry", "DEBUG", "igniter.store.kv.exists.success"),
        ("igniter_store.telemetry", "DEBUG", "igniter.store.kv.exists.started"),
        ("igniter_store.telemetry", "ERROR", "igniter.store.kv.exists.error"),
    ]


def test_log_record_contains_event_and_attributes(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("somewhere")

    LoggingTelemetry(logger).emit(
        "a.name", level="warn", attributes={"ctx.kv.found": True, "ctx.store.service": SERVICE}
    )

    record: Any = caplog.records[0]
    assert (record.name, record.levelname, record.getMessage()) == (
        "somewhere",
        "WARNING",
        "a.name kv.found=True store.service=billing",
    )
    assert (record.event, record.attributes) == (
        "a.name",
        {"ctx.kv.found": True, "ctx.store.service": SERVICE},
    )


def test_the_log_says_nothing_below_its_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "igniter_store.telemetry")

    LoggingTelemetry().emit("a.name", level="debug", attributes={})

    assert caplog.records == []
