"""Trimming and deleting: clauses STR-3 and STR-14."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.streams import fill, ids_of, number_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

# Entries beyond `max_len` that approximate trimming may leave. Redis removes whole nodes, of 100
# entries each.
_NODES: Final = 500


class TrimmingClauses(Suite):
    """Removing entries, and the state that remains."""

    @clause("STR-3")
    async def test_exact_trimming_keeps_exactly_the_newest(self, trial: Trial) -> None:
        """Exact trimming to n keeps exactly the newest n entries.

        n is greater than the number of entries, equal to it, smaller, 1, or 0.

        If this fails, look for an off-by-one error, for trimming at the wrong end, and for
        `approximate=False` that isn't passed on.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 350)

        for kept in (351, 350, 349, 120, 7, 1, 0):
            await adapter.xtrim(stream, kept, approximate=False)
            assert set(ids_of(await adapter.xrange(stream))) == set(ids[350 - min(kept, 350) :]), (
                f"trimmed to {kept}"
            )

    @clause("STR-3")
    async def test_an_exact_length_counts_the_new_entry(self, trial: Trial) -> None:
        """An exact `max_len` of an append counts the new entry.

        The stream keeps the new entry and the newest ones before it, `max_len` in all.

        If this fails, look for trimming that happens before the append.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = [
            await adapter.xadd(stream, {"field": b"%d" % number}, max_len=3, approximate=False)
            for number in range(7)
        ]

        assert ids_of(await adapter.xrange(stream)) == ids[-3:]
        assert await adapter.xadd(stream, {"field": b"only"}, max_len=1, approximate=False)
        assert [entry.fields for entry in await adapter.xrange(stream)] == [{"field": b"only"}]

    @clause("STR-3")
    async def test_an_exact_length_holds_with_many_appenders(self, trial: Trial) -> None:
        """Concurrent appends with an exact `max_len` keep exactly the newest entries.

        Two clients append with the same `max_len`.

        If this fails, look for an append and a trim in two separate steps.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        appends = (
            clients[turn % 2].xadd(stream, {"field": b"1"}, max_len=20, approximate=False)
            for turn in range(200)
        )
        ids = await asyncio.gather(*appends)

        assert set(ids_of(await trial.adapter.xrange(stream))) == set(
            sorted(ids, key=number_of)[-20:]
        )

    @clause("STR-3")
    async def test_approximate_trimming_keeps_at_least_the_newest(self, trial: Trial) -> None:
        """Approximate trimming to n keeps the newest n, and at most a few hundred more.

        A shorter stream isn't changed.

        If this fails, look for nodes that are removed although they contain one of the newest n, or
        for trimming that is postponed.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 1_000)

        assert await adapter.xtrim(stream, 1_000) == await adapter.xtrim(stream, 5_000) == 0
        removed = await adapter.xtrim(stream, 130)

        assert 130 <= 1_000 - removed <= 130 + _NODES
        assert set(ids_of(await adapter.xrange(stream))) == set(ids[removed:])

    @clause("STR-3")
    async def test_an_approximate_length_bounds_the_stream(self, trial: Trial) -> None:
        """Appends with an approximate `max_len` keep at least that many entries.

        The stream doesn't grow without limit.

        If this fails, check that `max_len` is passed on, and look at which entries are left when a
        node is removed.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 1_200, max_len=10)

        kept = await adapter.xlen(stream)
        assert 10 <= kept <= 10 + _NODES
        assert set(ids_of(await adapter.xrange(stream))) == set(ids[-kept:])

    @clause("STR-14")
    async def test_a_length_is_the_number_of_entries(self, trial: Trial) -> None:
        """`xlen` returns the current number of entries to every client, and 0 for a missing stream.

        If this fails, look for a counter that deleting or trimming doesn't update.
        """
        stream, other = trial.key(), await trial.other()
        assert await trial.adapter.xlen(stream) == 0

        ids = await fill(trial.adapter, stream, 9)
        assert await other.xlen(stream) == 9
        await other.xdel(stream, [ids[0], ids[4]])
        assert await trial.adapter.xlen(stream) == 7
        await trial.adapter.xtrim(stream, 2, approximate=False)
        assert await other.xlen(stream) == 2
        await other.xdel(stream, ids)
        assert await trial.adapter.xlen(stream) == 0

    @clause("STR-14")
    async def test_deleting_counts_existing_entries(self, trial: Trial) -> None:
        """`xdel` returns the number of entries that existed.

        A repeated id counts once. An id that doesn't exist or was already deleted doesn't count.
        The other entries stay, in order.

        If this fails, look for code that counts the requested ids.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)

        assert await adapter.xdel(stream, [ids[1], ids[4], ids[1], "1-1"]) == 2
        assert await adapter.xdel(stream, [ids[1]]) == 0
        assert await adapter.xdel(trial.key("missing"), [ids[0]]) == 0
        assert ids_of(await adapter.xrange(stream)) == [ids[0], ids[2], ids[3], ids[5]]

    @clause("STR-14")
    async def test_one_malformed_id_deletes_none(self, trial: Trial) -> None:
        """If one id is malformed, `xdel` raises `STORE_OPERATION_FAILED` and deletes none.

        The entries with valid ids in the same call still exist.

        If this fails, look for ids that are deleted one by one.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 2)

        await refused(
            adapter.xdel(stream, [ids[0], "nonsense", ids[1]]),
            ErrorCode.STORE_OPERATION_FAILED,
            "an id that is none",
        )

        assert ids_of(await adapter.xrange(stream)) == ids

    @clause("STR-14")
    async def test_trimming_says_how_many_it_removed(self, trial: Trial) -> None:
        """`xtrim` returns the number of entries that it removed, not of those left.

        This holds for exact and approximate trimming. For a missing stream it returns 0.

        If this fails, check the meaning of the number in your backend's reply to a trim.
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 700)

        removed = await adapter.xtrim(stream, 600, approximate=True)
        left = await adapter.xlen(stream)
        assert removed == 700 - left
        assert await adapter.xtrim(stream, 7, approximate=False) == left - 7
        assert await adapter.xtrim(stream, 7, approximate=False) == 0
        assert await adapter.xtrim(stream, 0, approximate=False) == 7
        assert await adapter.xtrim(trial.key("missing"), 0, approximate=False) == 0

    @clause("STR-14")
    async def test_empty_stream_keeps_groups_and_last_id(self, trial: Trial) -> None:
        """A stream that is emptied by deleting or trimming keeps its groups and its last id.

        Its groups keep their positions, and a new group with the start `$` begins at the last id.

        If this fails, look for a stream that is removed with its last entry.
        """
        deleted, trimmed, adapter = trial.key("deleted"), trial.key("trimmed"), trial.adapter
        for stream in (deleted, trimmed):
            ids = await fill(adapter, stream, 3)
            await adapter.xgroup_create(stream, "old", ids[1])
            if stream is deleted:
                await adapter.xdel(stream, ids)
            else:
                await adapter.xtrim(stream, 0, approximate=False)
            await adapter.xgroup_create(stream, "young", "$")

            positions = [
                (group.name, group.last_delivered_id) for group in await adapter.xgroups(stream)
            ]
            assert positions == [("old", ids[1]), ("young", ids[2])]
            added = await adapter.xadd(stream, {"field": b"1"})
            assert ids_of(await adapter.xreadgroup(stream, "old", "consumer")) == [added]
            assert ids_of(await adapter.xreadgroup(stream, "young", "consumer")) == [added]
