"""Appending to streams, and what an entry is: clauses STR-1, STR-15, STR-17 and STR-21.

Reading by id is in `ranges`, taking out in `trimming`, groups are in `groups`.
"""

from __future__ import annotations

import asyncio
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from igniter_store.contract import KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.samples import NAMES, PAYLOADS
from igniter_store_conformance.tools.streams import fill, ids_of, number_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MANY: Final = 5_500  # entries that no default limit covers


class StreamClauses(Suite):
    """Logs of entries; how groups share them out is in `GroupClauses`, `BlockingReadClauses` and
    `ClaimingClauses`.
    """

    @clause("STR-1")
    async def test_an_id_is_milliseconds_and_a_sequence_number(self, trial: Trial) -> None:
        """`xadd` returns `<ms>-<seq>` in decimal, and the milliseconds are those since 1970.

        If this fails, look at the unit of the clock that ids are made from, and at how they are
        spelled.
        """
        for _ in range(2):
            added = await trial.adapter.xadd(trial.key(), {"field": b"1"})
            assert type(added) is str
            assert re.fullmatch(r"[1-9][0-9]{12,13}-(0|[1-9][0-9]*)", added), added

    @clause("STR-1")
    async def test_ids_grow_whoever_appends(self, trial: Trial) -> None:
        """Two clients append in turn, fast and after a pause: each id is greater than the one
        before, compared as numbers.

        If this fails, look for ids that come from the clock alone, or from a count that each client
        keeps for itself.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        ids: list[str] = []
        for turn in range(24):
            ids.append(await clients[turn % 2].xadd(stream, {"field": b"%d" % turn}))
            if turn == 12:
                await trial.time.passes(0.005)

        assert all(number_of(earlier) < number_of(later) for earlier, later in pairwise(ids)), ids

    @clause("STR-1")
    async def test_no_id_is_given_twice(self, trial: Trial) -> None:
        """Hundreds of appends at once, from two clients: every one has an id of its own, and every
        entry is there under its id.

        If this fails, look for an id that is made in one step and used in another.
        """
        stream, clients = trial.key(), (trial.adapter, await trial.other())
        ids = await asyncio.gather(
            *(clients[turn % 2].xadd(stream, {"field": b"%d" % turn}) for turn in range(300))
        )

        assert len(set(ids)) == 300
        stored = {entry.id: entry.fields["field"] for entry in await trial.adapter.xrange(stream)}
        assert stored == {added: b"%d" % turn for turn, added in enumerate(ids)}

    @clause("STR-1")
    async def test_ids_grow_when_the_clock_goes_back(self, trial: Trial) -> None:
        """The clock is set back by an hour: ids go on growing, whichever client appends, and
        readers get what comes.

        If this fails, look for ids that follow the clock alone: where it is not ahead of the last
        id, the sequence number goes on.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        ids = await fill(adapter, stream, 3)
        await adapter.xgroup_create(stream, "group")
        await adapter.xreadgroup(stream, "group", "consumer")

        await trial.time.goes_back(3_600)
        later = [
            await client.xadd(stream, {"field": b"later"}) for client in (adapter, other, adapter)
        ]

        assert sorted({*ids, *later}, key=number_of) == ids + later
        assert ids_of(await adapter.xrange(stream)) == ids + later
        assert ids_of(await adapter.xreadgroup(stream, "group", "consumer")) == later

    @clause("STR-1")
    async def test_ids_grow_after_the_last_entry_was_deleted(self, trial: Trial) -> None:
        """The id of a deleted entry, the last one or every one, does not come again, nor does a
        smaller one.

        If this fails, look for the last id being read off the entries that are left: it has to be
        kept with the stream.
        """
        stream, other = trial.key(), await trial.other()
        ids = await fill(trial.adapter, stream, 5)
        await other.xdel(stream, ids[-1:])
        ids.append(await trial.adapter.xadd(stream, {"field": b"1"}))
        await trial.adapter.xdel(stream, ids)
        ids.append(await other.xadd(stream, {"field": b"2"}))

        assert sorted(set(ids), key=number_of) == ids

    @clause("STR-1")
    async def test_ids_grow_after_everything_was_trimmed(self, trial: Trial) -> None:
        """After trimming to nothing ids go on where they were.

        If this fails, look for an empty stream that is removed, or begins anew.
        """
        stream = trial.key()
        ids = await fill(trial.adapter, stream, 5)
        await trial.adapter.xtrim(stream, 0, approximate=False)

        added = await (await trial.other()).xadd(stream, {"field": b"1"})

        assert number_of(added) > number_of(ids[-1])

    @clause("STR-15")
    async def test_entries_hold_exact_bytes(self, trial: Trial) -> None:
        """Whatever the bytes of a field spell, they come back as they were.

        If this fails, look for decoding, trimming, or an empty value that is taken for none.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await asyncio.gather(
            *(adapter.xadd(stream, {"field": payload}) for payload in PAYLOADS)
        )

        entries = {entry.id: entry.fields for entry in await (await trial.other()).xrange(stream)}
        for added, payload in zip(ids, PAYLOADS, strict=True):
            assert entries[added] == {"field": payload}
            assert type(entries[added]["field"]) is bytes

    @clause("STR-15", limit=60)
    async def test_an_entry_may_hold_a_mebibyte(self, trial: Trial) -> None:
        """1 MiB in one field comes back whole, by range and by group.

        If this fails, look for a limit of your backend, or a read that takes what came in one piece
        for everything.
        """
        stream, adapter, payload = trial.key(), trial.adapter, trial.payload(1024 * 1024)
        await adapter.xgroup_create(stream, "group")
        await adapter.xadd(stream, {"field": payload})

        for entries in (
            await adapter.xrange(stream),
            await adapter.xreadgroup(stream, "group", "consumer"),
        ):
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
        """Changing the mapping that was passed in, its bytes, or one that was handed out in
        whatever way, changes nothing stored.

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
        """Many fields, named by any text, are read as they were written, by range and by group:
        others write to streams, too.

        If this fails, look for an adapter that knows its own fields only, or folds names.
        """
        stream, adapter = trial.key(), trial.adapter
        fields = {name: PAYLOADS[place % len(PAYLOADS)] for place, name in enumerate(NAMES)} | {
            "": b"no name"
        }
        await adapter.xgroup_create(stream, "group")
        added = await adapter.xadd(stream, fields)

        for entries in (
            await adapter.xrange(stream),
            await adapter.xreadgroup(stream, "group", "consumer"),
        ):
            assert [(entry.id, entry.fields) for entry in entries] == [(added, fields)]
            assert all(type(name) is str for name in entries[0].fields)

    @clause("STR-21")
    async def test_fields_keep_their_order(self, trial: Trial) -> None:
        """Fields come in the order in which they were given, however they are read, whatever other
        entries have.

        If this fails, look for fields that are sorted, or stored in a way that has no order.
        """
        stream, adapter = trial.key(), trial.adapter
        names = [f"field-{number}" for number in range(40)]
        orders = [names, names[::-1], trial.random.sample(names, 40)]
        for order in orders:
            await adapter.xadd(stream, {name: name.encode() for name in order})
        await adapter.xgroup_create(stream, "group")

        for entries in (
            await adapter.xrange(stream),
            await adapter.xreadgroup(stream, "group", "consumer"),
        ):
            assert [list(entry.fields.items()) for entry in entries] == [
                [(name, name.encode()) for name in order] for order in orders
            ]

    @clause("STR-21", KeyValue)
    async def test_appending_keeps_the_streams_ttl(self, trial: Trial) -> None:
        """An append neither removes nor renews the TTL of a stream, trimming or not, and gives a
        new stream none.

        If this fails, look for an append that writes the whole stream anew, or a TTL that streams
        get by default.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        await adapter.xadd(stream, {"field": b"1"})
        assert await adapter.ttl(stream) == math.inf
        await adapter.expire(stream, 3_000)
        await time.passes(time.ttl)

        await adapter.xadd(stream, {"field": b"2"})
        await adapter.xadd(stream, {"field": b"3"}, max_len=2)

        assert 0 < (await adapter.ttl(stream) or 0) <= 3_000 - 0.9 * time.ttl
