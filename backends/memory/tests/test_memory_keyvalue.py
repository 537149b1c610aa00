"""Values: exact bytes under exact keys, conditions, batches, and what their time to live does to them."""

from __future__ import annotations

import asyncio
import math

import pytest
from igniter_store.contract import BackendFailed, Entry, ManualClock
from igniter_store_memory import MemoryAdapter

EVERY_BYTE = bytes(range(256))


@pytest.mark.clause("KV-1")
async def test_a_missing_key_reads_as_none(adapter: MemoryAdapter) -> None:
    await adapter.set("ab", b"neighbour")

    assert await adapter.get("a") is None


@pytest.mark.clause("KV-1")
async def test_an_empty_value_is_not_a_missing_one(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"")

    assert await adapter.get("a") == b""
    assert await adapter.exists("a")
    assert await adapter.mget(["a"]) == [b""]
    assert await adapter.getdel("a") == b""


@pytest.mark.clause("KV-2")
@pytest.mark.parametrize("value", [b"\x00", b"\r\n", b"nil", b"\xff\xfe", EVERY_BYTE, EVERY_BYTE[::-1] * 257])
async def test_a_value_comes_back_byte_for_byte(adapter: MemoryAdapter, value: bytes) -> None:
    await adapter.set("a", value)

    assert await adapter.get("a") == value


@pytest.mark.clause("KV-2")
async def test_a_value_of_eight_mebibytes_comes_back(adapter: MemoryAdapter) -> None:
    value = EVERY_BYTE * (8 * 4_096)

    await adapter.set("a", value)

    assert await adapter.get("a") == value


@pytest.mark.clause("KV-3")
async def test_keys_that_only_look_alike_hold_their_own_values(adapter: MemoryAdapter, weird_names: list[str]) -> None:
    for place, name in enumerate(weird_names):
        await adapter.set(name, b"%d" % place)

    assert await adapter.mget(weird_names) == [b"%d" % place for place in range(len(weird_names))]


@pytest.mark.clause("KV-3")
async def test_deleting_a_key_with_glob_characters_takes_no_other(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry("a*", b"1"), Entry("ab", b"2"), Entry("a", b"3"), Entry("a**", b"4")])

    assert await adapter.delete(["a*"]) == 1
    assert await adapter.mget(["a*", "ab", "a", "a**"]) == [None, b"2", b"3", b"4"]


@pytest.mark.clause("KV-4")
async def test_set_replaces_the_value_each_time(adapter: MemoryAdapter) -> None:
    for value in (b"1", b"", b"3"):
        assert await adapter.set("a", value)

        assert await adapter.get("a") == value


@pytest.mark.clause("KV-4")
async def test_set_without_a_ttl_clears_the_old_one(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("a", b"1", ttl=1)
    await adapter.set("a", b"2")

    assert await adapter.ttl("a") == math.inf
    clock.advance(2)
    assert await adapter.get("a") == b"2"


@pytest.mark.clause("KV-4")
@pytest.mark.parametrize(("old", "new"), [(8.0, 2.0), (2.0, 8.0)])
async def test_set_with_a_ttl_replaces_the_old_one_be_it_shorter_or_longer(
    adapter: MemoryAdapter, clock: ManualClock, old: float, new: float
) -> None:
    await adapter.set("a", b"1", ttl=old)
    clock.advance(1)
    await adapter.set("a", b"2", ttl=new)

    clock.advance(new - 0.25)
    assert await adapter.get("a") == b"2"
    clock.advance(0.25)
    assert await adapter.get("a") is None


@pytest.mark.clause("KV-5")
async def test_set_if_absent_writes_once_and_then_changes_neither_value_nor_ttl(adapter: MemoryAdapter, clock: ManualClock) -> None:
    assert await adapter.set("a", b"1", ttl=8, only_if="absent")
    clock.advance(2)
    assert not await adapter.set("a", b"2", ttl=100, only_if="absent")

    assert await adapter.get("a") == b"1"
    assert await adapter.ttl("a") == 6


@pytest.mark.clause("KV-5")
async def test_set_if_present_makes_no_key(adapter: MemoryAdapter) -> None:
    assert not await adapter.set("a", b"1", ttl=8, only_if="present")

    assert not await adapter.exists("a")


@pytest.mark.clause("KV-5")
async def test_set_if_present_replaces_value_and_ttl(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1", ttl=8)

    assert await adapter.set("a", b"2", only_if="present")
    assert await adapter.get("a") == b"2"
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("KV-5")
async def test_an_empty_value_counts_as_present(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"")

    assert not await adapter.set("a", b"1", only_if="absent")
    assert await adapter.set("a", b"2", only_if="present")


@pytest.mark.clause("KV-5")
async def test_of_many_concurrent_set_if_absent_one_writes_and_its_value_stays(adapter: MemoryAdapter) -> None:
    wrote = await asyncio.gather(*(adapter.set("a", b"%d" % n, only_if="absent") for n in range(50)))

    assert wrote.count(True) == 1
    assert await adapter.get("a") == b"%d" % wrote.index(True)


@pytest.mark.clause("KV-6")
async def test_an_expired_key_is_gone_for_every_reader_in_the_same_moment(adapter: MemoryAdapter, clock: ManualClock) -> None:
    for key in "abcdefgh":
        await adapter.set(key, b"1", ttl=1)
    clock.advance(1)

    assert await adapter.get("a") is None
    assert not await adapter.exists("b")
    assert await adapter.mget(["c", "d"]) == [None, None]
    assert (await adapter.scan("*")).keys == []
    assert await adapter.ttl("e") is None
    assert not await adapter.expire("f", 8)
    assert not await adapter.persist("g")
    assert await adapter.getdel("h") is None


@pytest.mark.clause("KV-6")
async def test_an_expired_key_is_gone_for_every_writer_in_the_same_moment(adapter: MemoryAdapter, clock: ManualClock) -> None:
    for key in "abcdefg":
        await adapter.set(key, b"41", ttl=1)
    clock.advance(1)

    assert await adapter.set("a", b"2", only_if="absent")
    assert not await adapter.set("b", b"2", only_if="present")
    assert await adapter.increment("c") == 1
    assert await adapter.delete(["d"]) == 0
    assert await adapter.set_nx("e", b"me")
    assert await adapter.acquire("f", b"me", 8, token_key="token") is not None
    assert await adapter.delete_prefix("g") == 0


@pytest.mark.clause("KV-6")
async def test_a_name_is_new_after_its_key_expired(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("a", b"41", ttl=1)
    await adapter.set("b", b"text", ttl=1)
    clock.advance(1)

    await adapter.increment("a")
    await adapter.xadd("b", {"f": b"1"})
    assert await adapter.ttl("a") == math.inf
    assert await adapter.ttl("b") == math.inf


@pytest.mark.clause("KV-7")
@pytest.mark.parametrize("ttl", [0.05, 0.4, 1.5, 3_600.0, 10.0**10])
async def test_a_key_lives_to_the_end_of_its_ttl_and_no_longer(adapter: MemoryAdapter, clock: ManualClock, ttl: float) -> None:
    await adapter.set("a", b"1", ttl=ttl)

    clock.advance(ttl - 0.001)
    assert await adapter.get("a") == b"1"
    clock.advance(0.002)
    assert await adapter.get("a") is None


@pytest.mark.clause("KV-8")
@pytest.mark.parametrize(("old", "new"), [(None, 2.0), (8.0, 2.0), (2.0, 8.0)])
async def test_expire_gives_a_live_key_a_new_ttl_from_now(
    adapter: MemoryAdapter, clock: ManualClock, old: float | None, new: float
) -> None:
    await adapter.set("a", b"1", ttl=old)
    clock.advance(1)

    assert await adapter.expire("a", new)
    assert await adapter.ttl("a") == new
    clock.advance(new - 0.25)
    assert await adapter.exists("a")
    clock.advance(0.25)
    assert not await adapter.exists("a")


@pytest.mark.clause("KV-8")
async def test_expire_makes_no_key(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("expired", b"1", ttl=1)
    clock.advance(1)

    assert not await adapter.expire("missing", 8)
    assert not await adapter.expire("expired", 8)
    assert await adapter.mget(["missing", "expired"]) == [None, None]


@pytest.mark.clause("KV-9")
async def test_ttl_tells_remaining_time_no_ttl_and_no_key_apart(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("ending", b"1", ttl=1.5)
    await adapter.set("lasting", b"1")
    clock.advance(1.25)

    assert await adapter.ttl("ending") == 0.25
    assert await adapter.ttl("lasting") == math.inf
    assert await adapter.ttl("missing") is None


@pytest.mark.clause("KV-9")
async def test_ttl_is_never_zero_or_below_however_long_the_look_takes() -> None:
    now = 0.0

    def running() -> float:
        nonlocal now
        now += 0.25
        return now

    adapter = MemoryAdapter(clock=running)
    remaining: list[float | None] = []
    for quarters in range(1, 9):
        await adapter.set("a", b"1", ttl=quarters / 4)
        remaining.append(await adapter.ttl("a"))

    assert [left for left in remaining if left is not None and left <= 0] == []
    assert remaining[-1] is not None


@pytest.mark.clause("KV-9")
async def test_persist_removes_a_ttl_and_says_whether_there_was_one(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.set("a", b"1", ttl=1)

    assert await adapter.persist("a")
    assert not await adapter.persist("a")
    assert not await adapter.persist("missing")
    clock.advance(2)
    assert await adapter.get("a") == b"1"


@pytest.mark.clause("KV-10")
async def test_delete_counts_each_live_key_once(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.mset([Entry("a", b"1"), Entry("b", b""), Entry("c", b"3"), Entry("expired", b"4", 1)])
    await adapter.xadd("stream", {"f": b"1"})
    clock.advance(1)

    assert await adapter.delete(["b", "a", "a", "missing", "expired", "stream"]) == 3
    assert await adapter.mget(["a", "b", "c"]) == [None, None, b"3"]
    assert await adapter.delete(["a"]) == 0


@pytest.mark.clause("KV-10", "KV-12")
async def test_delete_with_no_keys_deletes_none(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1")

    assert await adapter.delete([]) == 0
    assert await adapter.exists("a")


@pytest.mark.clause("KV-10")
async def test_of_many_concurrent_getdel_one_gets_the_value(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"prize")

    got = await asyncio.gather(*(adapter.getdel("a") for _ in range(50)))

    assert sorted(got, key=str) == [None] * 49 + [b"prize"]
    assert not await adapter.exists("a")


@pytest.mark.clause("KV-10", "KV-4")
async def test_a_key_that_was_deleted_leaves_no_ttl_to_the_next(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1", ttl=1)
    await adapter.set("b", b"1", ttl=1)
    await adapter.getdel("a")
    await adapter.delete(["b"])
    await adapter.increment("a")
    await adapter.set_nx("b", b"me")

    assert await adapter.ttl("a") == math.inf
    assert await adapter.ttl("b") == math.inf


@pytest.mark.clause("KV-11")
async def test_mget_answers_in_the_order_asked_with_duplicates_and_gaps(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry("a", b"1"), Entry("b", b"2"), Entry("c", b"")])

    assert await adapter.mget(["c", "b", "missing", "a", "b", "missing"]) == [b"", b"2", None, b"1", b"2", None]


@pytest.mark.clause("KV-11")
async def test_mset_gives_each_entry_its_own_ttl_and_clears_old_ones(adapter: MemoryAdapter) -> None:
    await adapter.set("c", b"old", ttl=1)

    await adapter.mset([Entry("a", b"1", 2), Entry("b", b"2", 8), Entry("c", b"3")])

    assert [await adapter.ttl(key) for key in "abc"] == [2, 8, math.inf]
    assert await adapter.mget(["a", "b", "c"]) == [b"1", b"2", b"3"]


@pytest.mark.clause("KV-11")
async def test_of_two_entries_for_one_key_mset_keeps_the_last(adapter: MemoryAdapter) -> None:
    await adapter.mset([Entry("a", b"first", 1), Entry("b", b"other"), Entry("a", b"last")])

    assert await adapter.get("a") == b"last"
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("KV-12")
async def test_batches_of_nothing_do_nothing(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1")
    await adapter.mset([])

    assert await adapter.mget([]) == []
    assert (await adapter.scan("*")).keys == ["a"]


@pytest.mark.clause("KV-12")
async def test_batches_of_ten_thousand_keys_work(adapter: MemoryAdapter) -> None:
    keys = [f"key:{n}" for n in range(10_000)]
    values = [b"%d" % n for n in range(10_000)]

    await adapter.mset([Entry(key, value) for key, value in zip(keys, values, strict=True)])

    assert await adapter.mget(keys) == values
    assert await adapter.delete(keys) == 10_000


@pytest.mark.clause("KV-13")
async def test_what_was_passed_in_can_be_changed_without_changing_what_is_stored(adapter: MemoryAdapter) -> None:
    # Callers promise `bytes`. One that breaks the promise must not be able to write later without a call.
    mine: list[bytearray] = [bytearray(b"1") for _ in range(4)]
    entries = [Entry("b", mine[1])]  # type: ignore[arg-type]  # bytearrays, on purpose
    fields = {"f": mine[3]}
    await adapter.set("a", mine[0])  # type: ignore[arg-type]  # bytearrays, on purpose
    await adapter.mset(entries)
    await adapter.set_nx("c", mine[2])  # type: ignore[arg-type]  # bytearrays, on purpose
    await adapter.xadd("s", fields)  # type: ignore[arg-type]  # bytearrays, on purpose
    for value in mine:
        value[:] = b"changed"
    entries.clear()
    fields["g"] = bytearray(b"more")

    assert await adapter.mget(["a", "b", "c"]) == [b"1", b"1", b"1"]
    assert [entry.fields for entry in await adapter.xrange("s")] == [{"f": b"1"}]


@pytest.mark.clause("KV-13")
async def test_what_was_handed_out_can_be_changed_without_changing_what_is_stored(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1")
    await adapter.xadd("s", {"f": b"1"})
    await adapter.xgroup_create("s", "g")
    (await adapter.mget(["a"])).clear()
    (await adapter.scan("*")).keys.clear()
    (await adapter.xrange("s"))[0].fields.clear()
    (await adapter.xreadgroup("s", "g", "c"))[0].fields["f"] = b"changed"

    assert await adapter.mget(["a"]) == [b"1"]
    assert sorted((await adapter.scan("*")).keys) == ["a", "s"]
    assert [entry.fields for entry in await adapter.xrange("s")] == [{"f": b"1"}]


@pytest.mark.clause("KV-14")
async def test_set_over_a_stream_replaces_it(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"1"})
    await adapter.expire("a", 8)

    await adapter.set("a", b"1")

    assert await adapter.get("a") == b"1"
    assert await adapter.ttl("a") == math.inf


@pytest.mark.clause("KV-14")
async def test_mset_over_a_stream_replaces_it(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"1"})

    await adapter.mset([Entry("a", b"1")])

    assert await adapter.get("a") == b"1"


@pytest.mark.clause("KV-14")
async def test_reading_a_stream_as_a_value_is_refused_and_changes_nothing(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"1"})

    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.get("a")
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.getdel("a")
    assert await adapter.xlen("a") == 1


@pytest.mark.clause("KV-14")
async def test_using_a_value_as_a_stream_is_refused_and_changes_nothing(adapter: MemoryAdapter) -> None:
    await adapter.set("a", b"1")

    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.xadd("a", {"f": b"1"})
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.xgroup_create("a", "g")
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.xreadgroup("a", "g", "c")
    with pytest.raises(BackendFailed, match="STORE_OPERATION_FAILED"):
        await adapter.xrange("a")
    assert await adapter.get("a") == b"1"


@pytest.mark.clause("KV-14")
async def test_mget_reads_a_stream_as_none(adapter: MemoryAdapter) -> None:
    await adapter.xadd("a", {"f": b"1"})
    await adapter.set("b", b"2")

    assert await adapter.mget(["a", "b"]) == [None, b"2"]


@pytest.mark.clause("KV-14", "KV-8")
async def test_a_stream_exists_and_expires_as_any_key(adapter: MemoryAdapter, clock: ManualClock) -> None:
    await adapter.xadd("a", {"f": b"1"})

    assert await adapter.exists("a")
    assert not await adapter.set("a", b"1", only_if="absent")
    assert await adapter.expire("a", 1)
    clock.advance(1)
    assert not await adapter.exists("a")
    assert await adapter.xlen("a") == 0
