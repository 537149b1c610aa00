"""Edges at which two answers of one backend could disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock
    from igniter_store_memory import MemoryAdapter


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 0.7, 1.1, 60])
async def test_what_has_been_idle_for_just_long_enough_is_listed_and_claimed(
    adapter: MemoryAdapter, clock: ManualClock, seconds: float
) -> None:
    await adapter.xgroup_create("s", "g")
    added = await adapter.xadd("s", {"a": b"1"})
    await adapter.xreadgroup("s", "g", "first")
    clock.advance(seconds)

    listed = await adapter.xpending("s", "g", min_idle=seconds)
    claimed = await adapter.xautoclaim("s", "g", "second", seconds)

    assert [entry.id for entry in listed] == [entry.id for entry in claimed] == [added]
