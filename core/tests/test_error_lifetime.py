"""A `StoreError` is freed when its caller drops it, with the payload of its call.

This tests FLT-13 for the methods that users call.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from igniter_store import Store
from igniter_store.contract import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

pytestmark = pytest.mark.full


class Order(msgspec.Struct):
    id: int


class Unencodable:
    """A value that no serializer accepts."""


CALLS: dict[str, Callable[[Store[str]], Awaitable[Any]]] = {
    "kv.get of another type": lambda store: store.kv.get("text", int),
    "kv.get of an invalid key": lambda store: store.kv.get(""),
    "kv.set of an unencodable value": lambda store: store.kv.set("k", Unencodable()),
    "kv.set with an invalid TTL": lambda store: store.kv.set("k", 1, ttl=-1),
    "kv.pop of another type": lambda store: store.kv.pop("text", int),
    "kv.expire with an invalid TTL": lambda store: store.kv.expire("text", -1),
    "counter.increment with an invalid TTL": lambda store: store.counter.increment("k", ttl=-1),
    "batch.get of another type": lambda store: store.batch.get(["text", "text"], int),
    "batch.set of an unencodable value": lambda store: store.batch.set({"k": Unencodable()}),
    "claim.once of an invalid key": lambda store: store.claim.once("", "worker"),
    "events.publish of an invalid name": lambda store: store.events.publish("", 1),
    "events.publish of an unencodable value": lambda store: store.events.publish(
        "order:placed", Unencodable()
    ),
    "events.subscribe to an invalid name": lambda store: store.events.subscribe("", print),
    "streams.append of an unencodable value": lambda store: store.streams.append(
        "stream", {"field": Unencodable()}
    ),
    "streams.group without a group": lambda store: store.streams.group("missing", "worker").read(
        "stream"
    ),
    "dev.scan of an invalid pattern": lambda store: store.dev.scan(""),
}

FAILING_URLS = ["redis://127.0.0.1:1", "valkey://127.0.0.1:1", "sqlite:////no/such/folder/file.db"]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def failed(call: Awaitable[Any]) -> weakref.ref[StoreError]:
    """Return a weak reference to the error, after its caller has dropped it."""
    with pytest.raises(StoreError) as caught:
        await call
    error = weakref.ref(caught.value)
    del caught
    return error


async def is_freed(error: weakref.ref[StoreError]) -> bool:
    for _ in range(1_000):
        if error() is None:
            return True
        await asyncio.sleep(0.001)
    return False


class Silence:
    """A telemetry sink that does nothing."""

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Do nothing."""


@pytest.mark.parametrize("title", CALLS)
@pytest.mark.parametrize("sink", [None, Silence()], ids=["silent", "observed"])
async def test_failed_call_is_freed(title: str, sink: Silence | None) -> None:
    builder = Store.create().with_url("memory://").with_service("api")
    async with (builder if sink is None else builder.with_telemetry(sink)).build() as store:
        await store.kv.set("text", "text")

        assert await is_freed(await failed(CALLS[title](store)))


@pytest.mark.parametrize("url", FAILING_URLS)
async def test_failed_connection_is_freed(url: str) -> None:
    store = Store.from_url(url, service="api")
    try:
        for call in (
            store.open,
            lambda: store.kv.get("key"),
            lambda: store.events.subscribe("order:placed", print),
        ):
            assert await is_freed(await failed(call()))
    finally:
        await store.close()
