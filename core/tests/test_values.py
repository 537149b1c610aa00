"""Every value comes back unchanged, or `set` refuses it.

It covers models of every configuration, dataclasses, structs, generics and hooks.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import enum
import math
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    TypedDict,
    TypeVar,
    cast,
)
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igniter_store import (
    JSON,
    MSGPACK,
    ErrorCode,
    EventGroup,
    RecordingAdapter,
    Store,
    StoreError,
    event,
)
from igniter_store.backends import adapter_from_url
from pydantic import AliasChoices, AliasPath, ConfigDict, Field, Json, SecretStr, computed_field
from pydantic.alias_generators import to_camel

T = TypeVar("T")
KEY = "igniter:store:test:kv:k"
UTC_TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)
ODD_OFFSET = timezone(timedelta(minutes=53, seconds=28))


def store_of(serializer: Any = JSON) -> Any:
    return (
        Store.create()
        .with_adapter(RecordingAdapter(adapter_from_url("memory://")))
        .with_service("test")
        .with_serializer(serializer)
        .build()
    )


# --- Models ---------------------------------------------------------------------------------------


class Optional_(pydantic.BaseModel):  # noqa: N801 - the field is optional, not the class
    x: int = Field(default=0, alias="X")


class Required(pydantic.BaseModel):
    x: int = Field(alias="X")


class ByName(pydantic.BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    x: int = Field(default=0, alias="X")


class Camel(pydantic.BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    user_name: str


class OneWay(pydantic.BaseModel):
    x: int = Field(default=0, validation_alias="X")
    y: int = Field(default=0, serialization_alias="Y")


class Choices(pydantic.BaseModel):
    x: int = Field(default=0, validation_alias=AliasChoices("p", "q"))
    z: int = Field(default=0, validation_alias=AliasPath("a", 0))


class NamesOnly(pydantic.BaseModel):
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=False, serialize_by_alias=True
    )
    x: int = Field(default=0, alias="X")


class Swapped(pydantic.BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(default=0, alias="b")
    b: int = Field(default=0, alias="a")


class Mixed(pydantic.BaseModel):
    optional: Optional_
    names: NamesOnly
    many: list[Required] = []


class Secret(pydantic.BaseModel):
    password: SecretStr


class OpenSecret(pydantic.BaseModel):
    password: SecretStr

    @pydantic.field_serializer("password", when_used="json")
    def _shown(self, value: SecretStr) -> str:
        return value.get_secret_value()


class Strict(pydantic.BaseModel):
    model_config = ConfigDict(strict=True)
    when: datetime
    id: UUID
    pair: tuple[int, ...]
    names: set[str]
    price: Decimal


class Forbidding(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: int

    @computed_field
    def twice(self) -> int:
        return self.x * 2


class Allowing(pydantic.BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int

    @computed_field
    def twice(self) -> int:
        return self.x * 2


class Ignoring(pydantic.BaseModel):
    x: int

    @computed_field
    def twice(self) -> int:
        return self.x * 2


class Texts(pydantic.BaseModel):
    numbers: Json[list[int]]
    anything: Json[Any]


class Excluding(pydantic.BaseModel):
    x: int = Field(default=1, exclude=True)


class ExcludingRequired(pydantic.BaseModel):
    x: int = Field(exclude=True)


class Base(pydantic.BaseModel):
    a: int


class Derived(Base):
    b: int = 2


class HoldsBase(pydantic.BaseModel):
    item: Base


class HoldsBases(pydantic.BaseModel):
    items: list[Base]


class EqualById(pydantic.BaseModel):
    id: int
    x: int = Field(default=1, exclude=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EqualById) and self.id == other.id

    __hash__ = None  # type: ignore[assignment]  # as for every class that defines __eq__


class Counting(pydantic.BaseModel):
    x: int

    @pydantic.field_validator("x")
    @classmethod
    def _next(cls, value: int) -> int:
        return value + 1


class Private(pydantic.BaseModel):
    x: int
    _y: int = pydantic.PrivateAttr(default=0)


class Floats(pydantic.BaseModel):
    f: float
    o: float | None = None


class Bytes(pydantic.BaseModel):
    b: bytes


class Bytes64(pydantic.BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    b: bytes


class Bounded(pydantic.BaseModel):
    n: int = Field(ge=0)


class Unset(pydantic.BaseModel):
    n: int = None  # type: ignore[assignment]  # common in real code


class Root(pydantic.RootModel[list[int]]):
    pass


class Nothing(pydantic.RootModel[int | None]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    item: T


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Kinds(pydantic.BaseModel):
    colour: Colour
    word: Literal["a", 1]
    either: int | str | float | bool | None
    day: date | datetime
    length: timedelta
    keys: dict[int, str]
    path: Path
    address: IPv4Address
    link: pydantic.AnyUrl
    ring: collections.deque[int]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    name: str = ""


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = ""


class Owner(pydantic.BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Anything(pydantic.BaseModel):
    a: Any


class Tree(pydantic.BaseModel):
    value: int
    children: list[Tree] = []


class Written(pydantic.BaseModel):
    x: int

    @pydantic.model_serializer
    def _text(self) -> str:
        return f"<{self.x}>"


class Moments(pydantic.BaseModel):
    at: datetime
    on: date
    by: time


@pydantic.dataclasses.dataclass
class Checked:
    x: int = Field(default=0, alias="X")


MODELS: dict[str, tuple[Any, bytes | None]] = {
    "alias": (Optional_(X=5), b'{"X":5}'),
    "required alias": (Required(X=5), b'{"X":5}'),
    "alias by name": (ByName.model_validate({"x": 5}), b'{"x":5}'),
    "camel": (Camel.model_validate({"userName": "a"}), b'{"userName":"a"}'),
    "one way": (OneWay.model_validate({"X": 3, "y": 4}), None),
    "choices": (Choices.model_validate({"p": 3, "a": [5]}), None),
    "names only": (NamesOnly.model_validate({"x": 4}), None),
    "swapped": (Swapped(a=1, b=2), None),
    "mixed": (
        Mixed(
            optional=Optional_(X=4), names=NamesOnly.model_validate({"x": 5}), many=[Required(X=3)]
        ),
        None,
    ),
    "open secret": (OpenSecret(password=SecretStr("x")), b'{"password":"x"}'),
    "strict": (
        Strict(when=UTC_TIME, id=UUID(int=1), pair=(1, 2), names={"a"}, price=Decimal("1.10")),
        None,
    ),
    "computed, forbidding": (Forbidding(x=1), b'{"x":1}'),
    # an extra
    "computed, allowing": (Allowing(x=1, z=3), b'{"x":1,"z":3}'),  # type: ignore[call-arg]
    "computed, ignoring": (Ignoring(x=1), b'{"x":1,"twice":2}'),
    # a str, which Json accepts
    "json": (Texts(numbers="[1]", anything='{"a":1}'), None),  # type: ignore[arg-type]
    "excluded default": (Excluding(), b"{}"),
    "base": (HoldsBase(item=Base(a=1)), b'{"item":{"a":1}}'),
    "derived": (Derived(a=1), b'{"a":1,"b":2}'),
    "private default": (Private(x=1), b'{"x":1}'),
    "float": (Floats(f=1.5), b'{"f":1.5,"o":null}'),
    "bytes": (Bytes(b=b"abc"), b'{"b":"abc"}'),
    "base64": (Bytes64(b=b"\xff"), None),
    "bounded": (Bounded(n=1), b'{"n":1}'),
    "root": (Root([1, 2]), b"[1,2]"),
    "root of none": (Nothing(None), b"null"),
    "generic": (Page[int](item=1), b'{"item":1}'),
    "generic of a model": (Page[Base](item=Base(a=1)), b'{"item":{"a":1}}'),
    "kinds": (
        Kinds(
            colour=Colour.RED,
            word="a",
            either=True,
            day=datetime(2026, 1, 1),  # noqa: DTZ001 - naive on purpose
            length=timedelta(seconds=-1.5),
            keys={1: "a"},
            path=Path("/a"),
            address=IPv4Address("1.2.3.4"),
            link=pydantic.AnyUrl("https://example.org/a"),
            ring=collections.deque([1]),
        ),
        None,
    ),
    "discriminated": (Owner(pet=Dog(name="a")), b'{"pet":{"kind":"dog","name":"a"}}'),
    "anything": (Anything(a=[1, {"b": None}]), b'{"a":[1,{"b":null}]}'),
    "tree": (
        Tree(value=1, children=[Tree(value=2)]),
        b'{"value":1,"children":[{"value":2,"children":[]}]}',
    ),
    "moments": (Moments(at=UTC_TIME, on=date(2026, 1, 31), by=time(12)), None),
    "dataclass of pydantic": (Checked(X=5), b'{"x":5}'),
}
REFUSED_MODELS: dict[str, tuple[Any, str]] = {
    "secret": (
        Secret(password=SecretStr("hunter2")),
        "at $.password, `SecretStr` is written as asterisks",
    ),
    "excluded": (Excluding(x=2), "at $.x"),
    "excluded required": (ExcludingRequired(x=2), "missing at $.x"),
    "derived in base": (HoldsBase(item=Derived(a=1)), "at $.item, `Derived` comes back as `Base`"),
    "derived in bases": (
        HoldsBases(items=[Base(a=1), Derived(a=1)]),
        "at $.items[1], `Derived` comes back as `Base`",
    ),
    "excluded, equal by id": (EqualById(id=1, x=5), "at $.x"),
    "changed by reading": (Counting(x=1), "at $.x"),
    "nan": (Floats(f=math.nan), "use the serializer MSGPACK"),
    "infinity": (Floats(f=1.0, o=math.inf), "use the serializer MSGPACK"),
    "not utf-8": (Bytes(b=b"\xff"), "pydantic can't write it"),
    "out of bounds": (Bounded.model_construct(n=-1), "greater_than_equal at $.n"),
    "another type": (Bounded.model_construct(n="a"), "int_parsing at $.n"),
    "converted type": (Base.model_construct(a="5"), "at $.a, `str` comes back as `int`"),
    "incomplete": (Base.model_construct(), "missing at $.a"),
    "unset": (Unset(), "int_type at $.n"),
    "tuple in anything": (Anything(a=(1,)), "at $.a, `tuple` comes back as `list`"),
    "model in anything": (Anything(a=Base(a=1)), "at $.a, `Base` comes back as `dict`"),
    "nan in anything": (Anything(a=math.nan), "use the serializer MSGPACK"),
    "unreadable": (Written(x=1), "can't be read back"),
    "generic without type": (Page(item=Base(a=1)), "at $.item, `Base` comes back as `dict`"),
    "offset with seconds": (
        Moments(at=datetime(1850, 1, 1, tzinfo=ODD_OFFSET), on=date(1850, 1, 1), by=time(1)),
        "offset with seconds",
    ),
    "datetime as date": (Moments.model_construct(at=UTC_TIME, on=UTC_TIME, by=time(1)), "at $.on"),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_model_comes_back(serializer: Any, kind: str) -> None:
    store, (model, data) = store_of(serializer), MODELS[kind]
    await store.kv.set("k", model)
    await store.batch.set({"b": model})
    await store.streams.append("s", model)

    assert await store.kv.get("k", type(model)) == model
    assert await store.batch.get(["b"], type(model)) == [model]
    assert (await store.streams.range("s", type=type(model)))[0].message == model
    if serializer is JSON and data is not None:
        assert await store.adapter.get(KEY) == data


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "root of none"])
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_nested_model_comes_back(serializer: Any, kind: str) -> None:
    store, model = store_of(serializer), MODELS[kind][0]
    wanted: Any = cast("Any", type(model))
    nested: list[tuple[Any, Any]] = [
        ([model], list[wanted]),
        ({"a": model}, dict[str, wanted]),
        (model, wanted | None),
    ]
    for value, type_ in nested:
        await store.kv.set("k", value)

        assert await store.kv.get("k", type_) == value


@pytest.mark.parametrize("kind", MODELS)
async def test_event_delivers_published_model(kind: str) -> None:
    model = MODELS[kind][0]

    schema = cast("Any", type(model))

    class ModelEvents(EventGroup, namespace="models"):
        made = event(schema)

    store = store_of()
    made = store.events.bind(ModelEvents).made
    async with asyncio.timeout(10), made.listen() as stream:
        await made.publish(model)
        received = await anext(stream)

    assert received.data == model


@pytest.mark.parametrize("kind", REFUSED_MODELS)
async def test_set_refuses_model_that_would_change(kind: str) -> None:
    store, (model, words) = store_of(), REFUSED_MODELS[kind]
    for value in (model, [model], {"a": {"b": model}}):
        with pytest.raises(StoreError) as caught:
            await store.kv.set("k", value)

        assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
        assert words in caught.value.message
        assert "hunter2" not in caught.value.message
        assert caught.value.__cause__ is None
    assert store.adapter.named("set") == []


async def test_private_attribute_is_stored_or_refused() -> None:
    model = Private(x=1)
    setattr(model, "_y", 5)  # noqa: B010 - of a class of this test

    with pytest.raises(StoreError, match="private attributes"):
        await store_of().kv.set("k", model)


CONFIGURATIONS = st.fixed_dictionaries(
    {},
    optional={
        "extra": st.sampled_from(["ignore", "allow", "forbid"]),
        "populate_by_name": st.booleans(),
        "serialize_by_alias": st.booleans(),
        "strict": st.booleans(),
        "use_enum_values": st.booleans(),
        "frozen": st.booleans(),
        "str_strip_whitespace": st.booleans(),
        "ser_json_timedelta": st.sampled_from(["iso8601", "float"]),
        "ser_json_bytes": st.sampled_from(["utf8", "base64"]),
        "val_json_bytes": st.sampled_from(["utf8", "base64"]),
        "ser_json_inf_nan": st.sampled_from(["null", "constants", "strings"]),
    },
)
FIELD_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "alias": st.sampled_from(["A", "B", "a", "b"]),
        "validation_alias": st.sampled_from(["V", "b", AliasChoices("p", "q"), AliasPath("r", 0)]),
        "serialization_alias": st.sampled_from(["S", "a"]),
        "exclude": st.booleans(),
    },
)
FIELD_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    str: st.text(max_size=5),
    float: st.floats(),
    bool: st.booleans(),
    bytes: st.binary(max_size=4),
    Colour: st.sampled_from(Colour),
    datetime: st.datetimes(timezones=st.none() | st.just(UTC)),
    timedelta: st.timedeltas(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    int | None: st.none() | st.integers(),
    list[int]: st.lists(st.integers(), max_size=3),
    set[str]: st.sets(st.text(max_size=3), max_size=3),
    tuple[int, str]: st.tuples(st.integers(), st.text(max_size=3)),
    dict[str, float]: st.dictionaries(st.text(max_size=3), st.floats(), max_size=3),
    dict[int, str]: st.dictionaries(st.integers(), st.text(max_size=3), max_size=3),
    Any: st.none()
    | st.integers()
    | st.tuples(st.integers())
    | st.lists(st.text(max_size=3))
    | st.datetimes(),
    SecretStr: st.text(max_size=3).map(SecretStr),
    Base: st.builds(Base, a=st.integers()) | st.builds(Derived, a=st.integers()),
    Json: st.integers(),
    int | str | Base: st.integers() | st.text(max_size=3) | st.builds(Base, a=st.integers()),
}


@pytest.mark.full
@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data(), config=CONFIGURATIONS, msgpack=st.booleans())
def test_configured_model_comes_back_or_is_refused(
    data: st.DataObject, config: Any, *, msgpack: bool
) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(FIELD_VALUES)), min_size=1, max_size=3))
    names = [*"abc"][: len(kinds)]
    options: Any = FIELD_OPTIONS
    declared: Any = {
        name: (kind, Field(**data.draw(options))) for name, kind in zip(names, kinds, strict=True)
    }
    model_class: Any = pydantic.create_model("Drawn", __config__=config, **declared)
    model = model_class.model_construct(
        **{name: data.draw(FIELD_VALUES[kind]) for name, kind in zip(names, kinds, strict=True)}
    )
    serializer: Any = MSGPACK if msgpack else JSON

    with asyncio.Runner() as runner:
        runner.run(assert_back_or_refused(store_of(serializer), model))


async def assert_back_or_refused(store: Any, value: Any) -> None:
    try:
        await store.kv.set("k", value)
    except StoreError as error:
        # Storing the value is right, too.
        assert error.code == ErrorCode.STORE_SERIALIZATION_FAILED  # noqa: PT017
        assert store.adapter.named("set") == []
        return
    back = await store.kv.get("k", type(value))
    # NaN equals nothing, itself included.
    assert back == value or "nan" in repr(value)


# --- Dataclasses, structs, TypedDicts, and others -------------------------------------------------


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
