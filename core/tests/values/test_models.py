"""Every pydantic model comes back unchanged, or `set` refuses it."""

from __future__ import annotations

import asyncio
import collections
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    Any,
    cast,
)
from uuid import UUID

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from igniter_store import (
    JSON,
    MSGPACK,
    ErrorCode,
    EventGroup,
    StoreError,
    event,
)
from pydantic import AliasChoices, AliasPath, Field, SecretStr

from .models import (
    FIELD_VALUES,
    ODD_OFFSET,
    Allowing,
    Anything,
    Base,
    Bounded,
    ByName,
    Bytes,
    Bytes64,
    Camel,
    Checked,
    Choices,
    Colour,
    Counting,
    Derived,
    Dog,
    EqualById,
    Excluding,
    ExcludingRequired,
    Floats,
    Forbidding,
    HoldsBase,
    HoldsBases,
    Ignoring,
    Kinds,
    Mixed,
    Moments,
    NamesOnly,
    Nothing,
    OneWay,
    OpenSecret,
    Optional_,
    Owner,
    Page,
    Private,
    Required,
    Root,
    Secret,
    Strict,
    Swapped,
    Texts,
    Tree,
    Unset,
    Written,
)
from .returning import UTC_TIME, assert_back_or_refused, store_of

KEY = "igniter:store:test:kv:k"

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
