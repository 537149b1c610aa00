"""The bytes on the wire.

A Node process must be able to read them, and a store must read the bytes of Node and of others.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import Actor, ErrorCode, EventContext, RecordingAdapter, Scope, Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIX = "igniter:store:api"


@pytest.fixture
def store(igniter_recorder: RecordingAdapter) -> Store[str]:
    return Store.create().with_adapter(igniter_recorder).with_service("api").build()


@pytest.fixture
def adapter(store: Store[str]) -> Any:
    """Return the adapter below the store, to read and write raw bytes."""
    return store.adapter


KEYS: dict[str, tuple[Callable[[Any], Awaitable[Any]], str, str]] = {
    "kv": (lambda store: store.kv.get("user:123"), "get", f"{PREFIX}:kv:user:123"),
    "counter": (
        lambda store: store.counter.increment("views"),
        "increment",
        f"{PREFIX}:counter:views",
    ),
    "claim": (lambda store: store.claim.once("lock:x", "w1"), "set_nx", f"{PREFIX}:claim:lock:x"),
    "events": (
        lambda store: store.events.publish("user:created", 1),
        "publish",
        f"{PREFIX}:events:user:created",
    ),
    "streams": (lambda store: store.streams.append("jobs", 1), "xadd", f"{PREFIX}:streams:jobs"),
    "group": (
        lambda store: store.streams.group("g", "c").ensure("jobs"),
        "xgroup_create",
        f"{PREFIX}:streams:jobs",
    ),
    "scope": (
        lambda store: store.scope("org", 123).kv.get("settings"),
        "get",
        f"{PREFIX}:org:123:kv:settings",
    ),
    "scopes": (
        lambda store: store.scope("org", "o 1").scope("team", -7).counter.get("n"),
        "get",
        f"{PREFIX}:org:o 1:team:-7:counter:n",
    ),
    "opaque key": (
        lambda store: store.kv.get(" a:*?[\n\0é💾 "),
        "get",
        f"{PREFIX}:kv: a:*?[\n\0é💾 ",
    ),
    "pattern": (
        lambda store: store.events.subscribe("user:*", print),
        "psubscribe",
        f"{PREFIX}:events:user:*",
    ),
    "name": (
        lambda store: store.events.subscribe("user:a", print),
        "subscribe",
        f"{PREFIX}:events:user:a",
    ),
    "pattern in a scope": (
        lambda store: store.scope("org", "a*[b]?\\").events.subscribe("*", print),
        "psubscribe",
        f"{PREFIX}:org:a\\*\\[b]\\?\\\\:events:*",
    ),
    "scan": (lambda store: store.dev.scan("user:*"), "scan", f"{PREFIX}:kv:user:*"),
    "scan in a scope": (
        lambda store: store.scope("org", "*").dev.scan("*"),
        "scan",
        f"{PREFIX}:org:\\*:kv:*",
    ),
}


@pytest.mark.parametrize("call", KEYS)
async def test_keys_are_where_node_has_them(
    call: str, store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    make, method, key = KEYS[call]

    await make(store)

    assert [recorded.args[0] for recorded in igniter_recorder.named(method)] == [key]


async def test_a_batch_uses_the_keys_of_kv(store: Store[str], adapter: Any) -> None:
    await store.batch.set({"a": 1, "b": 2})

    assert await adapter.mget([f"{PREFIX}:kv:a", f"{PREFIX}:kv:b"]) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"name": "Avery"}, b'{"name":"Avery"}'),
        ([1, "two", None, True], b'[1,"two",null,true]'),
        ("text", b'"text"'),
        ("é💾", '"é💾"'.encode()),
        ('"\\\n\x01', b'"\\"\\\\\\n\\u0001"'),
        (None, b"null"),
        (False, b"false"),
        (0, b"0"),
        (-1.5, b"-1.5"),
        ({}, b"{}"),
        ("", b'""'),
        (2**53, b"9007199254740992"),
    ],
    ids=repr,
)
async def test_values_are_as_json_stringify_makes_them(
    value: Any, data: bytes, store: Store[str], adapter: Any
) -> None:
    await store.kv.set("k", value)

    assert await adapter.get(f"{PREFIX}:kv:k") == data


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"name":"Avery"}', {"name": "Avery"}),
        (b' [1, 2.0 ,"\\u00e9"] ', [1, 2.0, "é"]),
        (b"null", None),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
async def test_values_of_other_writers_are_read(
    data: bytes, value: Any, store: Store[str], adapter: Any
) -> None:
    await adapter.set(f"{PREFIX}:kv:k", data)

    assert await store.kv.get("k") == value


# Results of JSON.parse of Node 20. Where it raises, the npm package returns the text, which is
# listed instead.
NODE_READS: dict[str, tuple[bytes, Any]] = {
    "undefined": (b"", ""),
    "raw text": (b"hello", "hello"),
    "cut off": (b'{"a":1', '{"a":1'),
    "not a number": (b"NaN", "NaN"),
    "byte order mark": (b"\xef\xbb\xbf1", "\ufeff1"),
    "leading zero": (b"007", "007"),
    "control character": (b'"\x01"', '"\x01"'),
    "no-break space": ("\u00a01".encode(), "\u00a01"),
    "lone surrogate": (b'"\\ud800"', "\ud800"),
    "lone surrogate in a key": (b'{"\\udc00":[1]}', {"\udc00": [1]}),
    "surrogates the wrong way": (b'"\\udc00\\ud83d"', "\udc00\ud83d"),
    "infinity": (b"[1e400,-1e400]", [math.inf, -math.inf]),
    "many digits": (b"9" * 5000, math.inf),
    "exact digits": (b"9" * 400, int("9" * 400)),
    "last of two keys": (b'{"a":1,"a":2}', {"a": 2}),
    "exponent": (b"[1e+21,1E5]", [1e21, 1e5]),
    "surrogate beside raw types": (
        b'["\\ud800",true,false,null,-1.5,{},[],{"a":[]}]',
        ["\ud800", True, False, None, -1.5, {}, [], {"a": []}],
    ),
}


@pytest.mark.parametrize("kind", NODE_READS)
async def test_value_is_read_as_in_node(kind: str, store: Store[str], adapter: Any) -> None:
    data, value = NODE_READS[kind]
    await adapter.set(f"{PREFIX}:kv:k", data)
    await adapter.set(f"{PREFIX}:claim:k", data)

    assert await store.kv.get("k") == value
    assert await store.batch.get(["k", "other"]) == [value, None]
    assert await store.claim.owner("k") == value
    assert await store.kv.pop("k") == value


@pytest.mark.parametrize("depth", [900, 3_000, 10_000])
@pytest.mark.parametrize(
    ("begin", "middle", "end"),
    [(b"[", b"", b"]"), (b'{"a":', b"1", b"}")],
    ids=["lists", "mappings"],
)
# The nested value, its depth, and its place
async def test_deep_value_is_read_and_written_back(  # noqa: PLR0913, PLR0917
    begin: bytes, middle: bytes, end: bytes, depth: int, store: Store[str], adapter: Any
) -> None:
    data = begin * depth + middle + end * depth
    await adapter.set(f"{PREFIX}:kv:k", data)

    value = await store.kv.get("k")
    await store.kv.set("other", value)

    assert await adapter.get(f"{PREFIX}:kv:other") == data
    assert await store.kv.get("k", dict[str, Any] if middle else list[Any]) is not None


async def test_deeper_value_than_limit_is_refused(store: Store[str], adapter: Any) -> None:
    await adapter.set(f"{PREFIX}:kv:k", b"[" * 1_000_000)

    with pytest.raises(StoreError, match="nested too deeply"):
        await store.kv.get("k")


async def test_lone_surrogate_is_written_as_node_does(store: Store[str], adapter: Any) -> None:
    await store.kv.set(
        "k", {"a\ud800": ["\udc00é\u2028"], "when": datetime(2026, 1, 31, tzinfo=UTC)}
    )

    assert (
        await adapter.get(f"{PREFIX}:kv:k")
        == '{"a\\ud800":["\\udc00é\u2028"],"when":"2026-01-31T00:00:00Z"}'.encode()
    )


@pytest.mark.parametrize(
    ("data", "wanted", "value"),
    [
        (b"hello", str, "hello"),
        (b"", str, ""),
        (b"7 days", str, "7 days"),
        (b"2026-01-31", date, date(2026, 1, 31)),
        (b'["\\ud800"]', list[str], ["\ud800"]),
        (b"[1e400]", list[float], [math.inf]),
        (b"[5.0,1e+21]", list[int], [5, 10**21]),
        (b'{"1":5.0}', dict[int, int], {1: 5}),
    ],
    ids=repr,
)
async def test_typed_value_is_read_as_in_node(
    data: bytes, wanted: Any, value: Any, store: Store[str], adapter: Any
) -> None:
    await adapter.set(f"{PREFIX}:kv:k", data)

    assert await store.kv.get("k", wanted) == value


@pytest.mark.parametrize(
    ("data", "wanted"),
    [(b"hello", int), (b"", dict[str, int]), (b"5.5", int), (b"\xff", str), (b'"\xff"', str)],
)
async def test_typed_value_that_does_not_fit_is_refused(
    data: bytes, wanted: Any, store: Store[str], adapter: Any
) -> None:
    await adapter.set(f"{PREFIX}:kv:k", data)

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k", wanted)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED
    assert "hello" not in caught.value.message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": b""}, {"data": ""}),
        ({"data": b'"\\ud800"'}, "\ud800"),
        ({"data": b"null"}, None),
    ],
    ids=repr,
)
async def test_entry_is_read_as_in_node(
    fields: Any, message: Any, store: Store[str], adapter: Any
) -> None:
    await adapter.xadd(f"{PREFIX}:streams:jobs", fields)
    await store.streams.append("jobs", {"right": 1})
    group = store.streams.group("g", "c")
    await group.ensure("jobs")

    assert [entry.message for entry in await store.streams.range("jobs")] == [message, {"right": 1}]
    assert [entry.message for entry in await group.read("jobs")] == [message, {"right": 1}]
    assert [entry.message for entry in await group.claim("jobs", min_idle=0)] == [
        message,
        {"right": 1},
    ]


async def test_event_with_lone_surrogate_is_delivered(store: Store[str], adapter: Any) -> None:
    context = await received(
        store,
        adapter,
        b'{"type":"user:created","data":"\\ud800","timestamp":"2026-01-31T12:00:00.000Z"}',
    )

    assert (context.type, context.data) == ("user:created", "\ud800")


@pytest.mark.clause("CTR-6")
async def test_a_counter_is_its_decimal_text(store: Store[str], adapter: Any) -> None:
    await store.counter.decrement("n", 42)

    assert await adapter.get(f"{PREFIX}:counter:n") == b"-42"


@pytest.mark.parametrize(
    ("owner", "data"),
    [
        ("worker-1", b'"worker-1"'),
        (7, b"7"),
        ({"host": "a", "pid": 1}, b'{"host":"a","pid":1}'),
        ("", b'""'),
    ],
    ids=repr,
)
async def test_a_claim_is_its_owner_as_json(
    owner: Any, data: bytes, store: Store[str], adapter: Any
) -> None:
    await store.claim.once("lock", owner)

    assert await adapter.get(f"{PREFIX}:claim:lock") == data


async def test_a_claim_that_node_took_can_be_released(store: Store[str], adapter: Any) -> None:
    await adapter.set(f"{PREFIX}:claim:lock", b'"worker-1"')

    assert await store.claim.owner("lock") == "worker-1"
    assert await store.claim.release("lock", "worker-1") is True


async def published(recorder: RecordingAdapter) -> str:
    [call] = recorder.named("publish")
    payload: bytes = call.args[1]
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>", payload.decode())


async def test_an_event_is_one_json_object(
    store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await store.events.publish("user:created", {"userId": "123"})

    assert (
        await published(igniter_recorder)
        == '{"type":"user:created","data":{"userId":"123"},"timestamp":"<time>"}'
    )


async def test_scoped_event_contains_scope_and_scope_chain(
    store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await store.scope("org", "org_123").scope("team", 7).events.publish("e", None)

    assert await published(igniter_recorder) == (
        '{"type":"e","data":null,"timestamp":"<time>","scope":{"key":"team","identifier":"7"},'
        '"scopes":[{"key":"org","identifier":"org_123"},{"key":"team","identifier":"7"}]}'
    )


@pytest.mark.parametrize(
    ("type", "actor"), [("user", '{"id":"u1","type":"user"}'), (None, '{"id":"u1"}')]
)
async def test_an_event_of_an_actor_names_it(
    type: str | None, actor: str, store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await store.as_actor("u1", type=type).events.publish("e", 1)

    assert (
        await published(igniter_recorder)
        == f'{{"type":"e","data":1,"timestamp":"<time>","actor":{actor}}}'
    )


async def received(store: Store[str], adapter: Any, payload: bytes) -> EventContext[Any]:
    async with asyncio.timeout(5), store.events.listen("user:*") as stream:
        await adapter.publish(f"{PREFIX}:events:user:created", payload)
        return await anext(stream)


async def test_an_event_of_node_is_read(store: Store[str], adapter: Any) -> None:
    context = await received(
        store,
        adapter,
        b'{"type":"user:created","data":{"userId":"123"},"timestamp":"2026-01-31T12:00:00.000Z","scope":{"key":"org","identifier":"org_123"}}',
    )

    assert context == EventContext(
        "user:created",
        {"userId": "123"},
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        Scope("org", "org_123"),
        (Scope("org", "org_123"),),
    )


async def test_an_events_actor_and_scopes_are_read(store: Store[str], adapter: Any) -> None:
    envelope = {
        "type": "user:created",
        "data": None,
        "timestamp": "2026-01-31T14:00:00.500+02:00",
        "scope": {"key": "team", "identifier": 7},
        "scopes": [{"key": "org", "identifier": "o"}, {"key": "team", "identifier": 7}],
        "actor": {"id": 5, "type": "user", "name": "Avery"},
        "traceparent": "later",
    }

    context = await received(store, adapter, json.dumps(envelope).encode())

    assert context.timestamp == datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
    assert (context.scope, context.scopes) == (
        Scope("team", "7"),
        (Scope("org", "o"), Scope("team", "7")),
    )
    assert context.actor == Actor("5", "user")


FOREIGN = [
    b'{"hello":"world"}',
    b'{"type":"x"}',
    b'{"type":5,"data":1,"timestamp":"2026-01-31T12:00:00.000Z"}',
    b'{"type":"x","data":1,"timestamp":"yesterday"}',
    b'{"type":"x","data":1,"timestamp":1769860800000}',
    b'{"type":"x","data":1,"timestamp":"0001-01-01T00:00:00+14:00"}',
    b"[1,2]",
    b'"text"',
    b"null",
    b"7",
]


@pytest.mark.parametrize("payload", FOREIGN, ids=bytes.decode)
async def test_a_message_of_other_software_is_wrapped(
    payload: bytes, store: Store[str], adapter: Any
) -> None:
    before = datetime.now(UTC)

    context = await received(store, adapter, payload)

    assert (context.type, context.data) == ("user:created", json.loads(payload))
    assert (context.scope, context.scopes, context.actor) == (None, (), None)
    assert before <= context.timestamp <= datetime.now(UTC)


MALFORMED = ['"org"', "[]", "{}", '{"key":"org"}', "null", "5"]


@pytest.mark.parametrize("scope", MALFORMED)
async def test_invalid_scope_of_event_is_ignored(
    scope: str, store: Store[str], adapter: Any
) -> None:
    payload = (
        '{"type":"e","data":1,"timestamp":"2026-01-31T12:00:00Z",'
        f'"scope":{scope},"scopes":{scope},"actor":{scope}}}'
    )

    context = await received(store, adapter, payload.encode())

    assert (context.type, context.scope, context.scopes, context.actor) == ("e", None, (), None)


async def test_a_message_is_one_field_named_data(
    store: Store[str], adapter: Any, igniter_recorder: RecordingAdapter
) -> None:
    id = await store.streams.append("jobs", {"a": [1]}, max_len=10, approximate=False)

    [entry] = await adapter.xrange(f"{PREFIX}:streams:jobs")
    [call] = igniter_recorder.named("xadd")
    assert (entry.id, entry.fields) == (id, {"data": b'{"a":[1]}'})
    assert call.kwargs == {"max_len": 10, "approximate": False}


@pytest.mark.clause("STR-17")
async def test_foreign_entry_is_read_as_field_mapping(store: Store[str], adapter: Any) -> None:
    await adapter.xadd(
        f"{PREFIX}:streams:jobs", {"kind": b"mail", "raw": b"\xff\x00", "count": b"7"}
    )

    [message] = await store.streams.range("jobs")

    assert message.message == {"kind": "mail", "raw": b"\xff\x00", "count": "7"}


async def test_an_entry_of_other_software_can_be_typed(store: Store[str], adapter: Any) -> None:
    await adapter.xadd(f"{PREFIX}:streams:jobs", {"a": b"7", "b": b"8"})

    [message] = await store.streams.range("jobs", type=dict[str, int])

    assert message.message == {"a": 7, "b": 8}


async def test_entry_with_extra_fields_returns_its_data(store: Store[str], adapter: Any) -> None:
    await adapter.xadd(f"{PREFIX}:streams:jobs", {"traceparent": b"x", "data": b"[1]"})

    [message] = await store.streams.range("jobs")

    assert message.message == [1]
