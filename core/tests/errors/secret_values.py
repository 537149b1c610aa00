"""Values, types and calls whose errors must not show a secret, and the text that they do show."""

from __future__ import annotations

import asyncio
import enum
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
import pydantic
from igniter_store import Events

if TYPE_CHECKING:
    import pytest
    from igniter_store import StoreError

SECRET = "hunter2-in-clear"  # noqa: S105 - must never be shown


class Witness:
    """A telemetry sink that keeps every event."""

    def __init__(self) -> None:
        self.emitted: list[Any] = []
        self._more = asyncio.Event()

    def emit(self, name: str, *, level: str, attributes: Any) -> None:
        self.emitted.append((name, level, dict(attributes)))
        self._more.set()

    def named(self, name: str) -> list[Any]:
        return [event for event in self.emitted if event[0] == name]

    async def next(self, name: str) -> None:
        """Wait until an event of this name was emitted."""
        async with asyncio.timeout(5):
            while not self.named(name):
                self._more.clear()
                await self._more.wait()


def shown(error: StoreError) -> str:
    """Return everything that `error` shows to a person or a program."""
    return "\n".join(
        [
            *traceback.format_exception(error),
            str(error),
            repr(error),
            repr(error.args),
            repr(error.to_dict()),
            repr(pickle.loads(pickle.dumps(error))),  # noqa: S301 - this test has just pickled it
        ]
    )


def logged(logs: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter("%(message)s %(args)r")
    return "\n".join(formatter.format(record) for record in logs.records)


class Colour(enum.Enum):
    RED = "red"


class User(msgspec.Struct, forbid_unknown_fields=True):
    name: Literal["avery"]
    age: int = 0


class Tagged(msgspec.Struct, tag="tagged"):
    name: str


class OtherTagged(msgspec.Struct, tag="other"):
    name: str


class Model(pydantic.BaseModel):
    name: Literal["avery"]
    age: int = 0


class Strict(pydantic.BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise ValueError(f"{name} is not allowed")


@dataclass
class Checked:
    name: str

    def __post_init__(self) -> None:
        raise ValueError(f"{self.name} is not allowed")


class Printed:
    """An object whose repr contains its secret."""

    def __init__(self) -> None:
        self.password = SECRET

    def __repr__(self) -> str:
        return SECRET

    __str__ = __repr__


class Reduced(pydantic.BaseModel):
    password: str = SECRET
    extra: Any = object()

    @pydantic.field_serializer("extra")
    def show(self, extra: Any) -> str:
        raise ValueError(f"{self.password} can't be shown")


def circle() -> list[Any]:
    values: list[Any] = [SECRET]
    values.append(values)
    return values


UNENCODABLE: dict[str, Any] = {
    "object": Printed(),
    "object in a list": [SECRET, Printed()],
    "nan beside it": {"password": SECRET, "weight": float("nan")},
    "keys": {7: SECRET, "password": SECRET},
    "secret key": {(SECRET,): 1},
    "split surrogates": SECRET + "\ud83d\ude00",
    "model": Reduced(),
    "struct": Tagged(name=Printed()),  # type: ignore[arg-type]  # as a caller without a type checker
    "circle": circle(),
    "exception": ValueError(SECRET),
}
WRITES: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "kv.set": lambda store, value: store.kv.set("k", value),
    "batch.set": lambda store, value: store.batch.set({"a": SECRET, "k": value}),
    "claim.once": lambda store, value: store.claim.once("k", value),
    "claim.release": lambda store, value: store.claim.release("k", value),
    "claim.renew": lambda store, value: store.claim.renew("k", value, 1),
    "publish": lambda store, value: store.events.publish("e", value),
    "append": lambda store, value: store.streams.append("s", value),
}
UNDECODABLE: dict[str, tuple[Any, Any]] = {
    "another type": (SECRET, int),
    "an enum": (SECRET, Colour),
    "a literal": (SECRET, Literal["red", "blue"]),
    "an enum as a key": ({SECRET: 1}, dict[Colour, int]),
    "a struct's literal": ({"name": SECRET}, User),
    "a struct's other field": ({"name": "avery", SECRET: 1}, User),
    "a tag": ({"type": SECRET}, Tagged | OtherTagged),
    "a model": ({"name": SECRET}, Model),
    "models": ([{"name": SECRET}], list[Model]),
    "a model that quotes": ({"name": SECRET}, Strict),
    "a dataclass that quotes": ({"name": SECRET}, Checked),
    "a value in a mapping": ({SECRET: SECRET}, dict[str, int]),
    "not a container": ({"a": [SECRET]}, dict[str, list[int]]),
    "a date": (SECRET, datetime),
    "a uuid": (SECRET, UUID),
}
Read: TypeAlias = Callable[[Any, Any, Any], Awaitable[Any]]
READS: dict[str, Read] = {}


def reading(read: Read) -> Read:
    READS[read.__name__] = read
    return read


@reading
async def get(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    await store.kv.set("k", value)
    await store.kv.get("k", wanted)


@reading
async def pop(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    await store.kv.set("k", value)
    await store.kv.pop("k", wanted)


@reading
async def batch_get(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    await store.kv.set("k", value)
    await store.batch.get(["k"], wanted)


@reading
async def stream_range(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    await store.streams.append("s", value)
    _ = (await store.streams.range("s", type=wanted))[0].message


@reading
async def stream_read(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    group = store.streams.group("g", "c")
    await group.ensure("s")
    await store.streams.append("s", value)
    _ = (await group.read("s", type=wanted))[0].message


@reading
async def foreign_entry(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.build()
    await store.adapter.xadd("igniter:store:test:streams:s", {"password": SECRET.encode()})
    _ = (
        await store.streams.range("s", type=wanted if isinstance(value, dict) else dict[str, int])
    )[0].message


@reading
async def publish(builder: Any, value: Any, wanted: Any) -> None:
    store = builder.add_events(Events.create("user").event("created", wanted).build()).build()
    await store.events.publish("user:created", value)
