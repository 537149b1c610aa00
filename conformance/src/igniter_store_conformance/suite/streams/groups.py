"""Groups of consumers, made, named and destroyed: clauses STR-4, STR-5, STR-13, STR-19 and STR-22.

Reading in them is in `group_reading` and `blocking`; what was read, in `pending`, `history` and
`claiming`.
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
    """How a group begins, what it says of itself, and how it ends."""

    @clause("STR-4")
    async def test_creating_a_group_makes_its_stream(self, trial: Trial) -> None:
        """A group of a stream that isn't there makes it, empty; what is appended later is read.

        If this fails, look for MKSTREAM, or what your backend has for it.
        """
        stream, other = trial.key(), await trial.other()
        assert await trial.adapter.xgroup_create(stream, "group") is True

        assert await other.xlen(stream) == 0
        assert [group.name for group in await other.xgroups(stream)] == ["group"]
        added = await other.xadd(stream, {"field": b"1"})
        assert ids_of(await trial.adapter.xreadgroup(stream, "group", "consumer")) == [added]

    @clause("STR-4")
    async def test_creating_a_group_again_leaves_its_position(self, trial: Trial) -> None:
        """It says False, whatever start is asked for, and reading goes on where it was.

        If this fails, look for a group that is replaced or moved when it is there: every start of a
        program would read all again.
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
        """What was handed out and not acknowledged is still pending for its consumer, as often
        delivered as before.

        If this fails, look for a group that is destroyed and made anew.
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
    async def test_of_those_who_create_a_group_at_once_one_is_told_so(self, trial: Trial) -> None:
        """Of many creators exactly one hears True; the others hear False, and no error.

        If this fails, look for a look-up before the creation: your backend's own "already there" is
        the answer.
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
        """`0` reads everything, `$` only what comes later, an id what follows it: the entry of that
        id is not read.

        If this fails, look at whether the start itself is included, and at what `$` means at the
        moment of creation.
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
        """A group may begin after an entry that was deleted; `$` after a deleted last entry reads
        what comes.

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
    async def test_a_start_may_be_a_millisecond_or_lie_ahead(self, trial: Trial) -> None:
        """`<ms>` alone is its first id; a group that begins after an id to come gives, blocked or
        not, nothing before it.

        If this fails, look at the sequence number that is put behind a bare millisecond, and for a
        position that new entries draw back.
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

        # What has the very id `<ms>-0` is not after it.
        assert behind == [added for added in (first, *rest, later) if added != f"{milliseconds}-0"]

    @clause("STR-5")
    async def test_a_malformed_start_is_refused(self, trial: Trial) -> None:
        """What is no id raises `STORE_STREAM_GROUP_CREATE_FAILED`, and there is neither a group nor
        a stream after it.

        If this fails, look at the code of your backend's complaint, and at what was made before it
        complained.
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
        """Reading, waiting, looking and claiming in a missing group, or in a group of a missing
        stream, raise the code for that.

        If this fails, look at NOGROUP, or what your backend has for it, and for an empty list where
        nobody will ever see an entry.
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
        """When a stream was deleted and begins anew it has no groups; made again, a group has
        nothing of its former life.

        If this fails, look for groups in a table of their own that deleting the stream forgets.
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
    async def test_every_group_is_named_with_what_it_has_to_do(self, trial: Trial) -> None:
        """Every group of this stream and no other, by name, with its consumers, its pending count,
        its last id, and its lag or None.

        If this fails, look at counts that forget acks, and at a last id that is the last
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
        """A group that begins at `0` was last given `0-0`; on a new stream `$` is the same.

        If this fails, look at how the beginning of everything is spelled.
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
        """Reading again, claiming and acknowledging leave a group where it is.

        If this fails, look for the last id of whatever was handed out.
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
        """True once, then False; False for a group that never was, and for a missing stream.

        If this fails, look for your backend's complaint about a missing stream: it is an answer
        here.
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
        """Entries, other groups, their positions and their pending lists stay.

        If this fails, look for a list that groups share, and for a stream that goes with its group.
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
        """Made again, it begins at its start, has nothing pending, and delivers each entry for the
        first time.

        If this fails, look for a pending list, a position or a count that outlives the group.
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
