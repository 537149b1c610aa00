"""Pydantic models of every configuration, and how to draw values of their fields."""

# ruff: noqa: TC003 - pydantic evaluates the annotations

from __future__ import annotations

import collections
import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    TypeVar,
)
from uuid import UUID

import pydantic
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, ConfigDict, Field, Json, SecretStr, computed_field
from pydantic.alias_generators import to_camel

T = TypeVar("T")
ODD_OFFSET = timezone(timedelta(minutes=53, seconds=28))


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
