"""Equal owners of claims are one owner, spelled as Node spells it; what has no such spelling is
refused.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from igniter_store import JSON, MSGPACK, ErrorCode, InvalidArgument, Store, StoreError
from igniter_store.namespaces.owners import owner_bytes
from igniter_store.serialization import Codec
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter

# Made by `JSON.stringify` of Node 20: each text, number and document with its spelling.
NODE: dict[str, list[tuple[str, str]]] = json.loads(
    (Path(__file__).parent / "node_spellings.json").read_text(encoding="utf-8")
)
CODEC = Codec(JSON)


def spelled(owner: Any) -> str:
    return owner_bytes(owner, CODEC).decode()


@dataclass
class Holder:
    host: str
    tags: set[str]


class HolderStruct(msgspec.Struct):
    tags: set[str]
    host: str


class HolderModel(pydantic.BaseModel):
    tags: set[str]
    host: str


class HolderTuple(NamedTuple):
    host: str
    pid: int


class HolderDict(TypedDict):
    host: str


class Role(enum.StrEnum):
    LEADER = "leader"


class Rank(enum.IntEnum):
    FIRST = 1


@pytest.mark.parametrize(
    ("text", "node"), NODE["texts"], ids=[ascii(text) for text, _ in NODE["texts"]]
)
def test_text_owner_is_spelled_as_node_does(text: str, node: str) -> None:
    assert spelled(text) == node


@pytest.mark.parametrize(
    ("number", "node"), NODE["numbers"], ids=[number for number, _ in NODE["numbers"]]
)
def test_number_owner_is_spelled_as_node_or_refused(number: str, node: str) -> None:
    value: Any = float(number) if set(number) & set(".en") else int(number)

    try:
        ours: str | None = spelled(value)
    except InvalidArgument as error:
        assert error.code == ErrorCode.STORE_ARGUMENT_INVALID  # noqa: PT017 - either is right
        ours = None

    assert ours in {node, None}
    is_fraction = (
        isinstance(value, float) and not value.is_integer() and not 1e-6 <= abs(value) < 1e-5
    )
    is_safe = isinstance(value, int) and abs(value) < 2**53
    assert (ours is not None) == (is_fraction or is_safe)


@pytest.mark.parametrize(("document", "node"), NODE["documents"])
def test_document_owner_is_spelled_as_node_does(document: str, node: str) -> None:
    assert spelled(json.loads(document)) == node


EQUAL: dict[str, list[Any]] = {
    "mappings": [{"a": 1, "b": 2}, {"b": 2, "a": 1}],
    "nested mappings": [
        {"x": [{"a": 1, "b": {"d": 1, "c": 2}}]},
        {"x": [{"b": {"c": 2, "d": 1}, "a": 1}]},
    ],
    "sets": [
        {"a", "b", "c", "dd"},
        {"dd", "c", "b", "a"},
        frozenset(["b", "a", "dd", "c"]),
        ["a", "b", "c", "dd"],
    ],
    "sets of kinds": [{1, "a", None, 1.5, (1, 2)}, {(1, 2), None, "a", 1.5, 1}],
    "sets of sets": [{frozenset([1, 2]), frozenset([5])}, {frozenset([5]), frozenset([2, 1])}],
    "numbers as keys": [{"10": 1, "9": 2}, {"9": 2, "10": 1}],
    "objects": [
        Holder("h", {"a", "b", "c"}),
        HolderStruct(tags={"c", "b", "a"}, host="h"),
        HolderModel(tags={"b", "a", "c"}, host="h"),
        {"tags": {"b", "c", "a"}, "host": "h"},
        {"host": "h", "tags": ["a", "b", "c"]},
    ],
    "tuples": [("h", 7), ["h", 7], HolderTuple("h", 7)],
    "typed": [HolderDict(host="h"), {"host": "h"}],
    "enums": [Role.LEADER, "leader"],
    "numbered enums": [Rank.FIRST, 1],
    "uuids": [uuid.UUID(int=7), str(uuid.UUID(int=7))],
}


@pytest.mark.parametrize("kind", EQUAL)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK], ids=["json", "msgpack"])
async def test_equal_owners_are_one_owner(kind: str, serializer: Any) -> None:
    async with (
        Store.create()
        .with_adapter(MemoryAdapter())
        .with_service("t")
        .with_serializer(serializer)
        .build() as store
    ):
        for holder in EQUAL[kind]:
            for other in EQUAL[kind]:
                assert await store.claim.once("k", holder, ttl=30) is True
                assert await store.claim.renew("k", other, 30) is True
                assert await store.claim.release("k", other) is True


DIFFERENT: list[Any] = [
    "1",
    1,
    True,
    [1],
    {"1": 1},
    "true",
    "[1]",
    1.5,
    "1.5",
    0,
    False,
    "",
    [],
    {},
    [[]],
    "null",
    [None],
]


async def test_owners_that_look_alike_are_different(igniter_store: Store[str]) -> None:
    for place, holder in enumerate(DIFFERENT):
        await igniter_store.claim.once("k", holder, ttl=30)
        for other in DIFFERENT[:place] + DIFFERENT[place + 1 :]:
            assert await igniter_store.claim.release("k", other) is False
        assert await igniter_store.claim.owner("k") == holder
        assert await igniter_store.claim.release("k", holder) is True


REFUSED: dict[str, Any] = {
    "a whole float": 1.0,
    "zero": 0.0,
    "minus zero": -0.0,
    "a large float": 1e21,
    "the largest float": 1.7976931348623157e308,
    "a small float": 5e-6,
    "an int beyond": 2**53,
    "a 64 bit int": 2**63 - 1,
    "a negative int beyond": -(2**53),
    "a nested float": {"weights": [1.5, 2.0]},
    "a nested int": [{"id": 2**60}],
    "bytes": b"worker",
    "nested bytes": {"id": b"worker"},
    "a bytearray": bytearray(b"worker"),
    "a datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "a date": dt.date(2026, 1, 1),
    "a duration": dt.timedelta(hours=1),
    "a decimal": decimal.Decimal("1.50"),
    "a nested decimal": [decimal.Decimal(1)],
}


@pytest.mark.parametrize("method", ["once", "renew", "release"])
@pytest.mark.parametrize("kind", REFUSED)
async def test_owner_without_one_spelling_is_refused(
    kind: str, method: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    arguments = ("k", REFUSED[kind], 30) if method == "renew" else ("k", REFUSED[kind])

    with pytest.raises(InvalidArgument) as caught:
        await getattr(igniter_store.claim, method)(*arguments)

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "worker" not in str(caught.value)
    assert igniter_recorder.calls == []


async def test_none_is_refused_as_owner(igniter_store: Store[str]) -> None:
    with pytest.raises(StoreError) as caught:
        await igniter_store.claim.once("k", None)

    assert caught.value.code == ErrorCode.STORE_VALUE_REQUIRED


def test_owner_has_one_spelling_in_every_process() -> None:
    program = (
        "from igniter_store.namespaces.owners import owner_bytes\n"
        "from igniter_store.serialization import JSON, Codec\n"
        "print(owner_bytes({'hosts': {f'host-{n}' for n in range(20)}, 'pid': 7}, Codec(JSON)).decode())"
    )

    found = {
        subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }

    assert len(found) == 1


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(JSON_VALUES.filter(lambda value: value is not None), st.randoms())
def test_order_of_keys_changes_no_spelling(owner: Any, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in cast("dict[str, Any]", value).items()]
            random.shuffle(items)
            return dict(items)
        return (
            [shuffled(item) for item in cast("list[Any]", value)]
            if isinstance(value, list)
            else value
        )

    assert spelled(shuffled(owner)) == spelled(owner)
    assert json.loads(spelled(owner)) == owner
