"""Types that msgspec doesn't support, the caller's own hooks, a stored None, and error messages."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import annotated_types
import msgspec
import pydantic
import pytest
from igniter_store import (
    JSON,
    MSGPACK,
    ErrorCode,
    EventGroup,
    Events,
    RecordingAdapter,
    Store,
    StoreError,
    event,
)
from igniter_store.backends import adapter_from_url

T = TypeVar("T")
KEY = "igniter:store:test:kv:k"


def store_of(serializer: Any = JSON, events: Any = None) -> Any:
    builder = (
        Store.create()
        .with_adapter(RecordingAdapter(adapter_from_url("memory://")))
        .with_service("test")
        .with_serializer(serializer)
    )
    return builder.build() if events is None else builder.add_events(events).build()


@dataclass
class Circle:
    radius: int
    raw: bytes = b""


@dataclass
class Square:
    side: int


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    name: str = pydantic.Field(default="", alias="Name")


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = ""


class Place(TypedDict, total=False):
    name: str
    cat: Cat


class Pair(NamedTuple):
    left: int
    shape: Circle


class Box(msgspec.Struct, Generic[T]):
    item: T


@dataclass
class Drawing:
    shape: Circle | Square
    shapes: list[Circle | Square] = field(default_factory=list[Circle | Square])


class Left(msgspec.Struct):
    a: int


class Right(msgspec.Struct):
    b: int


TYPES: dict[str, tuple[Any, Any]] = {
    "union of dataclasses": (Square(2), Circle | Square),
    "union with bytes": (Circle(2, b"\xff"), Circle | Square),
    "list of a union": ([Square(2), Circle(1)], list[Circle | Square]),
    "union of models": (Dog(name="a"), Cat | Dog),
    "model or int": (5, Cat | int),
    "discriminated": (Cat(Name="a"), Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]),
    "list of discriminated": (
        [Cat(Name="a"), Dog()],
        list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]],
    ),
    "date": (date(2026, 1, 31), date | datetime),
    "datetime": (datetime(2026, 1, 31, tzinfo=UTC), date | datetime),
    "midnight": (datetime(2026, 1, 31), date | datetime),  # noqa: DTZ001 - naive on purpose
    "constraint": (5, Annotated[int, annotated_types.Gt(3)]),
    "conint": (5, pydantic.conint(gt=3)),
    "url": (pydantic.AnyUrl("https://example.org/"), pydantic.AnyUrl),
    "path": (Path("/a"), Path),
    "path or none": (Path("/a"), Path | None),
    "path or int": (5, Path | int),
    "typed dict": ({"name": "a", "cat": Cat(Name="b")}, Place),
    "named tuple": (Pair(1, Circle(2)), Pair),
    "generic": (Box(Circle(2)), Box[Circle]),
    "dataclass with a union": (Drawing(Square(1), [Circle(2), Square(3)]), Drawing),
    "generic of a model": (Box(Cat(Name="a")), Box[Cat]),
    "decimal or text": (Decimal("1.5"), Decimal | list[int]),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_type_of_pydantic_comes_back(serializer: Any, kind: str) -> None:
    store, (value, wanted) = store_of(serializer), TYPES[kind]
    await store.kv.set("k", value)
    await store.streams.append("s", value)

    got = await store.kv.get("k", wanted)

    assert got == value
    assert type(got) is type(value)
    assert await store.batch.get(["k"], wanted) == [value]
    assert (await store.streams.range("s", type=wanted))[0].message == value


@pytest.mark.parametrize("value", [3, "4"])
async def test_constraint_of_pydantic_is_kept(value: Any) -> None:
    store = store_of()
    await store.kv.set("k", value)

    with pytest.raises(StoreError, match=r"greater_than|int_type"):
        await store.kv.get("k", Annotated[int, annotated_types.Gt(5), pydantic.Strict()])


async def test_untagged_structs_are_refused_with_reason() -> None:
    with pytest.raises(StoreError) as caught:
        await store_of().kv.get("k", Left | Right)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert "all Struct types must be tagged" in caught.value.message
    assert "Give each msgspec struct a tag" in caught.value.message


WITHOUT_PYDANTIC = """
import asyncio, sys
from dataclasses import InitVar, dataclass
from datetime import date, datetime
sys.modules["pydantic"] = None
from igniter_store import Store, StoreError

@dataclass
class A: a: int
@dataclass
class B: b: int
@dataclass
class C:
    c: int
    d: InitVar[int] = 5
@dataclass
class D: u: A | B

async def main():
    async with Store.from_url("memory://", service="s") as store:
        for wanted in (A | B, date | datetime, C):
            try:
                await store.kv.get("k", wanted)
            except StoreError as error:
                print(error.code, error.message)
        try:
            await store.kv.set("k", D(A(1)))
        except StoreError as error:
            print(error.code, error.message)
        await store.kv.set("k", [A(1), B(2)])
        print(await store.kv.get("k"))
asyncio.run(main())
"""


def test_pydantic_types_are_refused_without_pydantic() -> None:
    """The error message names the reason and the extra to install."""
    run = subprocess.run(  # noqa: S603 - a command of this repository
        [sys.executable, "-c", WITHOUT_PYDANTIC],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["STORE_ARGUMENT_INVALID"] * 3 + [
        "STORE_SERIALIZATION_FAILED"
    ]
    assert "a union may not contain more than one dataclass" in lines[0]
    assert "igniter-store[pydantic]" in lines[0]
    assert "a union may not contain more than one str-like type" in lines[1]
    assert "InitVar" in lines[2]
    assert "more than one dataclass" in lines[3]
    assert lines[4] == "[{'a': 1}, {'b': 2}]"


def test_pydantic_is_imported_only_when_needed() -> None:
    program = (
        "import asyncio, sys\nfrom igniter_store import Store\n"
        "async def main():\n"
        "    async with Store.from_url('memory://', service='s') as store:\n"
        "        await store.kv.set('k', {'a': [1]})\n"
        "        await store.kv.get('k', dict[str, list[int]])\n"
        "    print('pydantic' in sys.modules)\n"
        "asyncio.run(main())\n"
    )

    run = subprocess.run(  # noqa: S603 - a command of this repository
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert run.stdout.strip() == "False"


# --- A stored None --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted", [int, str, list[int], Circle, Left, Cat, Circle | Square, datetime, Path, Place]
)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_stored_none_is_none_for_any_type(serializer: Any, wanted: Any) -> None:
    store = store_of(serializer)
    await store.kv.set("k", None)
    await store.streams.append("s", None)

    assert await store.kv.get("k", wanted) is None
    assert await store.kv.get("k", wanted, default=5) is None
    assert await store.batch.get(["k"], wanted) == [None]
    assert (await store.streams.range("s", type=wanted))[0].message is None
    assert await store.kv.pop("k", wanted) is None


async def test_stored_none_is_none_with_users_serializer() -> None:
    class Own:
        def encode(self, value: Any) -> bytes:
            return msgspec.msgpack.encode(value)

        def decode(self, data: bytes, type: Any) -> Any:
            return msgspec.msgpack.decode(data, type=type)

    store = store_of(Own())
    await store.kv.set("k", None)

    assert await store.kv.get("k", int) is None


# --- Hooks ----------------------------------------------------------------------------------------


class Money:
    """A class that no library supports."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]  # as for every class that defines __eq__


class Reading(float):
    """A subclass of a builtin, like numpy's scalars."""


def encoder(value: Any) -> Any:
    if isinstance(value, Money):
        return {"cents": value.cents}
    return {"reading": float(value)} if isinstance(value, Reading) else NotImplemented


def decoder(type: Any, plain: Any) -> Any:
    if type is Money:
        return Money(plain["cents"])
    return Reading(plain["reading"]) if type is Reading else NotImplemented


@dataclass
class Invoice:
    total: Money
    lines: list[Money] = field(default_factory=list[Money])
    paid: Money | None = None


HOOKED: dict[str, tuple[Any, Any]] = {
    "by itself": (Money(5), Money),
    "in a list": ([Money(5)], list[Money]),
    "in a dict": ({"a": Money(5)}, dict[str, Money]),
    "in a dataclass": (Invoice(Money(5), [Money(6)], Money(7)), Invoice),
    "in a struct": (Box(Money(5)), Box[Money]),
    "subclass of a builtin": (Reading(1.5), Reading),
    "declined": (Path("/a"), Path),
    "a model beside it": ([Cat(Name="a")], list[Cat]),
}


@pytest.mark.parametrize("kind", HOOKED)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_hooks_store_types_of_the_caller(serializer: Any, kind: str) -> None:
    store, (value, wanted) = store_of(serializer(encoder=encoder, decoder=decoder)), HOOKED[kind]
    await store.kv.set("k", value)

    assert await store.kv.get("k", wanted) == value


async def test_hooks_serve_events() -> None:
    class Payments(EventGroup, namespace="payments"):
        made = event(Money)

    store = store_of(JSON(encoder=encoder, decoder=decoder), Payments)
    made = store.events.bind(Payments).made
    async with made.listen() as stream:
        await made.publish(Money(5))

        assert (await anext(stream)).data == Money(5)


async def test_encoder_output_is_stored_unchanged() -> None:
    store = store_of(JSON(encoder=encoder))
    await store.kv.set("k", [Money(5)])

    assert await store.adapter.get(KEY) == b'[{"cents":5}]'


def failing(*args: Any) -> Any:
    raise ValueError("hunter2")


async def test_error_in_encoder_is_translated() -> None:
    with pytest.raises(StoreError) as caught:
        await store_of(JSON(encoder=failing)).kv.set("k", Money(5))

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert "the encoder raised ValueError for a value of type Money" in caught.value.message
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None


async def test_error_in_decoder_is_translated() -> None:
    store = store_of(JSON(encoder=encoder, decoder=failing))
    await store.kv.set("k", {"total": Money(5)})

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k", Invoice)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED
    assert "the decoder raised ValueError at $.total" in caught.value.message
    assert "hunter2" not in repr(caught.value)


async def test_nan_of_an_encoder_is_refused() -> None:
    with pytest.raises(StoreError, match="use the serializer MSGPACK"):
        await store_of(JSON(encoder=lambda _: [float("nan")])).kv.set("k", {"a": Money(5)})


@pytest.mark.parametrize("hooks", [{"encoder": 5}, {"decoder": "x"}])
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
def test_uncallable_hook_is_refused(serializer: Any, hooks: Any) -> None:
    with pytest.raises(StoreError) as caught:
        serializer(**hooks)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


async def test_unknown_object_without_hook_names_the_cure() -> None:
    with pytest.raises(
        StoreError, match=r"give the serializer an encoder: JSON\(encoder=..., decoder=...\)"
    ):
        await store_of().kv.set("k", Money(5))


# --- Error messages -------------------------------------------------------------------------------


class Line(pydantic.BaseModel):
    sku: str
    price: int = pydantic.Field(alias="unitPrice")


class Order(pydantic.BaseModel):
    id: int
    lines: list[Line] = []
    by_code: dict[str, Line] = {}
    by_number: dict[int, Line] = {}
    note: str = pydantic.Field(default="", max_length=3)


class Sparse(pydantic.BaseModel):
    lines: list[Line]


class Holding(msgspec.Struct):
    order: Order


@dataclass
class Plain:
    id: int
    when: datetime | None = None
    colour: Literal["red"] = "red"


class Narrow(msgspec.Struct, forbid_unknown_fields=True):
    a: Annotated[int, msgspec.Meta(ge=0)] = 0
    b: Annotated[str, msgspec.Meta(max_length=3)] = ""


LINE = {"sku": "hunter2", "unitPrice": "hunter2"}
MISMATCHES: dict[str, tuple[Any, Any, str]] = {
    "list": (
        {"lines": [{"sku": "a", "unitPrice": 1}, LINE]},
        Sparse,
        "int_parsing at $.lines[1].unitPrice",
    ),
    "missing": ({"lines": [{"sku": "hunter2"}]}, Sparse, "missing at $.lines[0].unitPrice"),
    "key": (
        {"id": 1, "by_code": {"hunter2": LINE}},
        Order,
        "int_parsing at $.by_code[...].unitPrice",
    ),
    "number as key": (
        {"id": 1, "by_number": {"1234567": LINE}},
        Order,
        "int_parsing at $.by_number[...].unitPrice",
    ),
    "wrong key": ({"id": 1, "by_number": {"hunter2": 1}}, Order, "int_parsing at $.by_number[...]"),
    "bound": ({"id": 1, "note": "hunter2"}, Order, "string_too_long at $.note"),
    "in a struct": ({"order": {"id": "hunter2"}}, Holding, "int_parsing at $.order.id"),
    "in a list": ([{"id": "hunter2"}], list[Order], "int_parsing at $[...].id"),
    "union": (
        {"kind": "hunter2"},
        Annotated[Cat | Dog, pydantic.Field(discriminator="kind")],
        "union_tag_invalid",
    ),
    "dataclass": ({"id": "hunter2"}, Plain, "Expected `int`, got `str` at $.id"),
    "time": ({"id": 1, "when": "hunter2"}, Plain, "Invalid RFC3339 encoded datetime at $.when"),
    "literal": ({"id": 1, "colour": "hunter2"}, Plain, "Invalid enum value at $.colour"),
    "unknown field": ({"hunter2": 1}, Narrow, "Object contains unknown field"),
    "least": ({"a": -1}, Narrow, "Expected `int` >= 0 at $.a"),
    "length": ({"b": "hunter2"}, Narrow, "Expected `str` of length <= 3 at $.b"),
}


@pytest.mark.parametrize("kind", MISMATCHES)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_read_error_names_place_and_kind(serializer: Any, kind: str) -> None:
    store, (value, wanted, words) = store_of(serializer), MISMATCHES[kind]
    await store.kv.set("k", value)

    with pytest.raises(StoreError) as caught:
        await store.kv.get("k", wanted)

    assert caught.value.code == ErrorCode.STORE_DESERIALIZATION_FAILED
    assert words in caught.value.message
    for secret in ("hunter2", "1234567"):
        assert secret not in f"{caught.value!r} {caught.value.details}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", MISMATCHES)
async def test_schema_error_names_place_and_kind(kind: str) -> None:
    value, wanted, words = MISMATCHES[kind]
    store = store_of(events=Events.create("e").event("made", wanted).build())

    with pytest.raises(StoreError) as caught:
        await store.events.publish("e:made", value)

    assert caught.value.code == ErrorCode.STORE_SCHEMA_VALIDATION_FAILED
    assert words in caught.value.message
    assert "hunter2" not in f"{caught.value!r} {caught.value.details}"


async def test_nan_in_plain_data_has_its_cure() -> None:
    with pytest.raises(StoreError) as caught:
        await store_of().kv.set("k", {"a": [float("nan")]})

    assert (
        "JSON has no NaN and no infinity. Store None or a string instead, or use the serializer "
        "MSGPACK." in caught.value.message
    )


# --- Schemas --------------------------------------------------------------------------------------

SCHEMAS: dict[str, tuple[Any, Any, Any]] = {
    "instance with an alias": (Line, Line(sku="a", unitPrice=1), Line(sku="a", unitPrice=1)),
    "dict with an alias": (Line, {"sku": "a", "unitPrice": 1}, Line(sku="a", unitPrice=1)),
    "strict, from objects": (
        pydantic.create_model(
            "Strict", __config__=pydantic.ConfigDict(strict=True), when=(datetime, ...)
        ),
        {"when": datetime(2026, 1, 31, tzinfo=UTC)},
        None,
    ),
    "strict, from text": (
        pydantic.create_model(
            "Strict", __config__=pydantic.ConfigDict(strict=True), when=(datetime, ...)
        ),
        {"when": "2026-01-31T00:00:00Z"},
        None,
    ),
    "union of dataclasses": (Circle | Square, Square(2), Square(2)),
    "discriminated": (
        Annotated[Cat | Dog, pydantic.Field(discriminator="kind")],
        {"kind": "dog"},
        Dog(),
    ),
    "list of models": (list[Dog], [Dog(name="a"), {"name": "b"}], [Dog(name="a"), Dog(name="b")]),
    "constraint": (Annotated[int, annotated_types.Gt(3)], 5, 5),
}


@pytest.mark.parametrize("kind", SCHEMAS)
async def test_schema_of_pydantic_is_published_and_received(kind: str) -> None:
    schema, payload, expected = SCHEMAS[kind]

    class Made(EventGroup, namespace="e"):
        made = event(schema)

    store = store_of(events=Made)
    made = store.events.bind(Made).made
    async with made.listen() as stream:
        await made.publish(payload)
        received = (await anext(stream)).data

    if expected is None:
        assert received.when == datetime(2026, 1, 31, tzinfo=UTC)
    else:
        assert received == expected
