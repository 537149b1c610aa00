"""Claiming pending entries, and not losing any: clauses STR-10 to STR-12 and STR-16."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.streams import (
    are_whole,
    facts,
    fill,
    group_with,
    ids_of,
    touched_since,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import StreamEntry

    from igniter_store_conformance.engine.trial import Trial


class ClaimingClauses(Suite):
    """Pending entries that are claimed, deleted, or left by a crashed reader."""

    @clause("STR-10")
    async def test_claiming_moves_idle_entries_to_the_caller(self, trial: Trial) -> None:
        """`xautoclaim` moves idle entries of another consumer to the caller.

        It returns them with their fields, oldest first. They are then pending only for the caller.

        If this fails, check the result of a claim, and the consumer of the entry afterwards.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 12)
        await adapter.xreadgroup(stream, "group", "dead", count=11)
        await time.passes(time.ttl)

        claimed = await (await trial.other()).xautoclaim(stream, "group", "heir", time.ttl / 2)

        assert ids_of(claimed) == ids[:11]
        assert await are_whole(adapter, stream, claimed)
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "heir", 2) for added in ids[:11]
        ]
        assert await adapter.xreadgroup(stream, "group", "dead", history=True) == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "dead")) == ids[11:]

    @clause("STR-10")
    async def test_claiming_skips_recently_delivered_entries(self, trial: Trial) -> None:
        """`xautoclaim` doesn't claim entries that were delivered less than `min_idle` seconds ago.

        They keep their consumer, their idle time and their delivery count.

        If this fails, look for a claim that ignores `min_idle`, or that measures it from the id.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 6)
        await adapter.xreadgroup(stream, "group", "dead", count=3)
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl
        await adapter.xreadgroup(stream, "group", "alive")

        claimed = ids_of(await adapter.xautoclaim(stream, "group", "heir", long))
        owned = facts(await adapter.xpending(stream, "group"))

        expected = [(added, "heir", 2) for added in ids[:3]] + [
            (added, "alive", 1) for added in ids[3:]
        ]
        assert (claimed, owned) == (ids[:3], expected) or time.now() - began >= long

    @clause("STR-10")
    async def test_claim_min_idle_is_in_seconds(self, trial: Trial) -> None:
        """`min_idle` is in seconds.

        An entry that has been idle for a hundredth of `min_idle` isn't claimed. With a `min_idle`
        of 0, every pending entry is claimed.

        If this fails, look at the unit: Redis expects milliseconds.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "dead")
        await time.passes(time.ttl)

        assert await adapter.xautoclaim(stream, "group", "heir", 100 * time.ttl) == []
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "dead", 1) for added in ids
        ]
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids

    @clause("STR-10")
    async def test_claiming_resets_the_idle_time(self, trial: Trial) -> None:
        """A claim resets the idle time, so another claim with the same `min_idle` finds nothing.

        If this fails, look for a claim that only changes the owner: two consumers would process the
        same entry.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "dead")
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl

        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", long)) == ids
        second = ids_of(await adapter.xautoclaim(stream, "group", "late", long))

        assert second == [] or time.now() - began >= long
        pending = await adapter.xpending(stream, "group")
        assert all(touched_since(trial, began, entry) for entry in pending), pending

    @clause("STR-10")
    async def test_every_claim_counts_as_a_delivery(self, trial: Trial) -> None:
        """Each claim increments the delivery count of the claimed entries, and of no others.

        If this fails, look for a claim that doesn't change the count, or that resets it. The count
        is how poison messages are found.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 2)
        await adapter.xreadgroup(stream, "group", "consumer")

        for turn in range(3):
            assert (
                ids_of(await adapter.xautoclaim(stream, "group", f"heir-{turn}", 0, count=1))
                == ids[:1]
            )

        assert facts(await adapter.xpending(stream, "group")) == [
            (ids[0], "heir-2", 4),
            (ids[1], "consumer", 1),
        ]

    @clause("STR-10")
    async def test_claiming_is_bounded_by_count(self, trial: Trial) -> None:
        """`xautoclaim` claims at most `count` entries, those with the oldest ids.

        The other entries stay with their consumer.

        If this fails, look for a limit on the entries that are returned, but not on those that are
        moved.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 5)
        await adapter.xreadgroup(stream, "group", "dead")
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl

        first = ids_of(await adapter.xautoclaim(stream, "group", "heir", long, count=3))
        assert first == ids[:3]
        owned = [(added, "heir", 2) for added in ids[:3]] + [
            (added, "dead", 1) for added in ids[3:]
        ]
        assert facts(await adapter.xpending(stream, "group")) == owned
        rest = ids_of(await adapter.xautoclaim(stream, "group", "heir", long, count=3))
        assert rest == ids[3:] or time.now() - began >= long

    @clause("STR-10")
    async def test_claiming_finds_idle_entries_behind_recent_ones(self, trial: Trial) -> None:
        """`xautoclaim` finds `count` idle entries behind any number of recently delivered ones.

        If this fails, look at the cursor of XAUTOCLAIM: one call examines ten times `count`
        entries, and may return none.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 150)
        await adapter.xreadgroup(stream, "group", "dead")
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl
        await adapter.xreadgroup(stream, "group", "dead", count=140, history=True)

        few = ids_of(await adapter.xautoclaim(stream, "group", "heir", long, count=2))
        rest = ids_of(await adapter.xautoclaim(stream, "group", "heir", long))

        assert (few, rest) == (ids[140:142], ids[142:]) or time.now() - began >= long

    @clause("STR-10")
    async def test_a_consumer_claims_its_own_entries_too(self, trial: Trial) -> None:
        """A consumer can claim its own entries.

        A program that restarts under its old name gets the entries that it left behind.

        If this fails, look for a claim that excludes the caller.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "consumer")
        await time.passes(time.ttl)

        assert ids_of(await adapter.xautoclaim(stream, "group", "consumer", time.ttl / 2)) == ids
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "consumer", 2) for added in ids
        ]

    @clause("STR-10")
    async def test_claiming_takes_neither_new_nor_acknowledged_entries(self, trial: Trial) -> None:
        """Only entries that are pending in this group can be claimed.

        New entries, acknowledged entries, and entries that are pending in another group can't.

        If this fails, look for a claim that iterates over the stream instead of the pending list.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 6)
        await adapter.xgroup_create(stream, "other")
        await adapter.xreadgroup(stream, "other", "consumer")
        await adapter.xreadgroup(stream, "group", "dead", count=4)
        await adapter.xack(stream, "group", [ids[0], ids[2]])

        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == [ids[1], ids[3]]
        await adapter.xack(stream, "group", [ids[1], ids[3]])
        assert await adapter.xautoclaim(stream, "group", "heir", 0) == []

        assert ids_of(await adapter.xreadgroup(stream, "group", "heir")) == ids[4:]
        assert facts(await adapter.xpending(stream, "other")) == [
            (added, "consumer", 1) for added in ids
        ]

    @clause("STR-11")
    async def test_each_entry_goes_to_one_concurrent_claimer(self, trial: Trial) -> None:
        """Of many concurrent claims on several clients, exactly one gets each entry.

        If this fails, look for a non-atomic read and update of the pending list.
        """
        stream, clients, time = trial.key(), await trial.clients(3), trial.time
        ids = await group_with(trial.adapter, stream, 40)
        await trial.adapter.xreadgroup(stream, "group", "dead")
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl

        def claim(number: int) -> Callable[[], Awaitable[list[StreamEntry]]]:
            count = 4 if number % 2 else None
            return lambda: clients[number % 3].xautoclaim(
                stream, "group", f"heir-{number}", long, count=count
            )

        shares = await trial.race([claim(number) for number in range(12)])

        claimed = sorted(added for share in shares for added in ids_of(share))
        assert claimed == sorted(ids) or time.now() - began >= long
        owners = {
            entry.id: entry.consumer for entry in await trial.adapter.xpending(stream, "group")
        }
        assert sorted(owners) == sorted(ids)
        for number, share in enumerate(shares):
            assert (
                all(owners[entry.id] == f"heir-{number}" for entry in share)
                or time.now() - began >= long
            )

    @clause("STR-12")
    async def test_claiming_hands_out_no_deleted_entry(self, trial: Trial) -> None:
        """`xautoclaim` doesn't return deleted entries, and removes them from the pending list.

        It claims the other entries.

        If this fails, look for entries without fields in your backend's reply, or for one deleted
        entry that hides all others.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 6)
        await adapter.xreadgroup(stream, "group", "dead")
        assert await adapter.xdel(stream, [ids[0], ids[3], ids[5]]) == 3

        claimed = await adapter.xautoclaim(stream, "group", "heir", 0)

        assert ids_of(claimed) == [ids[1], ids[2], ids[4]]
        assert await are_whole(adapter, stream, claimed)
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "heir", 2) for added in ids_of(claimed)
        ]

    @clause("STR-12")
    async def test_claiming_removes_trimmed_entries_from_pending_list(self, trial: Trial) -> None:
        """If all pending entries were trimmed, a claim returns none and clears the pending list.

        If this fails, look for pending entries that no consumer can ever acknowledge, because none
        receives them.
        """
        stream, adapter = trial.key(), trial.adapter
        await group_with(adapter, stream, 30)
        await adapter.xreadgroup(stream, "group", "dead", count=25)
        await adapter.xtrim(stream, 5, approximate=False)

        assert await adapter.xautoclaim(stream, "group", "heir", 0) == []

        assert await adapter.xpending(stream, "group") == []
        assert [group.pending for group in await adapter.xgroups(stream)] == [0]
        assert len(await adapter.xreadgroup(stream, "group", "heir")) == 5

    @clause("STR-12")
    async def test_claim_count_ignores_deleted_entries(self, trial: Trial) -> None:
        """Deleted entries don't count towards the `count` of a claim.

        A claim returns `count` existing entries, regardless of the number of deleted ones before
        them.

        If this fails, look at your backend's limit. Redis also counts the entries that it removes,
        so the adapter has to follow the cursor.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 40)
        await adapter.xreadgroup(stream, "group", "dead")
        await adapter.xdel(stream, [*ids[:30], ids[31]])

        claimed = ids_of(await adapter.xautoclaim(stream, "group", "heir", 0, count=2))

        assert claimed == [ids[30], ids[32]]

    @clause("STR-12")
    async def test_read_skips_entries_deleted_before_delivery(self, trial: Trial) -> None:
        """Group reads skip entries that were trimmed or deleted before the group read them.

        This includes the case that the first entries of the stream are gone.

        If this fails, look for a list of new entries that is filled when entries are appended.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 10)
        await adapter.xtrim(stream, 6, approximate=False)
        await adapter.xdel(stream, [ids[5], ids[9]])

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer", count=2)) == [
            ids[4],
            ids[6],
        ]
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == [ids[7], ids[8]]
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == [
            ids[4],
            ids[6],
            ids[7],
            ids[8],
        ]

    @clause("STR-12")
    async def test_deleted_entry_stays_pending_until_claimed_or_acknowledged(
        self, trial: Trial
    ) -> None:
        """A deleted entry stays in the pending list until it is claimed or acknowledged.

        `xack` counts a deleted entry, and `xautoclaim` doesn't return it.

        If this fails, look for a pending list that is derived from the entries.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "consumer", count=3)
        await adapter.xdel(stream, ids[:2])

        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "consumer", 1) for added in ids[:3]
        ]
        assert await adapter.xack(stream, "group", ids[:1]) == 1
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids[1:3]
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids[2:3]
        assert facts(await adapter.xpending(stream, "group")) == [(ids[2], "heir", 2)]

    @clause("STR-16", limit=60)
    async def test_when_readers_crash_every_entry_is_delivered(self, trial: Trial) -> None:
        """When readers crash with unacknowledged entries, other readers claim and process them.

        In the end each entry was acknowledged once, and none is pending.

        If this fails, look for entries that are neither new nor pending: those of a crashed reader,
        or those that were claimed but not returned.
        """
        stream, clients, time = trial.key(), await trial.clients(3), trial.time
        ids = await group_with(trial.adapter, stream, 40)
        done: list[str] = []

        for turn in range(30):
            client, consumer = clients[turn % 3], f"consumer-{turn}"
            entries = await client.xautoclaim(stream, "group", consumer, time.ttl / 2, count=6)
            entries += await client.xreadgroup(stream, "group", consumer, count=5)
            if not entries and not await client.xpending(stream, "group"):
                break
            finished = ids_of(
                entries[: len(entries) - turn % 3]
            )  # some readers crash before they finish
            done += [
                added for added in finished if await client.xack(stream, "group", [added]) == 1
            ]
            await time.passes(time.ttl)

        assert sorted(done) == sorted(ids), "each acknowledged once"
        assert await trial.adapter.xpending(stream, "group") == []
        assert await trial.adapter.xautoclaim(stream, "group", "last", 0) == []

    @clause("STR-16", limit=60)
    async def test_cancelled_readers_and_claimers_lose_no_entry(self, trial: Trial) -> None:
        """Cancelling reads, history reads and claims while entries arrive loses no entry.

        The test cancels them after different numbers of event-loop iterations. Each entry is then
        still new, or pending, or was received.

        If this fails, look for an entry that is removed from the group before it is certain to be
        received or to be pending.
        """
        stream, clients = trial.key(), await trial.clients(3)
        await trial.adapter.xgroup_create(stream, "group")
        ids: list[str] = []
        finished: list[str] = []

        async def work(number: int) -> None:
            client, consumer = clients[number % 3], f"consumer-{number}"
            entries = await client.xreadgroup(stream, "group", consumer, count=3, block=0.2)
            entries += await client.xautoclaim(stream, "group", consumer, 0, count=2)
            for added in ids_of(entries):
                finished.append(added)  # before the ack: a cancelled ack may have been applied
                await client.xack(stream, "group", [added])
            await client.xreadgroup(stream, "group", consumer, count=3, block=3_600)

        for turn in range(15):
            workers = [asyncio.create_task(work(4 * turn + number)) for number in range(4)]
            filling = asyncio.create_task(fill(clients[turn % 3], stream, 6))
            if turn % 3 == 0:
                await trial.settle()
            for _ in range(turn):
                await asyncio.sleep(0)
            for worker in workers:
                worker.cancel()
            ids += await filling
            for ended in await asyncio.gather(*workers, return_exceptions=True):
                assert ended is None or isinstance(ended, asyncio.CancelledError), (
                    f"a cancelled reader raised {ended!r}"
                )

        # A call that was cancelled in flight may still be applied. Once a later call of the same
        # client has returned, it has been applied, or never will be. The test reads new entries
        # before it lists the pending ones, so that a late read can't take an entry in between.
        for client in clients:
            await client.xgroup_create(stream, "group")
        await trial.adapter.xreadgroup(stream, "group", "last")
        left = [entry.id for entry in await trial.adapter.xpending(stream, "group")]
        assert len(left) == len(set(left))
        assert set(left) | set(finished) == set(ids), "new, pending, or acknowledged"
        assert await trial.adapter.xack(stream, "group", left) == len(left)
        assert await trial.adapter.xpending(stream, "group") == []

    @clause("STR-16")
    async def test_entries_of_closed_client_stay_pending(self, trial: Trial) -> None:
        """The entries that a closed client read stay pending, and another client can claim them.

        If this fails, look for a pending list in the client.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 5)
        gone = trial.connect()
        await gone.open()
        await gone.xreadgroup(stream, "group", "dead", count=3)
        await gone.close()

        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "dead", 1) for added in ids[:3]
        ]
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids[:3]
        assert ids_of(await adapter.xreadgroup(stream, "group", "heir")) == ids[3:]
        assert await adapter.xack(stream, "group", ids) == 5
