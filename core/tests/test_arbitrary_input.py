"""Any argument of a method leads to a right result, or to a StoreError before anything is sent.

No other exception is raised.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import ANY, Mock
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igniter_store import (
    JSON,
    MSGPACK,
    BatchEntry,
    ConfigurationError,
    EventError,
    EventGroup,
    Events,
    InvalidArgument,
    LoggingTelemetry,
    RecordingAdapter,
    ScopeError,
    SerializationError,
    Store,
    StoreError,
    event,
    group,
)
from igniter_store.backends import adapter_from_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# No deadline: a slow machine isn't a failure.
EXAMPLES = settings(max_examples=30, deadline=None)


# --- Values that misbehave ------------------------------------------------------------------------


class RaisedByAValue(Exception):  # noqa: N818 - a test fails if the store lets it through
    """Raised by the values below."""


def raising(*args: Any, **kwargs: Any) -> Any:
    raise RaisedByAValue


QUESTIONS = (
    "__eq__",
    "__ne__",
    "__hash__",
    "__str__",
    "__format__",
    "__bool__",
    "__len__",
    "__iter__",
    "__getitem__",
    "__contains__",
)
NUMERIC = (
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__int__",
    "__float__",
    "__index__",
    "__neg__",
    "__add__",
    "__mul__",
)


def hostile(name: str, base: type, methods: tuple[str, ...]) -> Any:
    def show(_: object) -> str:
        return name

    return type(name, (base,), {**dict.fromkeys(methods, raising), "__repr__": show})


HostileObject = hostile("HostileObject", object, (*QUESTIONS, *NUMERIC))
HostileText = hostile(
    "HostileText",
    str,
    (*QUESTIONS, "lower", "encode", "startswith", "partition", "isascii", "strip"),
)
HostileInt = hostile("HostileInt", int, (*QUESTIONS, *NUMERIC))
HostileFloat = hostile("HostileFloat", float, (*QUESTIONS, *NUMERIC))
HostileDict = hostile("HostileDict", dict, (*QUESTIONS, "items", "keys", "values", "get"))
HostileList = hostile("HostileList", list, QUESTIONS)
HostileGetattr = hostile("HostileGetattr", object, ("__getattr__", "__getattribute__"))


class Proxy:
    @property
    def __class__(self) -> Any:
        raise RaisedByAValue

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise RaisedByAValue


class Liar:
    """Claims to be a str."""

    @property
    def __class__(self) -> Any:
        return str

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise RaisedByAValue


class FailingMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RaisedByAValue

    def __iter__(self) -> Iterator[str]:
        raise RaisedByAValue

    def __len__(self) -> int:
        return 1


def failing_generator() -> Iterator[Any]:
    yield "k"
    raise RaisedByAValue


class Word(enum.StrEnum):
    KEY = "k"


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: float = 0.0


class Model(pydantic.BaseModel):
    name: str = "n"


@dataclass
class Record:
    value: Any = None


def one_of(values: list[Any]) -> st.SearchStrategy[Any]:
    """As `sampled_from`, but prints the numbers of the values instead of the values."""

    def value(number: int) -> Any:
        return values[number]

    return st.integers(0, len(values) - 1).map(value)


HOSTILE = one_of(
    [
        HostileObject(),
        HostileText("k"),
        HostileText(""),
        HostileText("a:b"),
        HostileInt(1),
        HostileInt(10**30),
        HostileFloat(1.5),
        HostileFloat("nan"),
        HostileDict(key="k", value=1),
        HostileList(["k"]),
        HostileGetattr(),
        Proxy(),
        Liar(),
        FailingMapping(),
        Mock(spec=str),
        Mock(spec=int),
        Mock(),
        ANY,
    ]
)
BUILTINS: list[Any] = [
    int,
    str,
    float,
    bytes,
    Any,
    object,
    type,
    list[int],
    dict[str, int],
    dict[int, Any],
    tuple[int, ...],
    set[str],
]
CLASSES: list[Any] = [
    Colour,
    Word,
    Point,
    Model,
    Record,
    list[Model],
    UUID,
    timedelta,
    Decimal,
    EventGroup,
    Store,
    HostileObject,
]
TYPES = one_of([*BUILTINS, *CLASSES, int | None, Literal["a"], "int", "Unknown"])
TEXT = st.text(st.characters(codec=None), max_size=8)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | one_of([0, -1, 2**63, -(2**63), 2**64, 10**30, 10**400, 10**5000])
    | st.floats()
    | TEXT
    | st.sampled_from(
        [
            "",
            "\ud800",
            "a:b",
            "a\nb",
            "*",
            "[",
            "\\",
            "-",
            "+",
            "0",
            "$",
            "(1-1",
            "igniter",
            "kv",
            "__x",
        ]
    )
    | st.binary(max_size=8)
    | st.decimals()
    | st.timedeltas()
    | st.sampled_from(
        [timedelta.max, timedelta.min, 1j, ..., NotImplemented, print, object(), ValueError("x")]
    )
    | st.sampled_from(
        [
            Word.KEY,
            Colour.RED,
            Point(),
            Model(),
            Record(),
            Record(Record()),
            Record({1: 2}),
            Point(float("nan")),
        ]
    )
)


def keys_of_mappings() -> st.SearchStrategy[Any]:
    return (
        st.text(max_size=4)
        | st.integers()
        | st.none()
        | st.booleans()
        | st.floats()
        | st.tuples(st.integers())
        | st.binary(max_size=2)
    )


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS | HOSTILE | TYPES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys_of_mappings(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=2).map(iter)
        | inner.map(Record)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=6,
)


def circle() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


def mixed(*right: Any) -> st.SearchStrategy[Any]:
    """Draw one of the right values, or any value."""
    return st.sampled_from(right) | ANYTHING


KEYS = mixed("k", "user:1", "é", Word.KEY)
TTLS = mixed(None, 1, 0.5, 60, timedelta(seconds=1), 10_000_000_000)
VALUES: st.SearchStrategy[Any] = (
    mixed(1, "text", {"a": [1, None]}, Point(1.0), Model())
    | st.just(circle())
    | st.fixed_dictionaries({"nested": ANYTHING})
)
WANTED = TYPES | ANYTHING
COUNTS = mixed(None, 0, 1, 10)
NUMBERS = mixed(0, 1, 1000)
FLAGS = mixed(True, False)
STREAMS = mixed("s", "other")
IDS = mixed(["1-1"], [], ("0-0", "1-1")) | st.lists(mixed("1-1", "5"), max_size=3)
BOUNDS = mixed("-", "+", "0", "1-1", "(1-1")
EVENTS = mixed("user:created", "user:*", "other")
IDENTIFIERS = mixed("org_1", 7, "*", Word.KEY)
ENTRIES: st.SearchStrategy[Any] = (
    st.lists(
        st.builds(BatchEntry, KEYS, VALUES, TTLS)
        | st.fixed_dictionaries(
            {"key": KEYS, "value": VALUES}, optional={"ttl": TTLS, "other": ANYTHING}
        )
        | ANYTHING,
        max_size=3,
    )
    | st.dictionaries(st.text(max_size=4) | keys_of_mappings(), VALUES, max_size=3)
    | ANYTHING
)
KEY_LISTS: st.SearchStrategy[Any] = (
    st.lists(KEYS, max_size=3) | ANYTHING | st.builds(failing_generator)
)


# --- Every method that calls the backend ----------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """How to call a method, and its possible arguments."""

    call: Callable[[Any, Any], Any]
    arguments: dict[str, st.SearchStrategy[Any]]


def method(call: Callable[[Any, Any], Any], **arguments: st.SearchStrategy[Any]) -> Method:
    return Method(call, arguments)


async def listen(store: Any, given: Any) -> None:
    async with store.events.listen(**given):
        pass


async def iterate(store: Any, given: Any) -> list[Any]:
    return [key async for key in store.dev.iterate(**given)]


def grouped(store: Any) -> Any:
    return store.streams.group("g", "c")


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

# These errors are raised before anything is sent.
BEFORE_SENDING = (InvalidArgument, ScopeError, EventError, ConfigurationError)


def make_store(recorder: RecordingAdapter, **switches: bool) -> Any:
    events = Events.create("user").event("created", Point).build()
    return (
        Store.create()
        .with_adapter(recorder)
        .with_service("test")
        .add_events(events, **switches)
        .build()
    )


def assert_translated(error: StoreError) -> None:
    # The memory backend raises only StoreErrors. A translated exception means that a bad argument,
    # or a bad result, passed the checks.
    assert "instead of a StoreError" not in error.message


def assert_own_error(error: StoreError, recorder: RecordingAdapter) -> None:
    assert_translated(error)
    is_early = isinstance(error, BEFORE_SENDING) or (
        isinstance(error, SerializationError) and "Can't encode" in error.message
    )
    assert not is_early or recorder.calls == []
    assert str(error)
    assert repr(error)


async def outcome(call: Callable[[Any, Any], Any], arguments: dict[str, Any]) -> None:
    recorder = RecordingAdapter(adapter_from_url("memory://"))
    store = make_store(recorder)
    group = grouped(store)
    await store.kv.set("k", 1)
    await group.ensure("s")
    await store.streams.append("s", {"a": 1})
    recorder.calls.clear()
    try:
        answer = call(store, arguments)
        if inspect.isawaitable(answer):
            await answer
    except StoreError as error:
        assert_own_error(error, recorder)
    await store.close()
    assert len(asyncio.all_tasks()) == 1


def run(coroutine: Any) -> None:
    with asyncio.Runner() as runner:
        runner.run(coroutine)


@pytest.mark.parametrize("name", METHODS)
@EXAMPLES
@given(data=st.data())
def test_operation_returns_or_raises_store_error(name: str, data: st.DataObject) -> None:
    chosen = METHODS[name]
    arguments = {
        argument: data.draw(values, argument) for argument, values in chosen.arguments.items()
    }

    run(outcome(chosen.call, arguments))


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

    run(outcome(chosen.call, arguments))


# --- Every method that builds something -----------------------------------------------------------


class Declared(EventGroup, namespace="declared"):
    created = event(int)


def declare(namespace: Any, name: Any, schema: Any) -> Any:
    return type(
        "Arbitrary", (EventGroup,), {"created": event(schema, name=name)}, namespace=namespace
    )


def declare_group(kind: Any, name: Any) -> Any:
    return type(
        "Arbitrary", (EventGroup,), {"inner": group(kind, name=name)}, namespace="arbitrary"
    )


def built(store: Any, builder: Any) -> Any:
    return builder.with_adapter(store.adapter).with_service("test").build()


def unchanged(builder: Any) -> Any:
    return builder


NAMES = mixed("created", "mail", "a b", "__x")
SCHEMAS = TYPES | ANYTHING
ASSEMBLING: dict[str, Method] = {
    "scope": method(
        lambda store, given: store.scope(**given).kv.get("k"),
        key=mixed("org", "kv"),
        identifier=IDENTIFIERS,
    ),
    "as_actor": method(
        lambda store, given: store.as_actor(**given).events.publish("e", 1),
        id=IDENTIFIERS,
        type=mixed(None, "user"),
    ),
    "group": method(
        lambda store, given: store.streams.group(**given).ensure("s"),
        group=mixed("g"),
        consumer=mixed("c"),
    ),
    "listen": method(
        lambda store, given: store.events.listen(**given), event=EVENTS, max_queue=NUMBERS
    ),
    "events[]": method(
        lambda store, given: store.events[given["name"]], name=mixed("user", "missing")
    ),
    "events[][]": method(
        lambda store, given: store.events["user"][given["name"]], name=mixed("created", "deleted")
    ),
    "events.bind": method(lambda store, given: store.events.bind(**given), events=mixed(Declared)),
    "with_adapter": method(
        lambda _, given: Store.create().with_adapter(**given), adapter=mixed(None)
    ),
    "with_url": method(
        lambda _, given: Store.create().with_url(**given), url=mixed("memory://"), max_keys=NUMBERS
    ),
    "with_text url": method(
        lambda _, given: Store.create().with_url(**given), url=TEXT.map("memory://".__add__)
    ),
    "with_unknown url": method(
        lambda _, given: Store.create().with_url(**given), url=TEXT.map("{}://localhost".format)
    ),
    "with_unknown option": method(
        lambda _, given: Store.create().with_url("memory://", **given["options"]),
        options=st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
    ),
    "with_service": method(lambda _, given: Store.create().with_service(**given), service=KEYS),
    "with_serializer": method(
        lambda store, given: built(store, Store.create().with_serializer(given["piece"])).kv.set(
            "k", 1
        ),
        piece=mixed(JSON, MSGPACK),
    ),
    "with_logger": method(
        lambda store, given: built(store, Store.create().with_logger(given["piece"])),
        piece=mixed(logging.getLogger("x")),
    ),
    "with_telemetry": method(
        lambda store, given: built(store, Store.create().with_telemetry(given["piece"])).kv.get(
            "k"
        ),
        piece=mixed(LoggingTelemetry()),
    ),
    "add_scope": method(
        lambda _, given: Store.create().add_scope(**given),
        key=mixed("org", "events"),
        required=FLAGS,
        description=mixed(None, "text"),
    ),
    "add_events": method(
        lambda _, given: Store.create().add_events(**given),
        events=mixed(Declared, Events.create("user").build()),
        validate_publish=FLAGS,
        validate_subscribe=FLAGS,
        throw_on_validation_error=FLAGS,
    ),
    "Events.create": method(
        lambda _, given: Events.create(**given).build(), namespace=mixed("user", "a.b")
    ),
    "Events.event": method(
        lambda _, given: Events.create("user").event(**given).build(), name=NAMES, schema=SCHEMAS
    ),
    "Events.group": method(
        lambda _, given: Events.create("user").group(**given).build(),
        name=NAMES,
        build=mixed(unchanged),
    ),
    "EventGroup": method(
        lambda _, given: declare(**given), namespace=mixed("user", None), name=NAMES, schema=SCHEMAS
    ),
    "EventGroup group": method(
        lambda _, given: declare_group(**given), kind=mixed(Declared), name=NAMES
    ),
    "from_url": method(
        lambda _, given: Store.from_url(**given), url=mixed("memory://"), service=KEYS
    ),
}


@pytest.mark.parametrize("name", ASSEMBLING)
@EXAMPLES
@given(data=st.data())
def test_assembly_returns_or_raises_store_error(name: str, data: st.DataObject) -> None:
    chosen = ASSEMBLING[name]
    arguments = {
        argument: data.draw(values, argument) for argument, values in chosen.arguments.items()
    }

    run(outcome(chosen.call, arguments))


# --- Data written by other programs ---------------------------------------------------------------


async def foreign(payload: bytes, call: Callable[[Any], Awaitable[Any]]) -> None:
    recorder = RecordingAdapter(adapter_from_url("memory://"))
    store = make_store(recorder, validate_subscribe=True)
    adapter: Any = recorder
    for namespace in ("kv", "counter", "claim"):
        await adapter.set(f"igniter:store:test:{namespace}:k", payload)
    await adapter.xadd("igniter:store:test:streams:s", {"data": payload})
    await adapter.xadd("igniter:store:test:streams:f", {"field": payload})
    try:
        await call(store)
    except StoreError as error:
        assert_translated(error)
    await store.close()


BYTES = st.binary(max_size=40) | st.sampled_from(
    [
        b"",
        b"null",
        b"NaN",
        b"1e999",
        b"{",
        b'"\\ud800"',
        b"9" * 5000,
        b"[" * 2000,
        b"-0",
        b"007",
        b'{"a":' * 1000,
        b"\xff",
    ]
)
READS: dict[str, Method] = {
    "kv.get": method(lambda store, given: store.kv.get("k", **given), type=TYPES),
    "kv.pop": method(lambda store, given: store.kv.pop("k", **given), type=TYPES),
    "batch.get": method(lambda store, given: store.batch.get(["k", "k"], **given), type=TYPES),
    "counter.get": method(lambda store, _: store.counter.get("k")),
    "counter.increment": method(
        lambda store, given: store.counter.increment("k", **given),
        by=st.integers(-(2**63), 2**63 - 1),
    ),
    "claim.owner": method(lambda store, _: store.claim.owner("k")),
    "streams.range": method(lambda store, given: store.streams.range("s", **given), type=TYPES),
    "foreign streams.range": method(
        lambda store, given: store.streams.range("f", **given), type=TYPES
    ),
}


@pytest.mark.parametrize("name", READS)
@EXAMPLES
@given(data=st.data(), payload=BYTES)
def test_foreign_data_is_read_or_refused(name: str, data: st.DataObject, payload: bytes) -> None:
    chosen = READS[name]
    arguments = {
        argument: data.draw(values, argument) for argument, values in chosen.arguments.items()
    }

    run(foreign(payload, lambda store: chosen.call(store, arguments)))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
TIMES = st.datetimes().map(lambda time: f"{time.isoformat()}+14:00") | st.datetimes().map(
    lambda time: f"{time.isoformat()}-14:00"
)
ENVELOPES = st.fixed_dictionaries(
    {
        "type": st.just("user:created") | JSON_VALUES,
        "timestamp": st.just("2026-01-31T12:00:00.000Z")
        | st.just("0001-01-01T00:00:00+14:00")
        | TIMES
        | JSON_VALUES,
    },
    optional={
        "data": JSON_VALUES | st.just({"x": 1.5}),
        "scope": st.fixed_dictionaries({"key": JSON_VALUES, "identifier": JSON_VALUES})
        | JSON_VALUES,
        "scopes": st.lists(
            st.fixed_dictionaries({"key": JSON_VALUES, "identifier": JSON_VALUES}) | JSON_VALUES,
            max_size=3,
        )
        | JSON_VALUES,
        "actor": st.fixed_dictionaries({"id": JSON_VALUES}, optional={"type": JSON_VALUES})
        | JSON_VALUES,
        "unknown": JSON_VALUES,
    },
)


async def delivered(payload: bytes) -> int:
    store = make_store(RecordingAdapter(adapter_from_url("memory://")))
    got: list[Any] = []
    last = asyncio.Event()

    def handle(context: Any) -> None:
        got.append(context)
        if context.type == "last":
            last.set()

    await store.events.subscribe("*", handle)
    await store.adapter.publish("igniter:store:test:events:user:created", payload)
    await store.events.publish("last", None)
    async with asyncio.timeout(10):
        await last.wait()
    await store.close()
    return len(got) - 1


@EXAMPLES
@given(message=ENVELOPES | JSON_VALUES)
def test_foreign_json_message_is_delivered(message: Any) -> None:
    payload = msgspec.json.encode(message)

    with asyncio.Runner() as runner:
        number = runner.run(delivered(payload))

    assert number == 1


@EXAMPLES
@given(payload=BYTES)
def test_foreign_message_ends_no_subscription(payload: bytes) -> None:
    with asyncio.Runner() as runner:
        number = runner.run(delivered(payload))

    assert number in {0, 1}
