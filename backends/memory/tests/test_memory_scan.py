"""Scans in progress: the form of their cursors, and when they are forgotten."""

# pyright: reportPrivateUsage=false
# No result of the adapter shows the state that is kept for a scan.

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, Entry, ErrorCode

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock
    from igniter_store_memory import MemoryAdapter


async def _refused(adapter: MemoryAdapter, cursor: str) -> None:
    with pytest.raises(BackendFailed) as caught:
        await adapter.scan("*", cursor=cursor)
    assert caught.value.code == ErrorCode.STORE_SCAN_FAILED


async def test_scan_page_can_be_requested_again(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(30)])
    first = await adapter.scan("*", count=10)

    assert await adapter.scan("*", cursor=first.cursor, count=10) == await adapter.scan(
        "*", cursor=first.cursor, count=10
    )


@pytest.mark.clause("SCN-4")
@pytest.mark.parametrize("cursor", ["1", "1-", "999999-10", "0-0", "00", "\u0663-\u0664"])
async def test_unknown_cursor_is_refused(adapter: MemoryAdapter, cursor: str) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(50)])
    await adapter.scan("*", count=5)

    await _refused(adapter, cursor)


@pytest.mark.clause("SCN-4")
async def test_cursor_beyond_the_end_of_scan_is_refused(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(50)])
    number, _, _ = (await adapter.scan("*", count=5)).cursor.partition("-")

    await _refused(adapter, f"{number}-50")


@pytest.mark.clause("SCN-4", "SCN-6")
async def test_abandoned_scans_are_forgotten(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(100)])
    cursors = [(await adapter.scan("*", count=5)).cursor for _ in range(10)]
    assert len(adapter._keyspace.scans) == 10

    clock.advance(601)

    assert len(adapter._keyspace.scans) == 0
    await _refused(adapter, cursors[0])


@pytest.mark.clause("SCN-6")
async def test_completed_scan_is_forgotten(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(10)])
    page = await adapter.scan("*", count=5)

    await adapter.scan("*", cursor=page.cursor, count=5)

    assert len(adapter._keyspace.scans) == 0
