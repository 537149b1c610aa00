"""Streams without groups: clauses STR-1 to STR-3, STR-14, STR-15, STR-17, STR-21 and STR-23."""

from __future__ import annotations

import asyncio
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from igniter_store.contract import BackendFailed, ErrorCode, KeyValue
from igniter_store.contract.stream_ids import StreamId, parse

from igniter_store_conformance.running import clause
from igniter_store_conformance.samples import NAMES, PAYLOADS
from igniter_store_conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store.contract import StreamEntry, Streams

    from igniter_store_conformance.trial import Trial

_AT_ONCE: Final = 250  # appends under way at the same time
_NODES: Final = 500  # entries beyond `max_len` that approximate trimming may leave: Redis drops whole nodes, of 100 entries
_MANY: Final = 5_500  # entries that no default limit covers
_MALFORMED: Final = ("", "x", "1-", "1-x", "1-2-3", "(", "(-", "1.5", " 1", "18446744073709551616", "1-18446744073709551616", "\u0661")


class StreamClauses(Suite):
    """Logs of entries; how groups share them out is in `GroupClauses`, `BlockingReadClauses` and `ClaimingClauses`."""

    @clause("STR-1")
    async def test_an_id_is_milliseconds_and_a_sequence_number(self, trial: Trial) -> None:
        """`xadd` returns `<ms>-<seq>` in decimal, and the milliseconds are those since 1970.

        If this fails, look at the unit of the clock that ids are made from, and at how they are spelled.
        """
        for _ in range(2):
            added = await trial.adapter.xadd(trial.key(), {"field": b"1"})
            assert type(added) is str
            assert re.fullmatch(r"[1-9][0-9]{12,13}-(0|[1-9][0-9]*)", added), added

    @clause("STR-1")
    async def test_ids_grow_whoever_appends(self, trial: Trial) -> None:
        """Two clients append in turn, fast and after a pause: each id is greater than the one before, compared as numbers.

        If this fails, look for ids that come from the clock alone, or from a count that each client keeps for itself.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        ids: list[str] = []
        for turn in range(24):
            ids.append(await clients[turn % 2].xadd(stream, {"field": b"%d" % turn}))
            if turn == 12:
                await trial.time.passes(0.005)

        assert all(_number(earlier) < _number(later) for earlier, later in pairwise(ids)), ids

    @clause("STR-1")
    async def test_no_id_is_given_twice(self, trial: Trial) -> None:
        """Hundreds of appends at once, from two clients: every one has an id of its own, and every entry is there under its id.

        If this fails, look for an id that is made in one step and used in another.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        ids = await asyncio.gather(*(clients[turn % 2].xadd(stream, {"field": b"%d" % turn}) for turn in range(300)))

        assert len(set(ids)) == 300
        stored = {entry.id: entry.fields["field"] for entry in await trial.adapter.xrange(stream)}
        assert stored == {added: b"%d" % turn for turn, added in enumerate(ids)}

    @clause("STR-1")
    async def test_ids_grow_after_the_last_entry_was_deleted(self, trial: Trial) -> None:
        """The id of a deleted entry, the last one or every one, does not come again, nor does a smaller one.

        If this fails, look for the last id being read off the entries that are left: it has to be kept with the stream.
        """
        stream, other = trial.key(), await trial.other()
        ids = await fill(trial.adapter, stream, 5)
        await other.xdel(stream, ids[-1:])
        ids.append(await trial.adapter.xadd(stream, {"field": b"1"}))
        await trial.adapter.xdel(stream, ids)
        ids.append(await other.xadd(stream, {"field": b"2"}))

        assert sorted(set(ids), key=_number) == ids

    @clause("STR-1")
    async def test_ids_grow_after_everything_was_trimmed(self, trial: Trial) -> None:
        """After trimming to nothing ids go on where they were.

        If this fails, look for an empty stream that is removed, or begins anew.
        """
        stream = trial.key()
        ids = await fill(trial.adapter, stream, 5)
        await trial.adapter.xtrim(stream, 0, approximate=False)

        added = await (await trial.other()).xadd(stream, {"field": b"1"})

        assert _number(added) > _number(ids[-1])

    @clause("STR-2")
    async def test_a_range_includes_both_ends(self, trial: Trial) -> None:
        """From one id to another gives both of them and what lies between, in order; `-` and `+` are the ends of everything.

        If this fails, look at `<` where `<=` is meant.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 12)

        assert ids_of(await adapter.xrange(stream, ids[3], ids[8])) == ids[3:9]
        assert ids_of(await adapter.xrange(stream, ids[5], ids[5])) == ids[5:6]
        assert ids_of(await adapter.xrange(stream, "-", ids[2])) == ids[:3]
        assert ids_of(await adapter.xrange(stream, ids[9])) == ids[9:]
        assert ids_of(await adapter.xrange(stream)) == ids_of(await adapter.xrange(stream, "-", "+")) == ids

    @clause("STR-2")
    async def test_ids_are_ordered_as_numbers(self, trial: Trial) -> None:
        """Of many entries in one millisecond, number 9 comes before number 10, and bounds see it so as well.

        If this fails, look for ids that are compared as text.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 220)

        assert ids_of(await adapter.xrange(stream)) == ids
        for begin, end in ((8, 11), (9, 10), (98, 101), (2, 110)):
            assert ids_of(await adapter.xrange(stream, ids[begin], ids[end])) == ids[begin : end + 1]

    @clause("STR-2")
    async def test_a_bound_may_leave_its_id_out(self, trial: Trial) -> None:
        """`(` before an id excludes it, at either end and at both.

        If this fails, look at how `(` is read: it belongs to the bound, not to the id.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 12)

        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", ids[7])) == ids[3:8]
        assert ids_of(await adapter.xrange(stream, ids[2], f"({ids[7]}")) == ids[2:7]
        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", f"({ids[7]}")) == ids[3:7]
        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", f"({ids[3]}")) == []
        assert ids_of(await adapter.xrevrange(stream, f"({ids[7]}", f"({ids[2]}")) == ids[6:2:-1]

    @clause("STR-2")
    async def test_milliseconds_alone_mean_all_of_them(self, trial: Trial) -> None:
        """A bound without sequence number begins at the first entry of its millisecond and ends at the last.

        If this fails, look at the number that a missing sequence stands for: 0 at the beginning, the greatest of all at the end.
        """
        stream, adapter = trial.key(), trial.adapter
        ids: list[str] = []
        for _ in range(3):
            ids += await fill(adapter, stream, 30)
            await trial.time.passes(0.005)
        middle = _number(ids[45])[0]
        text = str(middle)

        assert ids_of(await adapter.xrange(stream, text, text)) == [added for added in ids if _number(added)[0] == middle]
        assert ids_of(await adapter.xrange(stream, text)) == [added for added in ids if _number(added)[0] >= middle]
        assert ids_of(await adapter.xrange(stream, "-", text)) == [added for added in ids if _number(added)[0] <= middle]
        assert ids_of(await adapter.xrange(stream, f"({text}")) == [added for added in ids if _number(added) > (middle, 0)]

    @clause("STR-2")
    async def test_a_bound_need_not_be_an_entry(self, trial: Trial) -> None:
        """The id of a deleted entry, or one that never was, bounds a range all the same.

        If this fails, look for a bound that is looked up instead of compared.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 8)
        await adapter.xdel(stream, [ids[2], ids[5]])

        assert ids_of(await adapter.xrange(stream, ids[2], ids[5])) == ids[3:5]
        assert ids_of(await adapter.xrange(stream, "1-1", "99999999999999-5")) == [*ids[:2], *ids[3:5], *ids[6:]]

    @clause("STR-2")
    async def test_count_limits_from_the_beginning(self, trial: Trial) -> None:
        """`count` gives the first so many of the range, reversed the last so many, and all when there are fewer.

        If this fails, look for a limit that is applied before the bounds, or from the wrong end.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 10)

        assert ids_of(await adapter.xrange(stream, ids[2], count=3)) == ids[2:5]
        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", count=1)) == ids[3:4]
        assert ids_of(await adapter.xrange(stream, ids[8], count=5)) == ids[8:]
        assert ids_of(await adapter.xrevrange(stream, ids[7], count=3)) == [ids[7], ids[6], ids[5]]
        assert ids_of(await adapter.xrevrange(stream, count=1)) == ids[-1:]
        assert ids_of(await adapter.xrevrange(stream, ids[1], count=10)) == [ids[1], ids[0]]

    @clause("STR-2")
    async def test_the_reverse_is_the_mirror(self, trial: Trial) -> None:
        """For any bounds, `xrevrange` gives what `xrange` gives, the newest first, with the same fields.

        If this fails, look at the order of the arguments of XREVRANGE: the end comes first.
        """
        stream, adapter, random = trial.key(), trial.adapter, trial.random
        ids = await fill(adapter, stream, 30)
        bounds = ["-", "+", *ids, *(f"({added}" for added in ids), *(added.partition("-")[0] for added in ids)]
        pairs = [(random.choice(bounds), random.choice(bounds)) for _ in range(60)]

        forth = await asyncio.gather(*(adapter.xrange(stream, start, end) for start, end in pairs))
        back = await asyncio.gather(*(adapter.xrevrange(stream, end, start) for start, end in pairs))

        for pair, entries, mirrored in zip(pairs, forth, back, strict=True):
            assert mirrored == entries[::-1], f"from {pair[0]} to {pair[1]}"
        assert ids_of(await adapter.xrevrange(stream)) == ids[::-1]

    @clause("STR-2")
    async def test_there_may_be_nothing_in_a_range(self, trial: Trial) -> None:
        """A missing stream, an emptied one, and ends in the wrong order give no entries, and no error.

        If this fails, look at what your backend answers when there is nothing.
        """
        stream, missing, adapter = trial.key(), trial.key("missing"), trial.adapter
        ids = await fill(adapter, stream, 3)

        assert await adapter.xrange(missing) == await adapter.xrevrange(missing) == []
        assert await adapter.xrange(stream, ids[2], ids[0]) == await adapter.xrange(stream, "+", "-") == []
        assert await adapter.xrevrange(stream, "-", "+") == await adapter.xrange(stream, "1-1", "2-2") == []
        await adapter.xdel(stream, ids)
        assert await adapter.xrange(stream) == await adapter.xrevrange(stream) == []

    @clause("STR-2", KeyValue)
    async def test_reading_makes_no_stream(self, trial: Trial) -> None:
        """A stream that was read, measured, trimmed, or asked for its groups is not there because of that.

        If this fails, look for a look-up that makes what it doesn't find.
        """
        stream, adapter = trial.key(), trial.adapter
        assert await adapter.xrange(stream) == await adapter.xrevrange(stream) == []
        assert await adapter.xgroups(stream) == []
        assert (await adapter.xlen(stream), await adapter.xtrim(stream, 0), await adapter.xdel(stream, ["1-1"])) == (0, 0, 0)

        assert await adapter.exists(stream) is False

    @clause("STR-2")
    async def test_a_malformed_bound_is_refused(self, trial: Trial) -> None:
        """What is no bound raises `STORE_STREAM_READ_FAILED`, at either end.

        If this fails, look at whether your backend's complaint about an id gets the code of reading; `stream_ids` has a parser.
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 3)

        for bound in _MALFORMED:
            await refused(adapter.xrange(stream, bound), ErrorCode.STORE_STREAM_READ_FAILED, f"from {bound!r}")
            await refused(adapter.xrange(stream, "-", bound), ErrorCode.STORE_STREAM_READ_FAILED, f"to {bound!r}")
            await refused(adapter.xrevrange(stream, bound), ErrorCode.STORE_STREAM_READ_FAILED, f"back from {bound!r}")

    @clause("STR-3")
    async def test_exact_trimming_keeps_exactly_the_newest(self, trial: Trial) -> None:
        """Trimmed to n, the newest n stay: one more than there are, all, some, one, none.

        If this fails, look for an off by one, for trimming at the wrong end, and for `approximate=False` that isn't passed on.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 350)

        for kept in (351, 350, 349, 120, 7, 1, 0):
            await adapter.xtrim(stream, kept, approximate=False)
            assert set(ids_of(await adapter.xrange(stream))) == set(ids[350 - min(kept, 350) :]), f"trimmed to {kept}"

    @clause("STR-3")
    async def test_an_exact_length_counts_the_new_entry(self, trial: Trial) -> None:
        """Appending with an exact `max_len` leaves the new entry and the newest before it, so many in all.

        If this fails, look for trimming that comes before adding.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = [await adapter.xadd(stream, {"field": b"%d" % number}, max_len=3, approximate=False) for number in range(7)]

        assert ids_of(await adapter.xrange(stream)) == ids[-3:]
        assert await adapter.xadd(stream, {"field": b"only"}, max_len=1, approximate=False)
        assert [entry.fields for entry in await adapter.xrange(stream)] == [{"field": b"only"}]

    @clause("STR-3")
    async def test_an_exact_length_holds_with_many_appenders(self, trial: Trial) -> None:
        """Two clients append at once, each with the same `max_len`: exactly the newest so many are left.

        If this fails, look for adding and trimming in two steps.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        appends = (clients[turn % 2].xadd(stream, {"field": b"1"}, max_len=20, approximate=False) for turn in range(200))
        ids = await asyncio.gather(*appends)

        assert set(ids_of(await trial.adapter.xrange(stream))) == set(sorted(ids, key=_number)[-20:])

    @clause("STR-3")
    async def test_approximate_trimming_keeps_at_least_the_newest(self, trial: Trial) -> None:
        """Trimmed to about n, the newest n are there, and not more than some hundreds besides; a shorter stream stays whole.

        If this fails, look for nodes that are removed although they hold one of the newest n, or for trimming that is left to later.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 1_000)

        assert await adapter.xtrim(stream, 1_000) == await adapter.xtrim(stream, 5_000) == 0
        removed = await adapter.xtrim(stream, 130)

        assert 130 <= 1_000 - removed <= 130 + _NODES
        assert set(ids_of(await adapter.xrange(stream))) == set(ids[removed:])

    @clause("STR-3")
    async def test_an_approximate_length_bounds_the_stream(self, trial: Trial) -> None:
        """Appending with an approximate `max_len` keeps at least so many, and doesn't grow for ever.

        If this fails, look at whether `max_len` arrives, and at what is left when a node is removed.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 1_200, max_len=10)

        kept = await adapter.xlen(stream)
        assert 10 <= kept <= 10 + _NODES
        assert set(ids_of(await adapter.xrange(stream))) == set(ids[-kept:])

    @clause("STR-14")
    async def test_a_length_is_the_number_of_entries(self, trial: Trial) -> None:
        """`xlen` counts what is there now, for every client, and 0 where there is no stream.

        If this fails, look for a count that deleting or trimming leaves as it was.
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
    async def test_deleting_counts_what_was_there(self, trial: Trial) -> None:
        """An id named twice counts once, one that is unknown or already deleted not at all; the others stay, in order.

        If this fails, look for the number of ids that were asked for.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 6)

        assert await adapter.xdel(stream, [ids[1], ids[4], ids[1], "1-1"]) == 2
        assert await adapter.xdel(stream, [ids[1]]) == 0
        assert await adapter.xdel(trial.key("missing"), [ids[0]]) == 0
        assert ids_of(await adapter.xrange(stream)) == [ids[0], ids[2], ids[3], ids[5]]

    @clause("STR-14")
    async def test_one_malformed_id_deletes_none(self, trial: Trial) -> None:
        """`STORE_OPERATION_FAILED`, and the well-formed ids beside it are still there.

        If this fails, look for ids that are deleted one after the other.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 2)

        await refused(adapter.xdel(stream, [ids[0], "nonsense", ids[1]]), ErrorCode.STORE_OPERATION_FAILED, "an id that is none")

        assert ids_of(await adapter.xrange(stream)) == ids

    @clause("STR-14")
    async def test_trimming_says_how_many_it_removed(self, trial: Trial) -> None:
        """`xtrim` returns the number of entries removed, not of those left, exact or not; 0 where there is no stream.

        If this fails, look at what your backend's answer to a trim counts.
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
    async def test_a_stream_without_entries_keeps_its_groups_and_its_last_id(self, trial: Trial) -> None:
        """Emptied by deleting or by trimming, a stream has its groups where they were, and a new group `$` begins at its last id.

        If this fails, look for a stream that goes with its last entry.
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

            positions = [(group.name, group.last_delivered_id) for group in await adapter.xgroups(stream)]
            assert positions == [("old", ids[1]), ("young", ids[2])]
            added = await adapter.xadd(stream, {"field": b"1"})
            assert ids_of(await adapter.xreadgroup(stream, "old", "consumer")) == [added]
            assert ids_of(await adapter.xreadgroup(stream, "young", "consumer")) == [added]

    @clause("STR-15")
    async def test_entries_hold_exact_bytes(self, trial: Trial) -> None:
        """Whatever the bytes of a field spell, they come back as they were.

        If this fails, look for decoding, trimming, or an empty value that is taken for none.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await asyncio.gather(*(adapter.xadd(stream, {"field": payload}) for payload in PAYLOADS))

        entries = {entry.id: entry.fields for entry in await (await trial.other()).xrange(stream)}
        for added, payload in zip(ids, PAYLOADS, strict=True):
            assert entries[added] == {"field": payload}
            assert type(entries[added]["field"]) is bytes

    @clause("STR-15", limit=60)
    async def test_an_entry_may_hold_a_mebibyte(self, trial: Trial) -> None:
        """1 MiB in one field comes back whole, by range and by group.

        If this fails, look for a limit of your backend, or a read that takes what came in one piece for everything.
        """
        stream, adapter, payload = trial.key(), trial.adapter, trial.payload(1024 * 1024)
        await adapter.xgroup_create(stream, "group")
        await adapter.xadd(stream, {"field": payload})

        for entries in (await adapter.xrange(stream), await adapter.xreadgroup(stream, "group", "consumer")):
            assert [len(entry.fields["field"]) for entry in entries] == [len(payload)]
            assert entries[0].fields["field"] == payload, "as long as it was, and not the same"

    @clause("STR-15", limit=90)
    async def test_a_range_without_count_gives_everything(self, trial: Trial) -> None:
        """Thousands of entries come in one answer, forward and backward.

        If this fails, look for a limit that you give by default.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, _MANY)

        assert set(ids_of(await adapter.xrange(stream))) == set(ids)
        assert set(ids_of(await adapter.xrevrange(stream))) == set(ids)

    @clause("STR-15")
    async def test_an_entry_is_the_callers_own(self, trial: Trial) -> None:
        """Changing the mapping that was passed in, its bytes, or one that was handed out in whatever way, changes nothing stored.

        If this fails, look for a mapping that is kept or handed out without a copy.
        """
        stream, adapter = trial.key(), trial.adapter
        value = bytearray(b"stored")
        given = {"field": value}
        await adapter.xadd(stream, given)  # type: ignore[arg-type]  # a caller without a type checker
        await adapter.xgroup_create(stream, "group")
        value[:] = b"change"
        given["field"] = bytearray(b"changed")
        for handed_out in (
            await adapter.xrange(stream),
            await adapter.xrevrange(stream),
            await adapter.xreadgroup(stream, "group", "consumer"),
            await adapter.xreadgroup(stream, "group", "consumer", history=True),
            await adapter.xautoclaim(stream, "group", "heir", 0),
        ):
            handed_out[0].fields["field"] = b"changed"

        assert [entry.fields for entry in await adapter.xrange(stream)] == [{"field": b"stored"}]

    @clause("STR-17")
    async def test_fields_may_have_any_names(self, trial: Trial) -> None:
        """Many fields, named by any text, are read as they were written, by range and by group: others write to streams, too.

        If this fails, look for an adapter that knows its own fields only, or folds names.
        """
        stream, adapter = trial.key(), trial.adapter
        fields = {name: PAYLOADS[place % len(PAYLOADS)] for place, name in enumerate(NAMES)} | {"": b"no name"}
        await adapter.xgroup_create(stream, "group")
        added = await adapter.xadd(stream, fields)

        for entries in (await adapter.xrange(stream), await adapter.xreadgroup(stream, "group", "consumer")):
            assert [(entry.id, entry.fields) for entry in entries] == [(added, fields)]
            assert all(type(name) is str for name in entries[0].fields)

    @clause("STR-21")
    async def test_fields_keep_their_order(self, trial: Trial) -> None:
        """Fields come in the order in which they were given, however they are read, whatever other entries have.

        If this fails, look for fields that are sorted, or stored in a way that has no order.
        """
        stream, adapter = trial.key(), trial.adapter
        names = [f"field-{number}" for number in range(40)]
        orders = [names, names[::-1], trial.random.sample(names, 40)]
        for order in orders:
            await adapter.xadd(stream, {name: name.encode() for name in order})
        await adapter.xgroup_create(stream, "group")

        for entries in (await adapter.xrange(stream), await adapter.xreadgroup(stream, "group", "consumer")):
            assert [list(entry.fields.items()) for entry in entries] == [[(name, name.encode()) for name in order] for order in orders]

    @clause("STR-21", KeyValue)
    async def test_appending_keeps_the_streams_ttl(self, trial: Trial) -> None:
        """An append neither removes nor renews the TTL of a stream, trimming or not, and gives a new stream none.

        If this fails, look for an append that writes the whole stream anew, or a TTL that streams get by default.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        await adapter.xadd(stream, {"field": b"1"})
        assert await adapter.ttl(stream) == math.inf
        await adapter.expire(stream, 3_000)
        await time.passes(time.ttl)

        await adapter.xadd(stream, {"field": b"2"})
        await adapter.xadd(stream, {"field": b"3"}, max_len=2)

        assert 0 < (await adapter.ttl(stream) or 0) <= 3_000 - 0.9 * time.ttl

    @clause("STR-23", KeyValue)
    async def test_a_value_is_no_stream(self, trial: Trial) -> None:
        """Every stream command on a key that holds a value raises `STORE_OPERATION_FAILED` and leaves the value.

        If this fails, look at which error of your backend says "wrong type", and at commands that overwrite without looking.
        """
        key, adapter = trial.key(), trial.adapter
        await adapter.set(key, b"value")

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "xadd": lambda: adapter.xadd(key, {"field": b"1"}),
            "xlen": lambda: adapter.xlen(key),
            "xtrim": lambda: adapter.xtrim(key, 0, approximate=False),
            "xdel": lambda: adapter.xdel(key, ["1-1"]),
            "xrange": lambda: adapter.xrange(key),
            "xrevrange": lambda: adapter.xrevrange(key),
            "xgroup_create": lambda: adapter.xgroup_create(key, "group"),
            "xgroup_destroy": lambda: adapter.xgroup_destroy(key, "group"),
            "xreadgroup": lambda: adapter.xreadgroup(key, "group", "consumer"),
            "xgroups": lambda: adapter.xgroups(key),
            "xack": lambda: adapter.xack(key, "group", ["1-1"]),
            "xpending": lambda: adapter.xpending(key, "group"),
            "xautoclaim": lambda: adapter.xautoclaim(key, "group", "consumer", 0),
        }
        for name, call in calls.items():
            await refused(call(), ErrorCode.STORE_OPERATION_FAILED, name)

        assert await adapter.get(key) == b"value"


async def fill(adapter: Streams, stream: str, number: int, *, max_len: int | None = None) -> list[str]:
    """Append so many entries, many at once, and give their ids in order."""
    ids: list[str] = []
    for begin in range(0, number, _AT_ONCE):
        places = range(begin, min(begin + _AT_ONCE, number))
        ids += await asyncio.gather(*(adapter.xadd(stream, {"field": b"%d" % place}, max_len=max_len) for place in places))
    return sorted(ids, key=_number)


def ids_of(entries: list[StreamEntry]) -> list[str]:
    """The ids, in the order of the entries."""
    return [entry.id for entry in entries]


async def are_whole(adapter: Streams, stream: str, entries: list[StreamEntry]) -> bool:
    """True when each entry has the fields that a range gives for it."""
    stored = {entry.id: entry.fields for entry in await adapter.xrange(stream)}
    return all(stored.get(entry.id) == entry.fields for entry in entries)


async def refused(call: Awaitable[object], code: ErrorCode, what: str, *others: ErrorCode) -> None:
    """Check that the backend refuses, with this code or one of the others."""
    try:
        answer = await call
    except BackendFailed as error:
        assert error.code in (code, *others), f"{what}: refused with {error.code}"  # noqa: PT017 - says which of many calls it was
        return
    message = f"{what}: not refused, but answered with {answer!r}"
    raise AssertionError(message)


def _number(text: str) -> StreamId:
    number = parse(text)
    assert number is not None, f"{text!r} is no id of an entry"
    return number
