"""Payloads: values that have no JSON, and types that nothing converts to, are refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from igniter_store import BatchEntry, ErrorCode

from .operations import failure_of, sent
from .wrong_values import unawaited

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter, Store

    from .operations import Call


def circle() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


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
    "generator": (number for number in [1]),
    "exception": ValueError("x"),
    "coroutine": unawaited(),
    "nested coroutine": {"user": unawaited()},
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
    assert sent(igniter_recorder) == []


async def test_unawaited_value_error_says_to_await(igniter_store: Store[str]) -> None:
    error = await failure_of(igniter_store.kv.set("k", {"user": unawaited()}))

    assert "it contains a coroutine. Await the call" in error.message


@pytest.mark.parametrize("method", ["claim.once", "claim.release", "claim.renew"])
async def test_none_is_refused_as_claim_owner(
    method: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_VALUE[method](igniter_store, None))

    assert error.code == ErrorCode.STORE_VALUE_REQUIRED
    assert sent(igniter_recorder) == []


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
    assert sent(igniter_recorder) == []


BAD_CONDITIONS: dict[str, Any] = {
    "empty": "",
    "capital": "Absent",
    "redis": "nx",
    "bool": True,
    "zero": 0,
    "bytes": b"absent",
    "list": ["absent"],
}


@pytest.mark.parametrize("bad", BAD_CONDITIONS)
async def test_a_bad_condition_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.kv.set("k", 1, only_if=BAD_CONDITIONS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []
