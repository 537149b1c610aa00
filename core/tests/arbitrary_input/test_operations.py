"""Any argument of an operation leads to a result, or to a StoreError before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .outcomes import Method, grouped, method, outcome
from .strategies import (
    ANYTHING,
    BOUNDS,
    COUNTS,
    ENTRIES,
    EVENTS,
    EXAMPLES,
    FLAGS,
    IDS,
    KEY_LISTS,
    KEYS,
    NUMBERS,
    STREAMS,
    TTLS,
    VALUES,
    WANTED,
    Point,
    mixed,
)

pytestmark = pytest.mark.full


async def listen(store: Any, given: Any) -> None:
    async with store.events.listen(**given):
        pass


async def iterate(store: Any, given: Any) -> list[Any]:
    return [key async for key in store.dev.iterate(**given)]


METHODS: dict[str, Method] = {
    "kv.get": method(
        lambda store, given: store.kv.get(**given), key=KEYS, type=WANTED, default=ANYTHING
    ),
    "kv.set": method(
        lambda store, given: store.kv.set(**given),
        key=KEYS,
        value=VALUES,
        ttl=TTLS,
        only_if=mixed(None, "absent", "present"),
    ),
    "kv.exists": method(lambda store, given: store.kv.exists(**given), key=KEYS),
    "kv.remove": method(lambda store, given: store.kv.remove(**given), key=KEYS),
    "kv.pop": method(lambda store, given: store.kv.pop(**given), key=KEYS, type=WANTED),
    "kv.expire": method(lambda store, given: store.kv.expire(**given), key=KEYS, ttl=TTLS),
    "kv.touch": method(lambda store, given: store.kv.touch(**given), key=KEYS, ttl=TTLS),
    "kv.ttl": method(lambda store, given: store.kv.ttl(**given), key=KEYS),
    "kv.persist": method(lambda store, given: store.kv.persist(**given), key=KEYS),
    "counter.increment": method(
        lambda store, given: store.counter.increment(**given), key=KEYS, by=mixed(1, -1), ttl=TTLS
    ),
    "counter.decrement": method(
        lambda store, given: store.counter.decrement(**given), key=KEYS, by=mixed(1, -1), ttl=TTLS
    ),
    "counter.get": method(lambda store, given: store.counter.get(**given), key=KEYS),
    "counter.expire": method(
        lambda store, given: store.counter.expire(**given), key=KEYS, ttl=TTLS
    ),
    "counter.ttl": method(lambda store, given: store.counter.ttl(**given), key=KEYS),
    "counter.remove": method(lambda store, given: store.counter.remove(**given), key=KEYS),
    "claim.once": method(
        lambda store, given: store.claim.once(**given), key=KEYS, owner=VALUES, ttl=TTLS
    ),
    "claim.owner": method(lambda store, given: store.claim.owner(**given), key=KEYS),
    "claim.ttl": method(lambda store, given: store.claim.ttl(**given), key=KEYS),
    "claim.release": method(
        lambda store, given: store.claim.release(**given), key=KEYS, owner=VALUES
    ),
    "claim.renew": method(
        lambda store, given: store.claim.renew(**given), key=KEYS, owner=VALUES, ttl=TTLS
    ),
    "batch.get": method(lambda store, given: store.batch.get(**given), keys=KEY_LISTS, type=WANTED),
    "batch.set": method(lambda store, given: store.batch.set(**given), entries=ENTRIES),
    "batch.remove": method(lambda store, given: store.batch.remove(**given), keys=KEY_LISTS),
    "events.publish": method(
        lambda store, given: store.events.publish(**given), event=EVENTS, data=VALUES
    ),
    "events.subscribe": method(
        lambda store, given: store.events.subscribe(**given),
        event=EVENTS,
        handler=mixed(print),
        max_queue=NUMBERS,
    ),
    "events.listen": method(listen, event=EVENTS, max_queue=NUMBERS),
    "events.created.publish": method(
        lambda store, given: store.events.user.created.publish(**given), data=VALUES
    ),
    "events.created.subscribe": method(
        lambda store, given: store.events.user.created.subscribe(**given),
        handler=mixed(print),
        max_queue=NUMBERS,
    ),
    "streams.append": method(
        lambda store, given: store.streams.append(**given),
        stream=STREAMS,
        message=VALUES,
        max_len=COUNTS,
        approximate=FLAGS,
    ),
    "streams.range": method(
        lambda store, given: store.streams.range(**given),
        stream=STREAMS,
        start=BOUNDS,
        end=BOUNDS,
        count=COUNTS,
        reverse=FLAGS,
        type=WANTED,
    ),
    "streams.length": method(lambda store, given: store.streams.length(**given), stream=STREAMS),
    "streams.trim": method(
        lambda store, given: store.streams.trim(**given),
        stream=STREAMS,
        max_len=NUMBERS,
        approximate=FLAGS,
    ),
    "streams.remove": method(
        lambda store, given: store.streams.remove(**given), stream=STREAMS, ids=IDS
    ),
    "streams.groups": method(lambda store, given: store.streams.groups(**given), stream=STREAMS),
    "group.ensure": method(
        lambda store, given: grouped(store).ensure(**given),
        stream=STREAMS,
        start=mixed("0", "$", "1-1", "-"),
    ),
    "group.read": method(
        lambda store, given: grouped(store).read(**given),
        stream=STREAMS,
        count=COUNTS,
        # The stream has one new message, so no example waits.
        block=TTLS,
        type=WANTED,
        history=FLAGS,
    ),
    "group.ack": method(lambda store, given: grouped(store).ack(**given), stream=STREAMS, ids=IDS),
    "group.pending": method(
        lambda store, given: grouped(store).pending(**given),
        stream=STREAMS,
        count=COUNTS,
        consumer=mixed(None, "c"),
        min_idle=TTLS,
    ),
    "group.destroy": method(lambda store, given: grouped(store).destroy(**given), stream=STREAMS),
    "streams.drop": method(lambda store, given: store.streams.drop(**given), stream=STREAMS),
    "group.claim": method(
        lambda store, given: grouped(store).claim(**given),
        stream=STREAMS,
        min_idle=TTLS,
        count=COUNTS,
        type=WANTED,
    ),
    "dev.scan": method(
        lambda store, given: store.dev.scan(**given),
        pattern=KEYS,
        cursor=mixed("0", "1-1"),
        count=NUMBERS,
        namespace=mixed("kv", "streams", "events"),
    ),
    "dev.iterate": method(iterate, pattern=KEYS, count=NUMBERS, namespace=mixed("kv", "counter")),
}


@pytest.mark.parametrize("name", METHODS)
@EXAMPLES
@given(data=st.data())
def test_operation_returns_or_raises_store_error(name: str, data: st.DataObject) -> None:
    chosen = METHODS[name]
    arguments = chosen.draw(data)

    broken_rules = outcome(chosen.call, arguments)

    assert broken_rules == []


RIGHT: dict[str, Any] = {
    "approximate": True,
    "block": None,
    "by": 1,
    "consumer": "c",
    "count": 5,
    "cursor": "0",
    "data": Point(1.0),
    "default": None,
    "end": "+",
    "entries": {"k": 1},
    "event": "user:created",
    "handler": print,
    "history": False,
    "ids": ["1-1"],
    "key": "k",
    "keys": ["k"],
    "max_len": 5,
    "max_queue": 10,
    "message": 1,
    "min_idle": 1,
    "namespace": "kv",
    "only_if": None,
    "owner": "w",
    "pattern": "*",
    "reverse": False,
    "start": "0",
    "stream": "s",
    "ttl": 60,
    "type": None,
    "value": 1,
}


@pytest.mark.parametrize("name", METHODS)
@EXAMPLES
@given(data=st.data())
def test_single_wrong_argument_raises_only_store_error(name: str, data: st.DataObject) -> None:
    chosen = METHODS[name]
    wrong = data.draw(st.sampled_from(sorted(chosen.arguments)), "wrong")
    arguments = {argument: RIGHT[argument] for argument in chosen.arguments}
    arguments[wrong] = data.draw(chosen.arguments[wrong], "value")

    broken_rules = outcome(chosen.call, arguments)

    assert broken_rules == []
