"""`store.streams` and its groups, above the contract."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from igniter_store import (
    ErrorCode,
    GroupInfo,
    PendingMessage,
    Store,
    StoreClosed,
    StoreError,
    StreamMessage,
)
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter
    from igniter_store.contract import ManualClock
    from igniter_store.namespaces.groups import ConsumerGroup


class Job(msgspec.Struct):
    n: int


@pytest.fixture
def group(igniter_store: Store[str]) -> ConsumerGroup:
    return igniter_store.streams.group("g", "c1")


def messages(found: list[StreamMessage[Any]]) -> list[Any]:
    return [message.message for message in found]


async def fill(store: Store[str], number: int = 3) -> list[str]:
    return [await store.streams.append("s", {"n": n}) for n in range(number)]


@pytest.mark.clause("STR-1")
async def test_ids_grow_although_the_clock_stands_still(igniter_store: Store[str]) -> None:
    ids = await fill(igniter_store, 20)

    assert ids == sorted(ids, key=lambda text: [int(part) for part in text.split("-")])
    assert len(set(ids)) == 20


@pytest.mark.clause("STR-2")
async def test_range_includes_bounds_in_both_directions(igniter_store: Store[str]) -> None:
    first, second, third = await fill(igniter_store)
    streams = igniter_store.streams

    assert messages(await streams.range("s")) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert messages(await streams.range("s", start=second)) == [{"n": 1}, {"n": 2}]
    assert messages(await streams.range("s", start=f"({first}", end=f"({third}")) == [{"n": 1}]
    assert messages(await streams.range("s", reverse=True)) == [{"n": 2}, {"n": 1}, {"n": 0}]
    assert messages(await streams.range("s", start=first, end=second, reverse=True)) == [
        {"n": 1},
        {"n": 0},
    ]


@pytest.mark.parametrize(
    ("reverse", "kept"), [(False, [{"n": 0}, {"n": 1}]), (True, [{"n": 2}, {"n": 1}])]
)
async def test_a_count_counts_from_where_the_range_begins(
    *, reverse: bool, kept: list[Any], igniter_store: Store[str]
) -> None:
    await fill(igniter_store)

    assert messages(await igniter_store.streams.range("s", count=2, reverse=reverse)) == kept


async def test_zero_count_returns_nothing_without_backend_call(
    igniter_store: Store[str], group: ConsumerGroup, igniter_recorder: RecordingAdapter
) -> None:
    assert await igniter_store.streams.range("s", count=0) == []
    assert await group.read("s", count=0) == []
    assert await group.claim("s", min_idle=0, count=0) == []
    assert igniter_recorder.calls == []


async def test_messages_come_as_their_type(igniter_store: Store[str], group: ConsumerGroup) -> None:
    await group.ensure("s")
    await fill(igniter_store, 1)

    assert messages(await igniter_store.streams.range("s", type=Job)) == [Job(0)]
    assert messages(await group.read("s", type=Job)) == [Job(0)]
    assert messages(await group.claim("s", min_idle=0, type=Job)) == [Job(0)]


async def test_a_stream_that_is_not_there_is_empty(igniter_store: Store[str]) -> None:
    assert await igniter_store.streams.range("s") == []
    assert await igniter_store.streams.length("s") == 0
    assert await igniter_store.streams.trim("s", 5) == 0
    assert await igniter_store.streams.remove("s", ["1-1"]) == 0
    assert await igniter_store.streams.groups("s") == []


@pytest.mark.clause("STR-3")
async def test_an_exact_length_keeps_exactly_the_newest(igniter_store: Store[str]) -> None:
    for n in range(5):
        await igniter_store.streams.append("s", n, max_len=2, approximate=False)

    assert messages(await igniter_store.streams.range("s")) == [3, 4]


@pytest.mark.clause("STR-14")
async def test_trimming_and_removing_say_how_many(igniter_store: Store[str]) -> None:
    ids = await fill(igniter_store, 5)

    assert await igniter_store.streams.remove("s", [ids[4], ids[4], "1-1"]) == 1
    assert await igniter_store.streams.trim("s", 1, approximate=False) == 3
    assert await igniter_store.streams.length("s") == 1


@pytest.mark.clause("STR-4")
async def test_ensuring_a_group_again_changes_nothing(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    await fill(igniter_store)
    await group.read("s", count=2)

    await group.ensure("s", start="0")

    assert messages(await group.read("s")) == [{"n": 2}]
    assert len(await group.pending("s")) == 3


@pytest.mark.clause("STR-5")
async def test_group_starts_at_given_id(igniter_store: Store[str]) -> None:
    first, _, _ = await fill(igniter_store)
    for name, start in (("all", "0"), ("after", first), ("new", "$")):
        await igniter_store.streams.group(name, "c").ensure("s", start=start)

    got = [
        messages(await igniter_store.streams.group(name, "c").read("s"))
        for name in ("all", "after", "new")
    ]

    assert [len(found) for found in got] == [3, 2, 0]


@pytest.mark.clause("STR-6")
async def test_consumers_share_messages_but_groups_do_not(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    other = igniter_store.streams.group("g", "c2")
    another = igniter_store.streams.group("h", "c1")
    await group.ensure("s")
    await another.ensure("s")
    await fill(igniter_store)

    shared = [
        messages(await group.read("s", count=1)),
        messages(await other.read("s")),
        messages(await group.read("s")),
    ]

    assert shared == [[{"n": 0}], [{"n": 1}, {"n": 2}], []]
    assert len(await another.read("s")) == 3


@pytest.mark.clause("STR-7")
async def test_blocked_reader_receives_new_message(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    reading = asyncio.ensure_future(group.read("s", block=timedelta(minutes=1)))
    await asyncio.sleep(0)

    await igniter_store.streams.append("s", {"n": 7})

    async with asyncio.timeout(5):
        assert messages(await reading) == [{"n": 7}]


@pytest.mark.clause("STR-7")
async def test_a_blocked_reader_gives_up_after_its_time(
    group: ConsumerGroup, igniter_clock: ManualClock
) -> None:
    await group.ensure("s")
    reading = asyncio.ensure_future(group.read("s", block=60))
    await asyncio.sleep(0)

    igniter_clock.advance(60)

    async with asyncio.timeout(5):
        assert await reading == []


@pytest.mark.parametrize("block", [None, 0, 0.0, timedelta(0)], ids=repr)
async def test_non_blocking_read_returns_at_once(block: Any, group: ConsumerGroup) -> None:
    await group.ensure("s")

    async with asyncio.timeout(5):
        assert await group.read("s", block=block) == []


@pytest.mark.clause("LIF-5")
async def test_closing_the_store_wakes_a_blocked_reader(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    reading = asyncio.ensure_future(group.read("s", block=60))
    await asyncio.sleep(0)

    await igniter_store.close()

    with pytest.raises(StoreError) as caught:
        await reading
    assert caught.value.code == ErrorCode.STORE_CLOSED


@pytest.mark.clause("STR-8")
async def test_read_message_is_pending_until_acknowledged(
    igniter_store: Store[str], group: ConsumerGroup, igniter_clock: ManualClock
) -> None:
    await group.ensure("s")
    first, second = await fill(igniter_store, 2)
    await group.read("s")
    igniter_clock.advance(5)

    acknowledged = await group.ack("s", [first])

    assert acknowledged == 1
    assert await group.pending("s") == [PendingMessage(second, "c1", 5.0, 1)]


@pytest.mark.clause("STR-9")
async def test_ack_counts_pending_entries_of_any_consumer(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    first, second = await fill(igniter_store, 2)
    await group.read("s")
    other = igniter_store.streams.group("g", "c2")

    answers = [
        await other.ack("s", [first, first, "1-1"]),
        await group.ack("s", (second,)),
        await group.ack("s", [second]),
    ]

    assert answers == [1, 1, 0]
    assert await group.ack("s", []) == 0
    assert await igniter_store.streams.group("missing", "c").ack("s", [first]) == 0


@pytest.mark.clause("STR-18")
async def test_history_gives_a_consumer_its_own_again(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    await fill(igniter_store, 2)
    await group.read("s", count=1)
    await igniter_store.streams.group("g", "c2").read("s")

    assert messages(await group.read("s", history=True)) == [{"n": 0}]
    assert [pending.deliveries for pending in await group.pending("s")] == [2, 1]


@pytest.mark.clause("STR-10")
async def test_claim_takes_only_entries_idle_long_enough(
    igniter_store: Store[str], group: ConsumerGroup, igniter_clock: ManualClock
) -> None:
    await group.ensure("s")
    await fill(igniter_store, 2)
    await group.read("s", count=1)
    igniter_clock.advance(60)
    await group.read("s", count=1)
    other = igniter_store.streams.group("g", "c2")

    claimed = await other.claim("s", min_idle=timedelta(minutes=1))

    assert messages(claimed) == [{"n": 0}]
    assert [(pending.consumer, pending.deliveries) for pending in await group.pending("s")] == [
        ("c2", 2),
        ("c1", 1),
    ]


@pytest.mark.clause("STR-13")
@pytest.mark.parametrize("operation", ["read", "pending", "claim"])
async def test_missing_group_raises_error(operation: str, igniter_store: Store[str]) -> None:
    await fill(igniter_store, 1)
    group: Any = igniter_store.streams.group("missing", "c")

    with pytest.raises(StoreError) as caught:
        await (
            group.claim("s", min_idle=0) if operation == "claim" else getattr(group, operation)("s")
        )

    assert (caught.value.code, caught.value.status) == (ErrorCode.STORE_STREAM_GROUP_MISSING, 404)


@pytest.mark.clause("STR-19")
async def test_groups_are_listed_with_pending_and_lag(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    first, _, _ = await fill(igniter_store)
    await group.read("s", count=1)

    assert await igniter_store.streams.groups("s") == [GroupInfo("g", 1, 1, first, 2)]


async def test_a_group_knows_its_name_and_its_consumer(group: ConsumerGroup) -> None:
    assert (group.name, group.consumer) == ("g", "c1")


async def test_a_none_is_a_message(igniter_store: Store[str]) -> None:
    await igniter_store.streams.append("s", None)

    assert messages(await igniter_store.streams.range("s")) == [None]


async def test_close_ends_blocked_reads_over_open_adapter() -> None:
    adapter = MemoryAdapter()
    await adapter.open()
    closing, staying = (
        Store.create().with_adapter(adapter).with_service("test").build() for _ in range(2)
    )
    group = closing.streams.group("g", "c")
    await group.ensure("s")
    reading = asyncio.create_task(group.read("s", block=3_600))
    await asyncio.sleep(0.01)

    await closing.close()

    async with asyncio.timeout(5):
        with pytest.raises(StoreClosed):
            await reading
    await staying.streams.append("s", "for the other store")
    assert await staying.streams.group("g", "other").pending("s") == []
    assert len(await staying.streams.group("g", "other").read("s")) == 1
    await staying.close()
    await adapter.close()


async def test_closing_a_store_ends_its_blocked_reads(igniter_store: Store[str]) -> None:
    group = igniter_store.streams.group("g", "c")
    await group.ensure("s")
    reading = asyncio.create_task(group.read("s", block=3_600))
    await asyncio.sleep(0.01)

    await igniter_store.close()

    async with asyncio.timeout(5):
        with pytest.raises(StoreClosed):
            await reading


async def test_caller_timeout_of_blocked_read_stays_timeout_error(
    igniter_store: Store[str],
) -> None:
    group = igniter_store.streams.group("g", "c")
    await group.ensure("s")

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await group.read("s", block=3_600)

    assert not StoreError.is_store_error(caught.value)


async def test_drop_removes_stream_with_its_groups(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    await fill(igniter_store, 3)
    await group.read("s")

    assert await igniter_store.streams.drop("s") is True
    assert await igniter_store.streams.drop("s") is False
    assert await igniter_store.streams.range("s") == []
    assert await igniter_store.streams.groups("s") == []
    with pytest.raises(StoreError) as caught:
        await group.read("s")
    assert caught.value.code == ErrorCode.STORE_STREAM_GROUP_MISSING


async def test_drop_leaves_neighbours(igniter_store: Store[str]) -> None:
    await igniter_store.streams.append("s", 1)
    await igniter_store.streams.append("s2", 1)
    await igniter_store.scope("org", 1).streams.append("s", 1)
    await igniter_store.kv.set("s", 1)

    assert await igniter_store.streams.drop("s") is True

    assert await igniter_store.streams.length("s2") == 1
    assert await igniter_store.scope("org", 1).streams.length("s") == 1
    assert await igniter_store.kv.get("s") == 1


async def test_destroy_removes_this_group_only(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    other = igniter_store.streams.group("g2", "c")
    await group.ensure("s")
    await other.ensure("s")
    await fill(igniter_store, 2)
    await group.read("s")
    await other.read("s", count=1)

    assert await group.destroy("s") is True
    assert await group.destroy("s") is False
    assert await group.destroy("missing") is False
    assert [info.name for info in await igniter_store.streams.groups("s")] == ["g2"]
    assert len(await other.pending("s")) == 1
    await group.ensure("s")
    assert messages(await group.read("s")) == [{"n": 0}, {"n": 1}]


@pytest.mark.clause("STR-13")
@pytest.mark.parametrize("how", ["drop", "destroy"])
async def test_removal_wakes_blocked_reader(
    how: str, igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    reading = asyncio.create_task(group.read("s", block=3_600))
    await asyncio.sleep(0.01)

    await (igniter_store.streams.drop("s") if how == "drop" else group.destroy("s"))

    async with asyncio.timeout(30):
        with pytest.raises(StoreError) as caught:
            await reading
    assert caught.value.code == ErrorCode.STORE_STREAM_GROUP_MISSING


@pytest.mark.clause("STR-25")
async def test_pending_is_narrowed(
    igniter_store: Store[str], group: ConsumerGroup, igniter_clock: ManualClock
) -> None:
    other = igniter_store.streams.group("g", "c2")
    await group.ensure("s")
    ids = await fill(igniter_store, 6)
    await group.read("s", count=2)
    igniter_clock.advance(60)
    await other.read("s", count=2)
    await group.read("s")

    async def listed(**narrowed: Any) -> list[str]:
        return [message.id for message in await other.pending("s", **narrowed)]

    assert await listed() == ids
    assert await listed(count=3) == ids[:3]
    assert await listed(count=0) == []
    assert await listed(consumer="c2") == ids[2:4]
    assert await listed(consumer="c1", count=3) == [ids[0], ids[1], ids[4]]
    assert await listed(consumer="missing") == []
    assert await listed(min_idle=60) == ids[:2]
    assert await listed(min_idle=timedelta(minutes=1), consumer="c2") == []
    assert await listed(min_idle=0, count=10_000) == ids


@pytest.mark.clause("STR-25")
async def test_pending_lists_more_than_a_page(
    igniter_store: Store[str], group: ConsumerGroup
) -> None:
    await group.ensure("s")
    ids = await fill(igniter_store, 1_203)
    await group.read("s")

    assert [message.id for message in await group.pending("s")] == ids
    assert [message.id for message in await group.pending("s", count=1_100)] == ids[:1_100]
    assert [message.id for message in await group.pending("s", consumer="c1", min_idle=0)] == ids
