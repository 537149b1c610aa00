"""Reading unacknowledged entries again: clause STR-18."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.streams import (
    are_whole,
    facts,
    group_with,
    ids_of,
    touched_since,
)

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class HistoryClauses(Suite):
    """A consumer reads its own pending entries again."""

    @clause("STR-18")
    async def test_history_gives_a_consumer_its_own_again(self, trial: Trial) -> None:
        """A history read returns the consumer's own unacknowledged entries.

        It returns them with their fields, in order, as often as it is repeated. It returns no
        entries of other consumers and no new ones.

        If this fails, look at which consumer's pending list is read, and at the id that the history
        starts from: 0, and not `>`.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 30)
        await adapter.xreadgroup(stream, "group", "a", count=12)
        await adapter.xreadgroup(stream, "group", "b", count=12)
        await adapter.xack(stream, "group", [ids[1], ids[5]])
        own = [added for added in ids[:12] if added not in (ids[1], ids[5])]

        for reader in (adapter, await trial.other()):
            again = await reader.xreadgroup(stream, "group", "a", history=True)
            assert ids_of(again) == own
            assert await are_whole(adapter, stream, again)
        assert await adapter.xreadgroup(stream, "group", "A", history=True) == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "a")) == ids[24:]

    @clause("STR-18")
    async def test_history_counts_as_a_delivery(self, trial: Trial) -> None:
        """A history read counts as a delivery of the entries that it returns.

        It increments their delivery count and resets their idle time. The entries of other
        consumers don't change.

        If this fails, look for a history that is only looked up. A consumer that processes an entry
        again must not lose it to a claim.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "a", count=2)
        await adapter.xreadgroup(stream, "group", "b", count=2)
        await time.passes(time.ttl)
        began = time.now()

        await adapter.xreadgroup(stream, "group", "a", history=True)

        pending = await adapter.xpending(stream, "group")
        assert facts(pending) == [
            (ids[0], "a", 2),
            (ids[1], "a", 2),
            (ids[2], "b", 1),
            (ids[3], "b", 1),
        ]
        assert all(touched_since(trial, began, entry) for entry in pending[:2]), pending
        assert all(entry.idle >= 0.75 * time.ttl for entry in pending[2:]), pending

    @clause("STR-18")
    async def test_looking_is_no_delivery(self, trial: Trial) -> None:
        """`xpending`, `xrange`, `xrevrange` and `xgroups` change neither counts nor idle times.

        If this fails, look for a list of pending entries that is created by a history read.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 2)
        await adapter.xreadgroup(stream, "group", "consumer")
        await time.passes(time.ttl)

        await adapter.xpending(stream, "group", consumer="consumer", min_idle=0, count=2)
        await adapter.xrange(stream, ids[0], ids[1])
        await adapter.xrevrange(stream, count=2)
        await adapter.xgroups(stream)
        await adapter.xreadgroup(stream, "group", "other", history=True)

        pending = await adapter.xpending(stream, "group")
        assert facts(pending) == [(added, "consumer", 1) for added in ids]
        assert all(entry.idle >= 0.75 * time.ttl for entry in pending), pending

    @clause("STR-18")
    async def test_history_leaves_deleted_entries_out(self, trial: Trial) -> None:
        """A history read doesn't return deleted entries, not even without fields.

        It returns the other entries.

        If this fails, look at the entries without fields that Redis puts into a history.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 5)
        await adapter.xreadgroup(stream, "group", "consumer")
        await adapter.xdel(stream, [ids[0], ids[2]])

        again = await adapter.xreadgroup(stream, "group", "consumer", history=True)

        assert ids_of(again) == [ids[1], ids[3], ids[4]]
        assert await are_whole(adapter, stream, again)
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids, (
            "until they are claimed or acknowledged (STR-12)"
        )

    @clause("STR-18")
    async def test_history_read_respects_count_and_never_waits(self, trial: Trial) -> None:
        """A history read returns at most `count` entries, the oldest, and never waits.

        If nothing is pending it returns an empty list at once, for any `block`.

        If this fails, check whether `block` is passed on, and look for a history that continues
        with new entries.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 6)
        await adapter.xreadgroup(stream, "group", "consumer", count=5)

        assert (
            ids_of(await adapter.xreadgroup(stream, "group", "consumer", count=3, history=True))
            == ids[:3]
        )
        for consumer in ("stranger", "stranger", "another"):
            reading = asyncio.create_task(
                adapter.xreadgroup(stream, "group", consumer, block=3_600, history=True)
            )
            assert await trial.done(reading, "a history with `block`") == []
        assert [entry.deliveries for entry in await adapter.xpending(stream, "group")] == [
            2,
            2,
            2,
            1,
            1,
        ]

    @clause("STR-18")
    async def test_history_follows_a_claim(self, trial: Trial) -> None:
        """A claimed entry moves from the history of the old consumer to that of the new one.

        If this fails, look for a pending list per consumer in addition to that of the group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "old")
        await adapter.xautoclaim(stream, "group", "new", 0, count=2)

        assert ids_of(await adapter.xreadgroup(stream, "group", "new", history=True)) == ids[:2]
        assert ids_of(await adapter.xreadgroup(stream, "group", "old", history=True)) == ids[2:]
        assert [
            entry.id for entry in await adapter.xpending(stream, "group", consumer="new")
        ] == ids[:2]
