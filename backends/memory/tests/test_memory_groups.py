"""Consumer groups: clauses STR-4 to STR-13, STR-16, STR-18, STR-19."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, ErrorCode, GroupInfo, ManualClock, PendingEntry, StreamEntry
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def _fill(adapter: MemoryAdapter, count: int) -> list[str]:
    return [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(count)]


def _ids(entries: list[StreamEntry]) -> list[str]:
    return [entry.id for entry in entries]


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def _missing(call: Awaitable[object]) -> None:
    with pytest.raises(BackendFailed) as caught:
        await call
    assert caught.value.code == ErrorCode.STORE_STREAM_GROUP_MISSING


@pytest.fixture
async def filled(adapter: MemoryAdapter) -> list[str]:
    ids = await _fill(adapter, 10)
    await adapter.xgroup_create("stream", "group")
    return ids


@pytest.mark.clause("STR-4")
async def test_creating_a_group_creates_its_stream(adapter: MemoryAdapter) -> None:
    assert await adapter.xgroup_create("stream", "group") is True

    assert await adapter.exists("stream")
    assert await adapter.xlen("stream") == 0


@pytest.mark.clause("STR-4")
@pytest.mark.parametrize("start", ["0", "$", "5-5"])
async def test_creating_a_group_again_changes_nothing(adapter: MemoryAdapter, filled: list[str], start: str) -> None:
    await adapter.xreadgroup("stream", "group", "consumer", count=4)
    before = (await adapter.xgroups("stream"), await adapter.xpending("stream", "group"))

    assert await adapter.xgroup_create("stream", "group", start) is False

    assert (await adapter.xgroups("stream"), await adapter.xpending("stream", "group")) == before
    assert _ids(await adapter.xreadgroup("stream", "group", "consumer")) == filled[4:]


@pytest.mark.clause("STR-5")
async def test_a_group_begins_after_its_start(adapter: MemoryAdapter) -> None:
    ids = await _fill(adapter, 5)
    for group, start in (("all", "0"), ("new", "$"), ("after", ids[2]), ("whole millisecond", ids[0].partition("-")[0])):
        await adapter.xgroup_create("stream", group, start)
    later = await adapter.xadd("stream", {"data": b"later"})

    assert _ids(await adapter.xreadgroup("stream", "all", "c")) == [*ids, later]
    assert _ids(await adapter.xreadgroup("stream", "new", "c")) == [later]
    assert _ids(await adapter.xreadgroup("stream", "after", "c")) == [*ids[3:], later]
    assert _ids(await adapter.xreadgroup("stream", "whole millisecond", "c")) == [*ids[1:], later]


@pytest.mark.clause("STR-5")
async def test_a_malformed_start_creates_nothing(adapter: MemoryAdapter) -> None:
    with pytest.raises(BackendFailed) as caught:
        await adapter.xgroup_create("stream", "group", "(5")

    assert caught.value.code == ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED
    assert not await adapter.exists("stream")


@pytest.mark.clause("STR-6")
async def test_each_entry_goes_to_one_consumer_of_a_group_and_to_every_group(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xgroup_create("stream", "other")

    first = await adapter.xreadgroup("stream", "group", "a", count=3)
    second = await adapter.xreadgroup("stream", "group", "b", count=4)
    rest = await adapter.xreadgroup("stream", "group", "a")

    assert _ids(first) + _ids(second) + _ids(rest) == filled
    assert _ids(await adapter.xreadgroup("stream", "other", "a")) == filled
    assert await adapter.xreadgroup("stream", "group", "b") == []


@pytest.mark.clause("STR-6", "STR-16")
async def test_consumers_that_read_at_once_share_everything_out(adapter: MemoryAdapter) -> None:
    ids = await _fill(adapter, 500)
    await adapter.xgroup_create("stream", "group")

    async def drain(consumer: str) -> list[str]:
        got: list[str] = []
        while entries := await adapter.xreadgroup("stream", "group", consumer, count=3):
            got += _ids(entries)
            await asyncio.sleep(0)
        return got

    shares = await asyncio.gather(*(drain(f"consumer-{number}") for number in range(7)))

    assert sorted(text for share in shares for text in share) == sorted(ids)
    assert all(shares)


@pytest.mark.clause("STR-7")
async def test_a_blocking_read_returns_when_an_entry_comes(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=60))
    await _settle()

    added = await adapter.xadd("stream", {"data": b"1"})

    async with asyncio.timeout(5):
        assert _ids(await reading) == [added]


@pytest.mark.clause("STR-7")
async def test_a_blocking_read_returns_nothing_when_its_time_is_over_and_not_before(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=5))
    await _settle()

    clock.advance(4.999)
    await _settle()
    assert not reading.done()
    clock.advance(0.001)

    async with asyncio.timeout(5):
        assert await reading == []


@pytest.mark.clause("STR-7")
async def test_with_a_clock_that_only_tells_the_time_waiting_is_real() -> None:
    adapter = MemoryAdapter(clock=lambda: 5.0)
    await adapter.xgroup_create("stream", "group")

    async with asyncio.timeout(10):
        assert await adapter.xreadgroup("stream", "group", "consumer", block=0.02) == []


@pytest.mark.clause("STR-7")
@pytest.mark.parametrize("block", [None, 0])
async def test_without_a_time_to_wait_a_read_does_not_wait(adapter: MemoryAdapter, block: float | None) -> None:
    await adapter.xgroup_create("stream", "group")

    async with asyncio.timeout(5):
        assert await adapter.xreadgroup("stream", "group", "consumer", block=block) == []


@pytest.mark.clause("STR-7")
async def test_a_blocked_read_holds_up_nothing(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=60))
    await _settle()

    assert await adapter.set("key", b"value")
    assert await adapter.get("key") == b"value"
    assert await adapter.xlen("stream") == 0
    assert not reading.done()
    reading.cancel()


@pytest.mark.clause("STR-7", "LIF-4", "STR-16")
async def test_a_cancelled_read_takes_nothing(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "cancelled", block=60))
    await _settle()

    reading.cancel()
    await asyncio.wait({reading})
    added = await adapter.xadd("stream", {"data": b"1"})

    assert _ids(await adapter.xreadgroup("stream", "group", "other")) == [added]


@pytest.mark.clause("LIF-4", "STR-16")
async def test_a_read_that_is_cancelled_while_its_answer_is_on_the_way_loses_nothing(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "cancelled", block=60))
    await _settle()

    added = await adapter.xadd("stream", {"data": b"1"})
    reading.cancel()
    await asyncio.wait({reading})

    assert [(entry.id, entry.consumer) for entry in await adapter.xpending("stream", "group")] == [(added, "cancelled")]
    assert _ids(await adapter.xautoclaim("stream", "group", "other", 0)) == [added]


@pytest.mark.clause("STR-7", "STR-6")
async def test_of_several_waiting_readers_the_first_gets_the_entry_and_the_others_wait_on(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    readings: list[asyncio.Task[list[StreamEntry]]] = []
    for number in range(3):
        readings.append(asyncio.create_task(adapter.xreadgroup("stream", "group", f"consumer-{number}", block=60)))
        await _settle()

    first = await adapter.xadd("stream", {"data": b"1"})
    await _settle()
    assert [reading.done() for reading in readings] == [True, False, False]
    second = await adapter.xadd("stream", {"data": b"2"})
    await _settle()

    assert (_ids(readings[0].result()), _ids(readings[1].result())) == ([first], [second])
    assert not readings[2].done()
    readings[2].cancel()


@pytest.mark.clause("STR-7", "STR-6")
async def test_an_entry_that_comes_as_a_wait_ends_is_left_for_the_next_read(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "late", block=5))
    await _settle()

    clock.advance(5)
    added = await adapter.xadd("stream", {"data": b"1"})

    assert await reading == []
    assert _ids(await adapter.xreadgroup("stream", "group", "other")) == [added]


@pytest.mark.clause("STR-7", "STR-6", "LIF-4")
async def test_an_entry_that_comes_as_the_first_waiting_reader_is_cancelled_goes_to_the_next(adapter: MemoryAdapter) -> None:
    await adapter.xgroup_create("stream", "group")
    readings: list[asyncio.Task[list[StreamEntry]]] = []
    for number in range(2):
        readings.append(asyncio.create_task(adapter.xreadgroup("stream", "group", f"consumer-{number}", block=60)))
        await _settle()

    readings[0].cancel()
    added = await adapter.xadd("stream", {"data": b"1"})
    await _settle()

    assert readings[0].cancelled()
    assert readings[1].done()
    assert _ids(await readings[1]) == [added]


@pytest.mark.clause("STR-6", "STR-7")
async def test_waiting_readers_of_every_group_are_woken(adapter: MemoryAdapter) -> None:
    groups = ["one", "two", "three"]
    for group in groups:
        await adapter.xgroup_create("stream", group)
    readings = [asyncio.create_task(adapter.xreadgroup("stream", group, "consumer", block=60)) for group in groups]
    await _settle()

    added = await adapter.xadd("stream", {"data": b"1"})

    async with asyncio.timeout(5):
        assert [_ids(entries) for entries in await asyncio.gather(*readings)] == [[added]] * 3


@pytest.mark.clause("STR-8", "STR-18")
async def test_what_was_read_is_pending_with_its_idle_time_and_count(adapter: MemoryAdapter, clock: ManualClock, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=2)
    clock.advance(10)
    await adapter.xreadgroup("stream", "group", "b", count=1)
    clock.advance(5)

    pending = await adapter.xpending("stream", "group")

    assert [(entry.id, entry.consumer, entry.deliveries) for entry in pending] == [
        (filled[0], "a", 1),
        (filled[1], "a", 1),
        (filled[2], "b", 1),
    ]
    assert [entry.idle for entry in pending] == pytest.approx([15, 15, 5])


@pytest.mark.clause("STR-8")
async def test_the_pending_list_can_be_narrowed(adapter: MemoryAdapter, clock: ManualClock, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=3)
    clock.advance(10)
    await adapter.xreadgroup("stream", "group", "b", count=3)

    def ids(entries: list[PendingEntry]) -> list[str]:
        return [entry.id for entry in entries]

    assert ids(await adapter.xpending("stream", "group", consumer="b")) == filled[3:6]
    assert ids(await adapter.xpending("stream", "group", min_idle=10)) == filled[:3]
    assert ids(await adapter.xpending("stream", "group", min_idle=10.001)) == []
    assert ids(await adapter.xpending("stream", "group", count=4)) == filled[:4]
    assert ids(await adapter.xpending("stream", "group", consumer="b", count=1)) == filled[3:4]
    assert ids(await adapter.xpending("stream", "group", consumer="nobody")) == []


@pytest.mark.clause("STR-18")
async def test_looking_changes_neither_idle_times_nor_counts(adapter: MemoryAdapter, clock: ManualClock, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=2)
    clock.advance(7)

    await adapter.xpending("stream", "group")
    await adapter.xrange("stream", filled[0], filled[1])

    pending = await adapter.xpending("stream", "group")
    assert [entry.idle for entry in pending] == pytest.approx([7, 7])
    assert [entry.deliveries for entry in pending] == [1, 1]


@pytest.mark.clause("STR-18")
async def test_history_gives_a_consumer_its_own_again_in_order_and_counts(
    adapter: MemoryAdapter, clock: ManualClock, filled: list[str]
) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=3)
    await adapter.xreadgroup("stream", "group", "b", count=2)
    await adapter.xack("stream", "group", [filled[1]])
    clock.advance(9)

    again = await adapter.xreadgroup("stream", "group", "a", history=True)

    assert _ids(again) == [filled[0], filled[2]]
    assert [(entry.id, entry.idle, entry.deliveries) for entry in await adapter.xpending("stream", "group")] == [
        (filled[0], 0, 2),
        (filled[2], 0, 2),
        (filled[3], pytest.approx(9), 1),
        (filled[4], pytest.approx(9), 1),
    ]


@pytest.mark.clause("STR-18")
async def test_history_is_bounded_by_count_and_does_not_wait(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=4)

    async with asyncio.timeout(5):
        assert _ids(await adapter.xreadgroup("stream", "group", "a", count=3, history=True)) == filled[:3]
        assert await adapter.xreadgroup("stream", "group", "stranger", history=True, block=60) == []


@pytest.mark.clause("STR-18", "STR-12")
async def test_history_leaves_deleted_entries_out_and_they_stay_pending(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=3)
    await adapter.xdel("stream", [filled[1]])

    assert _ids(await adapter.xreadgroup("stream", "group", "a", history=True)) == [filled[0], filled[2]]
    assert [entry.id for entry in await adapter.xpending("stream", "group")] == filled[:3]


@pytest.mark.clause("STR-19")
async def test_every_group_is_named_with_what_it_has_to_do(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xgroup_create("stream", "another", "$")
    await adapter.xreadgroup("stream", "group", "a", count=3)
    await adapter.xreadgroup("stream", "group", "b", count=1)
    await adapter.xack("stream", "group", [filled[0]])

    assert await adapter.xgroups("stream") == [
        GroupInfo(name="another", consumers=0, pending=0, last_delivered_id=filled[9], lag=0),
        GroupInfo(name="group", consumers=2, pending=3, last_delivered_id=filled[3], lag=6),
    ]
    assert await adapter.xgroups("missing") == []


@pytest.mark.clause("STR-19")
async def test_a_new_group_has_read_nothing(adapter: MemoryAdapter, filled: list[str]) -> None:
    (group,) = await adapter.xgroups("stream")

    assert (group.last_delivered_id, group.lag) == ("0-0", len(filled))


@pytest.mark.clause("STR-9")
async def test_an_ack_says_how_many_were_pending(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=4)

    assert await adapter.xack("stream", "group", [filled[0], filled[2], filled[2], filled[7], "1-1"]) == 2
    assert await adapter.xack("stream", "group", [filled[0]]) == 0
    assert [entry.id for entry in await adapter.xpending("stream", "group")] == [filled[1], filled[3]]


@pytest.mark.clause("STR-9")
async def test_an_ack_of_another_consumer_works_and_of_another_group_does_not(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xgroup_create("stream", "other")
    await adapter.xreadgroup("stream", "group", "a", count=1)

    assert await adapter.xack("stream", "other", filled[:1]) == 0
    assert await adapter.xack("stream", "missing", filled[:1]) == 0
    assert await adapter.xack("missing", "group", filled[:1]) == 0
    assert await adapter.xack("stream", "group", filled[:1]) == 1
    assert await adapter.xlen("stream") == 10


@pytest.mark.clause("STR-9")
async def test_one_malformed_id_acknowledges_none(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a", count=2)

    with pytest.raises(BackendFailed) as caught:
        await adapter.xack("stream", "group", [filled[0], "nonsense", filled[1]])

    assert caught.value.code == ErrorCode.STORE_STREAM_ACK_FAILED
    assert len(await adapter.xpending("stream", "group")) == 2


@pytest.mark.clause("STR-10")
async def test_claiming_takes_what_is_idle_and_leaves_what_is_younger(
    adapter: MemoryAdapter, clock: ManualClock, filled: list[str]
) -> None:
    await adapter.xreadgroup("stream", "group", "dead", count=2)
    clock.advance(30)
    await adapter.xreadgroup("stream", "group", "alive", count=2)
    clock.advance(30)

    claimed = await adapter.xautoclaim("stream", "group", "heir", 60)

    assert claimed == await adapter.xrange("stream", filled[0], filled[1])
    assert [(entry.id, entry.consumer, entry.idle, entry.deliveries) for entry in await adapter.xpending("stream", "group")] == [
        (filled[0], "heir", 0, 2),
        (filled[1], "heir", 0, 2),
        (filled[2], "alive", pytest.approx(30), 1),
        (filled[3], "alive", pytest.approx(30), 1),
    ]


@pytest.mark.clause("STR-10")
async def test_claiming_is_bounded_by_count_oldest_first(adapter: MemoryAdapter, clock: ManualClock, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "dead")
    clock.advance(1)

    shares = [_ids(await adapter.xautoclaim("stream", "group", "heir", 1, count=3)) for _ in range(5)]

    assert shares == [filled[:3], filled[3:6], filled[6:9], filled[9:], []]


@pytest.mark.clause("STR-11")
async def test_of_concurrent_claimers_each_entry_goes_to_one(adapter: MemoryAdapter, clock: ManualClock, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "dead")
    clock.advance(1)

    shares = await asyncio.gather(*(adapter.xautoclaim("stream", "group", f"heir-{number}", 1, count=2) for number in range(9)))

    assert sorted(text for share in shares for text in _ids(share)) == filled


@pytest.mark.clause("STR-12")
async def test_claiming_hands_out_no_deleted_entry_and_takes_it_off_the_list(
    adapter: MemoryAdapter, clock: ManualClock, filled: list[str]
) -> None:
    await adapter.xreadgroup("stream", "group", "dead", count=5)
    await adapter.xdel("stream", [filled[1], filled[3]])
    clock.advance(1)

    assert _ids(await adapter.xautoclaim("stream", "group", "heir", 1, count=2)) == [filled[0], filled[2]]
    assert [entry.id for entry in await adapter.xpending("stream", "group")] == [filled[0], filled[2], filled[3], filled[4]]
    assert _ids(await adapter.xautoclaim("stream", "group", "heir", 0.5)) == [filled[4]]
    assert [entry.id for entry in await adapter.xpending("stream", "group")] == [filled[0], filled[2], filled[4]]


@pytest.mark.clause("STR-12")
async def test_what_was_trimmed_before_it_was_read_is_not_handed_out(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xtrim("stream", 4, approximate=False)

    assert _ids(await adapter.xreadgroup("stream", "group", "a")) == filled[6:]


@pytest.mark.clause("STR-13")
async def test_a_group_that_does_not_exist_is_missing(adapter: MemoryAdapter) -> None:
    await adapter.xadd("stream", {"data": b"1"})

    for stream in ("stream", "missing"):
        await _missing(adapter.xreadgroup(stream, "group", "a"))
        await _missing(adapter.xreadgroup(stream, "group", "a", history=True))
        await _missing(adapter.xreadgroup(stream, "group", "a", block=60))
        await _missing(adapter.xpending(stream, "group"))
        await _missing(adapter.xautoclaim(stream, "group", "a", 0))
    assert not await adapter.exists("missing")


@pytest.mark.clause("STR-13")
@pytest.mark.parametrize("end", ["group", "stream", "overwritten", "expired", "prefix"])
async def test_a_waiting_reader_is_told_when_its_group_goes(adapter: MemoryAdapter, clock: ManualClock, end: str) -> None:
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "a", block=3_600))
    await _settle()

    if end == "group":
        await adapter.xgroup_destroy("stream", "group")
    elif end == "stream":
        await adapter.delete(["stream"])
    elif end == "overwritten":
        await adapter.set("stream", b"value")
    elif end == "expired":
        await adapter.expire("stream", 5)
        clock.advance(5.5)
    else:
        await adapter.delete_prefix("str")

    async with asyncio.timeout(5):
        await _missing(reading)


@pytest.mark.clause("STR-13")
async def test_destroying_says_whether_there_was_a_group_and_a_new_one_begins_anew(adapter: MemoryAdapter, filled: list[str]) -> None:
    await adapter.xreadgroup("stream", "group", "a")

    assert await adapter.xgroup_destroy("stream", "group") is True
    assert await adapter.xgroup_destroy("stream", "group") is False
    assert await adapter.xgroup_destroy("missing", "group") is False
    assert await adapter.xgroup_create("stream", "group") is True
    assert _ids(await adapter.xreadgroup("stream", "group", "a")) == filled


@pytest.mark.clause("STR-16")
async def test_when_readers_crash_every_entry_is_delivered_and_in_the_end_none_is_pending(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    ids = await _fill(adapter, 100)
    await adapter.xgroup_create("stream", "group")
    done: set[str] = set()

    for turn in range(60):
        consumer = f"consumer-{turn}"
        entries = await adapter.xautoclaim("stream", "group", consumer, 10, count=3)
        entries += await adapter.xreadgroup("stream", "group", consumer, count=5)
        for entry in entries[: len(entries) - turn % 3]:  # some crash before they are through
            assert await adapter.xack("stream", "group", [entry.id]) == 1
            done.add(entry.id)
        clock.advance(11)

    assert done == set(ids)
    assert await adapter.xpending("stream", "group") == []


@pytest.mark.clause("STR-8", "STR-10")
@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.3, 0.7, 1.1, 60])
async def test_what_has_been_idle_for_just_long_enough_is_listed_and_claimed(
    adapter: MemoryAdapter, clock: ManualClock, seconds: float
) -> None:
    await adapter.xgroup_create("stream", "group")
    added = await adapter.xadd("stream", {"a": b"1"})
    await adapter.xreadgroup("stream", "group", "first")
    clock.advance(seconds)

    listed = await adapter.xpending("stream", "group", min_idle=seconds)
    claimed = await adapter.xautoclaim("stream", "group", "second", seconds)

    assert [entry.id for entry in listed] == [entry.id for entry in claimed] == [added]
