"""Values as bytes and back: every kind of type, both serializers, and custom serializers.

It also tests which values are refused.
"""

from __future__ import annotations

import enum
import math
import zlib
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, NewType, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from igniter_store import JSON, MSGPACK, ErrorCode, RecordingAdapter, Serializer, Store, StoreError


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Place(TypedDict):
    name: str
    floor: int


class Pair(NamedTuple):
    left: int
    right: str


class Point(msgspec.Struct):
    x: float
    y: float = 0.0


class Tagged(msgspec.Struct, tag=True):
    value: int


class OtherTagged(msgspec.Struct, tag=True):
    value: int


@dataclass
class Record:
    id: int
    tags: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Nested:
    record: Record
    points: dict[str, Point]


class Model(pydantic.BaseModel):
    name: str
    when: datetime
    inner: Point | None = None

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)


class Simple(pydantic.BaseModel):
    name: str


class Holder(msgspec.Struct):
    model: Simple


UserId = NewType("UserId", int)
WHEN = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)
SERIALIZERS: dict[str, Serializer] = {"json": JSON, "msgpack": MSGPACK}
TYPED: dict[str, tuple[Any, Any]] = {
    "int": (7, int),
    "big int": (2**62, int),
    "float": (1.5, float),
    "whole float": (2.0, float),
    "str": ("é💾", str),
    "bool": (True, bool),
    "none": (None, None),
    "optional": (None, int | None),
    "bytes": (b"\x00\xff", bytes),
    "list": ([1, 2], list[int]),
    "tuple": ((1, "a"), tuple[int, str]),
    "set": ({1, 2}, set[int]),
    "frozenset": (frozenset({"a"}), frozenset[str]),
    "dict": ({"a": 1.5}, dict[str, float]),
    "typed keys": ({1: "a"}, dict[int, str]),
    "literal": ("a", Literal["a", "b"]),
    "union": ("a", int | str),
    "new type": (7, UserId),
    "enum": (Colour.RED, Colour),
    "int enum": (Level.LOW, Level),
    "datetime": (WHEN, datetime),
    "date": (date(2026, 1, 31), date),
    "time": (time(12, 30), time),
    "timedelta": (timedelta(seconds=90), timedelta),
    "uuid": (UUID(int=7), UUID),
    "decimal": (Decimal("1.10"), Decimal),
    "typed dict": ({"name": "a", "floor": 1}, Place),
    "named tuple": (Pair(1, "a"), Pair),
    "struct": (Point(1.0), Point),
    "tagged union": (OtherTagged(1), Tagged | OtherTagged),
    "dataclass": (Record(1, ["a"]), Record),
    "nested": (Nested(Record(1), {"a": Point(1.0, 2.0)}), Nested),
    "model": (Simple(name="a"), Simple),
    "model with a time": (Model(name="a", when=WHEN), Model),
    "models in a list": ([Simple(name="a"), Simple(name="b")], list[Simple]),
    "models in a dict": ({"a": Simple(name="a")}, dict[str, Simple]),
    "model in a struct": (Holder(Simple(name="a")), Holder),
    "optional model": (None, Simple | None),
}


def over(recorder: RecordingAdapter, serializer: Any) -> Store[str]:
    return (
        Store.create()
        .with_adapter(recorder)
        .with_service("test")
        .with_serializer(serializer)
        .build()
    )


@pytest.mark.parametrize("kind", [kind for kind in TYPED if kind != "typed keys"])
@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_a_value_comes_back_as_its_type(
    serializer: str, kind: str, igniter_recorder: RecordingAdapter
) -> None:
    store = over(igniter_recorder, SERIALIZERS[serializer])
    value, wanted = TYPED[kind]
    await store.kv.set("k", value)

    got: Any = await store.kv.get("k", wanted)

    assert got == value
    assert type(got) is type(value)


async def test_typed_keys_come_back_from_messagepack(igniter_recorder: RecordingAdapter) -> None:
    store = over(igniter_recorder, MSGPACK)
    await store.kv.set("k", {1: "a"})

    assert await store.kv.get("k", dict[int, str]) == {1: "a"}


async def test_declared_field_keeps_integer_mapping_keys(
    igniter_store: Store[str],
) -> None:
    class Counts(msgspec.Struct):
        by_id: dict[int, str]

    await igniter_store.kv.set("k", Counts({1: "a"}))

    assert await igniter_store.kv.get("k", Counts) == Counts({1: "a"})


@pytest.mark.parametrize("kind", ["struct", "dataclass", "model", "nested", "typed dict"])
async def test_without_a_type_plain_data_come_back(kind: str, igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", TYPED[kind][0])

    assert isinstance(await igniter_store.kv.get("k"), dict)


NOT_FINITE: dict[str, Any] = {
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "in a list": [1.0, [math.nan]],
    "in a tuple": ((math.inf,),),
    "in a set": {math.nan},
    "in a dict": {"a": {"b": -math.inf}},
    "in a subclass": OrderedDict(a=[math.nan]),
    "in a struct": Point(math.nan),
    "in a struct in a list": [{"a": Point(1.0, math.inf)}],
    "in a dataclass": Nested(Record(1), {"a": Point(math.nan)}),
    "beside null": [None, {"a": None, "b": Point(math.inf)}],
    # code without a type checker
    "in a named tuple": [Pair(math.nan, "a")],  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", NOT_FINITE)
async def test_json_refuses_non_finite_numbers_anywhere(
    kind: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    with pytest.raises(StoreError) as caught:
        await igniter_store.kv.set("k", NOT_FINITE[kind])

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert igniter_recorder.named("set") == []


@pytest.mark.parametrize(
    "value", [None, "null", [None], {"null": None}, Point(1.0), [Record(1), None], "NaN"], ids=repr
)
async def test_values_resembling_non_finite_numbers_are_accepted(
    value: Any, igniter_store: Store[str]
) -> None:
    assert await igniter_store.kv.set("k", value) is True


async def test_messagepack_keeps_non_finite_numbers(igniter_recorder: RecordingAdapter) -> None:
    store = over(igniter_recorder, MSGPACK)
    await store.kv.set("k", [math.inf, math.nan])

    got: Any = await store.kv.get("k")

    assert got[0] == math.inf
    assert math.isnan(got[1])


FOREIGN_KEYS: dict[str, Any] = {
    "int": {1: "a"},
    "bool": {True: "a"},
    "none": {None: "a"},
    "float": {1.5: "a"},
    "uuid": {UUID(int=1): "a"},
    "datetime": {WHEN: "a"},
    "int enum": {Level.LOW: "a"},
    "in a list": [{"a": 1}, {2: "a"}],
    "in a tuple": ({"a": ({3: 1},)},),
    "in a subclass": OrderedDict({1: "a"}),
    "in a default dict": {"a": defaultdict(int, {1: 1})},
    "in a named tuple": Pair(1, {1: 1}),  # type: ignore[arg-type]  # as a caller without a type checker
}


@pytest.mark.parametrize("kind", FOREIGN_KEYS)
async def test_json_refuses_mapping_keys_other_than_text(
    kind: str, igniter_store: Store[str]
) -> None:
    with pytest.raises(StoreError) as caught:
        await igniter_store.kv.set("k", FOREIGN_KEYS[kind])

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED


async def test_str_enum_is_accepted_as_mapping_key(igniter_store: Store[str]) -> None:
    class Word(enum.StrEnum):
        A = "a"

    await igniter_store.kv.set("k", {Word.A: 1})

    assert await igniter_store.kv.get("k") == {"a": 1}


async def test_value_deeper_than_python_stack_is_refused(
    igniter_store: Store[str],
) -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(StoreError) as caught:
        await igniter_store.kv.set("k", value)

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED


@pytest.mark.parametrize(
    "wanted", [int, list[str], Point, Simple, Colour, UUID, datetime, list[Simple]], ids=repr
)
@pytest.mark.parametrize("serializer", SERIALIZERS)
async def test_stored_bytes_of_another_type_are_refused(
    serializer: str, wanted: Any, igniter_recorder: RecordingAdapter
) -> None:
    store = over(igniter_recorder, SERIALIZERS[serializer])
    await store.kv.set("k", {"other": ["thing"]})

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k", wanted)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED
    assert await store.kv.exists("k") is True


async def test_a_refusal_names_the_types_and_the_place(igniter_store: Store[str]) -> None:
    await igniter_store.kv.set("k", {"record": {"id": "seven"}, "points": {}})

    with pytest.raises(StoreError) as caught:
        await igniter_store.kv.get("k", Nested)

    assert "Expected `int`, got `str` at $.record.id" in caught.value.message


@pytest.mark.parametrize(
    ("serializer", "data", "wanted"),
    [("msgpack", data, None) for data in (b"", b"[1", b"\xc1", b'"\xff"')]
    + [
        ("json", b"\xc1", None),
        ("json", b'"\xff"', None),
        ("json", b"", int),
        ("json", b"[1", list[int]),
    ],
)
async def test_malformed_bytes_are_refused(
    serializer: str, data: bytes, wanted: Any, igniter_recorder: RecordingAdapter
) -> None:
    store = over(igniter_recorder, SERIALIZERS[serializer])
    adapter: Any = store.adapter
    await adapter.set("igniter:store:test:kv:k", data)

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k", wanted)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED


class Zipped:
    """A serializer of the user's that has attributes with the same names as ours."""

    decoder = "no function"

    def encode(self, value: Any) -> bytes:
        return zlib.compress(msgspec.json.encode(value))

    def decode(self, data: bytes, type: Any) -> Any:
        return msgspec.json.decode(zlib.decompress(data), type=type)


async def test_a_serializer_of_the_users_is_used_everywhere(
    igniter_recorder: RecordingAdapter,
) -> None:
    store = over(igniter_recorder, Zipped())
    adapter: Any = store.adapter
    await store.kv.set("k", [1])
    await store.batch.set({"b": [2]})
    await store.claim.once("c", "w")
    await store.streams.append("s", [3])

    async with store.events.listen("e") as stream:
        await store.events.publish("e", [4])
        event = await anext(stream)

    assert zlib.decompress(await adapter.get("igniter:store:test:kv:k")) == b"[1]"
    assert await store.kv.get("k", list[int]) == [1]
    assert await store.batch.get(["b"]) == [[2]]
    assert await store.claim.owner("c") == "w"
    assert (await store.streams.range("s"))[0].message == [3]
    assert event.data == [4]


async def test_custom_serializer_receives_requested_type(
    igniter_recorder: RecordingAdapter,
) -> None:
    store = over(igniter_recorder, Zipped())
    await store.kv.set("k", Point(1.0))

    assert await store.kv.get("k", Point) == Point(1.0)


class Odd:
    """A serializer that returns, or raises, the object it was created with."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def encode(self, value: Any) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def decode(self, data: bytes, type: Any) -> Any:
        return self.encode(None)


@pytest.mark.parametrize(
    "answer", ["text", None, 5, [98], ValueError("x"), KeyError("x"), RecursionError()], ids=repr
)
async def test_a_serializer_that_gives_no_bytes_stores_nothing(
    answer: Any, igniter_recorder: RecordingAdapter
) -> None:
    with pytest.raises(StoreError) as caught:
        await over(igniter_recorder, Odd(answer)).kv.set("k", 1)

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert igniter_recorder.calls == []


@pytest.mark.parametrize(
    "answer", [b"x", bytearray(b"x"), memoryview(b"x")], ids=lambda answer: type(answer).__name__
)
async def test_every_kind_of_bytes_becomes_bytes(
    answer: Any, igniter_recorder: RecordingAdapter
) -> None:
    await over(igniter_recorder, Odd(answer)).kv.set("k", 1)

    [call] = igniter_recorder.named("set")
    assert type(call.args[1]) is bytes
    assert call.args[1] == b"x"


async def test_serializer_failure_while_decoding_raises_store_error(
    igniter_recorder: RecordingAdapter,
) -> None:
    store = over(igniter_recorder, Odd(ValueError("x")))
    adapter: Any = store.adapter
    await adapter.set("igniter:store:test:kv:k", b"x")

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k")

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED


async def test_stored_value_ignores_later_changes_to_object(
    igniter_store: Store[str],
) -> None:
    value = {"a": [1]}
    await igniter_store.kv.set("k", value)

    value["a"].append(2)
    got: Any = await igniter_store.kv.get("k")
    got["a"].append(3)

    assert await igniter_store.kv.get("k") == {"a": [1]}
