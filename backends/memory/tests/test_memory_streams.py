"""Streams without groups: clauses STR-1 to STR-3, STR-14, STR-15, STR-17."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, ErrorCode, StreamEntry
from igniter_store.contract.stream_ids import parse
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock

EVERY_BYTE = bytes(range(256))


async def _fill(adapter: MemoryAdapter, clock: ManualClock, count: int) -> list[str]:
    ids: list[str] = []
    for number in range(count):
        ids.append(await adapter.xadd("stream", {"data": b"%d" % number}))
        if number % 3 == 2:
            clock.advance(0.001)
    return ids


@pytest.mark.clause("STR-1")
async def test_ids_grow_strictly_within_one_millisecond_and_over_many(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 1_000)

    parsed = [parse(text) for text in ids]
    assert None not in parsed
    assert parsed == sorted(set(parsed), key=lambda pair: pair or (0, 0))


@pytest.mark.clause("STR-1")
async def test_an_id_begins_with_the_clocks_milliseconds(adapter: MemoryAdapter, clock: ManualClock) -> None:
    clock.now = 1_700_000_123.456

    first, second = await adapter.xadd("stream", {"data": b"1"}), await adapter.xadd("stream", {"data": b"2"})

    assert (first, second) == ("1700000123456-0", "1700000123456-1")


@pytest.mark.clause("STR-1")
async def test_ids_grow_when_the_clock_goes_back() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    before = await adapter.xadd("stream", {"data": b"1"})

    times[0] = 1_000.0

    assert before == "2000000-0"
    assert await adapter.xadd("stream", {"data": b"2"}) == "2000000-1"


@pytest.mark.clause("STR-1", "STR-14")
async def test_ids_grow_after_every_entry_was_deleted_or_trimmed() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    await adapter.xadd("stream", {"data": b"1"})
    last = await adapter.xadd("stream", {"data": b"2"})
    await adapter.xdel("stream", [last])
    await adapter.xtrim("stream", 0, approximate=False)

    times[0] = 1_000.0

    assert await adapter.xadd("stream", {"data": b"3"}) == "2000000-2"


@pytest.mark.clause("STR-1")
async def test_a_deleted_stream_starts_anew() -> None:
    times = [2_000.0]
    adapter = MemoryAdapter(clock=lambda: times[0])
    await adapter.xadd("stream", {"data": b"1"})
    await adapter.delete(["stream"])

    times[0] = 1_000.0

    assert await adapter.xadd("stream", {"data": b"2"}) == "1000000-0"


@pytest.mark.clause("STR-2")
async def test_a_range_includes_both_ends_in_order(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 20)

    assert [entry.id for entry in await adapter.xrange("stream", ids[3], ids[11])] == ids[3:12]
    assert [entry.id for entry in await adapter.xrange("stream")] == ids


@pytest.mark.clause("STR-2")
async def test_a_bound_may_be_exclusive(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 10)

    assert [entry.id for entry in await adapter.xrange("stream", f"({ids[2]}", ids[7])] == ids[3:8]
    assert [entry.id for entry in await adapter.xrange("stream", ids[2], f"({ids[7]}")] == ids[2:7]
    assert await adapter.xrange("stream", f"({ids[2]}", f"({ids[3]}") == []


@pytest.mark.clause("STR-2")
async def test_milliseconds_alone_mean_their_first_and_their_last_entry(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 9)
    milliseconds = ids[4].partition("-")[0]

    assert [entry.id for entry in await adapter.xrange("stream", milliseconds, milliseconds)] == ids[3:6]
    assert [entry.id for entry in await adapter.xrange("stream", f"({milliseconds}", "+")] == ids[4:]


@pytest.mark.clause("STR-2")
async def test_count_limits_from_the_beginning_and_in_reverse_from_the_end(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 10)

    assert [entry.id for entry in await adapter.xrange("stream", ids[2], count=3)] == ids[2:5]
    assert [entry.id for entry in await adapter.xrevrange("stream", ids[7], count=3)] == [ids[7], ids[6], ids[5]]


@pytest.mark.clause("STR-2")
async def test_the_reverse_is_the_mirror(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 12)

    for start, end in ((ids[1], ids[9]), ("-", "+"), (f"({ids[0]}", "+"), (ids[5], ids[5]), (ids[6], ids[2])):
        assert await adapter.xrevrange("stream", end, start) == (await adapter.xrange("stream", start, end))[::-1]


@pytest.mark.clause("STR-2")
async def test_a_missing_stream_and_ends_in_the_wrong_order_give_nothing(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 3)

    assert await adapter.xrange("missing") == []
    assert await adapter.xrevrange("missing") == []
    assert await adapter.xrange("stream", ids[2], ids[0]) == []
    assert await adapter.xrange("stream", "+", "-") == []
    assert not await adapter.exists("missing")


@pytest.mark.clause("STR-2")
@pytest.mark.parametrize(
    "bound", ["", "x", "1-", "-1", "1-2-3", "(", "(-", "1.5", "18446744073709551616", "1-18446744073709551616", " 1", "\u0661"]
)
async def test_a_malformed_bound_is_refused(adapter: MemoryAdapter, bound: str) -> None:
    for call in (adapter.xrange("stream", bound), adapter.xrange("stream", "-", bound), adapter.xrevrange("stream", bound)):
        with pytest.raises(BackendFailed) as caught:
            await call
        assert caught.value.code == ErrorCode.STORE_STREAM_READ_FAILED


@pytest.mark.clause("STR-3")
@pytest.mark.parametrize("max_len", [0, 1, 7, 20, 21])
async def test_exact_trimming_keeps_exactly_the_newest(adapter: MemoryAdapter, clock: ManualClock, max_len: int) -> None:
    ids = await _fill(adapter, clock, 20)

    removed = await adapter.xtrim("stream", max_len, approximate=False)

    assert removed == max(20 - max_len, 0)
    assert [entry.id for entry in await adapter.xrange("stream")] == ids[max(20 - max_len, 0) :]
    assert await adapter.exists("stream")


@pytest.mark.clause("STR-3")
async def test_appending_with_an_exact_length_counts_the_new_entry(adapter: MemoryAdapter) -> None:
    for number in range(10):
        await adapter.xadd("stream", {"data": b"%d" % number}, max_len=3, approximate=False)

    assert [entry.fields["data"] for entry in await adapter.xrange("stream")] == [b"7", b"8", b"9"]


@pytest.mark.clause("STR-3")
@pytest.mark.parametrize(("added", "kept"), [(99, 99), (109, 109), (110, 10), (250, 50)])
async def test_approximate_trimming_removes_whole_nodes_as_redis_does(adapter: MemoryAdapter, added: int, kept: int) -> None:
    for number in range(added):
        await adapter.xadd("stream", {"data": b"%d" % number}, max_len=10)

    assert [entry.fields["data"] for entry in await adapter.xrange("stream")] == [b"%d" % number for number in range(added - kept, added)]


@pytest.mark.clause("STR-14")
async def test_counts_are_what_they_say(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 6)

    assert await adapter.xlen("stream") == 6
    assert await adapter.xdel("stream", [ids[1], ids[4], ids[1], "1-1"]) == 2
    assert await adapter.xlen("stream") == 4
    assert [entry.id for entry in await adapter.xrange("stream")] == [ids[0], ids[2], ids[3], ids[5]]
    assert await adapter.xtrim("stream", 1, approximate=False) == 3
    assert (await adapter.xlen("missing"), await adapter.xtrim("missing", 0), await adapter.xdel("missing", ["1-1"])) == (0, 0, 0)


@pytest.mark.clause("STR-14")
async def test_one_malformed_id_deletes_none(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 2)

    with pytest.raises(BackendFailed) as caught:
        await adapter.xdel("stream", [ids[0], "nonsense"])

    assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
    assert await adapter.xlen("stream") == 2


@pytest.mark.clause("STR-14")
async def test_a_stream_without_entries_still_knows_its_groups(adapter: MemoryAdapter, clock: ManualClock) -> None:
    ids = await _fill(adapter, clock, 2)
    await adapter.xgroup_create("stream", "group", "$")

    await adapter.xdel("stream", ids)

    assert await adapter.xlen("stream") == 0
    assert [(group.name, group.last_delivered_id) for group in await adapter.xgroups("stream")] == [("group", ids[1])]


@pytest.mark.clause("STR-15")
@pytest.mark.parametrize("payload", [b"", EVERY_BYTE, EVERY_BYTE * 4096], ids=["empty", "every byte", "1 MiB"])
async def test_payloads_are_exact(adapter: MemoryAdapter, payload: bytes) -> None:
    added = await adapter.xadd("stream", {"data": payload})

    assert await adapter.xrange("stream") == [StreamEntry(added, {"data": payload})]


@pytest.mark.clause("STR-15")
async def test_without_a_count_everything_is_read(adapter: MemoryAdapter) -> None:
    for number in range(5_000):
        await adapter.xadd("stream", {"data": b"%d" % number})
    await adapter.xgroup_create("stream", "group")

    assert len(await adapter.xrange("stream")) == 5_000
    assert len(await adapter.xreadgroup("stream", "group", "consumer")) == 5_000
    assert len(await adapter.xpending("stream", "group")) == 5_000
    assert len(await adapter.xautoclaim("stream", "group", "other", 0)) == 5_000


@pytest.mark.clause("STR-17")
async def test_fields_of_others_are_readable_in_their_order(adapter: MemoryAdapter) -> None:
    added = await adapter.xadd("stream", {"zebra": b"1", "ant": b"2", "Zebra": b"3", "": b"4"})

    (entry,) = await adapter.xrange("stream")

    assert entry.id == added
    assert list(entry.fields.items()) == [("zebra", b"1"), ("ant", b"2"), ("Zebra", b"3"), ("", b"4")]


@pytest.mark.clause("KV-13")
async def test_an_entry_is_the_streams_own(adapter: MemoryAdapter) -> None:
    given = {"data": b"1"}
    await adapter.xadd("stream", given)
    given["data"] = b"changed"
    (await adapter.xrange("stream"))[0].fields["data"] = b"changed"

    assert (await adapter.xrange("stream"))[0].fields == {"data": b"1"}


@pytest.mark.clause("KV-14")
async def test_a_value_is_no_stream(adapter: MemoryAdapter) -> None:
    await adapter.set("value", b"1")

    for call in (
        adapter.xadd("value", {"data": b"1"}),
        adapter.xlen("value"),
        adapter.xrange("value"),
        adapter.xgroup_create("value", "g"),
    ):
        with pytest.raises(BackendFailed) as caught:
            await call
        assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
    assert await adapter.get("value") == b"1"


async def test_appending_keeps_the_streams_ttl(adapter: MemoryAdapter) -> None:
    await adapter.xadd("stream", {"data": b"1"})
    await adapter.expire("stream", 10)

    await adapter.xadd("stream", {"data": b"2"})

    assert await adapter.ttl("stream") == pytest.approx(10)


async def test_many_appenders_lose_nothing(adapter: MemoryAdapter) -> None:
    async def append(worker: int) -> list[str]:
        ids: list[str] = []
        for number in range(50):
            ids.append(await adapter.xadd("stream", {"data": b"%d:%d" % (worker, number)}))
            await asyncio.sleep(0)
        return ids

    answers = await asyncio.gather(*(append(worker) for worker in range(20)))

    assert sorted(entry.id for entry in await adapter.xrange("stream")) == sorted(text for ids in answers for text in ids)
    assert await adapter.xlen("stream") == len({text for ids in answers for text in ids}) == 1_000
