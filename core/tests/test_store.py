"""The life cycle of a store.

Its first operation opens it, its scopes share it, and its opener closes it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import (
    CapabilityMissing,
    ConfigurationError,
    ErrorCode,
    RecordingAdapter,
    Store,
    StoreError,
)
from igniter_store.backends import adapter_from_url
from igniter_store.contract import Adapter, Condition, Entry, KeyValue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


def methods(recorder: RecordingAdapter) -> list[str]:
    return [call.method for call in recorder.calls]


def over(adapter: Adapter) -> Store[str]:
    return Store.create().with_adapter(adapter).with_service("test").build()


def memory() -> Adapter:
    return adapter_from_url("memory://")


class SlowToOpen(RecordingAdapter):
    """Waits before it opens, until the test allows it."""

    def __init__(self, inner: Adapter) -> None:
        super().__init__(inner)
        self.opening = asyncio.Event()
        self.may_open = asyncio.Event()

    async def open(self) -> None:
        self.opening.set()
        await self.may_open.wait()
        await super().open()


async def test_a_store_that_was_built_has_sent_nothing(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    assert igniter_store.is_open is False
    assert igniter_recorder.calls == []


FIRST: dict[str, Callable[[Store[str]], Awaitable[Any]]] = {
    "kv": lambda store: store.kv.get("k"),
    "counter": lambda store: store.counter.increment("k"),
    "claim": lambda store: store.claim.once("k", "w"),
    "batch": lambda store: store.batch.get(["k"]),
    "events": lambda store: store.events.publish("e", 1),
    "streams": lambda store: store.streams.append("s", 1),
    "dev": lambda store: store.dev.scan("*"),
    "ping": lambda store: store.ping(),
    "scope": lambda store: store.scope("org", 1).kv.get("k"),
}


@pytest.mark.parametrize("operation", FIRST)
async def test_the_first_operation_opens_the_store(
    operation: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await FIRST[operation](igniter_store)
    await FIRST[operation](igniter_store)

    assert igniter_store.is_open is True
    assert methods(igniter_recorder).count("open") == 1
    assert methods(igniter_recorder)[0] == "open"


async def test_concurrent_first_operations_open_store_once() -> None:
    """Each caller gets its own result."""
    adapter = SlowToOpen(memory())
    store = over(adapter)
    operations = [
        asyncio.ensure_future(store.counter.increment(f"k{number}", number)) for number in range(20)
    ]
    await adapter.opening.wait()

    adapter.may_open.set()

    assert await asyncio.gather(*operations) == list(range(20))
    assert methods(adapter).count("open") == 1


async def test_store_opens_when_first_operation_is_cancelled() -> None:
    adapter = SlowToOpen(memory())
    store = over(adapter)
    first = asyncio.ensure_future(store.kv.set("a", 1))
    await adapter.opening.wait()
    second = asyncio.ensure_future(store.kv.set("b", 2))

    first.cancel()
    adapter.may_open.set()

    assert await second is True
    assert await store.batch.get(["a", "b"]) == [None, 2]


async def test_store_opens_after_failed_attempt(
    igniter_recorder: RecordingAdapter,
) -> None:
    class Away(RecordingAdapter):
        is_away = True

        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if self.is_away:
                raise ConnectionRefusedError
            return await super().pass_on(method, *args, **kwargs)

    adapter = Away(igniter_recorder)
    store = over(adapter)
    with pytest.raises(StoreError):
        await store.kv.get("k")
    opened_meanwhile = store.is_open

    adapter.is_away = False

    assert await store.kv.get("k") is None
    assert opened_meanwhile is False


async def test_entering_opens_and_leaving_closes(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    async with igniter_store as entered:
        during = igniter_store.is_open

    assert entered is igniter_store
    assert (during, igniter_store.is_open) == (True, False)
    assert methods(igniter_recorder) == ["open", "close"]


async def test_exit_closes_store_and_propagates_exception(
    igniter_store: Store[str],
) -> None:
    with pytest.raises(RuntimeError):
        async with igniter_store:
            raise RuntimeError

    assert igniter_store.is_open is False


@pytest.mark.clause("LIF-1")
async def test_opening_and_closing_twice_is_once(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await asyncio.gather(igniter_store.open(), igniter_store.open())
    await igniter_store.open()
    await asyncio.gather(igniter_store.close(), igniter_store.close())
    await igniter_store.close()

    assert methods(igniter_recorder) == ["open", "close"]


@pytest.mark.clause("LIF-1")
async def test_unopened_store_can_be_closed(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.close()

    assert igniter_recorder.calls == []


@pytest.mark.clause("LIF-1")
async def test_reopened_store_finds_its_data(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", 1)
    await igniter_store.close()

    await igniter_store.open()

    assert await igniter_store.kv.get("k") == 1


@pytest.mark.clause("LIF-2")
async def test_a_closed_store_does_not_open_by_itself(igniter_store: Store[str]) -> None:
    await igniter_store.close()

    with pytest.raises(StoreError) as caught:
        await igniter_store.kv.get("k")

    assert caught.value.code == ErrorCode.STORE_CLOSED
    assert igniter_store.is_open is False


@pytest.mark.clause("LIF-2")
async def test_waiting_operation_does_not_reopen_closed_store() -> None:
    adapter = SlowToOpen(memory())
    store = over(adapter)
    first = asyncio.ensure_future(store.kv.set("a", 1))
    await adapter.opening.wait()
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    late = asyncio.ensure_future(store.kv.set("b", 1))
    ping = asyncio.ensure_future(store.ping())
    await asyncio.sleep(0)

    adapter.may_open.set()
    await asyncio.gather(first, closing, late, ping, return_exceptions=True)

    assert (store.is_open, adapter.is_open) == (False, False)
    assert isinstance(late.exception(), StoreError)
    assert isinstance(ping.exception(), StoreError)


@pytest.mark.clause("LIF-6")
async def test_store_does_not_close_adapter_opened_by_caller(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_recorder.open()

    async with igniter_store:
        await igniter_store.kv.set("k", 1)

    assert igniter_recorder.is_open is True
    assert methods(igniter_recorder) == ["open", "set"]


@pytest.mark.clause("LIF-7")
async def test_stores_on_one_adapter_share_data(
    igniter_recorder: RecordingAdapter,
) -> None:
    one, another = over(igniter_recorder), over(igniter_recorder)

    await one.kv.set("k", 1)

    assert await another.kv.get("k") == 1


async def test_second_store_leaves_shared_adapter_open(
    igniter_recorder: RecordingAdapter,
) -> None:
    first, second = over(igniter_recorder), over(igniter_recorder)
    await first.open()
    await second.open()

    await second.close()

    assert await first.kv.set("k", 1) is True


async def test_two_services_on_one_adapter_never_meet(igniter_recorder: RecordingAdapter) -> None:
    one = Store.create().with_adapter(igniter_recorder).with_service("a").build()
    another = Store.create().with_adapter(igniter_recorder).with_service("ab").build()

    await one.kv.set("k", 1)

    assert await another.kv.get("k") is None


async def test_a_ping_is_the_seconds_that_it_took(igniter_store: Store[str]) -> None:
    assert 0 <= await igniter_store.ping() < 60


class OnlyValues(KeyValue):
    """A backend with only one capability."""

    name = "values"

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> float:
        return 0.0

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def getdel(self, key: str) -> bytes | None:
        return self.values.pop(key, None)

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        self.values[key] = value
        return True

    async def delete(self, keys: Sequence[str]) -> int:
        return sum(self.values.pop(key, None) is not None for key in keys)

    async def exists(self, key: str) -> bool:
        return key in self.values

    async def expire(self, key: str, ttl: float) -> bool:
        return key in self.values

    async def persist(self, key: str) -> bool:
        return False

    async def ttl(self, key: str) -> float | None:
        return None

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    async def mset(self, entries: Sequence[Entry]) -> None:
        self.values.update({entry.key: entry.value for entry in entries})


async def test_a_backend_of_one_capability_offers_that(igniter_store: Store[str]) -> None:
    store = over(OnlyValues())
    await store.kv.set("a", 1)
    await store.batch.set({"b": 2})

    assert await store.batch.get(["a", "b"]) == [1, 2]
    assert await store.ping() == 0.0


async def enter(stream: Any) -> None:
    async with stream:
        pass


LACKING: dict[str, tuple[Callable[[Store[str]], Awaitable[Any]], str]] = {
    "counter": (lambda store: store.counter.increment("k"), "Counters"),
    "claim": (lambda store: store.claim.once("k", "w"), "Claims"),
    "publish": (lambda store: store.events.publish("e", 1), "PubSub"),
    "subscribe": (lambda store: store.events.subscribe("*", print), "PubSub"),
    "listen": (lambda store: enter(store.events.listen("e")), "PubSub"),
    "append": (lambda store: store.streams.append("s", 1), "Streams"),
    "read": (lambda store: store.streams.group("g", "c").read("s"), "Streams"),
    "scan": (lambda store: store.dev.scan("*"), "Scan"),
}


@pytest.mark.parametrize("state", ["before it was opened", "open"])
@pytest.mark.parametrize("operation", LACKING)
async def test_error_names_missing_capability(operation: str, state: str) -> None:
    call, capability = LACKING[operation]
    store = over(OnlyValues())
    if state == "open":
        await store.open()

    with pytest.raises(CapabilityMissing) as caught:
        await call(store)

    assert caught.value.code == ErrorCode.STORE_CAPABILITY_UNSUPPORTED
    assert (caught.value.details, caught.value.backend) == ({"capability": capability}, "values")


def test_repr_names_service_but_no_tenant(igniter_store: Store[str]) -> None:
    assert repr(igniter_store) == "<Store 'test' on memory>"
    assert (
        repr(igniter_store.scope("org", "secret").scope("team", 1))
        == "<Store 'test' on memory, scoped by org, team>"
    )


def test_store_exposes_its_configuration(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    assert igniter_store.adapter is igniter_recorder
    assert (igniter_store.service, igniter_store.scopes, igniter_store.logger.name) == (
        "test",
        (),
        "igniter_store",
    )


def test_store_works_in_consecutive_event_loops() -> None:
    store = over(memory())

    async def count() -> int:
        async with store:
            return await store.counter.increment("n")

    assert [asyncio.run(count()) for _ in range(3)] == [1, 2, 3]


async def test_a_store_from_a_url_works() -> None:
    async with Store.from_url("memory://", service="api", max_keys=10) as store:
        await store.kv.set("k", 1)
        got = await store.kv.get("k")

    assert (got, store.service, store.adapter.name) == (1, "api", "memory")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Store("memory://"),  # type: ignore[arg-type]  # a new user's first attempt
        lambda: Store("memory://", service="api"),  # type: ignore[arg-type]  # the same
        lambda: Store(memory()),  # type: ignore[arg-type]  # the same
        lambda: Store(adapter=memory(), service="api"),  # type: ignore[arg-type]  # the same
        Store,
    ],
)
def test_store_constructor_error_names_alternatives(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "Store.from_url('memory://', service='api')" in caught.value.message
    assert "with_adapter(adapter)" in caught.value.message


async def test_from_url_takes_telemetry() -> None:
    names: list[str] = []

    class Sink:
        def emit(self, name: str, *, level: str, attributes: Any) -> None:
            names.append(name)

    async with Store.from_url("memory://", service="test", telemetry=Sink(), max_keys=5) as store:
        await store.kv.get("key")

    assert names == ["igniter.store.kv.get.started", "igniter.store.kv.get.success"]


@pytest.mark.parametrize("telemetry", [object(), "logging", dict])
def test_from_url_refuses_telemetry_without_emit(telemetry: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url("memory://", service="test", telemetry=telemetry)

    assert "emit(" in caught.value.message
