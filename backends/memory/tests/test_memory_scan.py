"""Scans, and removal by prefix: clauses SCN-1 to SCN-6."""

# pyright: reportPrivateUsage=false
# What is swept, and what is remembered of a scan, shows in no answer of the adapter.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, Entry, ErrorCode, escape

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock
    from igniter_store_memory import MemoryAdapter


async def _all(adapter: MemoryAdapter, pattern: str = "*", count: int = 10) -> list[str]:
    page = await adapter.scan(pattern, count=count)
    keys = list(page.keys)
    while page.cursor != "0":
        page = await adapter.scan(pattern, cursor=page.cursor, count=count)
        keys += page.keys
    return keys


@pytest.mark.clause("SCN-1")
@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 1_000, 10_001])
async def test_every_key_is_given(adapter: MemoryAdapter, number: int) -> None:
    names = [f"key:{index}" for index in range(number)]
    await adapter.mset([Entry(name, b"") for name in names])

    assert sorted(await _all(adapter)) == sorted(names)


@pytest.mark.clause("SCN-1")
async def test_keys_of_every_kind_are_given(adapter: MemoryAdapter) -> None:
    await adapter.set("value", b"")
    await adapter.increment("counter")
    await adapter.set_nx("claim", b"me")
    await adapter.xadd("stream", {"data": b""})

    assert sorted(await _all(adapter)) == ["claim", "counter", "stream", "value"]


@pytest.mark.clause("SCN-1")
async def test_what_was_there_all_along_is_given_while_others_come_and_go(adapter: MemoryAdapter) -> None:
    stays = [f"stays:{index}" for index in range(200)]
    goes = [f"goes:{index}" for index in range(200)]
    await adapter.mset([Entry(name, b"") for pair in zip(goes, stays, strict=True) for name in pair])

    page = await adapter.scan("*", count=7)
    seen = set(page.keys)
    turn = 0
    while page.cursor != "0":
        await adapter.delete(goes[turn * 7 : turn * 7 + 7])
        await adapter.set(f"comes:{turn}", b"")
        await adapter.set(stays[turn], b"overwritten")
        turn += 1
        page = await adapter.scan("*", cursor=page.cursor, count=7)
        seen.update(page.keys)

    assert seen.issuperset(stays)
    assert seen <= {*stays, *goes, *(f"comes:{index}" for index in range(turn))}


@pytest.mark.clause("SCN-1")
async def test_deleting_everything_that_is_found_ends_and_leaves_nothing(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(500)])

    page = await adapter.scan("*", count=9)
    await adapter.delete(page.keys)
    while page.cursor != "0":
        page = await adapter.scan("*", cursor=page.cursor, count=9)
        await adapter.delete(page.keys)

    assert await _all(adapter) == []


@pytest.mark.clause("SCN-1", "KV-6")
async def test_a_key_that_expires_while_it_is_scanned_is_not_given(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.mset([Entry(f"key:{index}", b"", 10 if index % 2 else None) for index in range(100)])
    page = await adapter.scan("*", count=10)
    found = list(page.keys)

    clock.advance(10)
    while page.cursor != "0":
        page = await adapter.scan("*", cursor=page.cursor, count=10)
        found += page.keys

    assert len(found) == 10 + 45
    assert all(int(key.removeprefix("key:")) % 2 == 0 for key in found[10:])


@pytest.mark.clause("SCN-1")
async def test_scans_under_way_do_not_disturb_each_other(adapter: MemoryAdapter) -> None:
    names = [f"key:{index}" for index in range(300)]
    await adapter.mset([Entry(name, b"") for name in names])

    found = await asyncio.gather(*(_all(adapter, count=count) for count in (1, 7, 100)))

    assert [sorted(keys) for keys in found] == [sorted(names)] * 3


@pytest.mark.clause("SCN-1")
async def test_a_page_may_be_asked_for_again(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(30)])
    first = await adapter.scan("*", count=10)

    assert await adapter.scan("*", cursor=first.cursor, count=10) == await adapter.scan("*", cursor=first.cursor, count=10)


@pytest.mark.clause("SCN-2")
async def test_a_pattern_narrows_and_the_rest_of_it_is_literal(adapter: MemoryAdapter) -> None:
    names = ["user:1", "user:10", "user:2", "users:1", "User:1", "user:*", "user:[1]", "use"]
    await adapter.mset([Entry(name, b"") for name in names])

    assert sorted(await _all(adapter, "user:?")) == ["user:*", "user:1", "user:2"]
    assert await _all(adapter, "user:\\*") == ["user:*"]
    assert sorted(await _all(adapter, "user:[12]")) == ["user:1", "user:2"]
    assert await _all(adapter, "user:1") == ["user:1"]
    assert await _all(adapter, escape("user:[1]")) == ["user:[1]"]
    assert await _all(adapter, "") == []


@pytest.mark.clause("SCN-3")
async def test_pages_are_small_and_may_be_empty_with_a_live_cursor(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"other:{index}", b"") for index in range(50)])
    await adapter.set("wanted", b"")

    page = await adapter.scan("wanted", count=1)

    assert page.keys == []
    assert page.cursor != "0"
    assert await _all(adapter, "wanted", count=1) == ["wanted"]


@pytest.mark.clause("SCN-4")
@pytest.mark.parametrize("cursor", ["", "1", "-1", "abc", "999999-10", "0-0", "1-", "\u0663-\u0664", " 0", "00"])
async def test_a_cursor_that_no_scan_gave_is_refused(adapter: MemoryAdapter, cursor: str) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(50)])
    await adapter.scan("*", count=5)

    with pytest.raises(BackendFailed) as caught:
        await adapter.scan("*", cursor=cursor)

    assert caught.value.code == ErrorCode.STORE_SCAN_FAILED


@pytest.mark.clause("SCN-5")
@pytest.mark.parametrize("prefix", ["org:1:", "a*b", "x?", "[q]", "é", "sp ace", "\\", "o"])
async def test_a_prefix_takes_exactly_what_begins_with_it(adapter: MemoryAdapter, prefix: str) -> None:
    names = {
        "org:1:kv:a",
        "org:10:kv:a",
        "org:1",
        "Org:1:a",
        "a*b:1",
        "aXb:1",
        "x?1",
        "xy1",
        "[q]1",
        "q1",
        "é1",
        "e1",
        "sp ace1",
        "space1",
        "\\1",
    }
    await adapter.mset([Entry(name, b"") for name in sorted(names)])
    expected = {name for name in names if name.startswith(prefix)}

    assert await adapter.delete_prefix(prefix) == len(expected)

    assert set(await _all(adapter)) == names - expected


@pytest.mark.clause("SCN-5")
async def test_a_prefix_takes_every_kind_and_no_expired_one_is_counted(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("p:value", b"")
    await adapter.increment("p:counter")
    await adapter.set_nx("p:claim", b"me")
    await adapter.xadd("p:stream", {"data": b""})
    await adapter.set("p:expired", b"", ttl=1)
    adapter._keyspace._heap.clear()  # no sweep: the expired key is still in the table
    clock.advance(1)

    assert await adapter.delete_prefix("p:") == 4
    assert await _all(adapter) == []


@pytest.mark.clause("SCN-5", "SCN-6")
async def test_removing_very_many_lets_others_have_their_turn(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"p:{index}", b"") for index in range(50_000)])
    turns = 0
    removing = asyncio.create_task(adapter.delete_prefix("p:"))

    while not removing.done():
        turns += 1
        await asyncio.sleep(0)

    assert await removing == 50_000
    assert turns > 3


@pytest.mark.clause("SCN-6")
async def test_one_page_looks_at_no_more_than_count_keys(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(100_000)])

    page = await adapter.scan("*", count=50)

    assert len(page.keys) == 50
    assert page.cursor != "0"


async def test_scans_that_nobody_goes_on_with_are_forgotten(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.mset([Entry(f"key:{index}", b"") for index in range(100)])
    for _ in range(10):
        await adapter.scan("*", count=5)

    clock.advance(601)

    assert len(adapter._keyspace.scans) == 0
