"""Every dataclass, struct, TypedDict or other object comes back unchanged, or `set` refuses it."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import math
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    NotRequired,
    TypedDict,
    TypeVar,
)

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igniter_store import (
    JSON,
    MSGPACK,
    ErrorCode,
    StoreError,
)
from pydantic import Json, SecretStr

from .models import FIELD_VALUES, Colour, Moments, Optional_, Required
from .returning import UTC_TIME, assert_back_or_refused, store_of

T = TypeVar("T")


@dataclass
class Record:
    id: int
    tags: list[str] = field(default_factory=list[str])


@dataclass
class SubRecord(Record):
    extra: int = 3


@dataclass(slots=True, kw_only=True, frozen=True)
class Slotted:
    id: int
    price: Decimal = Decimal(0)


@dataclass
class Holder:
    item: Record
    many: dict[str, Record] = field(default_factory=dict[str, Record])


@dataclass
class Uninitialized:
    a: int
    b: int = field(init=False, default=1)


@dataclass
class Doubling:
    a: int

    def __post_init__(self) -> None:
        self.a *= 2


@dataclass
class Deriving:
    a: int
    b: int = field(init=False)

    def __post_init__(self) -> None:
        self.b = self.a * 2


@dataclass
class Initialized:
    a: int
    b: InitVar[int] = 5


@dataclass
class NeedsInit:
    a: InitVar[int]
    x: int = 0

    def __post_init__(self, a: int) -> None:
        self.x = a


@dataclass
class Loose:
    v: Any
    m: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Box(Generic[T]):
    v: T


class Renamed(msgspec.Struct, rename="camel", omit_defaults=True):
    user_name: str
    b_c: int = 0


class Array(msgspec.Struct, array_like=True):
    a: int
    b: str = ""


class Closed(msgspec.Struct, forbid_unknown_fields=True, tag="x"):
    a: int


class Tagged(msgspec.Struct, tag=True):
    a: int


class Union_(msgspec.Struct):  # noqa: N801 - it holds one
    u: Closed | Tagged
    c: Annotated[int, msgspec.Meta(ge=0)] = 0


class Numbers(msgspec.Struct):
    f: float
    n: float | None = None


class Node(msgspec.Struct):
    value: int
    children: list[Node] = []


class Place(TypedDict):
    name: str
    since: NotRequired[datetime]


class Addressed(msgspec.Struct):
    place: Place


class Point(NamedTuple):
    x: int
    y: str = "x"


class Tuples(enum.Enum):
    A = (1, 2)


class Bits(enum.Flag):
    A = 1
    B = 2


@dataclass
class Keyed:
    by_colour: dict[Colour, int]
    by_number: dict[int, str]
    by_day: dict[date, int]


@attrs.define
class Attrs:
    x: int
    _y: int = 3


def next_number(value: int) -> int:
    return value + 1


@attrs.define
class Converted:
    x: int = attrs.field(converter=next_number)


class Word(str):
    __slots__ = ()


class Count(int):
    pass


class Mapping_(dict[str, int]):  # noqa: N801 - a subclass of a mapping
    pass


class BadMapping(dict[str, int]):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(a=a, b=b)


@dataclass
class Files:
    path: Path
    address: IPv4Address


@dataclass
class HoldsModels:
    one: Optional_
    many: list[Required] = field(default_factory=list[Required])


def changed(value: Any, **attributes: Any) -> Any:
    for name, child in attributes.items():
        setattr(value, name, child)
    return value


OBJECTS: dict[str, Any] = {
    "dataclass": Record(1, ["a"]),
    "inherited": SubRecord(1),
    "slots": Slotted(id=1, price=Decimal("1.10")),
    "nested": Holder(Record(1), {"a": Record(2)}),
    "not initialized": changed(Uninitialized(1), b=7),
    "derived field": Deriving(1),
    "initvar with default": Initialized(1),
    "loose": Loose([1], {"a": [1, {"b": None}]}),
    "generic": Box[int](1),
    "renamed": Renamed("a", 5),
    "array": Array(1),
    "closed": Closed(1),
    "tagged union": Union_(Tagged(1)),
    "none": Numbers(1.0),
    "whole float": Numbers(2),
    "tree": Node(1, [Node(2)]),
    "typed dict": Addressed({"name": "a", "since": UTC_TIME}),
    "named tuple": Point(1),
    "enum": Colour.RED,
    "flag": Bits.A | Bits.B,
    "keys": Keyed({Colour.RED: 1}, {1: "a"}, {date(2026, 1, 1): 1}),
    "attrs": Attrs(1),
    "attrs with a converter": Converted(1),
    "str": Word("a"),
    "int": Count(5),
    "dict": Mapping_(a=1),
    "ordered": collections.OrderedDict(b=1, a=2),
    "counter": collections.Counter("aab"),
    "default dict": collections.defaultdict(list, a=[1]),
    "deque": collections.deque([1, 2]),
    "path": Path("/a"),
    "files": Files(Path("/a"), IPv4Address("1.2.3.4")),
    "models": HoldsModels(Optional_(X=3), [Required(X=4)]),
}
REFUSED_OBJECTS: dict[str, tuple[Any, str]] = {
    "subclass": (Holder(SubRecord(1)), "at $.item, `SubRecord` comes back as `Record`"),
    "subclass in a mapping": (
        Holder(Record(1), {"secret key": SubRecord(2)}),
        "at $.many[...], `SubRecord`",
    ),
    "changed by reading": (Doubling(1), "at $.a"),
    "required initvar": (NeedsInit(3), "missing at $.a"),
    "tuple in anything": (Loose((1,)), "at $.v, `tuple` comes back as `list`"),
    "keys in anything": (Loose({1: 2}), "at $.v, `dict` comes back with other keys"),
    "enum in anything": (Loose(Colour.RED), "at $.v, `Colour` comes back as `str`"),
    # the test
    "another type": (Record("x"), "Expected `int`, got `str` at $.id"),  # type: ignore[arg-type]
    # the test
    "none": (Record(None), "Expected `int`, got `null` at $.id"),  # type: ignore[arg-type]
    # the test
    "another item": (Record(1, [5]), "Expected `str`, got `int` at $.tags[0]"),  # type: ignore[list-item]
    "bound": (Union_(Closed(1), -1), "Expected `int` >= 0 at $.c"),
    "nan": (Numbers(math.nan), "use the serializer MSGPACK"),
    "nan in a generic": (Box(math.nan), "use the serializer MSGPACK"),
    # the test
    "unknown key": (Addressed({"name": "a", "other": 1}), "at $.place"),  # type: ignore[typeddict-unknown-key]
    "enum of tuples": (Tuples.A, "can't be read back"),
    "private": (Attrs(1, 9), "at $._y"),
    "another constructor": (BadMapping(1, 2), "can't be read back"),
}


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_object_comes_back(serializer: Any, kind: str) -> None:
    store, value = store_of(serializer), OBJECTS[kind]
    await store.kv.set("k", value)

    back = await store.kv.get("k", type(value))

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("kind", REFUSED_OBJECTS)
async def test_set_refuses_object_that_would_change(kind: str) -> None:
    store, (value, words) = store_of(), REFUSED_OBJECTS[kind]

    with pytest.raises(StoreError) as caught:
        await store.kv.set("k", value)

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert words in caught.value.message
    assert "secret key" not in caught.value.message
    assert store.adapter.named("set") == []


async def test_moment_of_repeated_hour_is_stored() -> None:
    # It needs the system's time zones, which few tests do.
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    store = store_of()
    moment = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    await store.kv.set("k", Moments(at=moment, on=date(2026, 1, 1), by=time(1)))

    got = await store.kv.get("k", Moments)

    assert got.at.astimezone(UTC) == moment.astimezone(UTC)


DATACLASS_VALUES = {
    kind: values for kind, values in FIELD_VALUES.items() if kind not in (Json, SecretStr)
}


@pytest.mark.full
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    data=st.data(),
    shape=st.sampled_from(["dataclass", "struct", "array", "attrs"]),
    is_right=st.booleans(),
    msgpack=st.booleans(),
)
def test_drawn_class_comes_back_or_is_refused(
    data: st.DataObject, shape: str, *, is_right: bool, msgpack: bool
) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(DATACLASS_VALUES)), min_size=1, max_size=3))
    names = [*"abc"][: len(kinds)]
    fields: Any = list(zip(names, kinds, strict=True))
    made: dict[str, Any] = {
        "dataclass": lambda: dataclasses.make_dataclass("Drawn", fields),
        "struct": lambda: msgspec.defstruct("Drawn", fields),
        "array": lambda: msgspec.defstruct("Drawn", fields, array_like=True),
        "attrs": lambda: attrs.make_class(
            "Drawn", {name: attrs.field(type=kind) for name, kind in fields}
        ),
    }
    given_as = kinds if is_right else data.draw(st.permutations(list(DATACLASS_VALUES)))
    value = made[shape]()(*(data.draw(DATACLASS_VALUES[kind]) for kind in given_as[: len(kinds)]))
    serializer: Any = MSGPACK if msgpack else JSON

    with asyncio.Runner() as runner:
        runner.run(assert_back_or_refused(store_of(serializer), value))
