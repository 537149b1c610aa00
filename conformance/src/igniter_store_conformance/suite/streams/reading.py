"""Reading new entries in a group: clauses STR-6, STR-15 and STR-20."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.streams import are_whole, fill, group_with, ids_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MANY: Final = 5_500  # entries, more than any default limit


class GroupReadingClauses(Suite):
    """New entries, distributed among consumers."""

    @clause("STR-6")
    async def test_each_entry_goes_to_one_consumer(self, trial: Trial) -> None:
        """Each new entry is delivered to only one consumer of a group.

        This holds for acknowledged and unacknowledged entries, and for reads by any client.

        If this fails, look for a position that each consumer or each client keeps for itself.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 10)

        first = ids_of(await adapter.xreadgroup(stream, "group", "one", count=3))
        await adapter.xack(stream, "group", first[:2])
        second = ids_of(await other.xreadgroup(stream, "group", "two", count=4))
        third = ids_of(await adapter.xreadgroup(stream, "group", "one"))

        assert first + second + third == ids
        assert (
            await other.xreadgroup(stream, "group", "two")
            == await adapter.xreadgroup(stream, "group", "three")
            == []
        )

    @clause("STR-6")
    async def test_every_group_gets_every_entry(self, trial: Trial) -> None:
        """Each group reads all entries, regardless of reads and acks in other groups.

        If this fails, look for a position or a flag that belongs to the stream, or for entries that
        are deleted when they are acknowledged.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 5)
        groups = ("group", "groups", "Group")
        for group in groups:
            await adapter.xgroup_create(stream, group)

        for group in groups:
            assert ids_of(await adapter.xreadgroup(stream, group, "consumer")) == ids
            assert await adapter.xack(stream, group, ids) == 5

    @clause("STR-6")
    async def test_consumers_that_read_at_once_share_everything_out(self, trial: Trial) -> None:
        """Concurrent consumers on several clients together read every entry exactly once.

        They read until nothing is left.

        If this fails, look for a non-atomic read and update of the group's position.
        """
        stream, clients = trial.key(), await trial.clients(3)
        ids = await group_with(trial.adapter, stream, 200)

        async def drain(number: int) -> list[str]:
            got: list[str] = []
            while entries := await clients[number % 3].xreadgroup(
                stream, "group", f"consumer-{number}", count=3
            ):
                got += ids_of(entries)
                await asyncio.sleep(0)
            return got

        shares = await asyncio.gather(*(drain(number) for number in range(9)))

        assert sorted(added for share in shares for added in share) == sorted(ids)

    @clause("STR-6")
    async def test_reading_and_appending_at_once_misses_nothing(self, trial: Trial) -> None:
        """While clients append concurrently, exactly one reader gets each entry.

        This includes entries that are appended at the same moment.

        If this fails, look for ids that are assigned in another order than the entries become
        visible. A reader then skips the late ones.
        """
        stream, clients = trial.key(), await trial.clients(3)
        await trial.adapter.xgroup_create(stream, "group")
        appended = asyncio.Event()

        async def append(number: int) -> list[str]:
            return [
                await clients[number % 3].xadd(stream, {"field": b"%d" % turn})
                for turn in range(12)
            ]

        async def read(number: int) -> list[str]:
            got: list[str] = []
            while not appended.is_set():
                got += ids_of(
                    await clients[number % 3].xreadgroup(
                        stream, "group", f"consumer-{number}", count=5
                    )
                )
                await asyncio.sleep(0)
            return got

        reading = [asyncio.create_task(read(number)) for number in range(4)]
        ids = [
            added
            for share in await asyncio.gather(*(append(number) for number in range(12)))
            for added in share
        ]
        appended.set()
        got = [added for share in await asyncio.gather(*reading) for added in share]
        got += ids_of(await trial.adapter.xreadgroup(stream, "group", "last"))

        assert sorted(got) == sorted(ids)

    @clause("STR-20")
    async def test_group_read_is_ordered_and_limited_by_count(self, trial: Trial) -> None:
        """A group read returns at most `count` entries, oldest first, with their fields.

        Ids are ordered as numbers.

        If this fails, look for ids that are compared as text, for a limit that isn't passed on, and
        for a position that advances too far.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 130)

        parts = [
            await adapter.xreadgroup(stream, "group", "consumer", count=count)
            for count in (1, 9, 2, 100, 50)
        ]

        assert [len(part) for part in parts] == [1, 9, 2, 100, 18]
        entries = [entry for part in parts for entry in part]
        assert ids_of(entries) == ids
        assert await are_whole(adapter, stream, entries)

    @clause("STR-20")
    async def test_with_nothing_new_a_read_answers_at_once(self, trial: Trial) -> None:
        """Without new entries, a read with no `block` or a `block` of 0 returns `[]` at once.

        It never waits forever.

        If this fails, check the meaning of 0 in your backend. In Redis it means "forever".
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 2)
        await adapter.xgroup_create(stream, "group", "$")

        for block in (None, 0, 0.0):
            reading = asyncio.create_task(
                adapter.xreadgroup(stream, "group", "consumer", block=block)
            )
            assert await trial.done(reading, f"a read with block={block}") == []

    @clause("STR-15", limit=90)
    async def test_a_group_without_count_has_no_limit(self, trial: Trial) -> None:
        """Without `count`, the group methods handle thousands of entries in one call.

        The entries are read, listed, read again, claimed and acknowledged.

        If this fails, look for a default limit. XPENDING and XAUTOCLAIM have one, and return pages.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, _MANY)

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer", history=True)) == ids
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids
        assert await adapter.xack(stream, "group", ids) == _MANY
