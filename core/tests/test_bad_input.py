"""Every argument of every public method, wrong in every way.

Each raises its own code, and nothing reaches the adapter.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import ANY, Mock
from uuid import UUID

import msgspec
import pytest
from igniter_store import (
    BatchEntry,
    ConfigurationError,
    ErrorCode,
    EventGroup,
    Events,
    RecordingAdapter,
    Store,
    StoreError,
    event,
    group,
)

# The tests pass arguments that a type checker would refuse, so everything is Any here.
Call = Callable[[Any, Any], Awaitable[Any]]

SURROGATE = "a\ud800b"


class Unequal:
    """Raises when it is compared, hashed, printed or its attributes are read."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __hash__(self) -> int:
        raise RuntimeError("hashed")

    def __repr__(self) -> str:
        raise RuntimeError("printed")


class Proxy:
    """Raises even for its class, like a web framework's proxy outside of a request."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("outside of a request")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise RuntimeError("outside of a request")


class Endless(Mapping[str, Any]):
    """A mapping that raises while it is iterated."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("read")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("read")

    def __len__(self) -> int:
        return 1


class Hidden:
    """Hides a value from pytest, which would read its class."""

    def __init__(self, value: Any) -> None:
        self.value = value


def named(*values: Any) -> list[Any]:
    return [
        pytest.param(Hidden(value), id=f"{number}-{type(value).__name__}")
        for number, value in enumerate(values)
    ]


def circle() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


async def failure_of(call: Awaitable[Any]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


def assert_nothing_was_sent(recorder: RecordingAdapter) -> None:
    assert [call.method for call in recorder.calls if call.method != "open"] == []


NO_TEXT: dict[str, Any] = {
    "bytes": b"key",
    "int": 7,
    "zero": 0,
    "bool": True,
    "float": math.nan,
    "list": ["key"],
    "dict": {},
    "object": object(),
    "any": ANY,
    "unequal": Unequal(),
    "proxy": Proxy(),
    "mock": Mock(spec=str),
    "class": str,
}
BAD_NAMES: dict[str, tuple[Any, bool]] = {
    "none": (None, True),
    "empty": ("", True),
    "surrogate": (SURROGATE, False),
    **{name: (value, False) for name, value in NO_TEXT.items()},
}

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


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("method", TAKES_KEY)
async def test_a_bad_key_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    key, is_missing = BAD_NAMES[bad]

    error = await failure_of(TAKES_KEY[method](igniter_store, key))

    assert error.code == (
        ErrorCode.STORE_KEY_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert error.operation == method
    assert_nothing_was_sent(igniter_recorder)


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


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("method", TAKES_STREAM)
async def test_a_bad_stream_name_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    name, is_missing = BAD_NAMES[bad]

    error = await failure_of(TAKES_STREAM[method](igniter_store, name))

    assert error.code == (
        ErrorCode.STORE_STREAM_NAME_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_bad_pending_consumer_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    name, is_missing = BAD_NAMES[bad]
    if name is None:
        pytest.skip("None selects every consumer")

    error = await failure_of(igniter_store.streams.group("g", "c").pending("s", consumer=name))

    assert error.code == (
        ErrorCode.STORE_STREAM_CONSUMER_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize(
    "bad",
    [
        {"count": -1},
        {"count": True},
        {"count": 1.0},
        {"count": "1"},
        {"min_idle": -1},
        {"min_idle": "1"},
    ],
    ids=str,
)
async def test_bad_pending_filter_is_refused(
    bad: dict[str, Any], igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.streams.group("g", "c").pending("s", **bad))

    assert error.code == (
        ErrorCode.STORE_TTL_INVALID if "min_idle" in bad else ErrorCode.STORE_ARGUMENT_INVALID
    )
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_bad_group_name_is_refused(bad: str, igniter_store: Any) -> None:
    name, is_missing = BAD_NAMES[bad]

    with pytest.raises(StoreError) as caught:
        igniter_store.streams.group(name, "c")

    assert caught.value.code == (
        ErrorCode.STORE_STREAM_GROUP_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_bad_consumer_name_is_refused(bad: str, igniter_store: Any) -> None:
    name, is_missing = BAD_NAMES[bad]

    with pytest.raises(StoreError) as caught:
        igniter_store.streams.group("g", name)

    assert caught.value.code == (
        ErrorCode.STORE_STREAM_CONSUMER_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_a_bad_pattern_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    pattern, is_missing = BAD_NAMES[bad]

    error = await failure_of(igniter_store.dev.scan(pattern))

    assert error.code == (
        ErrorCode.STORE_SCAN_PATTERN_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_iterate_refuses_bad_pattern_at_first_key(bad: str, igniter_store: Any) -> None:
    pattern, is_missing = BAD_NAMES[bad]

    error = await failure_of(anext(igniter_store.dev.iterate(pattern)))

    assert error.code == (
        ErrorCode.STORE_SCAN_PATTERN_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )


BAD_EVENT_NAMES: dict[str, Any] = {"none": None, "empty": "", "surrogate": SURROGATE, **NO_TEXT}


async def enter(stream: Any) -> None:
    async with stream:
        pass


TAKES_EVENT: dict[str, Callable[[Any, Any], Any]] = {
    "publish": lambda s, name: s.events.publish(name, 1),
    "subscribe": lambda s, name: s.events.subscribe(name, print),
}


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
@pytest.mark.parametrize("method", TAKES_EVENT)
async def test_a_bad_event_name_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_EVENT[method](igniter_store, BAD_EVENT_NAMES[bad]))

    assert error.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
async def test_listening_refuses_a_bad_event_name(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    with pytest.raises(StoreError) as caught:
        await enter(igniter_store.events.listen(BAD_EVENT_NAMES[bad]))

    assert caught.value.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
def test_looking_up_a_namespace_refuses_a_bad_name(bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.events[BAD_EVENT_NAMES[bad]]

    assert caught.value.code == ErrorCode.STORE_INVALID_EVENT_NAME


@pytest.mark.parametrize("name", ["user:*", "user:?", "user:[ab]", "user\\:"])
async def test_nothing_is_published_under_a_pattern(
    name: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.events.publish(name, 1))

    assert error.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert_nothing_was_sent(igniter_recorder)


BAD_TTLS: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "negative float": -0.001,
    "nan": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "10**400": 10**400,
    "-10**400": -(10**400),
    "1e30": 1e30,
    "a little too long": 10_000_000_001,
    "timedelta.max": timedelta.max,
    "timedelta.min": timedelta.min,
    "timedelta zero": timedelta(0),
    "bool": True,
    "text": "60",
    "bytes": b"60",
    "decimal": Decimal(60),
    "complex": 1j,
    "list": [60],
    "unequal": Unequal(),
    "proxy": Proxy(),
    "mock int": Mock(spec=int),
    "mock float": Mock(spec=float),
    "mock timedelta": Mock(spec=timedelta),
}
TAKES_TTL: dict[str, Call] = {
    "kv.set": lambda s, ttl: s.kv.set("k", 1, ttl=ttl),
    "kv.expire": lambda s, ttl: s.kv.expire("k", ttl),
    "kv.touch": lambda s, ttl: s.kv.touch("k", ttl),
    "counter.increment": lambda s, ttl: s.counter.increment("k", ttl=ttl),
    "counter.decrement": lambda s, ttl: s.counter.decrement("k", ttl=ttl),
    "counter.expire": lambda s, ttl: s.counter.expire("k", ttl),
    "claim.once": lambda s, ttl: s.claim.once("k", "w", ttl=ttl),
    "claim.renew": lambda s, ttl: s.claim.renew("k", "w", ttl),
    "batch.set entry": lambda s, ttl: s.batch.set(
        [BatchEntry("right", 1), BatchEntry("k", 1, ttl)]
    ),
    "batch.set dict": lambda s, ttl: s.batch.set(
        [{"key": "right", "value": 1}, {"key": "k", "value": 1, "ttl": ttl}]
    ),
}


@pytest.mark.parametrize("bad", BAD_TTLS)
@pytest.mark.parametrize("method", TAKES_TTL)
async def test_a_bad_ttl_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_TTL[method](igniter_store, BAD_TTLS[bad]))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize(
    ("bad", "end"),
    [
        (0, "omit it for none."),
        (-1, "omit it for none."),
        (-(10**400), "omit it for none."),
        (math.nan, "omit it for none."),
        (math.inf, "omit it for none."),
        (timedelta(0), "omit it for none."),
        (1_700_000_000_000, "omit it for none. Is this value in milliseconds?"),
        (1.7e12, "omit it for none. Is this value in milliseconds?"),
        (10**400, "omit it for none. Is this value in milliseconds?"),
        ("60", "omit it for none. This is a str."),
        (True, "omit it for none. This is a bool."),
        (datetime(2030, 1, 1, tzinfo=UTC), "omit it for none. This is a datetime."),
    ],
)
async def test_bad_ttl_error_explains_cause(bad: Any, end: str, igniter_store: Store[str]) -> None:
    errors = [
        await failure_of(igniter_store.kv.set("k", 1, ttl=bad)),
        await failure_of(igniter_store.kv.expire("k", bad)),
    ]

    assert [error.message.endswith(end) for error in errors] == [True, True]


NEEDS_TTL: dict[str, Call] = {
    name: TAKES_TTL[name] for name in ("kv.expire", "kv.touch", "counter.expire", "claim.renew")
}


@pytest.mark.parametrize("method", NEEDS_TTL)
async def test_where_a_ttl_is_needed_none_is_refused(
    method: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(NEEDS_TTL[method](igniter_store, None))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert_nothing_was_sent(igniter_recorder)


TAKES_WAIT: dict[str, Call] = {
    "block": lambda s, time: s.streams.group("g", "c").read("s", block=time),
    "min_idle": lambda s, time: s.streams.group("g", "c").claim("s", min_idle=time),
}


@pytest.mark.parametrize(
    "bad", [name for name in BAD_TTLS if name not in {"zero", "timedelta zero"}]
)
@pytest.mark.parametrize("method", TAKES_WAIT)
async def test_a_bad_time_to_wait_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_WAIT[method](igniter_store, BAD_TTLS[bad]))

    assert error.code == ErrorCode.STORE_TTL_INVALID
    assert_nothing_was_sent(igniter_recorder)


BAD_NUMBERS: dict[str, Any] = {
    "negative": -1,
    "bool": True,
    "float": 1.0,
    "nan": math.nan,
    "2**63": 2**63,
    "10**5000": 10**5000,
    "text": "1",
    "list": [1],
    "object": object(),
    "unequal": Unequal(),
    "proxy": Proxy(),
    "mock": Mock(spec=int),
}
TAKES_NUMBER: dict[str, Call] = {
    "append max_len": lambda s, n: s.streams.append("s", 1, max_len=n),
    "range count": lambda s, n: s.streams.range("s", count=n),
    "trim max_len": lambda s, n: s.streams.trim("s", n),
    "read count": lambda s, n: s.streams.group("g", "c").read("s", count=n),
    "claim count": lambda s, n: s.streams.group("g", "c").claim("s", min_idle=1, count=n),
    "scan count": lambda s, n: s.dev.scan("*", count=n),
    "subscribe max_queue": lambda s, n: s.events.subscribe("e", print, max_queue=n),
    "listen max_queue": lambda s, n: enter(s.events.listen("e", max_queue=n)),
}


@pytest.mark.parametrize("bad", BAD_NUMBERS)
@pytest.mark.parametrize("argument", TAKES_NUMBER)
async def test_a_bad_whole_number_is_refused(
    argument: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    # A coroutine of its own, because listen() may raise when it is called.
    async def attempt() -> None:
        await TAKES_NUMBER[argument](igniter_store, BAD_NUMBERS[bad])

    error = await failure_of(attempt())

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("argument", ["scan count", "subscribe max_queue", "listen max_queue"])
async def test_zero_count_or_queue_size_is_refused(
    argument: str, igniter_store: Store[str]
) -> None:
    """With 0, the call could never return a key or an event."""

    async def attempt() -> None:
        await TAKES_NUMBER[argument](igniter_store, 0)

    error = await failure_of(attempt())

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID


TAKES_BOOLEAN: dict[str, Call] = {
    "append approximate": lambda s, flag: s.streams.append("s", 1, approximate=flag),
    "trim approximate": lambda s, flag: s.streams.trim("s", 1, approximate=flag),
    "range reverse": lambda s, flag: s.streams.range("s", reverse=flag),
    "read history": lambda s, flag: s.streams.group("g", "c").read("s", history=flag),
}


@pytest.mark.parametrize("bad", named(None, 0, 1, "yes", "", [], Unequal(), Proxy()))
@pytest.mark.parametrize("argument", TAKES_BOOLEAN)
async def test_non_boolean_flag_is_refused(
    argument: str, bad: Hidden, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_BOOLEAN[argument](igniter_store, bad.value))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


BAD_STEPS: dict[str, Any] = {
    name: value
    for name, value in BAD_NUMBERS.items()
    if name not in {"negative", "2**63", "10**5000"}
}


@pytest.mark.parametrize("bad", BAD_STEPS)
@pytest.mark.parametrize("method", ["increment", "decrement"])
async def test_non_integer_step_is_refused(
    method: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(getattr(igniter_store.counter, method)("k", BAD_STEPS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


BAD_STEPS_BY_SIZE = {
    "too large": ("increment", 2**63),
    "too small": ("increment", -(2**63) - 1),
    "negated": ("decrement", -(2**63)),
    "huge": ("decrement", 10**5000),
}


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize("bad", BAD_STEPS_BY_SIZE)
async def test_a_step_beyond_64_bit_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    method, by = BAD_STEPS_BY_SIZE[bad]

    error = await failure_of(getattr(igniter_store.counter, method)("k", by))

    assert error.code == ErrorCode.STORE_INCREMENT_FAILED
    assert_nothing_was_sent(igniter_recorder)


UNENCODABLE: dict[str, Any] = {
    "nan": math.nan,
    "infinite": math.inf,
    "nested nan": {"a": [1, {"b": -math.inf}]},
    "circle": circle(),
    "int keys": {1: "a"},
    "nested int keys": [{"a": ({2: 1},)}],
    "object": object(),
    "class": int,
    "function": print,
    "split surrogates": "\ud83d\ude00",
    "split surrogates in a key": {"\ud83d\ude00": 1},
    "complex": 1j,
    "too large": 10**5000,
    "unequal": Unequal(),
    "proxy": Proxy(),
    "generator": (number for number in [1]),
    "exception": ValueError("x"),
}
TAKES_VALUE: dict[str, Call] = {
    "kv.set": lambda s, value: s.kv.set("k", value),
    "claim.once": lambda s, value: s.claim.once("k", value),
    "claim.release": lambda s, value: s.claim.release("k", value),
    "claim.renew": lambda s, value: s.claim.renew("k", value, 1),
    "batch.set mapping": lambda s, value: s.batch.set({"right": 1, "k": value}),
    "batch.set entries": lambda s, value: s.batch.set(
        [BatchEntry("right", 1), BatchEntry("k", value)]
    ),
    "batch.set dicts": lambda s, value: s.batch.set(
        [{"key": "right", "value": 1}, {"key": "k", "value": value}]
    ),
    "events.publish": lambda s, value: s.events.publish("e", value),
    "streams.append": lambda s, value: s.streams.append("s", value),
}


@pytest.mark.parametrize("bad", UNENCODABLE)
@pytest.mark.parametrize("method", TAKES_VALUE)
async def test_a_value_that_has_no_json_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_VALUE[method](igniter_store, UNENCODABLE[bad]))

    assert error.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("method", ["claim.once", "claim.release", "claim.renew"])
async def test_none_is_refused_as_claim_owner(
    method: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_VALUE[method](igniter_store, None))

    assert error.code == ErrorCode.STORE_VALUE_REQUIRED
    assert_nothing_was_sent(igniter_recorder)


class Left(msgspec.Struct):
    name: str


class Right(msgspec.Struct):
    name: str


BAD_TYPES: dict[str, Any] = {
    "number": 5,
    "list": [],
    "dict": {"a": int},
    "object": object(),
    "text": "nonsense that names no type",
    "unequal": Unequal(),
    "proxy": Proxy(),
    "two of a kind": Left | Right,
}
TAKES_TYPE: dict[str, Call] = {
    "kv.get": lambda s, wanted: s.kv.get("k", wanted),
    "kv.pop": lambda s, wanted: s.kv.pop("k", wanted),
    "batch.get": lambda s, wanted: s.batch.get(["k"], wanted),
    "streams.range": lambda s, wanted: s.streams.range("s", type=wanted),
    "read": lambda s, wanted: s.streams.group("g", "c").read("s", type=wanted),
    "claim": lambda s, wanted: s.streams.group("g", "c").claim("s", min_idle=1, type=wanted),
}


@pytest.mark.parametrize("bad", BAD_TYPES)
@pytest.mark.parametrize("method", TAKES_TYPE)
async def test_a_type_that_nothing_converts_to_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_TYPE[method](igniter_store, BAD_TYPES[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize(
    "bad", named("", "Absent", "nx", True, 0, b"absent", ["absent"], ANY, Unequal(), Proxy())
)
async def test_a_bad_condition_is_refused(
    bad: Hidden, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.kv.set("k", 1, only_if=bad.value))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


def failing_generator() -> Iterator[Any]:
    yield "1-1"
    raise RuntimeError("read")


async def async_keys() -> Any:
    yield "k"


NO_LISTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "text": lambda: "1-1",
    "bytes": lambda: b"1-1",
    "number": lambda: 5,
    "object": object,
    "failing generator": failing_generator,
    "async generator": async_keys,
    "unequal": Unequal,
    "proxy": Proxy,
}


@pytest.mark.parametrize("bad", [*NO_LISTS, "mapping"])
@pytest.mark.parametrize("method", ["get", "remove"])
async def test_batch_refuses_invalid_keys_argument(
    method: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    keys = {"k": 1} if bad == "mapping" else NO_LISTS[bad]()

    error = await failure_of(getattr(igniter_store.batch, method)(keys))

    assert error.code == ErrorCode.STORE_BATCH_KEYS_REQUIRED
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", [*NO_LISTS, "failing mapping"])
async def test_batch_set_refuses_invalid_entries_argument(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    """Entries are an iterable of entries, or a mapping."""
    entries = Endless() if bad == "failing mapping" else NO_LISTS[bad]()

    error = await failure_of(igniter_store.batch.set(entries))

    assert error.code == ErrorCode.STORE_BATCH_ENTRIES_REQUIRED
    assert_nothing_was_sent(igniter_recorder)


BAD_ENTRIES: dict[str, tuple[Any, ErrorCode]] = {
    "none": (None, ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "tuple": (("k", 1), ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "text": ("k", ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "proxy": (Proxy(), ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "failing mapping": (Endless(), ErrorCode.STORE_BATCH_ENTRIES_REQUIRED),
    "no key": ({"value": 1}, ErrorCode.STORE_KEY_REQUIRED),
    "no value": ({"key": "k"}, ErrorCode.STORE_VALUE_REQUIRED),
    "empty": ({}, ErrorCode.STORE_VALUE_REQUIRED),
    "another field": ({"key": "k", "value": 1, "tll": 60}, ErrorCode.STORE_ARGUMENT_INVALID),
    "a non-text field": ({"key": "k", "value": 1, 7: 60}, ErrorCode.STORE_ARGUMENT_INVALID),
}


@pytest.mark.parametrize("bad", BAD_ENTRIES)
async def test_one_bad_entry_of_a_batch_writes_none(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    entry, code = BAD_ENTRIES[bad]

    error = await failure_of(igniter_store.batch.set([BatchEntry("right", 1), entry]))

    assert error.code == code
    assert_nothing_was_sent(igniter_recorder)
    assert await igniter_store.kv.exists("right") is False


BAD_IDS: dict[str, Any] = {
    "text": ["1-1", "one"],
    "empty": ["1-1", ""],
    "bound": ["1-1", "-"],
    "exclusive": ["1-1", "(1-1"],
    "too large": ["1-1", f"{2**64}-0"],
    "very large": ["1-1", "9" * 10_000],
    "other digits": ["1-1", "\u0661-\u0661"],
    "newline": ["1-1", "1-1\n"],
    "number": ["1-1", 5],
    "none": ["1-1", None],
    "bytes": ["1-1", b"1-1"],
    "surrogate": ["1-1", SURROGATE],
    "proxy": ["1-1", Proxy()],
    "mock": ["1-1", Mock(spec=str)],
}
TAKES_IDS: dict[str, Call] = {
    "remove": lambda s, ids: s.streams.remove("s", ids),
    "ack": lambda s, ids: s.streams.group("g", "c").ack("s", ids),
}


@pytest.mark.clause("STR-9")
@pytest.mark.parametrize("bad", [*BAD_IDS, *NO_LISTS])
@pytest.mark.parametrize("method", TAKES_IDS)
async def test_one_malformed_id_refuses_whole_call(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    ids = BAD_IDS[bad] if bad in BAD_IDS else NO_LISTS[bad]()

    error = await failure_of(TAKES_IDS[method](igniter_store, ids))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


BAD_BOUNDS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "number": 5,
    "text": "first",
    "lone bracket": "(",
    "dollar": "$",
    "surrogate": SURROGATE,
    "proxy": Proxy(),
    "mock": Mock(spec=str),
}


@pytest.mark.parametrize("bad", BAD_BOUNDS)
@pytest.mark.parametrize("argument", ["start", "end"])
async def test_a_malformed_bound_is_refused(
    argument: str, bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.streams.range("s", **{argument: BAD_BOUNDS[bad]}))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", [name for name in BAD_BOUNDS if name != "dollar"])
async def test_a_malformed_start_of_a_group_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(
        igniter_store.streams.group("g", "c").ensure("s", start=BAD_BOUNDS[bad])
    )

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.clause("SCN-4")
@pytest.mark.parametrize(
    "bad", named("", "one", "-1", "0 ", "é", "1\n", None, 0, b"0", Proxy(), SURROGATE)
)
async def test_invalid_scan_cursor_is_refused(bad: Hidden, igniter_store: Any) -> None:
    error = await failure_of(igniter_store.dev.scan("*", cursor=bad.value))

    assert error.code == ErrorCode.STORE_SCAN_FAILED


@pytest.mark.parametrize("bad", named("", "KV", "cache", None, 0, ["kv"], ANY, Unequal(), Proxy()))
async def test_an_unknown_namespace_is_not_scanned(
    bad: Hidden, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.dev.scan("*", namespace=bad.value))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("bad", named(None, 5, "print", Unequal(), Proxy()))
async def test_a_handler_that_cannot_be_called_is_refused(
    bad: Hidden, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.events.subscribe("e", bad.value))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert_nothing_was_sent(igniter_recorder)


class Unaskable:
    """A callable whose signature can't be inspected."""

    @property
    def __signature__(self) -> Any:
        raise RuntimeError(SURROGATE)

    def __call__(self, context: Any) -> None: ...


def with_more(handler: Callable[..., None]) -> Callable[[Any], None]:
    """A decorator that adds an argument."""

    @functools.wraps(handler)
    def wrapper(context: Any) -> None:
        handler(context, 1)

    return wrapper


class NoteEvents(EventGroup):
    email = event(int)


class DeclaredEvents(EventGroup, namespace="user"):
    created = event(int)
    notes = group(NoteEvents)


SUBSCRIBES: dict[str, Call] = {
    "name": lambda s, handler: s.events.subscribe("user:created", handler),
    "fluent": lambda s, handler: s.events.user.created.subscribe(handler),
    "declared": lambda s, handler: s.events.bind(DeclaredEvents).created.subscribe(handler),
    "group": lambda s, handler: s.events.bind(DeclaredEvents).notes.email.subscribe(handler),
}


def take_nothing() -> None: ...


def take_one(a: Any) -> None: ...


def take_two(a: Any, b: Any) -> None: ...


def take_one_or_two(a: Any, b: Any = 1) -> None: ...


def take_all(*all: Any) -> None: ...


def take_by_name(*, context: Any) -> None: ...


def take_another_by_name(context: Any, *, store: Any) -> None: ...


OTHER_PARAMETERS = (
    take_nothing,
    take_two,
    take_by_name,
    take_another_by_name,
    [0].clear,
    functools.partial(take_one, 1),
)
ONE_PARAMETER = (
    take_one,
    take_one_or_two,
    take_all,
    [0].append,
    functools.partial(take_two, 1),
    with_more(take_two),
    Unaskable(),
    type,
    Mock(),
)


@pytest.mark.parametrize("bad", named(*OTHER_PARAMETERS))
@pytest.mark.parametrize("way", SUBSCRIBES)
async def test_a_handler_of_other_parameters_is_refused(
    way: str, bad: Hidden, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(DeclaredEvents)
        .build()
    )

    error = await failure_of(SUBSCRIBES[way](store, bad.value))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert "one EventContext" in error.message
    assert_nothing_was_sent(igniter_recorder)


@pytest.mark.parametrize("good", named(*ONE_PARAMETER))
async def test_a_handler_that_takes_one_argument_is_taken(
    good: Hidden, igniter_store: Store[str]
) -> None:
    await (await igniter_store.events.subscribe("e", good.value)).cancel()


BAD_ACTORS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "bool": True,
    "float": 1.5,
    "bytes": b"u1",
    "surrogate": SURROGATE,
    "list": ["u1"],
    "too many digits": 10**5000,
    "any": ANY,
    "unequal": Unequal(),
    "proxy": Proxy(),
    "mock": Mock(spec=str),
}


@pytest.mark.parametrize("bad", BAD_ACTORS)
def test_a_bad_actor_is_refused(bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.as_actor(BAD_ACTORS[bad])

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


@pytest.mark.parametrize(
    "bad", named("", 5, b"user", True, SURROGATE, Unequal(), Proxy(), Mock(spec=str))
)
def test_a_bad_type_of_an_actor_is_refused(bad: Hidden, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.as_actor("u1", type=bad.value)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


NO_PARTS: dict[str, Any] = {
    "colon": "a:b",
    "newline": "a\nb",
    "zero byte": "a\0b",
    "delete": "a\x7fb",
    "c1 control": "a\x85b",
    "surrogate": SURROGATE,
}


@pytest.mark.parametrize(
    "bad", [*NO_TEXT, *NO_PARTS, "kv", "counter", "claim", "events", "streams", "fence", "dead"]
)
@pytest.mark.parametrize("method", ["scope", "add_scope"])
def test_a_bad_scope_key_is_refused(method: str, bad: str, igniter_store: Any) -> None:
    key = {**NO_TEXT, **NO_PARTS}.get(bad, bad)
    declare: Any = Store.create().add_scope
    take: dict[str, Callable[[], Any]] = {
        "scope": lambda: igniter_store.scope(key, 1),
        "add_scope": lambda: declare(key),
    }

    with pytest.raises(StoreError) as caught:
        take[method]()

    assert caught.value.code == ErrorCode.STORE_INVALID_SCOPE_KEY


@pytest.mark.parametrize("missing", [None, ""])
def test_a_scope_needs_a_key(missing: Any, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope(missing, 1)
    with pytest.raises(StoreError) as declared:
        Store.create().add_scope(missing)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_SCOPE_KEY_REQUIRED}


@pytest.mark.parametrize("missing", [None, ""])
def test_a_scope_needs_an_identifier(missing: Any, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", missing)

    assert caught.value.code == ErrorCode.STORE_SCOPE_IDENTIFIER_REQUIRED


BAD_IDENTIFIERS: dict[str, Any] = {
    **NO_PARTS,
    **{name: value for name, value in NO_TEXT.items() if name not in {"int", "zero"}},
    "too many digits": 10**5000,
    "mock int": Mock(spec=int),
}


@pytest.mark.parametrize("bad", BAD_IDENTIFIERS)
def test_bad_scope_identifier_is_refused(bad: str, igniter_store: Any) -> None:
    """Otherwise a key of one scope could also be a key of another scope."""
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", BAD_IDENTIFIERS[bad])

    assert caught.value.code == ErrorCode.STORE_SCOPE_INVALID


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (UUID(int=0), "must be a str or an int, not a UUID. Make it one with str(...)."),
        (1.5, "must be a str or an int, not a float. Make it one with str(...)."),
        (b"acme", "must be a str or an int, not a bytes. Decode it first."),
        (10**5000, "is too large to convert to text. Use a smaller int, or a str."),
    ],
    ids=["uuid", "float", "bytes", "too many digits"],
)
def test_non_text_scope_identifier_error_names_cure(
    bad: Any, words: str, igniter_store: Any
) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.scope("org", bad)

    assert caught.value.message == f"The identifier of scope 'org' {words}"


def test_a_scope_that_was_not_declared_is_refused(igniter_recorder: RecordingAdapter) -> None:
    store: Any = (
        Store.create().with_adapter(igniter_recorder).with_service("test").add_scope("org").build()
    )

    with pytest.raises(StoreError) as caught:
        store.scope("workspace", 1)

    assert caught.value.code == ErrorCode.STORE_INVALID_SCOPE_KEY
    assert caught.value.details == {"scope_key": "workspace", "declared": ["org"]}


def test_a_scope_is_declared_once() -> None:
    builder = Store.create().add_scope("org")

    with pytest.raises(StoreError) as caught:
        builder.add_scope("org")

    assert caught.value.code == ErrorCode.STORE_DUPLICATE_SCOPE


@pytest.mark.parametrize("bad", named(None, 0, "yes", Proxy()))
def test_add_scope_refuses_non_boolean_required(bad: Hidden) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().add_scope("org", required=bad.value)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


@pytest.mark.parametrize("bad", named(0, b"for people", ["text"], Proxy()))
def test_a_scope_is_described_in_text(bad: Hidden) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().add_scope("org", description=bad.value)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


@pytest.mark.parametrize("bad", [*NO_TEXT, *NO_PARTS])
def test_a_bad_service_is_refused(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().with_service({**NO_TEXT, **NO_PARTS}[bad])

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


@pytest.mark.parametrize("missing", [None, ""])
def test_a_store_needs_a_service(missing: Any, igniter_recorder: RecordingAdapter) -> None:
    builder = Store.create().with_adapter(igniter_recorder)

    with pytest.raises(StoreError) as caught:
        builder.with_service(missing)
    with pytest.raises(StoreError) as built:
        builder.build()

    assert {caught.value.code, built.value.code} == {ErrorCode.STORE_SERVICE_REQUIRED}


def test_a_store_needs_an_adapter() -> None:
    nothing: Any = None

    with pytest.raises(StoreError) as caught:
        Store.create().with_adapter(nothing)
    with pytest.raises(StoreError) as built:
        Store.create().with_service("test").build()

    assert {caught.value.code, built.value.code} == {ErrorCode.STORE_ADAPTER_REQUIRED}


NO_PIECES: dict[str, Any] = {
    "number": 5,
    "text": "memory://",
    "object": object(),
    "any": ANY,
    "unequal": Unequal(),
    "proxy": Proxy(),
}


@pytest.mark.parametrize("bad", [*NO_PIECES, "class", "none"])
@pytest.mark.parametrize(
    "method", ["with_adapter", "with_serializer", "with_logger", "with_telemetry", "add_events"]
)
def test_a_piece_that_does_not_fit_is_refused(method: str, bad: str) -> None:
    class Serializer:
        encode = decode = emit = None

    piece = {**NO_PIECES, "class": Serializer, "none": None}[bad]

    with pytest.raises(ConfigurationError) as caught:
        getattr(Store.create(), method)(piece)

    missing = method == "with_adapter" and piece is None
    assert caught.value.code == (
        ErrorCode.STORE_ADAPTER_REQUIRED if missing else ErrorCode.STORE_CONFIGURATION_INVALID
    )


def test_serializer_with_uncallable_methods_is_refused() -> None:
    serializer: Any = Mock(encode="utf-8", decode="utf-8", spec=["encode", "decode"])

    with pytest.raises(ConfigurationError) as caught:
        Store.create().with_serializer(serializer)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_telemetry_with_uncallable_emit_is_refused() -> None:
    telemetry: Any = Mock(emit="no", spec=["emit"])

    with pytest.raises(ConfigurationError) as caught:
        Store.create().with_telemetry(telemetry)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_a_logger_adapter_is_a_logger(igniter_recorder: RecordingAdapter) -> None:
    adapter: Any = logging.LoggerAdapter(logging.getLogger("test"))

    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_logger(adapter)
        .build()
    )

    assert store.logger is adapter


BAD_URLS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "bytes": b"memory://",
    "no scheme": "localhost:6379",
    "number": 5,
    "any": ANY,
    "unequal": Unequal(),
    "proxy": Proxy(),
    "mock": Mock(spec=str),
    "broken": "memory://[",
    "surrogate": f"memory://{SURROGATE}@",
    "unknown option": "memory://?color=red",
}


@pytest.mark.parametrize("bad", BAD_URLS)
def test_a_bad_url_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(BAD_URLS[bad], service="test")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


@pytest.mark.parametrize("url", ["://", "redsi://localhost", "\ud800://x"], ids=ascii)
def test_a_url_of_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url, service="test")

    assert caught.value.code == ErrorCode.STORE_BACKEND_UNKNOWN


def test_unknown_backend_option_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url("memory://", service="test", color="red")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


@pytest.mark.parametrize("bad", [*NO_TEXT, "empty", "surrogate", "a.b", "a:b"])
def test_a_bad_events_namespace_is_refused(bad: str) -> None:
    name: Any = {**NO_TEXT, "empty": "", "surrogate": SURROGATE}.get(bad, bad)

    with pytest.raises(StoreError) as caught:
        Events.create(name)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {}, namespace=name)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_INVALID_NAMESPACE}


RESERVED_NAMESPACES = [
    "igniter",
    "ign",
    "__internal",
    "__",
    "Igniter",
    "IGN",
    "igniter-store",
    "ign_events",
    "__-x",
    "__internal_x",
]


@pytest.mark.parametrize("name", RESERVED_NAMESPACES)
def test_a_reserved_events_namespace_is_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create(name)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {}, namespace=name)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_RESERVED_NAMESPACE}


@pytest.mark.parametrize("name", ["ignition", "igniters", "user", "_", "a b", "kv"])
def test_a_namespace_that_only_looks_reserved_is_taken(name: str) -> None:
    definitions = Events.create(name).build()

    assert definitions.namespace == name


def unchanged(builder: Any) -> Any:
    return builder


def elsewhere(builder: Any) -> Any:
    return Events.create("other").event("created", int)


def nothing_taken() -> None:
    pass


def nothing_returned(builder: Any) -> None:
    pass


BAD_REGISTERED: dict[str, Any] = {
    **NO_TEXT,
    "empty": "",
    "surrogate": SURROGATE,
    "dot": "a.b",
    "space": "a b",
    "star": "a*",
    "set": "[a]",
}


@pytest.mark.parametrize("bad", [*BAD_REGISTERED, "none"])
def test_bad_fluent_event_or_group_name_is_refused(bad: str) -> None:
    builder: Any = Events.create("user")
    name = BAD_REGISTERED.get(bad)

    with pytest.raises(StoreError) as caught:
        builder.event(name, int)
    with pytest.raises(StoreError) as grouped:
        builder.group(name, unchanged)

    assert {caught.value.code, grouped.value.code} == {ErrorCode.STORE_INVALID_EVENT_NAME}


@pytest.mark.parametrize("bad", BAD_REGISTERED)
def test_bad_declared_event_or_group_name_is_refused(bad: str) -> None:
    class Inner(EventGroup):
        done = event(int)

    name = BAD_REGISTERED[bad]

    with pytest.raises(StoreError) as caught:
        type("Declared", (EventGroup,), {"created": event(int, name=name)}, namespace="user")
    with pytest.raises(StoreError) as grouped:
        type("Declared", (EventGroup,), {"inner": group(Inner, name=name)}, namespace="user")

    assert {caught.value.code, grouped.value.code} == {ErrorCode.STORE_INVALID_EVENT_NAME}


@pytest.mark.parametrize("name", ["igniter", "ignite", "IGN", "__private"])
def test_a_reserved_event_name_is_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event(name, int)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {"created": event(int, name=name)}, namespace="user")

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_RESERVED_NAMESPACE}


@pytest.mark.parametrize("bad", named(None, 5, "int", [], object(), Unequal(), Proxy()))
def test_a_schema_that_nothing_converts_to_is_refused(bad: Hidden) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event("created", bad.value)
    with pytest.raises(StoreError) as declared:
        event(bad.value)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_CONFIGURATION_INVALID}


def test_an_event_is_registered_once() -> None:
    builder = Events.create("user").event("created", int)

    with pytest.raises(StoreError) as caught:
        builder.event("created", int)
    with pytest.raises(StoreError) as declared:
        type(
            "Declared",
            (EventGroup,),
            {"a": event(int, name="x"), "b": event(int, name="x")},
            namespace="user",
        )

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_DUPLICATE_EVENT}


def test_group_and_event_with_same_name_are_refused() -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event("mail", int).group(
            "mail", lambda group: group.event("sent", int)
        )
    with pytest.raises(StoreError) as reverse:
        Events.create("user").group("mail", lambda group: group.event("sent", int)).event(
            "mail", int
        )

    assert {caught.value.code, reverse.value.code} == {ErrorCode.STORE_DUPLICATE_EVENT}


@pytest.mark.parametrize(
    "build",
    [None, 5, nothing_taken, nothing_returned, elsewhere, Unequal()],
    ids=["none", "number", "no argument", "nothing returned", "another builder", "unequal"],
)
def test_a_group_that_is_not_built_is_refused(build: Any) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").group("mail", build)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_events_that_were_not_built_are_refused() -> None:
    builder: Any = Events.create("user")

    with pytest.raises(StoreError) as caught:
        Store.create().add_events(builder)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_a_namespace_is_registered_once() -> None:
    builder = Store.create().add_events(Events.create("user").build())

    with pytest.raises(StoreError) as caught:
        builder.add_events(Events.create("user").event("created", int).build())

    assert caught.value.code == ErrorCode.STORE_DUPLICATE_NAMESPACE


def test_declared_events_without_a_namespace_are_refused(igniter_store: Store[str]) -> None:
    class Nowhere(EventGroup):
        created = event(int)

    with pytest.raises(StoreError) as bound:
        igniter_store.events.bind(Nowhere)
    with pytest.raises(StoreError) as registered:
        Store.create().add_events(Nowhere)

    assert {bound.value.code, registered.value.code} == {ErrorCode.STORE_MISSING_NAMESPACE}


@pytest.mark.parametrize("bad", named(None, 5, int, "UserEvents", ANY, Unequal(), Proxy()))
def test_only_declared_events_are_bound_and_grouped(bad: Hidden, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as bound:
        igniter_store.events.bind(bad.value)
    with pytest.raises(StoreError) as grouped:
        group(bad.value)

    assert {bound.value.code, grouped.value.code} == {ErrorCode.STORE_CONFIGURATION_INVALID}


@pytest.mark.parametrize(
    "switch", ["validate_publish", "validate_subscribe", "throw_on_validation_error"]
)
@pytest.mark.parametrize("bad", named(0, 1, "yes", Unequal()))
def test_a_switch_is_true_or_false(switch: str, bad: Hidden) -> None:
    add: Any = Store.create().add_events

    with pytest.raises(StoreError) as caught:
        add(Events.create("user").build(), **{switch: bad.value})

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID


async def test_publish_refuses_unknown_name_in_registered_namespace(
    igniter_recorder: RecordingAdapter,
) -> None:
    events = Events.create("user").event("created", int).build()
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events)
        .build()
    )

    error = await failure_of(store.events.publish("user:craeted", 1))

    assert error.code == ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND
    assert_nothing_was_sent(igniter_recorder)


def test_attribute_access_to_an_unknown_event_is_refused(igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        _ = igniter_store.events.user

    assert caught.value.code == ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND


def given(call: Call, argument: str) -> Callable[[Any], Awaitable[Any]]:
    return lambda store: call(store, argument)


EVERY_OPERATION: dict[str, Callable[[Any], Awaitable[Any]]] = {
    **{name: given(call, "k") for name, call in TAKES_KEY.items()},
    **{name: given(call, "s") for name, call in TAKES_STREAM.items()},
    **{name: given(call, "e") for name, call in TAKES_EVENT.items()},
    "listen": lambda store: enter(store.events.listen("e")),
    "scan": lambda store: store.dev.scan("*"),
    "ping": lambda store: store.ping(),
}


@pytest.mark.clause("LIF-2")
@pytest.mark.parametrize("operation", EVERY_OPERATION)
async def test_a_closed_store_does_nothing(
    operation: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.kv.get("k")
    await igniter_store.close()
    igniter_recorder.calls.clear()

    error = await failure_of(EVERY_OPERATION[operation](igniter_store))

    assert error.code == ErrorCode.STORE_CLOSED
    assert igniter_recorder.calls == []


@pytest.mark.parametrize("operation", [name for name in EVERY_OPERATION if name != "ping"])
async def test_store_outside_required_scope_refuses_every_operation(
    operation: str, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_scope("org", required=True)
        .build()
    )

    error = await failure_of(EVERY_OPERATION[operation](store))

    assert error.code == ErrorCode.STORE_SCOPE_REQUIRED
    assert error.details == {"missing": ["org"]}
    assert igniter_recorder.calls == []


@pytest.mark.parametrize(
    "nothing", [[], (), set[str](), iter(())], ids=lambda nothing: type(nothing).__name__
)
async def test_empty_batch_makes_no_call(
    nothing: Any, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    answers = await asyncio.gather(
        igniter_store.batch.get(nothing),
        igniter_store.batch.set(nothing),
        igniter_store.batch.remove(nothing),
        igniter_store.streams.remove("s", nothing),
    )

    assert answers == [[], None, 0, 0]
    assert_nothing_was_sent(igniter_recorder)


def test_every_method_is_here(igniter_store: Store[str]) -> None:
    # A new method must be added to TAKES_KEY: otherwise this test fails.
    store: Mapping[str, Any] = {
        name: getattr(igniter_store, name) for name in ("kv", "counter", "claim", "batch")
    }
    methods = {
        f"{name}.{method}"
        for name, namespace in store.items()
        for method in dir(namespace)
        if not method.startswith("_")
    }

    assert methods - {
        f"{name}.{word}" for name in store for word in ("word", "event_namespace")
    } == set(TAKES_KEY)
