"""Pending entries and their acknowledgement: clauses STR-8, STR-9 and STR-25."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igniter_store.contract import ErrorCode

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.streams import SLACK, facts, fill, group_with, ids_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class PendingClauses(Suite):
    """Entries that were delivered and not acknowledged."""

    @clause("STR-8")
    async def test_read_entry_is_pending_until_acknowledged(self, trial: Trial) -> None:
        """An entry that was read is pending until it is acknowledged.

        `xpending` lists each entry once, in the order of ids, with its consumer and one delivery.
        An ack removes it.

        If this fails, check the data that a read records, and the order of the list.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 40)
        assert await other.xpending(stream, "group") == []
        await adapter.xreadgroup(stream, "group", "b", count=15)
        await other.xreadgroup(stream, "group", "a", count=15)

        expected = [(added, "b", 1) for added in ids[:15]] + [
            (added, "a", 1) for added in ids[15:30]
        ]
        assert facts(await other.xpending(stream, "group")) == expected
        await adapter.xack(stream, "group", [ids[0], ids[20]])
        assert facts(await adapter.xpending(stream, "group")) == [
            fact for fact in expected if fact[0] not in (ids[0], ids[20])
        ]

    @clause("STR-8")
    async def test_idle_time_counts_seconds_since_delivery(self, trial: Trial) -> None:
        """Each entry's idle time is the seconds since its own delivery.

        It isn't measured from the id, from the group's creation, or from the group's latest
        delivery.

        If this fails, look at the unit (Redis returns milliseconds), and at the point in time that
        is stored.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await fill(adapter, stream, 2)
        await time.passes(time.ttl)
        await adapter.xgroup_create(stream, "group")
        began = time.now()
        await adapter.xreadgroup(stream, "group", "consumer", count=1)
        await time.passes(time.ttl)
        between = time.now()
        await adapter.xreadgroup(stream, "group", "consumer", count=1)

        pending = await adapter.xpending(stream, "group")
        now = time.now()

        assert [entry.id for entry in pending] == ids
        assert all(type(entry.idle) is float for entry in pending)
        assert 0.75 * time.ttl <= pending[0].idle <= now - began + SLACK
        assert 0 <= pending[1].idle <= now - between + SLACK

    @clause("STR-8")
    async def test_pending_list_can_be_filtered_by_consumer(self, trial: Trial) -> None:
        """With `consumer`, `xpending` lists only the entries of exactly this consumer.

        `count` limits the entries that are listed, not those that are examined.

        If this fails, look at how names are compared, and check whether the limit is applied before
        the filter.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 9)
        for consumer in ("one", "two", "One"):
            await adapter.xreadgroup(stream, "group", consumer, count=3)

        listed = await adapter.xpending(stream, "group", consumer="two")
        limited = await adapter.xpending(stream, "group", consumer="two", count=2)

        assert facts(listed) == [(added, "two", 1) for added in ids[3:6]]
        assert [entry.id for entry in limited] == ids[3:5]
        assert [entry.id for entry in await adapter.xpending(stream, "group", count=4)] == ids[:4]
        assert await adapter.xpending(stream, "group", consumer="nobody") == []

    @clause("STR-8")
    async def test_pending_list_can_be_filtered_by_idle_time(self, trial: Trial) -> None:
        """With `min_idle`, `xpending` lists only entries that have been idle at least that long.

        `count` limits the entries that are listed, regardless of the number of younger ones before
        them.

        If this fails, look at the unit of `min_idle`, and check whether the limit is applied before
        the filter.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 70)
        await adapter.xreadgroup(stream, "group", "consumer", count=60)
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl
        await adapter.xreadgroup(
            stream, "group", "consumer", count=50, history=True
        )  # resets the idle time of the first 50
        await adapter.xreadgroup(stream, "group", "other")

        idle = [entry.id for entry in await adapter.xpending(stream, "group", min_idle=long)]
        limited = [
            entry.id for entry in await adapter.xpending(stream, "group", min_idle=long, count=2)
        ]
        of_other = await adapter.xpending(stream, "group", min_idle=long, consumer="other")

        assert (idle, limited, of_other) == (
            ids[50:60],
            ids[50:52],
            [],
        ) or time.now() - began >= long
        assert len(await adapter.xpending(stream, "group", min_idle=0)) == 70
        assert await adapter.xpending(stream, "group", min_idle=100 * time.ttl) == []

    @clause("STR-25")
    async def test_pending_list_has_no_page(self, trial: Trial) -> None:
        """`xpending` lists more than a thousand entries in one call, with and without filters.

        `count` may be larger than a page of your backend.

        If this fails, look for code that treats the end of a page as the end of the list.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 1_203)
        await adapter.xreadgroup(stream, "group", "one", count=601)
        await adapter.xreadgroup(stream, "group", "two")
        await time.passes(time.ttl)

        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group", count=1_100)] == ids[
            :1_100
        ]
        assert [
            entry.id for entry in await adapter.xpending(stream, "group", consumer="two")
        ] == ids[601:]
        assert [
            entry.id for entry in await adapter.xpending(stream, "group", consumer="two", count=501)
        ] == ids[601:1_102]
        assert [
            entry.id for entry in await adapter.xpending(stream, "group", min_idle=time.ttl / 2)
        ] == ids
        assert [
            entry.id
            for entry in await adapter.xpending(
                stream, "group", min_idle=time.ttl / 2, consumer="one"
            )
        ] == ids[:601]

    @clause("STR-9")
    async def test_an_ack_says_how_many_were_pending(self, trial: Trial) -> None:
        """`xack` returns the number of entries that were pending.

        A repeated id counts once. Ids that were acknowledged before, that don't exist, or that were
        never read don't count.

        If this fails, look for code that counts the requested ids.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 8)
        await adapter.xreadgroup(stream, "group", "consumer", count=4)

        assert await adapter.xack(stream, "group", [ids[0], ids[2], ids[2], ids[7], "1-1"]) == 2
        assert await adapter.xack(stream, "group", [ids[0]]) == 0
        assert await adapter.xack(stream, "group", [ids[1], ids[0]]) == 1
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == [ids[3]]

    @clause("STR-9")
    async def test_acknowledging_unread_entry_keeps_it_new(self, trial: Trial) -> None:
        """An entry whose id was acknowledged before it was read is still new.

        If this fails, look for acks that are stored as a flag on the entry.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 2)

        assert await adapter.xack(stream, "group", ids) == 0

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert len(await adapter.xpending(stream, "group")) == 2

    @clause("STR-9")
    async def test_any_consumer_may_acknowledge(self, trial: Trial) -> None:
        """Any client can acknowledge entries of any consumer, several consumers in one call.

        An ack doesn't name a consumer.

        If this fails, look for an ack that checks the owner of the entry.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "one", count=2)
        await adapter.xreadgroup(stream, "group", "two", count=2)

        assert await other.xack(stream, "group", ids) == 4

        assert await adapter.xpending(stream, "group") == []

    @clause("STR-9")
    async def test_an_ack_is_for_one_group(self, trial: Trial) -> None:
        """An ack in one group leaves the entry pending in another group.

        In a missing group or stream, `xack` returns 0 and doesn't raise.

        If this fails, look for a pending list that groups share, and for your backend's error about
        a missing group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 3)
        for group in ("group", "other"):
            await adapter.xgroup_create(stream, group)
            await adapter.xreadgroup(stream, group, "consumer")

        assert await adapter.xack(stream, "group", ids[:2]) == 2
        assert (
            await adapter.xack(stream, "missing", ids)
            == await adapter.xack(trial.key("missing"), "group", ids)
            == 0
        )

        assert [entry.id for entry in await adapter.xpending(stream, "other")] == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids[2:]

    @clause("STR-9")
    async def test_an_ack_leaves_the_entry_in_the_stream(self, trial: Trial) -> None:
        """Entries that all groups have acknowledged stay in the stream.

        They can be read by range, and by groups that are created later.

        If this fails, look for an ack that deletes the entry.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 3)
        await adapter.xack(
            stream, "group", ids_of(await adapter.xreadgroup(stream, "group", "consumer"))
        )

        assert await adapter.xlen(stream) == 3
        assert ids_of(await adapter.xrange(stream)) == ids
        await adapter.xgroup_create(stream, "later")
        assert ids_of(await adapter.xreadgroup(stream, "later", "consumer")) == ids

    @clause("STR-9")
    async def test_one_malformed_id_acknowledges_none(self, trial: Trial) -> None:
        """If one id is malformed, `xack` raises `STORE_STREAM_ACK_FAILED` and acknowledges none.

        The entries with valid ids in the same call are still pending.

        If this fails, look for ids that are acknowledged one by one.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 2)
        await adapter.xreadgroup(stream, "group", "consumer")

        for malformed in ("nonsense", "1-", "(1-1"):
            call = adapter.xack(stream, "group", [ids[0], malformed, ids[1]])
            await refused(call, ErrorCode.STORE_STREAM_ACK_FAILED, f"{malformed!r}")

        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids
