"""A dropped store releases its adapter at once.

No reference cycle keeps it until the next garbage collection.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import Store
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


@pytest.fixture
def _without_collector() -> Generator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _stream(store: Store[Any]) -> None:
    group = store.streams.group("billing", "worker-1")
    await group.ensure("orders")
    await store.streams.append("orders", {"id": 1})
    await group.read("orders")


async def _scan(store: Store[Any]) -> None:
    assert [key async for key in store.dev.iterate("*")] == []


USES: dict[str, Callable[[Store[Any]], Awaitable[Any]]] = {
    "kv": lambda store: store.kv.set("key", 1),
    "counter": lambda store: store.counter.increment("key"),
    "claim": lambda store: store.claim.once("key", "worker-1"),
    "batch": lambda store: store.batch.get(["key"]),
    "streams": _stream,
    "dev": _scan,
    "scope": lambda store: store.scope("organization", "acme").kv.set("key", 1),
}


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("use", USES)
async def test_dropped_store_frees_its_adapter(use: str) -> None:
    store = Store.create().with_adapter(MemoryAdapter()).with_service("api").build()
    adapter = weakref.ref(store.adapter)
    await USES[use](store)
    await store.close()

    del store

    assert adapter() is None
