"""Consequences of the contract that the kit doesn't check.

Once the kit checks one of them, its test here can be removed.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import TOKEN_LIFETIME, BackendFailed, Entry, ManualClock, StoreClosed
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WITH_NOTHING_RIGHT: dict[str, Callable[[MemoryAdapter], Awaitable[Any]]] = {
    "scan": lambda a: a.scan("*", cursor="nowhere"),
    "xack": lambda a: a.xack("stream", "group", ["nonsense"]),
    "xdel": lambda a: a.xdel("stream", ["nonsense"]),
    "xrange": lambda a: a.xrange("stream", "nonsense"),
    "xgroup_create": lambda a: a.xgroup_create("stream", "group", "nonsense"),
    "delete": lambda a: a.delete([]),
    "mget": lambda a: a.mget([]),
    "mset": lambda a: a.mset([]),
}


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.clause("LIF-1")
async def test_is_open_reports_the_state() -> None:
    adapter = MemoryAdapter()
    states = [adapter.is_open]
    for change in (adapter.open, adapter.open, adapter.close, adapter.close, adapter.open):
        await change()
        states.append(adapter.is_open)

    assert states == [False, True, True, False, False, True]


@pytest.mark.clause("LIF-2")
@pytest.mark.parametrize("operation", WITH_NOTHING_RIGHT.values(), ids=WITH_NOTHING_RIGHT.keys())
async def test_closed_adapter_raises_before_it_checks_arguments(
    operation: Callable[[MemoryAdapter], Awaitable[Any]],
) -> None:
    adapter = MemoryAdapter()
    await adapter.close()

    with pytest.raises(StoreClosed):
        await operation(adapter)


@pytest.mark.clause("LIF-5", "PUB-5")
async def test_reopening_does_not_restore_closed_subscriptions(
    adapter: MemoryAdapter,
) -> None:
    heard: list[bytes] = []
    await adapter.subscribe("channel", lambda _channel, payload: heard.append(payload))
    await adapter.psubscribe("*", lambda _channel, payload: heard.append(payload))

    await adapter.close()
    await adapter.open()

    assert await adapter.publish("channel", b"1") == 0
    assert heard == []


@pytest.mark.clause("KV-5")
async def test_an_empty_value_counts_as_present(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"")

    assert not await adapter.set("a", b"1", only_if="absent")
    assert await adapter.set("a", b"2", only_if="present")


@pytest.mark.clause("CLM-1")
async def test_empty_owner_holds_its_claim(adapter: MemoryAdapter) -> None:
    assert await adapter.set_nx("a", b"")

    assert not await adapter.set_nx("a", b"me")
    assert await adapter.acquire("a", b"me", 8, token_key="token") is None


@pytest.mark.clause("KV-13")
async def test_changing_an_argument_leaves_stored_data_unchanged(
    adapter: MemoryAdapter,
) -> None:
    # Callers promise `bytes`. A caller that breaks the promise must not be able to change the
    # stored value later, without a call.
    mine: list[bytearray] = [bytearray(b"1") for _ in range(3)]
    await adapter.set_nx("claim", mine[0])  # type: ignore[arg-type]  # a bytearray, on purpose
    # a bytearray, on purpose
    await adapter.acquire("lease", mine[1], 8, token_key="token")  # type: ignore[arg-type]
    # a bytearray, on purpose
    await adapter.xadd("stream", {"f": mine[2]})  # type: ignore[dict-item]
    for value in mine:
        value[:] = b"changed"

    assert await adapter.mget(["claim", "lease"]) == [b"1", b"1"]
    assert [entry.fields for entry in await adapter.xrange("stream")] == [{"f": b"1"}]


@pytest.mark.clause("KV-13")
async def test_changing_a_result_leaves_stored_data_unchanged(
    adapter: MemoryAdapter,
) -> None:
    await adapter.xadd("s", {"f": b"1"})
    await adapter.xgroup_create("s", "g")
    (await adapter.scan("*")).keys.clear()
    for entries in (
        await adapter.xreadgroup("s", "g", "c"),
        await adapter.xreadgroup("s", "g", "c", history=True),
        await adapter.xautoclaim("s", "g", "d", 0),
    ):
        entries[0].fields["f"] = b"changed"

    assert (await adapter.scan("*")).keys == ["s"]
    assert [entry.fields for entry in await adapter.xrange("s")] == [{"f": b"1"}]


@pytest.mark.clause("KV-4", "KV-14")
async def test_overwriting_a_stream_clears_its_ttl(adapter: MemoryAdapter) -> None:
    for key in ("set", "mset"):
        await adapter.xadd(key, {"f": b"1"})
        await adapter.expire(key, 8)

    await adapter.set("set", b"1")
    await adapter.mset([Entry("mset", b"1")])

    assert [await adapter.ttl(key) for key in ("set", "mset")] == [math.inf] * 2


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize(("stored", "delta"), [(1, 2**63 - 1), (-1, -(2**63))])
async def test_increment_that_leaves_the_range_changes_nothing(
    adapter: MemoryAdapter, stored: int, delta: int
) -> None:
    """The delta is in the 64-bit range, but the sum isn't."""
    await adapter.set("a", b"%d" % stored, ttl=8)

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", delta, ttl=100)
    assert await adapter.get("a") == b"%d" % stored
    assert await adapter.ttl("a") == 8


@pytest.mark.clause("CTR-3")
@pytest.mark.parametrize(("stored", "delta"), [(2**63 - 1, -(2**63)), (-(2**63), 2**63 - 1)])
async def test_increment_may_cross_the_whole_range(
    adapter: MemoryAdapter, stored: int, delta: int
) -> None:
    await adapter.set("a", b"%d" % stored)

    assert await adapter.increment("a", delta) == -1


@pytest.mark.clause("CTR-4")
@pytest.mark.parametrize("text", [b"\n1", b"-01", b"--1", b"1\x00", b"\xff"])
async def test_increment_refuses_non_integer_and_keeps_it(
    adapter: MemoryAdapter, text: bytes
) -> None:
    await adapter.set("a", text)

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", 0)
    assert await adapter.get("a") == text


@pytest.mark.clause("CTR-4")
async def test_increment_refuses_a_stored_value_above_the_range(
    adapter: MemoryAdapter,
) -> None:
    """This holds even if the sum would be in the range."""
    await adapter.set("a", b"9223372036854775808")

    with pytest.raises(BackendFailed, match="STORE_INCREMENT_FAILED"):
        await adapter.increment("a", -1)
    assert await adapter.get("a") == b"9223372036854775808"


@pytest.mark.clause("CLM-3", "CLM-4")
async def test_compare_operations_refuse_a_stream(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"me"})

    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.compare_delete("a", b"me")
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.compare_expire("a", b"me", 8)
    assert await adapter.xlen("a") == 1
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("CLM-5", "CLM-8")
async def test_refused_acquire_leaves_the_token_unchanged(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """It neither counts a token nor renews the TTL of the token's key."""
    await adapter.acquire("a", b"me", 100, token_key="token")
    counted = await adapter.get("token")
    clock.advance(8)

    assert await adapter.acquire("a", b"you", 8, token_key="token") is None
    assert await adapter.get("token") == counted
    assert await adapter.ttl("token") == TOKEN_LIFETIME - 8


@pytest.mark.clause("STR-5")
async def test_group_starts_after_milliseconds_or_a_future_id(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """A start ID may lack its sequence number, and may be greater than every ID so far."""
    ids = [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(3)]
    milliseconds = int(ids[0].partition("-")[0])
    await adapter.xgroup_create("stream", "millisecond", f"{milliseconds}")
    await adapter.xgroup_create("stream", "to come", f"{milliseconds + 500}-1")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "to come", "c", block=60))
    await settle()

    clock.advance(0.5)
    early = [await adapter.xadd("stream", {"data": b"early"}) for _ in range(2)]
    await settle()
    assert not reading.done()
    later = await adapter.xadd("stream", {"data": b"later"})

    assert [entry.id for entry in await reading] == [later]
    assert [entry.id for entry in await adapter.xreadgroup("stream", "millisecond", "c")] == [
        *ids[1:],
        *early,
        later,
    ]


@pytest.mark.clause("STR-6", "STR-7")
async def test_entry_added_as_read_ends_stays_undelivered(
    adapter: MemoryAdapter, clock: ManualClock
) -> None:
    """The next read of the group gets it."""
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "late", block=5))
    await settle()

    clock.advance(5)
    added = await adapter.xadd("stream", {"data": b"1"})

    assert await reading == []
    assert [entry.id for entry in await adapter.xreadgroup("stream", "group", "other")] == [added]


@pytest.mark.clause("STR-12", "STR-18")
async def test_history_leaves_deleted_entries_pending(adapter: MemoryAdapter) -> None:
    ids = [await adapter.xadd("stream", {"data": b"%d" % number}) for number in range(3)]
    await adapter.xgroup_create("stream", "group")
    await adapter.xreadgroup("stream", "group", "a")
    await adapter.xdel("stream", [ids[1]])

    await adapter.xreadgroup("stream", "group", "a", history=True)

    assert [
        (entry.id, entry.deliveries) for entry in await adapter.xpending("stream", "group")
    ] == [(ids[0], 2), (ids[1], 1), (ids[2], 2)]
