"""Behaviour that the contract leaves to a backend, as this backend has chosen it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, GroupInfo, StreamEntry
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store.contract import ManualClock, Subscription


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.clause("LIF-8")
async def test_adapter_works_without_open() -> None:
    adapter = MemoryAdapter()
    heard: list[bytes] = []

    await adapter.subscribe("channel", lambda _channel, payload: heard.append(payload))
    await adapter.publish("channel", b"message")
    await adapter.set("key", b"value", ttl=60)
    added = await adapter.xadd("stream", {"data": b"1"})

    assert await adapter.ping() >= 0
    assert heard == [b"message"]
    assert await adapter.get("key") == b"value"
    assert [entry.id for entry in await adapter.xrange("stream")] == [added]


@pytest.mark.clause("CTR-4")
async def test_increment_error_hides_the_stored_value(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"hunter2")

    with pytest.raises(BackendFailed) as raised:
        await adapter.increment("a")
    assert "hunter2" not in f"{raised.value!r} {raised.value.details}"


@pytest.mark.clause("PUB-1", "PUB-4")
async def test_publish_delivers_before_it_returns_receiver_count(
    adapter: MemoryAdapter,
) -> None:
    heard: list[list[bytes]] = [[], [], []]
    subscriptions = [
        await adapter.subscribe("channel", lambda _channel, payload: heard[0].append(payload)),
        await adapter.subscribe("channel", lambda _channel, payload: heard[1].append(payload)),
        await adapter.psubscribe("chan*", lambda _channel, payload: heard[2].append(payload)),
    ]

    for number, subscription in enumerate(subscriptions):
        assert await adapter.publish("channel", b"%d" % number) == 3 - number
        assert [len(payloads) for payloads in heard] == [
            min(number, place) + 1 for place in range(3)
        ]
        await subscription.cancel()
    assert await adapter.publish("channel", b"last") == 0


@pytest.mark.clause("PUB-5")
async def test_subscription_cancelled_during_delivery_is_not_called(
    adapter: MemoryAdapter,
) -> None:
    heard: list[bytes] = []
    subscriptions: list[Subscription] = []

    def cancel_the_other(_channel: str, _payload: bytes) -> None:
        with pytest.raises(StopIteration):
            subscriptions[0].cancel().__await__().send(None)

    await adapter.subscribe("channel", cancel_the_other)
    subscriptions.append(
        await adapter.subscribe("channel", lambda _channel, payload: heard.append(payload))
    )

    await adapter.publish("channel", b"1")

    assert heard == []


@pytest.mark.clause("STR-3")
@pytest.mark.parametrize(("added", "kept"), [(99, 99), (109, 109), (110, 10), (250, 50)])
async def test_approximate_trimming_removes_whole_nodes_as_redis_does(
    adapter: MemoryAdapter, added: int, kept: int
) -> None:
    for number in range(added):
        await adapter.xadd("stream", {"data": b"%d" % number}, max_len=10)

    assert [entry.fields["data"] for entry in await adapter.xrange("stream")] == [
        b"%d" % number for number in range(added - kept, added)
    ]


@pytest.mark.clause("STR-19")
async def test_group_counts_lag_and_all_its_consumers(adapter: MemoryAdapter) -> None:
    """A consumer counts from its first read or claim, even if that returned no entry."""
    ids = [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(10)]
    await adapter.xgroup_create("stream", "group")
    await adapter.xgroup_create("stream", "another", "$")
    await adapter.xreadgroup("stream", "group", "a", count=3)
    await adapter.xreadgroup("stream", "group", "b", count=1)
    await adapter.xack("stream", "group", [ids[0]])
    await adapter.xdel("stream", [ids[1], ids[6]])
    await adapter.xreadgroup("stream", "group", "c", history=True)
    await adapter.xautoclaim("stream", "group", "d", 60)

    assert await adapter.xgroups("stream") == [
        GroupInfo(name="another", consumers=0, pending=0, last_delivered_id=ids[9], lag=0),
        GroupInfo(name="group", consumers=4, pending=2, last_delivered_id=ids[3], lag=5),
    ]


@pytest.mark.clause("STR-12")
async def test_claim_removes_deleted_entries_regardless_of_idle_time(
    adapter: MemoryAdapter,
) -> None:
    ids = [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(3)]
    await adapter.xgroup_create("stream", "group")
    await adapter.xreadgroup("stream", "group", "a")
    await adapter.xdel("stream", ids[:1])

    assert await adapter.xautoclaim("stream", "group", "heir", 60) == []

    assert [(entry.id, entry.consumer) for entry in await adapter.xpending("stream", "group")] == [
        (ids[1], "a"),
        (ids[2], "a"),
    ]


@pytest.mark.clause("STR-6", "STR-7")
async def test_first_of_several_blocked_readers_gets_the_entry(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """The other readers keep waiting."""
    await adapter.xgroup_create("stream", "group")
    readings: list[asyncio.Task[list[StreamEntry]]] = []
    for number in range(3):
        readings.append(
            asyncio.create_task(
                adapter.xreadgroup("stream", "group", f"consumer-{number}", block=60)
            )
        )
        await asyncio.sleep(0)

    first = await adapter.xadd("stream", {"data": b"1"})
    await settle()
    assert [reading.done() for reading in readings] == [True, False, False]
    second = await adapter.xadd("stream", {"data": b"2"})
    await settle()
    assert [reading.done() for reading in readings] == [True, True, False]
    clock.advance(60)

    assert [[entry.id for entry in await reading] for reading in readings] == [
        [first],
        [second],
        [],
    ]
