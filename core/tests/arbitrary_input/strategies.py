"""Hypothesis strategies: any value, and the right values of each argument among any others."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import Mock
from uuid import UUID

import msgspec
import pydantic
from hypothesis import settings
from hypothesis import strategies as st
from igniter_store import BatchEntry, EventGroup, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadline: a slow machine isn't a failure.
EXAMPLES = settings(max_examples=30, deadline=None)


class Word(enum.StrEnum):
    KEY = "k"


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct):
    x: float = 0.0


class Model(pydantic.BaseModel):
    name: str = "n"


@dataclass
class Record:
    value: Any = None


def failing_generator() -> Iterator[Any]:
    yield "k"
    raise RuntimeError("the caller's own")


BUILTINS: list[Any] = [
    int,
    str,
    float,
    bytes,
    Any,
    object,
    type,
    list[int],
    dict[str, int],
    dict[int, Any],
    tuple[int, ...],
    set[str],
]
CLASSES: list[Any] = [
    Colour,
    Word,
    Point,
    Model,
    Record,
    list[Model],
    UUID,
    timedelta,
    Decimal,
    EventGroup,
    Store,
]
TYPES = st.sampled_from([*BUILTINS, *CLASSES, int | None, Literal["a"], "int", "Unknown"])
TEXT = st.text(st.characters(codec=None), max_size=8)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**63, -(2**63), 2**64, 10**30])
    | st.floats()
    | TEXT
    | st.sampled_from(
        [
            "",
            "\ud800",
            "a:b",
            "a\nb",
            "*",
            "[",
            "\\",
            "-",
            "+",
            "0",
            "$",
            "(1-1",
            "igniter",
            "kv",
            "__x",
        ]
    )
    | st.binary(max_size=8)
    | st.decimals()
    | st.timedeltas()
    | st.sampled_from([timedelta.max, timedelta.min, 1j, ..., NotImplemented, print])
    | st.sampled_from([object(), ValueError("x"), Mock()])
    | st.sampled_from(
        [
            Word.KEY,
            Colour.RED,
            Point(),
            Model(),
            Record(),
            Record(Record()),
            Record({1: 2}),
            Point(float("nan")),
        ]
    )
)


def keys_of_mappings() -> st.SearchStrategy[Any]:
    return (
        st.text(max_size=4)
        | st.integers()
        | st.none()
        | st.booleans()
        | st.floats()
        | st.tuples(st.integers())
        | st.binary(max_size=2)
    )


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS | TYPES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys_of_mappings(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=2).map(iter)
        | inner.map(Record)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=6,
)


def circle() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


def mixed(*right: Any) -> st.SearchStrategy[Any]:
    """Draw one of the right values, or any value."""
    return st.sampled_from(right) | ANYTHING


KEYS = mixed("k", "user:1", "é", Word.KEY)
TTLS = mixed(None, 1, 0.5, 60, timedelta(seconds=1), 10_000_000_000)
VALUES: st.SearchStrategy[Any] = (
    mixed(1, "text", {"a": [1, None]}, Point(1.0), Model())
    | st.just(circle())
    | st.fixed_dictionaries({"nested": ANYTHING})
)
WANTED = TYPES | ANYTHING
COUNTS = mixed(None, 0, 1, 10)
NUMBERS = mixed(0, 1, 1000)
FLAGS = mixed(True, False)
STREAMS = mixed("s", "other")
IDS = mixed(["1-1"], [], ("0-0", "1-1")) | st.lists(mixed("1-1", "5"), max_size=3)
BOUNDS = mixed("-", "+", "0", "1-1", "(1-1")
EVENTS = mixed("user:created", "user:*", "other")
IDENTIFIERS = mixed("org_1", 7, "*", Word.KEY)
ENTRIES: st.SearchStrategy[Any] = (
    st.lists(
        st.builds(BatchEntry, KEYS, VALUES, TTLS)
        | st.fixed_dictionaries(
            {"key": KEYS, "value": VALUES}, optional={"ttl": TTLS, "other": ANYTHING}
        )
        | ANYTHING,
        max_size=3,
    )
    | st.dictionaries(st.text(max_size=4) | keys_of_mappings(), VALUES, max_size=3)
    | ANYTHING
)
KEY_LISTS: st.SearchStrategy[Any] = (
    st.lists(KEYS, max_size=3) | ANYTHING | st.builds(failing_generator)
)
