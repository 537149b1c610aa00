"""Creating, listing and destroying groups: clauses STR-4, STR-5, STR-13, STR-19 and STR-22.

Reading in groups is tested in `reading` and `blocking`, and entries that were read in `pending`,
`history` and `autoclaim`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.streams import facts, fill, group_with, ids_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import Trial

_MALFORMED: Final = ("", "x", "1-", "(5", "1-2-3", "-", "+")


class GroupClauses(Suite):
    """Creating, listing and destroying groups."""

    @clause("STR-4")
    async def test_creating_a_group_makes_its_stream(self, trial: Trial) -> None:
        """Creating a group on a missing stream creates an empty stream.

        The group reads the entries that are appended later.

        If this fails, look for MKSTREAM, or for the equivalent of your backend.
        """
        stream, other = trial.key(), await trial.other()
        assert await trial.adapter.xgroup_create(stream, "group") is True

        assert await other.xlen(stream) == 0
        assert [group.name for group in await other.xgroups(stream)] == ["group"]
        added = await other.xadd(stream, {"field": b"1"})
        assert ids_of(await trial.adapter.xreadgroup(stream, "group", "consumer")) == [added]

    @clause("STR-4")
    async def test_creating_a_group_again_leaves_its_position(self, trial: Trial) -> None:
        """Creating an existing group returns False and keeps its position, for any `start`.

        If this fails, look for an existing group that is replaced or moved. Every start of a
        program would then read all entries again.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 8)
        await adapter.xack(
            stream, "group", ids_of(await adapter.xreadgroup(stream, "group", "consumer", count=3))
        )

        for start in ("0", "$", ids[0], ids[6]):
            assert await other.xgroup_create(stream, "group", start) is False

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids[3:]

    @clause("STR-4")
    async def test_creating_a_group_again_leaves_its_pending_list(self, trial: Trial) -> None:
        """Creating an existing group keeps its pending list.

        Unacknowledged entries are still pending for their consumer, with the same delivery count.

        If this fails, look for a group that is destroyed and created again.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 5)
        await adapter.xreadgroup(stream, "group", "consumer", count=2)

        assert [await adapter.xgroup_create(stream, "group", start) for start in ("0", "$")] == [
            False,
            False,
        ]

        assert facts(await adapter.xpending(stream, "group")) == [
            (ids[0], "consumer", 1),
            (ids[1], "consumer", 1),
        ]

    @clause("STR-4")
    async def test_one_concurrent_group_creation_returns_true(self, trial: Trial) -> None:
        """Of many concurrent calls that create a group, exactly one returns True.

        The others return False and don't raise.

        If this fails, look for a lookup before the creation. Use your backend's own "already
        exists" reply instead.
        """
        stream, clients = trial.key(), await trial.clients(3)

        def creation(turn: int) -> Callable[[], Awaitable[bool]]:
            return lambda: clients[turn % 3].xgroup_create(
                stream, "group", "$" if turn % 2 else "0"
            )

        assert sorted(await trial.race([creation(turn) for turn in range(24)])) == [False] * 23 + [
            True
        ]
        assert len(await trial.adapter.xgroups(stream)) == 1

    @clause("STR-5")
    async def test_a_group_begins_after_its_start(self, trial: Trial) -> None:
        """A group reads the entries after its `start`.

        `0` means all entries, `$` only later entries, and an id the entries after that id, without
        the entry itself.

        If this fails, check whether the start itself is included, and whether `$` is resolved when
        the group is created.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)
        starts = {"all": "0", "new": "$", "after": ids[2], "last": ids[5]}
        for group, start in starts.items():
            assert await adapter.xgroup_create(stream, group, start) is True
        later = await adapter.xadd(stream, {"field": b"later"})

        read = {
            group: ids_of(await adapter.xreadgroup(stream, group, "consumer")) for group in starts
        }

        assert read == {
            "all": [*ids, later],
            "new": [later],
            "after": [*ids[3:], later],
            "last": [later],
        }

    @clause("STR-5")
    async def test_a_start_need_not_be_an_entry(self, trial: Trial) -> None:
        """A group may start after the id of a deleted entry.

        A group with the start `$` after a deleted last entry reads the entries that follow.

        If this fails, look for a start that is looked up instead of compared.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)
        await adapter.xdel(stream, [ids[2], ids[5]])
        await adapter.xgroup_create(stream, "after", ids[2])
        await adapter.xgroup_create(stream, "new", "$")
        later = await adapter.xadd(stream, {"field": b"later"})

        assert ids_of(await adapter.xreadgroup(stream, "after", "consumer")) == [
            ids[3],
            ids[4],
            later,
        ]
        assert ids_of(await adapter.xreadgroup(stream, "new", "consumer")) == [later]

    @clause("STR-5")
    async def test_group_start_may_be_milliseconds_or_future_id(self, trial: Trial) -> None:
        """A start may be only `<ms>`, or an id in the future.

        `<ms>` means its first id. A group with a start in the future returns no entry before it,
        from blocking and non-blocking reads.

        If this fails, look at the sequence number that is appended to a bare `<ms>`, and for a
        position that new entries move back.
        """
        stream, adapter = trial.key(), trial.adapter
        first, *rest = await fill(adapter, stream, 3)
        milliseconds = int(first.partition("-")[0])
        ahead = milliseconds + 3_600_000
        await adapter.xgroup_create(stream, "millisecond", f"{milliseconds}")
        await adapter.xgroup_create(stream, "ahead", f"{ahead}-1")
        later = await adapter.xadd(stream, {"field": b"later"})

        assert ids_of(await adapter.xreadgroup(stream, "ahead", "consumer")) == []
        reading = asyncio.create_task(adapter.xreadgroup(stream, "ahead", "consumer", block=0.1))
        await trial.time.until_done(reading, 0.1)
        assert await reading == []
        behind = ids_of(await adapter.xreadgroup(stream, "millisecond", "consumer"))

        # An entry with exactly the id `<ms>-0` isn't after it.
        assert behind == [added for added in (first, *rest, later) if added != f"{milliseconds}-0"]

    @clause("STR-5")
    async def test_a_malformed_start_is_refused(self, trial: Trial) -> None:
        """A malformed `start` raises `STORE_STREAM_GROUP_CREATE_FAILED` and creates nothing.

        Neither the group nor the stream is created.

        If this fails, check the code that your backend's error is mapped to, and look for a group
        or a stream that is created before the error.
        """
        stream, missing, adapter = trial.key(), trial.key("missing"), trial.adapter
        await adapter.xadd(stream, {"field": b"1"})

        for start in _MALFORMED:
            await refused(
                adapter.xgroup_create(stream, "group", start),
                ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED,
                f"{start!r}",
            )
            await refused(
                adapter.xgroup_create(missing, "group", start),
                ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED,
                f"{start!r}",
            )

        assert await adapter.xgroups(stream) == await adapter.xgroups(missing) == []

    @clause("STR-13")
    async def test_a_group_that_does_not_exist_is_missing(self, trial: Trial) -> None:
        """Using a missing group raises `STORE_STREAM_GROUP_MISSING`.

        The calls read, wait, list pending entries and claim, in a missing group and in a group of a
        missing stream.

        If this fails, look at NOGROUP, or at the equivalent of your backend, and for an empty list
        in place of the error: the reader would never get an entry.
        """
        stream, adapter, code = trial.key(), trial.adapter, ErrorCode.STORE_STREAM_GROUP_MISSING
        await adapter.xadd(stream, {"field": b"1"})
        await adapter.xgroup_create(stream, "another")

        for key in (stream, trial.key("missing")):
            await refused(adapter.xreadgroup(key, "group", "consumer"), code, "reading")
            await refused(
                adapter.xreadgroup(key, "group", "consumer", history=True), code, "reading history"
            )
            await refused(
                adapter.xreadgroup(key, "group", "consumer", block=3_600), code, "waiting"
            )
            await refused(adapter.xpending(key, "group"), code, "looking")
            await refused(adapter.xautoclaim(key, "group", "consumer", 0), code, "claiming")
        assert [group.name for group in await adapter.xgroups(stream)] == ["another"]

    @clause("STR-13", KeyValue)
    async def test_groups_go_with_their_stream(self, trial: Trial) -> None:
        """Deleting a stream deletes its groups.

        A new stream under the same key has no groups. A group that is created again has nothing
        from before.

        If this fails, look for groups in a separate table that isn't cleared when the stream is
        deleted.
        """
        stream, adapter = trial.key(), trial.adapter
        await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "consumer")

        assert await adapter.delete([stream]) == 1
        await refused(
            adapter.xreadgroup(stream, "group", "consumer"),
            ErrorCode.STORE_STREAM_GROUP_MISSING,
            "after the deletion",
        )
        assert await adapter.xlen(stream) == 0
        added = await adapter.xadd(stream, {"field": b"new"})
        await refused(
            adapter.xreadgroup(stream, "group", "consumer"),
            ErrorCode.STORE_STREAM_GROUP_MISSING,
            "in the new stream",
        )
        assert await adapter.xgroup_create(stream, "group") is True
        assert await adapter.xpending(stream, "group") == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == [added]

    @clause("STR-19")
    async def test_groups_are_listed_with_counts_and_positions(self, trial: Trial) -> None:
        """`xgroups` returns every group of this stream, and no other, sorted by name.

        Each has its number of consumers, its pending count, its last id, and its lag or None.

        If this fails, look at counts that don't include acks, and at a last id that is the last
        acknowledged one or the stream's.
        """
        stream, elsewhere, adapter = trial.key(), trial.key("elsewhere"), trial.adapter
        ids = await fill(adapter, stream, 10)
        for group, start in (("young", "$"), ("busy", "0"), ("at an id", ids[4])):
            await adapter.xgroup_create(stream, group, start)
        await adapter.xgroup_create(elsewhere, "stranger")
        await adapter.xreadgroup(stream, "busy", "a", count=3)
        await adapter.xreadgroup(stream, "busy", "b", count=1)
        await adapter.xack(stream, "busy", [ids[0]])

        found = await (await trial.other()).xgroups(stream)

        assert [(group.name, group.pending, group.last_delivered_id) for group in found] == [
            ("at an id", 0, ids[4]),
            ("busy", 3, ids[3]),
            ("young", 0, ids[9]),
        ]
        assert found[1].consumers == 2
        for info, lag in zip(found, (5, 6, 0), strict=True):
            assert info.lag in (None, lag), f"the lag of {info.name!r}"

    @clause("STR-19")
    async def test_a_new_group_has_read_nothing(self, trial: Trial) -> None:
        """The last id of a group that starts at `0` is `0-0`.

        The same holds for `$` on a new stream.

        If this fails, look at how the adapter formats the id that precedes all others.
        """
        stream, new, adapter = trial.key(), trial.key("new"), trial.adapter
        await fill(adapter, stream, 3)
        await adapter.xgroup_create(stream, "group", "0")
        await adapter.xgroup_create(new, "group", "$")

        for key, lag in ((stream, 3), (new, 0)):
            (group,) = await adapter.xgroups(key)
            assert (group.name, group.pending, group.last_delivered_id) == ("group", 0, "0-0")
            assert group.lag in (None, lag)
        assert await adapter.xgroups(trial.key("missing")) == []

    @clause("STR-19")
    async def test_a_last_id_moves_with_new_entries_only(self, trial: Trial) -> None:
        """History reads, claims and acks don't change the last id of a group.

        If this fails, look for a last id that is set by every delivery.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "consumer", count=3)

        await adapter.xreadgroup(stream, "group", "consumer", count=1, history=True)
        await adapter.xautoclaim(stream, "group", "heir", 0, count=1)
        await adapter.xack(stream, "group", ids[:1])

        (group,) = await adapter.xgroups(stream)
        assert (group.pending, group.last_delivered_id) == (2, ids[2])
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids[3:]

    @clause("STR-22")
    async def test_destroying_says_whether_there_was_a_group(self, trial: Trial) -> None:
        """`xgroup_destroy` returns True if the group existed, and False otherwise.

        It returns False for a second call, for a group that never existed, and for a missing
        stream.

        If this fails, look for your backend's error about a missing stream. Here it means False.
        """
        stream, adapter = trial.key(), trial.adapter
        await adapter.xgroup_create(stream, "group")

        assert await (await trial.other()).xgroup_destroy(stream, "group") is True
        assert await adapter.xgroup_destroy(stream, "group") is False
        assert await adapter.xgroup_destroy(stream, "Group") is False
        assert await adapter.xgroup_destroy(trial.key("missing"), "group") is False
        assert await adapter.xgroups(stream) == []

    @clause("STR-22")
    async def test_destroying_leaves_the_entries_and_the_other_groups(self, trial: Trial) -> None:
        """Destroying a group keeps the entries and the other groups.

        The other groups keep their positions and their pending lists.

        If this fails, look for a list that several groups share, and for a stream that is deleted
        with its group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 5)
        for group in ("group", "other"):
            await adapter.xgroup_create(stream, group)
            await adapter.xreadgroup(stream, group, "consumer", count=2)

        await adapter.xgroup_destroy(stream, "group")

        assert ids_of(await adapter.xrange(stream)) == ids
        assert [group.name for group in await adapter.xgroups(stream)] == ["other"]
        assert facts(await adapter.xpending(stream, "other")) == [
            (added, "consumer", 1) for added in ids[:2]
        ]
        assert ids_of(await adapter.xreadgroup(stream, "other", "consumer")) == ids[2:]

    @clause("STR-22")
    async def test_a_destroyed_group_comes_back_empty(self, trial: Trial) -> None:
        """A group that is destroyed and created again has no data from before.

        It begins at its `start`, has nothing pending, and delivers each entry for the first time.

        If this fails, look for a pending list, a position or a count that isn't deleted with the
        group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "consumer")
        await adapter.xgroup_destroy(stream, "group")
        await refused(
            adapter.xreadgroup(stream, "group", "consumer"),
            ErrorCode.STORE_STREAM_GROUP_MISSING,
            "destroyed",
        )

        assert await adapter.xgroup_create(stream, "group") is True

        assert await adapter.xpending(stream, "group") == []
        assert await adapter.xreadgroup(stream, "group", "consumer", history=True) == []
        assert await adapter.xack(stream, "group", ids) == 0
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert facts(await adapter.xpending(stream, "group")) == [
            (added, "consumer", 1) for added in ids
        ]
