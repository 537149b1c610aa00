"""Blocking group reads: clause STR-7, and the part of STR-13 about waiting readers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode, KeyValue, Scan

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.streams import facts, fill, group_with, ids_of

if TYPE_CHECKING:
    from igniter_store.contract import StreamEntry

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_LONG: Final = 3_600.0  # seconds, for reads that the test wakes or cancels
_SHORT: Final = 0.4  # seconds, for reads that time out


class BlockingReadClauses(Suite):
    """Readers that wait for new entries."""

    @clause("STR-7")
    async def test_a_waiting_read_returns_when_an_entry_comes(self, trial: Trial) -> None:
        """An append wakes a blocking read long before its timeout.

        The append comes from another client, and from the reader's own client.

        If this fails, look for a read that checks once and then waits for the whole `block` time.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")

        for appender in (await trial.other(), adapter):
            reading = await _waiting(trial, adapter, stream)
            added = await appender.xadd(stream, {"field": b"1"})
            entries = await trial.done(reading, "a waiting read, when an entry has come")
            assert [(entry.id, entry.fields) for entry in entries] == [(added, {"field": b"1"})]

    @clause("STR-7")
    async def test_a_waiting_read_ends_after_its_time(self, trial: Trial) -> None:
        """Without new entries, a blocking read returns an empty list after `block` seconds.

        It doesn't raise, and it doesn't return early. `block` may have a fraction of a second.

        If this fails, look at the unit of `block`, at a time that is rounded down to whole seconds,
        and at your backend's own timeout.
        """
        stream, adapter = trial.key(), trial.adapter
        await group_with(adapter, stream, 1)
        await adapter.xreadgroup(stream, "group", "consumer")

        reading = asyncio.create_task(adapter.xreadgroup(stream, "group", "consumer", block=_SHORT))
        waited = await _ended(trial, reading, _SHORT)

        assert await reading == []
        assert waited >= 0.9 * _SHORT, f"it waited {waited:.3f} seconds instead of {_SHORT}"

    @clause("STR-7")
    async def test_a_very_short_wait_is_not_for_ever(self, trial: Trial) -> None:
        """A read with a `block` below a millisecond returns too.

        If this fails, look for a time that is rounded down to 0, which means "forever" to Redis.
        """
        stream = trial.key()
        await trial.adapter.xgroup_create(stream, "group")

        reading = asyncio.create_task(
            trial.adapter.xreadgroup(stream, "group", "consumer", block=0.0004)
        )
        await _ended(trial, reading, 0.01)

        assert await reading == []

    @clause("STR-7")
    async def test_blocking_read_returns_existing_entries_at_once(self, trial: Trial) -> None:
        """A blocking read returns at once if there are new entries, at most `count` of them.

        If this fails, look for a read that waits before it checks.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 5)

        for expected in (ids[:2], ids[2:4], ids[4:]):
            reading = asyncio.create_task(
                adapter.xreadgroup(stream, "group", "consumer", count=2, block=_LONG)
            )
            assert (
                ids_of(await trial.done(reading, "a read with `block` of what was there"))
                == expected
            )

    @clause("STR-7")
    async def test_timed_out_read_takes_no_later_entry(self, trial: Trial) -> None:
        """A blocking read that has timed out doesn't receive later entries; the next read does.

        The next read may be by any consumer.

        If this fails, look for a reader that stays in the list of waiting readers.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = asyncio.create_task(adapter.xreadgroup(stream, "group", "late", block=0.1))
        await _ended(trial, reading, 0.1)
        assert await reading == []

        added = await adapter.xadd(stream, {"field": b"1"})

        assert await adapter.xpending(stream, "group") == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "other")) == [added]

    @clause("STR-7")
    async def test_a_waiting_read_holds_up_nothing(self, trial: Trial) -> None:
        """While readers wait, the same adapter serves all other calls.

        These include reads of the same group.

        If this fails, look for a connection or a lock that the waiting reader holds, and for a pool
        that many readers exhaust.
        """
        stream, busy, adapter = trial.key(), trial.key("busy"), trial.adapter
        await adapter.xgroup_create(stream, "group")
        readings = [
            await _waiting(trial, adapter, stream, f"consumer-{number}") for number in range(20)
        ]

        async def work() -> None:
            ids = await group_with(adapter, busy, 3)
            assert ids_of(await adapter.xreadgroup(busy, "group", "consumer")) == ids
            assert await adapter.xack(busy, "group", ids) == 3
            assert await adapter.xreadgroup(stream, "group", "impatient") == []
            assert await adapter.xlen(stream) == 0
            await adapter.ping()

        await trial.done(asyncio.create_task(work()), "other calls while 20 readers wait")

        assert not any(reading.done() for reading in readings)
        await _cancel(trial, *readings)

    @clause("STR-7")
    async def test_a_cancelled_wait_takes_nothing(self, trial: Trial) -> None:
        """A cancelled read doesn't receive later entries, and later calls get their own replies.

        Entries that are appended after the cancellation are new for the other consumers.

        If this fails, look for a reader that stays in the list of waiting readers, or for a
        connection that is reused while a reply is still outstanding.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        readings = [
            await _waiting(trial, adapter, stream, f"cancelled-{number}") for number in range(5)
        ]
        await _cancel(trial, *readings)
        if not trial.in_process:
            await asyncio.sleep(0.5)  # until the backend notices the cancellations

        added = await adapter.xadd(stream, {"field": b"1"})

        assert [await adapter.xlen(stream) for _ in range(5)] == [1] * 5
        assert await adapter.xpending(stream, "group") == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "other")) == [added]

    @clause("STR-7")
    async def test_entry_arriving_during_cancellation_is_not_lost(self, trial: Trial) -> None:
        """If a read is cancelled just when an entry arrives, the entry isn't lost.

        It is still new, or pending for the cancelled reader.

        If this fails, look for an entry that is neither new for the group nor pending.
        """
        adapter, other = trial.adapter, await trial.other()
        for turn in range(6):
            stream = trial.key(f"stream-{turn}")
            await adapter.xgroup_create(stream, "group")
            reading = await _waiting(trial, adapter, stream, "cancelled")
            appending = asyncio.create_task(other.xadd(stream, {"field": b"1"}))
            for _ in range(turn):
                await asyncio.sleep(0)
            await _cancel(trial, reading)
            added = await trial.done(appending, "an append")

            pending = facts(await other.xpending(stream, "group"))
            new = ids_of(await other.xreadgroup(stream, "group", "other"))
            assert (pending, new) in (([(added, "cancelled", 1)], []), ([], [added])), (
                f"cancelled after {turn} steps"
            )

    @clause("STR-7")
    async def test_an_entry_passes_over_a_cancelled_reader(self, trial: Trial) -> None:
        """If one of two waiting readers is cancelled as an entry arrives, the other one gets it.

        The exception is an entry that the cancelled reader has already received.

        If this fails, look for a wake-up that is sent to a reader which no longer waits.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        first, second = (
            await _waiting(trial, adapter, stream, "first"),
            await _waiting(trial, adapter, stream, "second"),
        )

        first.cancel()
        added = await adapter.xadd(stream, {"field": b"1"})
        await _cancel(trial, first)
        if facts(await adapter.xpending(stream, "group", consumer="first")):
            added = await adapter.xadd(stream, {"field": b"2"})
        assert ids_of(await trial.done(second, "the reader that was not cancelled")) == [added]

    @clause("STR-7")
    async def test_one_entry_wakes_one_reader(self, trial: Trial) -> None:
        """Of several waiting readers on several clients, exactly one gets each entry.

        The others go on waiting.

        If this fails, look for readers that are all woken and return nothing, or the same entry.
        """
        stream, clients = trial.key(), await trial.clients(2)
        await trial.adapter.xgroup_create(stream, "group")
        waiting = {
            await _waiting(trial, clients[number % 2], stream, f"consumer-{number}")
            for number in range(4)
        }

        while waiting:
            added = await trial.adapter.xadd(stream, {"field": b"1"})
            done, waiting = await asyncio.wait(
                waiting, timeout=trial.limit, return_when=asyncio.FIRST_COMPLETED
            )
            assert [ids_of(reading.result()) for reading in done] == [[added]], (
                "each entry to one reader"
            )

        assert (
            len(
                {
                    consumer
                    for _, consumer, _ in facts(await trial.adapter.xpending(stream, "group"))
                }
            )
            == 4
        )

    @clause("STR-7")
    async def test_one_entry_wakes_a_reader_of_every_group(self, trial: Trial) -> None:
        """If readers of several groups wait on a stream, each group gets the entry.

        If this fails, look for a wake-up that stops at the first reader that takes the entry.
        """
        stream, adapter, groups = trial.key(), trial.adapter, ("one", "two", "three")
        for group in groups:
            await adapter.xgroup_create(stream, group, "$")
        readings = [await _waiting(trial, adapter, stream, group=group) for group in groups]

        added = await (await trial.other()).xadd(stream, {"field": b"1"})

        for group, reading in zip(groups, readings, strict=True):
            assert ids_of(await trial.done(reading, f"the reader of group {group!r}")) == [added]

    @clause("STR-7")
    async def test_readers_of_other_streams_wait_on(self, trial: Trial) -> None:
        """An entry wakes only the readers of its own stream.

        A reader of another stream goes on waiting until that stream gets an entry.

        If this fails, look for a single wake-up for all streams, after which readers return without
        checking their stream again.
        """
        one, two, adapter = trial.key("one"), trial.key("two"), trial.adapter
        for stream in (one, two):
            await adapter.xgroup_create(stream, "group")
        reading_one, reading_two = (
            await _waiting(trial, adapter, one),
            await _waiting(trial, adapter, two),
        )

        added = await adapter.xadd(two, {"field": b"2"})
        assert ids_of(await trial.done(reading_two, "the reader of the second stream")) == [added]
        added = await adapter.xadd(one, {"field": b"1"})

        assert ids_of(await trial.done(reading_one, "the reader of the first stream")) == [added]

    @clause("STR-7")
    async def test_entries_of_blocked_read_become_pending(self, trial: Trial) -> None:
        """An entry that a blocking read returns is pending for its consumer.

        The read returns at most `count` entries.

        If this fails, look for a separate code path for delivery in blocking reads.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream, "patient", count=2)

        ids = await fill(adapter, stream, 5)
        got = ids_of(await trial.done(reading, "a waiting read"))

        assert 1 <= len(got) <= 2
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "patient", 1) for added in got
        ]
        assert got + ids_of(await adapter.xreadgroup(stream, "group", "other")) == ids
        assert await adapter.xack(stream, "group", ids) == 5

    @clause("STR-7")
    async def test_an_append_that_trims_wakes_readers(self, trial: Trial) -> None:
        """An append with `max_len` wakes a waiting reader.

        If this fails, look for a separate code path for appends that trim.
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 3)
        await adapter.xgroup_create(stream, "group", "$")
        reading = await _waiting(trial, adapter, stream)

        added = await adapter.xadd(stream, {"field": b"1"}, max_len=1, approximate=False)

        assert ids_of(await trial.done(reading, "a waiting read")) == [added]

    @clause("STR-13")
    async def test_blocked_read_raises_when_its_group_is_destroyed(self, trial: Trial) -> None:
        """If its group is destroyed, a blocking read raises `STORE_STREAM_GROUP_MISSING`.

        The readers of other groups go on waiting.

        If this fails, look for readers that sleep until their timeout. A long wait has to check the
        group again once a second.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        await adapter.xgroup_create(stream, "other")
        readings = [
            await _waiting(trial, adapter, stream, f"consumer-{number}") for number in range(3)
        ]
        patient = await _waiting(trial, adapter, stream, group="other")

        assert await (await trial.other()).xgroup_destroy(stream, "group") is True

        for reading in readings:
            await _ended_with(trial, reading)
        added = await adapter.xadd(stream, {"field": b"1"})
        assert ids_of(await trial.done(patient, "the reader of the other group")) == [added]

    @clause("STR-13")
    async def test_reading_continues_after_group_is_recreated(self, trial: Trial) -> None:
        """After its group was destroyed, a reader can create it again and wait for new entries.

        If this fails, look for a wait that still refers to the destroyed group.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream)
        await adapter.xgroup_destroy(stream, "group")
        await _ended_with(trial, reading)

        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream)
        added = await adapter.xadd(stream, {"field": b"1"})

        assert ids_of(await trial.done(reading, "the second wait")) == [added]

    @clause("STR-13", KeyValue)
    async def test_blocked_read_raises_when_its_stream_is_deleted(self, trial: Trial) -> None:
        """If its stream is deleted, every blocking read raises `STORE_STREAM_GROUP_MISSING`.

        This holds for the readers of all groups.

        If this fails, look for readers that sleep until their timeout. Redis 6 doesn't wake them.
        """
        stream, adapter = trial.key(), trial.adapter
        for group in ("group", "other"):
            await adapter.xgroup_create(stream, group)
        readings = [
            await _waiting(trial, adapter, stream, group=group) for group in ("group", "other")
        ]

        assert await (await trial.other()).delete([stream]) == 1

        for reading in readings:
            await _ended_with(trial, reading)

    @clause("STR-13", Scan)
    async def test_blocked_read_raises_when_prefix_is_deleted(self, trial: Trial) -> None:
        """If `delete_prefix` deletes the stream, a blocking read raises too.

        It raises `STORE_STREAM_GROUP_MISSING`, as after `delete`.

        If this fails, look for a deletion that doesn't notify the waiting readers.
        """
        stream, adapter = trial.key("gone:stream"), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream)

        assert await adapter.delete_prefix(trial.key("gone:")) == 1

        await _ended_with(trial, reading)

    @clause("STR-13", KeyValue)
    async def test_blocked_read_raises_when_its_stream_expires(self, trial: Trial) -> None:
        """If its stream expires, a blocking read raises `STORE_STREAM_GROUP_MISSING`.

        If this fails, look for an expiry that is only noticed when a call accesses the key.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream)

        await adapter.expire(stream, time.ttl)
        await time.expires(time.ttl)
        await _ended(trial, reading, 1)

        await _ended_with(trial, reading)

    @clause("STR-13", KeyValue)
    async def test_blocked_read_raises_when_stream_becomes_a_value(self, trial: Trial) -> None:
        """If the key is set to a value, a blocking read raises.

        The error reports that the group is missing, or that the key is of another type.

        If this fails, look for a wait that only an append ends.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")
        reading = await _waiting(trial, adapter, stream)

        await adapter.set(stream, b"value")

        await _ended_with(
            trial, reading, ErrorCode.STORE_STREAM_GROUP_MISSING, ErrorCode.STORE_OPERATION_FAILED
        )
        assert await adapter.get(stream) == b"value"

    @clause("STR-13", KeyValue)
    async def test_each_expiring_stream_wakes_its_own_reader(self, trial: Trial) -> None:
        """If several streams expire, each blocking read raises when its own stream does.

        The streams expire one after the other, in another order than their TTLs were set, while
        other keys stay.

        If this fails, look for a single timer for all deadlines. Is it rescheduled for an earlier
        deadline, and again after it has fired?
        """
        adapter, time = trial.adapter, trial.time
        streams = trial.keys(["second", "first", "third"])
        await adapter.set(trial.key("stays"), b"value", ttl=3_000)
        for stream in streams:
            await adapter.xgroup_create(stream, "group")
        readings = {stream: await _waiting(trial, adapter, stream) for stream in streams}
        second, first, third = streams

        await adapter.expire(second, 2 * time.ttl)
        await adapter.expire(first, time.ttl)
        for stream in (first, second):
            await time.expires(time.ttl)
            await _ended(trial, readings[stream], 1)
            await _ended_with(trial, readings[stream])
        await adapter.expire(third, time.ttl)
        await time.expires(time.ttl)
        await _ended(trial, readings[third], 1)
        await _ended_with(trial, readings[third])


async def _waiting(  # noqa: PLR0913 - the arguments of a read
    trial: Trial,
    adapter: FullAdapter,
    stream: str,
    consumer: str = "consumer",
    *,
    group: str = "group",
    count: int | None = None,
) -> asyncio.Task[list[StreamEntry]]:
    """Start a reader that waits, or is about to wait."""
    reading = asyncio.create_task(
        adapter.xreadgroup(stream, group, consumer, count=count, block=_LONG)
    )
    await trial.settle()
    return reading


async def _cancel(trial: Trial, *readings: asyncio.Task[list[StreamEntry]]) -> None:
    for reading in readings:
        reading.cancel()
    await asyncio.wait(readings, timeout=trial.limit)
    assert all(reading.done() for reading in readings), "cancelled readers still wait"
    for reading in readings:
        if not reading.cancelled():
            reading.result()  # the entries it just received, or the adapter's error


async def _ended(trial: Trial, reading: asyncio.Future[Any], seconds: float) -> float:
    """Let time pass until the read is done, and return the seconds that it took.

    The read should be done after about `seconds`.
    """
    return await trial.time.until_done(reading, seconds)


async def _ended_with(
    trial: Trial,
    reading: asyncio.Future[Any],
    code: ErrorCode = ErrorCode.STORE_STREAM_GROUP_MISSING,
    *codes: ErrorCode,
) -> None:
    await refused(
        trial.done(reading, "a waiting reader, when its group is gone"),
        code,
        "a waiting reader",
        *codes,
    )
