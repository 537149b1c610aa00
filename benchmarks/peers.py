"""The libraries that ours is compared with.

Each is used as its documentation says, with its own defaults.

Rule: A peer that isn't installed is left out, and the output says so. No peer is imported before
    it is needed.
Rule: Peers are imported by name, because they are optional. Type checkers see them as `Any`,
    whether they are installed or not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, Final, TypeAlias

from igniter_store import Store
from msgspec import Struct

from benchmarks.payload import SERVICE


class KeyValueCalls(Struct, frozen=True):
    """One library, ready to be called.

    Attributes:
        name: as tables show it.
        get: returns the value of a key.
        set: writes a value under a key.
        written: the result of `set` after a write.
    """

    name: str
    get: Callable[[str], Awaitable[Any]]
    set: Callable[[str, Any], Awaitable[Any]]
    written: Any


Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[KeyValueCalls]]

OURS: Final = "igniter-store"


@asynccontextmanager
async def our_memory() -> AsyncGenerator[KeyValueCalls]:
    """Open `store.kv` in memory; it encodes and decodes, so callers don't share values."""
    async with Store.from_url("memory://", service=SERVICE) as store:
        yield KeyValueCalls(OURS, store.kv.get, store.kv.set, written=True)


@asynccontextmanager
async def _cashews_memory() -> AsyncGenerator[KeyValueCalls]:
    # It keeps a shallow copy of the value that was set, and returns the same object to all callers.
    cache = import_module("cashews").Cache()
    cache.setup("mem://")
    await cache.init()
    try:
        yield KeyValueCalls("cashews mem://", cache.get, cache.set, written=True)
    finally:
        await cache.close()


@asynccontextmanager
async def _aiocache_memory() -> AsyncGenerator[KeyValueCalls]:
    # It keeps the object that was set, without a copy.
    async with import_module("aiocache").SimpleMemoryCache() as cache:
        yield KeyValueCalls("aiocache memory", cache.get, cache.set, written=True)


@asynccontextmanager
async def _py_key_value_memory() -> AsyncGenerator[KeyValueCalls]:
    # It keeps JSON.
    store = import_module("key_value.aio.stores.memory").MemoryStore()
    yield KeyValueCalls("py-key-value memory", store.get, store.put, written=None)


MEMORY: Final[dict[str, Opening]] = {
    "cashews": _cashews_memory,
    "aiocache": _aiocache_memory,
    "py-key-value-aio": _py_key_value_memory,
}
"""The peers of the memory backend, by distribution name."""
