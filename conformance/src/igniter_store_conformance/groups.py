"""Groups of consumers: clauses STR-4 to STR-6, STR-8, STR-9, STR-13, STR-15, STR-19, STR-20 and STR-22.

Reads that wait are in `blocking`; what is handed out a second time is in `claiming`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode, KeyValue

from igniter_store_conformance.running import clause
from igniter_store_conformance.streams import are_whole, fill, ids_of, refused
from igniter_store_conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from igniter_store.contract import PendingEntry

    from igniter_store_conformance.trial import FullAdapter, Trial

_MALFORMED: Final = ("", "x", "1-", "(5", "1-2-3", "-", "+")
_MANY: Final = 5_500  # entries that no default limit covers
_SLACK: Final = 0.05  # seconds by which an idle time may be off, for rounding


class GroupClauses(Suite):
    """How a group begins, shares out entries, remembers them, and ends."""

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

        If this fails, look for a group that is replaced or moved when it is there: every start of a program would read all again.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 8)
        await adapter.xack(stream, "group", ids_of(await adapter.xreadgroup(stream, "group", "consumer", count=3)))

        for start in ("0", "$", ids[0], ids[6]):
            assert await other.xgroup_create(stream, "group", start) is False

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids[3:]

    @clause("STR-4")
    async def test_creating_a_group_again_leaves_its_pending_list(self, trial: Trial) -> None:
        """What was handed out and not acknowledged is still pending for its consumer, as often delivered as before.

        If this fails, look for a group that is destroyed and made anew.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 5)
        await adapter.xreadgroup(stream, "group", "consumer", count=2)

        assert [await adapter.xgroup_create(stream, "group", start) for start in ("0", "$")] == [False, False]

        assert facts(await adapter.xpending(stream, "group")) == [(ids[0], "consumer", 1), (ids[1], "consumer", 1)]

    @clause("STR-4")
    async def test_of_those_who_create_a_group_at_once_one_is_told_so(self, trial: Trial) -> None:
        """Of many creators exactly one hears True; the others hear False, and no error.

        If this fails, look for a look-up before the creation: your backend's own "already there" is the answer.
        """
        stream, clients = trial.key(), await trial.clients(3)

        def creation(turn: int) -> Callable[[], Awaitable[bool]]:
            return lambda: clients[turn % 3].xgroup_create(stream, "group", "$" if turn % 2 else "0")

        assert sorted(await trial.race([creation(turn) for turn in range(24)])) == [False] * 23 + [True]
        assert len(await trial.adapter.xgroups(stream)) == 1

    @clause("STR-5")
    async def test_a_group_begins_after_its_start(self, trial: Trial) -> None:
        """`0` reads everything, `$` only what comes later, an id what follows it: the entry of that id is not read.

        If this fails, look at whether the start itself is included, and at what `$` means at the moment of creation.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)
        starts = {"all": "0", "new": "$", "after": ids[2], "last": ids[5]}
        for group, start in starts.items():
            assert await adapter.xgroup_create(stream, group, start) is True
        later = await adapter.xadd(stream, {"field": b"later"})

        read = {group: ids_of(await adapter.xreadgroup(stream, group, "consumer")) for group in starts}

        assert read == {"all": [*ids, later], "new": [later], "after": [*ids[3:], later], "last": [later]}

    @clause("STR-5")
    async def test_a_start_need_not_be_an_entry(self, trial: Trial) -> None:
        """A group may begin after an entry that was deleted; `$` after a deleted last entry reads what comes.

        If this fails, look for a start that is looked up instead of compared.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)
        await adapter.xdel(stream, [ids[2], ids[5]])
        await adapter.xgroup_create(stream, "after", ids[2])
        await adapter.xgroup_create(stream, "new", "$")
        later = await adapter.xadd(stream, {"field": b"later"})

        assert ids_of(await adapter.xreadgroup(stream, "after", "consumer")) == [ids[3], ids[4], later]
        assert ids_of(await adapter.xreadgroup(stream, "new", "consumer")) == [later]

    @clause("STR-5")
    async def test_a_start_may_be_a_millisecond_or_lie_ahead(self, trial: Trial) -> None:
        """`<ms>` alone is its first id; a group that begins after an id to come gives, blocked or not, nothing before it.

        If this fails, look at the sequence number that is put behind a bare millisecond, and for a position that new entries draw back.
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
        """What is no id raises `STORE_STREAM_GROUP_CREATE_FAILED`, and there is neither a group nor a stream after it.

        If this fails, look at the code of your backend's complaint, and at what was made before it complained.
        """
        stream, missing, adapter = trial.key(), trial.key("missing"), trial.adapter
        await adapter.xadd(stream, {"field": b"1"})

        for start in _MALFORMED:
            await refused(adapter.xgroup_create(stream, "group", start), ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED, f"{start!r}")
            await refused(adapter.xgroup_create(missing, "group", start), ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED, f"{start!r}")

        assert await adapter.xgroups(stream) == await adapter.xgroups(missing) == []

    @clause("STR-6")
    async def test_each_entry_goes_to_one_consumer(self, trial: Trial) -> None:
        """What one consumer of a group was given, no other is given as new, acknowledged or not, whichever client asks.

        If this fails, look for a position that each consumer, or each client, has for itself.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 10)

        first = ids_of(await adapter.xreadgroup(stream, "group", "one", count=3))
        await adapter.xack(stream, "group", first[:2])
        second = ids_of(await other.xreadgroup(stream, "group", "two", count=4))
        third = ids_of(await adapter.xreadgroup(stream, "group", "one"))

        assert first + second + third == ids
        assert await other.xreadgroup(stream, "group", "two") == await adapter.xreadgroup(stream, "group", "three") == []

    @clause("STR-6")
    async def test_every_group_gets_every_entry(self, trial: Trial) -> None:
        """What one group has read, or acknowledged, another one still reads.

        If this fails, look for a position or a mark that belongs to the stream, or entries that go when they are acknowledged.
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
        """Several consumers on several clients read until nothing is left: together they have everything, and nothing twice.

        If this fails, look for a look at the position and a move of it in two steps.
        """
        stream, clients = trial.key(), await trial.clients(3)
        ids = await group_with(trial.adapter, stream, 200)

        async def drain(number: int) -> list[str]:
            got: list[str] = []
            while entries := await clients[number % 3].xreadgroup(stream, "group", f"consumer-{number}", count=3):
                got += ids_of(entries)
                await asyncio.sleep(0)
            return got

        shares = await asyncio.gather(*(drain(number) for number in range(9)))

        assert sorted(added for share in shares for added in share) == sorted(ids)

    @clause("STR-6")
    async def test_reading_and_appending_at_once_misses_nothing(self, trial: Trial) -> None:
        """While several append, several read: each entry is read by exactly one, those appended at the same moment, too.

        If this fails, look for ids that are given in another order than entries become visible in: a reader steps over the late ones.
        """
        stream, clients = trial.key(), await trial.clients(3)
        await trial.adapter.xgroup_create(stream, "group")
        appended = asyncio.Event()

        async def append(number: int) -> list[str]:
            return [await clients[number % 3].xadd(stream, {"field": b"%d" % turn}) for turn in range(12)]

        async def read(number: int) -> list[str]:
            got: list[str] = []
            while not appended.is_set():
                got += ids_of(await clients[number % 3].xreadgroup(stream, "group", f"consumer-{number}", count=5))
                await asyncio.sleep(0)
            return got

        reading = [asyncio.create_task(read(number)) for number in range(4)]
        ids = [added for share in await asyncio.gather(*(append(number) for number in range(12))) for added in share]
        appended.set()
        got = [added for share in await asyncio.gather(*reading) for added in share]
        got += ids_of(await trial.adapter.xreadgroup(stream, "group", "last"))

        assert sorted(got) == sorted(ids)

    @clause("STR-20")
    async def test_a_group_reads_in_order_and_no_more_than_count(self, trial: Trial) -> None:
        """Entries come in the order of their ids as numbers, the oldest first, with their fields, at most `count` of them.

        If this fails, look for ids that are compared as text, a limit that is not passed on, and a position that steps too far.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 130)

        parts = [await adapter.xreadgroup(stream, "group", "consumer", count=count) for count in (1, 9, 2, 100, 50)]

        assert [len(part) for part in parts] == [1, 9, 2, 100, 18]
        entries = [entry for part in parts for entry in part]
        assert ids_of(entries) == ids
        assert await are_whole(adapter, stream, entries)

    @clause("STR-20")
    async def test_with_nothing_new_a_read_answers_at_once(self, trial: Trial) -> None:
        """Without `block`, and with a `block` of 0, a read of nothing is an empty list, and nothing waits for ever.

        If this fails, look at what 0 means to your backend: to Redis it is for ever.
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 2)
        await adapter.xgroup_create(stream, "group", "$")

        for block in (None, 0, 0.0):
            reading = asyncio.create_task(adapter.xreadgroup(stream, "group", "consumer", block=block))
            assert await trial.done(reading, f"a read with block={block}") == []

    @clause("STR-8")
    async def test_what_was_read_is_pending_until_acknowledged(self, trial: Trial) -> None:
        """Each entry is listed once, in order of id, with the consumer that has it and one delivery; an ack takes it off.

        If this fails, look at what a read records, and at the order of the list.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 40)
        assert await other.xpending(stream, "group") == []
        await adapter.xreadgroup(stream, "group", "b", count=15)
        await other.xreadgroup(stream, "group", "a", count=15)

        expected = [(added, "b", 1) for added in ids[:15]] + [(added, "a", 1) for added in ids[15:30]]
        assert facts(await other.xpending(stream, "group")) == expected
        await adapter.xack(stream, "group", [ids[0], ids[20]])
        assert facts(await adapter.xpending(stream, "group")) == [fact for fact in expected if fact[0] not in (ids[0], ids[20])]

    @clause("STR-8")
    async def test_an_idle_time_is_the_seconds_since_the_delivery(self, trial: Trial) -> None:
        """Each entry's idle time counts from its own delivery: not from its id, its group, or the last delivery of all.

        If this fails, look at the unit (Redis answers in milliseconds), and at the moment that is remembered.
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
        assert 0.75 * time.ttl <= pending[0].idle <= now - began + _SLACK
        assert 0 <= pending[1].idle <= now - between + _SLACK

    @clause("STR-8")
    async def test_the_pending_list_can_be_narrowed_to_a_consumer(self, trial: Trial) -> None:
        """Only the entries of exactly this consumer are listed; `count` counts those, and not what is left out.

        If this fails, look at how names are compared, and at whether the limit comes before the filter.
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
    async def test_the_pending_list_can_be_narrowed_to_what_is_idle(self, trial: Trial) -> None:
        """Only what has been idle for at least `min_idle` is listed; `count` counts those, however many younger ones come before.

        If this fails, look at the unit of `min_idle`, and at whether the limit comes before the filter.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        ids = await group_with(adapter, stream, 70)
        await adapter.xreadgroup(stream, "group", "consumer", count=60)
        await time.passes(5 * time.ttl)
        began, long = time.now(), 4 * time.ttl
        await adapter.xreadgroup(stream, "group", "consumer", count=50, history=True)  # makes the first 50 young again
        await adapter.xreadgroup(stream, "group", "other")

        idle = [entry.id for entry in await adapter.xpending(stream, "group", min_idle=long)]
        limited = [entry.id for entry in await adapter.xpending(stream, "group", min_idle=long, count=2)]
        of_other = await adapter.xpending(stream, "group", min_idle=long, consumer="other")

        assert (idle, limited, of_other) == (ids[50:60], ids[50:52], []) or time.now() - began >= long
        assert len(await adapter.xpending(stream, "group", min_idle=0)) == 70
        assert await adapter.xpending(stream, "group", min_idle=100 * time.ttl) == []

    @clause("STR-9")
    async def test_an_ack_says_how_many_were_pending(self, trial: Trial) -> None:
        """An id named twice counts once; one acknowledged before, one unknown, and one never read count nothing.

        If this fails, look for the number of ids that were asked for.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 8)
        await adapter.xreadgroup(stream, "group", "consumer", count=4)

        assert await adapter.xack(stream, "group", [ids[0], ids[2], ids[2], ids[7], "1-1"]) == 2
        assert await adapter.xack(stream, "group", [ids[0]]) == 0
        assert await adapter.xack(stream, "group", [ids[1], ids[0]]) == 1
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == [ids[3]]

    @clause("STR-9")
    async def test_an_ack_of_what_was_not_read_swallows_nothing(self, trial: Trial) -> None:
        """An entry whose id was acknowledged before anybody read it is still new.

        If this fails, look for acks that are remembered as marks on the entry.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 2)

        assert await adapter.xack(stream, "group", ids) == 0

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert len(await adapter.xpending(stream, "group")) == 2

    @clause("STR-9")
    async def test_any_consumer_may_acknowledge(self, trial: Trial) -> None:
        """An ack names no consumer: any client takes entries off the list, of several consumers in one call.

        If this fails, look for an ack that asks whose entry it is.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await group_with(adapter, stream, 4)
        await adapter.xreadgroup(stream, "group", "one", count=2)
        await adapter.xreadgroup(stream, "group", "two", count=2)

        assert await other.xack(stream, "group", ids) == 4

        assert await adapter.xpending(stream, "group") == []

    @clause("STR-9")
    async def test_an_ack_is_for_one_group(self, trial: Trial) -> None:
        """The same entry stays pending for another group; a missing group and a missing stream count 0, and are no error.

        If this fails, look for a pending list that groups share, and for your backend's complaint about a missing group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 3)
        for group in ("group", "other"):
            await adapter.xgroup_create(stream, group)
            await adapter.xreadgroup(stream, group, "consumer")

        assert await adapter.xack(stream, "group", ids[:2]) == 2
        assert await adapter.xack(stream, "missing", ids) == await adapter.xack(trial.key("missing"), "group", ids) == 0

        assert [entry.id for entry in await adapter.xpending(stream, "other")] == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids[2:]

    @clause("STR-9")
    async def test_an_ack_leaves_the_entry_in_the_stream(self, trial: Trial) -> None:
        """What all groups have acknowledged is still there to be read by range, and by groups to come.

        If this fails, look for an ack that deletes.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 3)
        await adapter.xack(stream, "group", ids_of(await adapter.xreadgroup(stream, "group", "consumer")))

        assert await adapter.xlen(stream) == 3
        assert ids_of(await adapter.xrange(stream)) == ids
        await adapter.xgroup_create(stream, "later")
        assert ids_of(await adapter.xreadgroup(stream, "later", "consumer")) == ids

    @clause("STR-9")
    async def test_one_malformed_id_acknowledges_none(self, trial: Trial) -> None:
        """`STORE_STREAM_ACK_FAILED`, and the well-formed ids beside it are still pending.

        If this fails, look for ids that are acknowledged one after the other.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 2)
        await adapter.xreadgroup(stream, "group", "consumer")

        for malformed in ("nonsense", "1-", "(1-1"):
            call = adapter.xack(stream, "group", [ids[0], malformed, ids[1]])
            await refused(call, ErrorCode.STORE_STREAM_ACK_FAILED, f"{malformed!r}")

        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids

    @clause("STR-13")
    async def test_a_group_that_does_not_exist_is_missing(self, trial: Trial) -> None:
        """Reading, waiting, looking and claiming in a missing group, or in a group of a missing stream, raise the code for that.

        If this fails, look at NOGROUP, or what your backend has for it, and for an empty list where nobody will ever see an entry.
        """
        stream, adapter, code = trial.key(), trial.adapter, ErrorCode.STORE_STREAM_GROUP_MISSING
        await adapter.xadd(stream, {"field": b"1"})
        await adapter.xgroup_create(stream, "another")

        for key in (stream, trial.key("missing")):
            await refused(adapter.xreadgroup(key, "group", "consumer"), code, "reading")
            await refused(adapter.xreadgroup(key, "group", "consumer", history=True), code, "reading history")
            await refused(adapter.xreadgroup(key, "group", "consumer", block=3_600), code, "waiting")
            await refused(adapter.xpending(key, "group"), code, "looking")
            await refused(adapter.xautoclaim(key, "group", "consumer", 0), code, "claiming")
        assert [group.name for group in await adapter.xgroups(stream)] == ["another"]

    @clause("STR-13", KeyValue)
    async def test_groups_go_with_their_stream(self, trial: Trial) -> None:
        """When a stream was deleted and begins anew it has no groups; made again, a group has nothing of its former life.

        If this fails, look for groups in a table of their own that deleting the stream forgets.
        """
        stream, adapter = trial.key(), trial.adapter
        await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "consumer")

        assert await adapter.delete([stream]) == 1
        await refused(adapter.xreadgroup(stream, "group", "consumer"), ErrorCode.STORE_STREAM_GROUP_MISSING, "after the deletion")
        assert await adapter.xlen(stream) == 0
        added = await adapter.xadd(stream, {"field": b"new"})
        await refused(adapter.xreadgroup(stream, "group", "consumer"), ErrorCode.STORE_STREAM_GROUP_MISSING, "in the new stream")
        assert await adapter.xgroup_create(stream, "group") is True
        assert await adapter.xpending(stream, "group") == []
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == [added]

    @clause("STR-15", limit=90)
    async def test_a_group_without_count_has_no_limit(self, trial: Trial) -> None:
        """Thousands of entries are read, listed, read again, claimed and acknowledged, each in one call.

        If this fails, look for a limit that you give by default: XPENDING and XAUTOCLAIM have one, and answers come in pages.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, _MANY)

        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert [entry.id for entry in await adapter.xpending(stream, "group")] == ids
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer", history=True)) == ids
        assert ids_of(await adapter.xautoclaim(stream, "group", "heir", 0)) == ids
        assert await adapter.xack(stream, "group", ids) == _MANY

    @clause("STR-19")
    async def test_every_group_is_named_with_what_it_has_to_do(self, trial: Trial) -> None:
        """Every group of this stream and no other, by name, with its consumers, its pending count, its last id, and its lag or None.

        If this fails, look at counts that forget acks, and at a last id that is the last acknowledged one or the stream's.
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

        If this fails, look for your backend's complaint about a missing stream: it is an answer here.
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
        assert facts(await adapter.xpending(stream, "other")) == [(added, "consumer", 1) for added in ids[:2]]
        assert ids_of(await adapter.xreadgroup(stream, "other", "consumer")) == ids[2:]

    @clause("STR-22")
    async def test_a_destroyed_group_comes_back_empty(self, trial: Trial) -> None:
        """Made again, it begins at its start, has nothing pending, and delivers each entry for the first time.

        If this fails, look for a pending list, a position or a count that outlives the group.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await group_with(adapter, stream, 3)
        await adapter.xreadgroup(stream, "group", "consumer")
        await adapter.xgroup_destroy(stream, "group")
        await refused(adapter.xreadgroup(stream, "group", "consumer"), ErrorCode.STORE_STREAM_GROUP_MISSING, "destroyed")

        assert await adapter.xgroup_create(stream, "group") is True

        assert await adapter.xpending(stream, "group") == []
        assert await adapter.xreadgroup(stream, "group", "consumer", history=True) == []
        assert await adapter.xack(stream, "group", ids) == 0
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == ids
        assert facts(await adapter.xpending(stream, "group")) == [(added, "consumer", 1) for added in ids]


async def group_with(adapter: FullAdapter, stream: str, number: int) -> list[str]:
    """A stream of so many entries with a group that has still to read them; the ids in order."""
    ids = await fill(adapter, stream, number)
    await adapter.xgroup_create(stream, "group")
    return ids


def facts(pending: Iterable[PendingEntry]) -> list[tuple[str, str, int]]:
    """Of each pending entry the id, who has it, and how often it was delivered."""
    return [(entry.id, entry.consumer, entry.deliveries) for entry in pending]
