"""What every test of the memory backend stands on: a clock that it moves, and an adapter that looks at this clock."""

from __future__ import annotations

import pytest
from igniter_store.contract import ManualClock
from igniter_store_memory import MemoryAdapter


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def adapter(clock: ManualClock) -> MemoryAdapter:
    return MemoryAdapter(clock=clock)


@pytest.fixture(scope="session")
def weird_names() -> list[str]:
    """Names that are all different, though folding, trimming, normalizing, globbing or cutting would make some of them one."""
    return [
        "a",
        "A",
        "ab",
        "a ",
        " a",
        "a\n",
        "a\x00",
        "a\x00b",
        "a*",
        "a?",
        "[a]",
        "[^b]",
        "\\a",
        "a\\*",
        "a:b",
        "a::b",
        "a:b:",
        "a..b",
        "a%2ab",
        "1",
        "01",
        "\u00e9",  # one code point
        "e\u0301",  # the same to look at, in two
        "\u05e9\u05dc",  # written from the right
        "\U0001f469\u200d\U0001f4bb",  # two emoji joined to one
        "a" * 1_023,
        "a" * 1_024,
    ]
