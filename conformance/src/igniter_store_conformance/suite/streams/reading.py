"""Reading new entries in a group: clauses STR-6, STR-15 and STR-20."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.streams import are_whole, fill, group_with, ids_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MANY: Final = 5_500  # entries that no default limit covers


class GroupReadingClauses(Suite):
    """New entries, shared out."""

    @clause("STR-6")
    async def test_each_entry_goes_to_one_consumer(self, trial: Trial) -> None:
        """What one consumer of a group was given, no other is given as new, acknowledged or not,
        whichever client asks.

        If this fails, look for a position that each consumer, or each client, has for itself.
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
        """What one group has read, or acknowledged, another one still reads.

        If this fails, look for a position or a mark that belongs to the stream, or entries that go
        when they are acknowledged.
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
        """Several consumers on several clients read until nothing is left: together they have
        everything, and nothing twice.

        If this fails, look for a look at the position and a move of it in two steps.
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
        """While several append, several read: each entry is read by exactly one, those appended at
        the same moment, too.

        If this fails, look for ids that are given in another order than entries become visible in:
        a reader steps over the late ones.
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
    async def test_a_group_reads_in_order_and_no_more_than_count(self, trial: Trial) -> None:
        """Entries come in the order of their ids as numbers, the oldest first, with their fields,
        at most `count` of them.

        If this fails, look for ids that are compared as text, a limit that is not passed on, and a
        position that steps too far.
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
        """Without `block`, and with a `block` of 0, a read of nothing is an empty list, and nothing
        waits for ever.

        If this fails, look at what 0 means to your backend: to Redis it is for ever.
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
        """Thousands of entries are read, listed, read again, claimed and acknowledged, each in one
        call.

        If this fails, look for a limit that you give by default: XPENDING and XAUTOCLAIM have one,
        and answers come in pages.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, _MANY)

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer", history=True)) == ids
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids
        assert await adapter.xack(stream, "group", ids) == _MANY
