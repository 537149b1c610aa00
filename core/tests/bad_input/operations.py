"""Every operation of a store, as functions of the argument that a test makes wrong.

The tests pass arguments that a type checker refuses, so everything is `Any` here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from igniter_store import BatchEntry, RecordingAdapter, StoreError

Call: TypeAlias = Callable[[Any, Any], Awaitable[Any]]


async def failure_of(call: Awaitable[Any]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


def sent(recorder: RecordingAdapter) -> list[str]:
    """Return the operations that reached the adapter."""
    return [call.method for call in recorder.calls if call.method != "open"]


async def listen(store: Any, event: Any, **options: Any) -> None:
    async with store.events.listen(event, **options):
        pass


TAKES_KEY: dict[str, Call] = {
    "kv.get": lambda s, key: s.kv.get(key),
    "kv.set": lambda s, key: s.kv.set(key, 1),
    "kv.exists": lambda s, key: s.kv.exists(key),
    "kv.remove": lambda s, key: s.kv.remove(key),
    "kv.pop": lambda s, key: s.kv.pop(key),
    "kv.expire": lambda s, key: s.kv.expire(key, 1),
    "kv.touch": lambda s, key: s.kv.touch(key, 1),
    "kv.ttl": lambda s, key: s.kv.ttl(key),
    "kv.persist": lambda s, key: s.kv.persist(key),
    "counter.increment": lambda s, key: s.counter.increment(key),
    "counter.decrement": lambda s, key: s.counter.decrement(key),
    "counter.get": lambda s, key: s.counter.get(key),
    "counter.expire": lambda s, key: s.counter.expire(key, 1),
    "counter.ttl": lambda s, key: s.counter.ttl(key),
    "counter.remove": lambda s, key: s.counter.remove(key),
    "claim.once": lambda s, key: s.claim.once(key, "w"),
    "claim.owner": lambda s, key: s.claim.owner(key),
    "claim.ttl": lambda s, key: s.claim.ttl(key),
    "claim.release": lambda s, key: s.claim.release(key, "w"),
    "claim.renew": lambda s, key: s.claim.renew(key, "w", 1),
    "batch.get": lambda s, key: s.batch.get(["right", key]),
    "batch.set": lambda s, key: s.batch.set([BatchEntry("right", 1), BatchEntry(key, 1)]),
    "batch.remove": lambda s, key: s.batch.remove(["right", key]),
}
TAKES_STREAM: dict[str, Call] = {
    "append": lambda s, name: s.streams.append(name, 1),
    "range": lambda s, name: s.streams.range(name),
    "length": lambda s, name: s.streams.length(name),
    "trim": lambda s, name: s.streams.trim(name, 1),
    "remove": lambda s, name: s.streams.remove(name, ["1-1"]),
    "drop": lambda s, name: s.streams.drop(name),
    "destroy": lambda s, name: s.streams.group("g", "c").destroy(name),
    "groups": lambda s, name: s.streams.groups(name),
    "ensure": lambda s, name: s.streams.group("g", "c").ensure(name),
    "read": lambda s, name: s.streams.group("g", "c").read(name),
    "ack": lambda s, name: s.streams.group("g", "c").ack(name, ["1-1"]),
    "pending": lambda s, name: s.streams.group("g", "c").pending(name),
    "claim": lambda s, name: s.streams.group("g", "c").claim(name, min_idle=1),
}
TAKES_EVENT: dict[str, Call] = {
    "publish": lambda s, name: s.events.publish(name, 1),
    "subscribe": lambda s, name: s.events.subscribe(name, print),
}


def given(call: Call, argument: str) -> Callable[[Any], Awaitable[Any]]:
    return lambda store: call(store, argument)


EVERY_OPERATION: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **{name: given(call, "k") for name, call in TAKES_KEY.items()},
    **{name: given(call, "s") for name, call in TAKES_STREAM.items()},
    **{name: given(call, "e") for name, call in TAKES_EVENT.items()},
    "listen": lambda store: listen(store, "e"),
    "scan": lambda store: store.dev.scan("*"),
    "ping": lambda store: store.ping(),
}
