"""Wrong values that a plain mistake produces, by the kind of argument that gets them.

The tests pass arguments that a type checker refuses, so everything is `Any` here.
"""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

SURROGATE = "a\ud800b"


async def fetch() -> str:
    return "k"


def unawaited() -> Any:
    """Return what a coroutine function returns if `await` is forgotten."""
    coroutine = fetch()
    coroutine.close()  # otherwise Python warns that it was never awaited
    return coroutine


NOT_TEXT: dict[str, Any] = {
    "bytes": b"key",
    "int": 7,
    "zero": 0,
    "bool": True,
    "float": math.nan,
    "list": ["key"],
    "dict": {},
    "object": object(),
    "class": str,
    "mock": Mock(),
    "coroutine": unawaited(),
}

# With each: whether it counts as missing, which has an error code of its own.
BAD_NAMES: dict[str, tuple[Any, bool]] = {
    "none": (None, True),
    "empty": ("", True),
    "surrogate": (SURROGATE, False),
    **{name: (value, False) for name, value in NOT_TEXT.items()},
}

# Text that can't be a part of a key, between two colons.
NOT_PARTS: dict[str, Any] = {
    "colon": "a:b",
    "newline": "a\nb",
    "zero byte": "a\0b",
    "delete": "a\x7fb",
    "c1 control": "a\x85b",
    "surrogate": SURROGATE,
}

BAD_TTLS: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "negative float": -0.001,
    "nan": math.nan,
    "infinite": math.inf,
    "minus infinite": -math.inf,
    "nanoseconds": 1_700_000_000_000_000_000,
    "1e30": 1e30,
    "a little too long": 10_000_000_001,
    "timedelta.max": timedelta.max,
    "timedelta.min": timedelta.min,
    "timedelta zero": timedelta(0),
    "bool": True,
    "text": "60",
    "bytes": b"60",
    "decimal": Decimal(60),
    "complex": 1j,
    "list": [60],
    "mock": Mock(),
    "coroutine": unawaited(),
}

BAD_NUMBERS: dict[str, Any] = {
    "negative": -1,
    "bool": True,
    "float": 1.0,
    "nan": math.nan,
    "2**63": 2**63,
    "text": "1",
    "list": [1],
    "object": object(),
    "mock": Mock(),
    "coroutine": unawaited(),
}

NOT_BOOLEANS: dict[str, Any] = {
    "none": None,
    "zero": 0,
    "one": 1,
    "text": "yes",
    "empty": "",
    "list": [],
}


def failing_generator() -> Iterator[str]:
    yield "1-1"
    raise RuntimeError("the caller's own")


async def async_generator() -> AsyncIterator[str]:
    yield "1-1"


# Functions, because a generator can be read only once.
NOT_LISTS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "text": lambda: "1-1",
    "bytes": lambda: b"1-1",
    "number": lambda: 5,
    "object": object,
    "coroutine": unawaited,
    "failing generator": failing_generator,
    "async generator": async_generator,
}
