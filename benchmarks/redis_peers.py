"""The clients and libraries that ours is compared with on Redis.

They are in Python, except for the TypeScript library, which runs in a separate process.

Rule: Each is used as its documentation says, with its own defaults. A bare client encodes and
    decodes with msgspec, as ours does, so that all of them use the same Python objects.
Rule: A peer that isn't installed is left out, and the output says so.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from igniter_store import Store
from msgspec import Struct

from benchmarks.measuring import Batch, Call, Contestant, WrongAnswerError, nothing
from benchmarks.payload import KEY, SERVICE, VALUE, key_of, value_of

MANY: Final = [key_of(number) for number in range(10)]
OURS: Final = "igniter-store"
BARE: Final = "bare redis-py"
GLIDE: Final = "bare valkey-glide"
OURS_ON_GLIDE: Final = "igniter-store on valkey-glide"
NODE: Final = "@igniter-js/store"
NODE_PIPELINING: Final = "@igniter-js/store, enableAutoPipelining"

COUNTER: Final = "visits"
EVENT: Final = "user:created"
KEYS: Final[Mapping[str, str]] = {
    "get": KEY,
    "set": KEY,
    "increment": COUNTER,
    "publish": EVENT,
    "batch": KEY,
}
"""The key that each operation is called with."""

_FOLDER: Final = Path(__file__).parent / "node"
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
_AROUND: Final = f"igniter:store:{SERVICE}"


class Calls(Struct, frozen=True):
    """One library, ready to be called: its operations by name; it may lack some of them."""

    name: str
    operations: Mapping[str, Call]


Opening: TypeAlias = Callable[[str], AbstractAsyncContextManager[Calls]]


@asynccontextmanager
async def ours(url: str, name: str = OURS) -> AsyncGenerator[Calls]:
    """Open the store as applications use it."""
    async with Store.from_url(url, service=SERVICE) as store:
        yield Calls(
            name,
            {
                "get": store.kv.get,
                "set": lambda key: store.kv.set(key, VALUE),
                "increment": store.counter.increment,
                "publish": lambda event: store.events.publish(event, VALUE),
                "batch": lambda _: store.batch.get(MANY),
            },
        )


def ours_on_glide(url: str) -> AbstractAsyncContextManager[Calls]:
    """Open the store on the Valkey backend."""
    return ours(on_glide(url), OURS_ON_GLIDE)


def on_glide(url: str) -> str:
    """Return the URL of this server for the Valkey backend."""
    return url.replace("redis://", "valkey://")


@asynccontextmanager
async def _redis_py(url: str) -> AsyncGenerator[Calls]:
    client: Any = import_module("redis.asyncio").from_url(url)
    try:
        yield Calls(BARE, _bare(client, client.mget))
    finally:
        await client.aclose()


@asynccontextmanager
async def _glide(url: str) -> AsyncGenerator[Calls]:
    glide, parts = import_module("glide"), urlsplit(url)
    client = await glide.GlideClient.create(
        glide.GlideClientConfiguration([glide.NodeAddress(parts.hostname, parts.port)])
    )

    async def publish(event: str) -> Any:
        return await client.publish(_event(event), f"{_AROUND}:events:{event}")

    try:
        yield Calls(GLIDE, {**_bare(client, client.mget), "publish": publish})
    finally:
        await client.close()


@asynccontextmanager
async def _coredis(url: str) -> AsyncGenerator[Calls]:
    async with import_module("coredis").Redis.from_url(url) as client:
        yield Calls("bare coredis", _bare(client, client.mget))


def _event(name: str) -> bytes:
    # The payload that the store publishes: the data with its event's name and time.
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _encode({"type": name, "data": VALUE, "timestamp": timestamp})


def _bare(
    client: Any, mget: Callable[[list[str]], Awaitable[list[bytes | None]]]
) -> dict[str, Call]:
    async def get(key: str) -> Any:
        data = await client.get(f"{_AROUND}:kv:{key}")
        return None if data is None else _decode(data)

    async def set_(key: str) -> Any:
        return await client.set(f"{_AROUND}:kv:{key}", _encode(VALUE))

    async def increment(key: str) -> Any:
        return await client.incr(f"{_AROUND}:counter:{key}")

    async def publish(event: str) -> Any:
        return await client.publish(f"{_AROUND}:events:{event}", _event(event))

    async def batch(_: str) -> Any:
        return [
            None if data is None else _decode(data)
            for data in await mget([f"{_AROUND}:kv:{key}" for key in MANY])
        ]

    return {"get": get, "set": set_, "increment": increment, "publish": publish, "batch": batch}


@asynccontextmanager
async def _cashews(url: str) -> AsyncGenerator[Calls]:
    cache = import_module("cashews").Cache()
    cache.setup(url)
    await cache.init()
    await cache.set(KEY, VALUE)
    try:
        yield Calls("cashews", {"get": cache.get, "set": lambda key: cache.set(key, VALUE)})
    finally:
        await cache.close()


@asynccontextmanager
async def _aiocache(url: str) -> AsyncGenerator[Calls]:
    parts = urlsplit(url)
    serializers = import_module("aiocache.serializers")
    async with import_module("aiocache").RedisCache(
        endpoint=parts.hostname, port=parts.port, serializer=serializers.JsonSerializer()
    ) as cache:
        await cache.set(f"aiocache:{KEY}", VALUE)
        yield Calls(
            "aiocache",
            {
                "get": lambda key: cache.get(f"aiocache:{key}"),
                "set": lambda key: cache.set(f"aiocache:{key}", VALUE),
            },
        )


@asynccontextmanager
async def _py_key_value(url: str) -> AsyncGenerator[Calls]:
    store = import_module("key_value.aio.stores.redis").RedisStore(url=url)
    await store.put(KEY, VALUE)
    try:
        yield Calls("py-key-value", {"get": store.get, "set": lambda key: store.put(key, VALUE)})
    finally:
        await store.close()


PEERS: Final[dict[str, Opening]] = {
    "redis": _redis_py,
    "valkey-glide": _glide,
    "coredis": _coredis,
    "cashews": _cashews,
    "aiocache": _aiocache,
    "py-key-value-aio": _py_key_value,
}
"""The peers in Python, by distribution name."""


def contestant(calls: Calls, operation: str) -> Contestant:
    """Return one of a library's operations, with its expected results.

    Values that were set are read after each round.
    """

    @asynccontextmanager
    async def around() -> AsyncGenerator[None]:
        yield
        if operation == "set" and (found := await calls.operations["get"](KEY)) != VALUE:
            message = f"{calls.name} returned {found!r} after the round, not the written value."
            raise WrongAnswerError(message)

    return Contestant(
        calls.name, calls.operations[operation], [KEYS[operation]], _expected(operation), around
    )


def _expected(operation: str) -> Callable[[str], Any]:
    # Counters keep counting, the number of receivers depends on the subscribers, and the result of
    # a write differs between libraries.
    exact = {"get": VALUE, "batch": [value_of(key) for key in MANY]}
    return lambda _: exact.get(
        operation, _SomeNumber() if operation in {"increment", "publish"} else _Anything()
    )


class _SomeNumber:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    __hash__ = None  # type: ignore[assignment]  # compared, never hashed


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # the same


class NodePeer:
    """The TypeScript library in a separate process, which runs batches on request.

    Args:
        name: as tables show it.
        process: runs `peer.js`.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    def contestant(self, operation: str) -> Contestant:
        """Return one of its operations."""

        async def elsewhere(batch: Batch) -> tuple[list[list[Any]], float]:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            request = {"operation": operation, "batch": batch, "value": VALUE, "many": MANY}
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            line = await self._process.stdout.readline()
            if not line:
                message = f"{self.name} ended."
                raise RuntimeError(message)
            answer = json.loads(line)
            return answer["answers"] or [[True] * len(keys) for keys in batch], answer["seconds"]

        return Contestant(
            self.name, nothing, [KEYS[operation]], _expected(operation), elsewhere=elsewhere
        )


@asynccontextmanager
async def node_peer(url: str, *, pipelining: bool) -> AsyncGenerator[NodePeer | None]:
    """Start the TypeScript library, after installing it with npm if necessary.

    Without Node.js it yields `None`, and prints a note.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        print(f"  NOT COMPARED with {NODE}: Node.js isn't installed.")
        yield None
        return
    if not (_FOLDER / "node_modules").exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        await asyncio.to_thread(subprocess.run, command, cwd=_FOLDER, check=True)
    arguments = [str(_FOLDER / "peer.js"), url, SERVICE, "pipelining" if pipelining else "plain"]
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node, *arguments, stdin=pipe, stdout=pipe, limit=2**26
    )
    try:
        yield NodePeer(NODE_PIPELINING if pipelining else NODE, process)
    finally:
        process.terminate()
        await process.wait()
