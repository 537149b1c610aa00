"""Appending to streams, and their entries: clauses STR-1, STR-15, STR-17 and STR-21.

Reading by id is tested in `ranges`, trimming and deleting in `trimming`, and groups in `groups`.
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

_MANY: Final = 5_500  # entries, more than any default limit


class StreamClauses(Suite):
    """Streams as logs of entries.

    Consumer groups are tested by `GroupClauses`, `BlockingReadClauses` and `ClaimingClauses`.
    """

    @clause("STR-1")
    async def test_an_id_is_milliseconds_and_a_sequence_number(self, trial: Trial) -> None:
        """`xadd` returns `<ms>-<seq>` in decimal, with the milliseconds since 1970.

        If this fails, look at the unit of the clock that the ids are derived from, and at how they
        are formatted.
        """
        for _ in range(2):
            added = await trial.adapter.xadd(trial.key(), {"field": b"1"})
            assert type(added) is str
            assert re.fullmatch(r"[1-9][0-9]{12,13}-(0|[1-9][0-9]*)", added), added

    @clause("STR-1")
    async def test_ids_grow_when_two_clients_append(self, trial: Trial) -> None:
        """Each id is greater than the one before, also with two clients.

        The clients append in turn, in quick succession and after a pause. Ids are compared as
        numbers.

        If this fails, look for ids that are derived only from the clock, or from a counter in each
        client.
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
        """Hundreds of concurrent appends by two clients get distinct ids.

        Every entry is stored under its id.

        If this fails, look for an id that is created in one step and used in another.
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
        """Ids keep growing after the clock is set back by an hour.

        This holds for every client that appends, and readers receive the new entries.

        If this fails, look for ids that depend only on the clock. While the clock isn't ahead of
        the last id, increment the sequence number instead.
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
        """After entries are deleted, new ids are still greater than every earlier id.

        The test deletes the last entry, and then all entries.

        If this fails, look for code that derives the last id from the remaining entries. It has to
        be stored with the stream.
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
        """After a stream is trimmed to 0 entries, the next id is greater than the last one.

        If this fails, look for an empty stream that is removed, or whose ids start again.
        """
        stream = trial.key()
        ids = await fill(trial.adapter, stream, 5)
        await trial.adapter.xtrim(stream, 0, approximate=False)

        added = await (await trial.other()).xadd(stream, {"field": b"1"})

        assert number_of(added) > number_of(ids[-1])

    @clause("STR-15")
    async def test_entries_hold_exact_bytes(self, trial: Trial) -> None:
        """Fields of any bytes are returned unchanged.

        If this fails, look for decoding, trimming, or an empty value that is treated as missing.
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
        """A field of 1 MiB is returned complete, by range and by group.

        If this fails, look for a size limit of your backend, or for code that treats the first
        chunk of a reply as the whole reply.
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
        """Without `count`, a range returns thousands of entries in one call, forward and backward.

        If this fails, look for a default limit in your adapter.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, _MANY)

        assert set(ids_of(await adapter.xrange(stream))) == set(ids)
        assert set(ids_of(await adapter.xrevrange(stream))) == set(ids)

    @clause("STR-15")
    async def test_an_entry_is_the_callers_own(self, trial: Trial) -> None:
        """Changing a mapping that was passed in or returned doesn't change the stored entry.

        The test changes the mapping passed to `xadd`, the bytes in it, and mappings returned by
        every method that reads entries.

        If this fails, look for a mapping that is stored or returned without a copy.
        """
        stream, adapter = trial.key(), trial.adapter
        value = bytearray(b"stored")
        given = {"field": value}
        # a caller without a type checker
        await adapter.xadd(stream, given)  # type: ignore[arg-type]
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
        """An entry with many fields of any name is returned unchanged, by range and by group.

        Other software writes to streams too.

        If this fails, look for an adapter that only supports its own fields, or that normalizes
        names.
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
        """Fields are returned in the order in which they were passed to `xadd`.

        This holds for every way of reading, regardless of the fields of other entries.

        If this fails, look for fields that are sorted, or stored in a form without an order.
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
        """`xadd` neither removes nor renews the TTL of a stream, with or without trimming.

        A new stream has no TTL.

        If this fails, look for an append that rewrites the whole stream, or for a default TTL of
        streams.
        """
        stream, adapter, time = trial.key(), trial.adapter, trial.time
        await adapter.xadd(stream, {"field": b"1"})
        assert await adapter.ttl(stream) == math.inf
        await adapter.expire(stream, 3_000)
        await time.passes(time.ttl)

        await adapter.xadd(stream, {"field": b"2"})
        await adapter.xadd(stream, {"field": b"3"}, max_len=2)

        assert 0 < (await adapter.ttl(stream) or 0) <= 3_000 - 0.9 * time.ttl
