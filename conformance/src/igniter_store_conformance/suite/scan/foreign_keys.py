"""What other software writes: keys, groups and fields whose bytes aren't UTF-8. Clauses SCN-8,
SCN-9 and STR-24.

Such a byte crosses the contract as a lone surrogate, as Python's `surrogateescape` spells it;
`igniter_store.contract.name_to_bytes` and `name_from_bytes` are for adapters that store or send
bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store.contract import Claims, Counters, Entry, KeyValue, Scan, Streams, escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.scans import all_of, walk
from igniter_store_conformance.tools.streams import ids_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

FOREIGN: Final = (
    "\udcff",
    "\udcfe",
    "\udcff\udcff",
    "\udcff*\udcfe",
    "caf\udce9",
    "caf\udce8",
    "caf\u00e9",
    "\udcc3",
    "\udca9",
    "\udcc3x\udca9",
    "\udc80:\udc80",
    "\udcf0\udc9f\udc98",  # a character that was cut
    "\udced\udca0\udc80",  # a surrogate as CESU-8 writes it
    "\udcc0\udc80",  # NUL in two bytes
)
"""Names that are all different, though replacing or leaving out what isn't UTF-8 would make some of
them one.
"""


class ForeignClauses(Suite):
    """Names that aren't UTF-8."""

    @clause("SCN-8", KeyValue, Scan)
    async def test_scanned_key_of_any_bytes_is_taken_back(self, trial: Trial) -> None:
        """Each key that was written so comes from a scan in the same form, and every method for
        values takes it.

        If this fails, look for `.encode()` and `.decode()` without `surrogateescape`.
        """
        adapter, other = trial.adapter, await trial.other()
        keys = trial.keys(FOREIGN)
        for place, key in enumerate(keys):
            assert await adapter.set(key, b"%d" % place) is True

        assert sorted(await walk(other, all_of(trial), 5)) == sorted(keys)
        assert await other.mget(keys) == [b"%d" % place for place in range(len(keys))]
        for place, key in enumerate(keys):
            assert await other.get(key) == b"%d" % place
            assert await other.exists(key) is True
            assert await other.expire(key, 3_000) is True
            assert 0 < (await other.ttl(key) or 0) <= 3_000
            assert await other.persist(key) is True
        assert await other.getdel(keys[0]) == b"0"
        await other.mset([Entry(keys[0], b"a"), Entry(keys[1], b"b", 3_000)])
        assert await adapter.mget(keys[:2]) == [b"a", b"b"]
        assert await adapter.delete(keys) == len(keys)
        assert await walk(other, all_of(trial), 1_000) == []

    @clause("SCN-8", KeyValue, Scan)
    async def test_key_of_other_software_is_scanned_and_removed(self, trial: Trial) -> None:
        """A key that was written around the adapter comes from a scan, and the adapter reads and
        removes it.

        If this fails, look for keys that are stored in another form than their bytes.
        """
        adapter, oracle = trial.adapter, trial.oracle
        keys = trial.keys(FOREIGN)
        for key in keys:
            await oracle.poke(key, key.encode("utf-8", "surrogateescape"))

        found = await walk(adapter, all_of(trial), 1_000)

        assert sorted(found) == sorted(keys)
        for key in found:
            assert await adapter.get(key) == key.encode("utf-8", "surrogateescape")
        assert await adapter.delete(found[:5]) == 5
        await adapter.set(keys[0], b"again")
        assert await oracle.peek(keys[0]) == b"again"

    @clause("SCN-8", KeyValue, Counters, Claims, Streams, Scan)
    async def test_every_kind_takes_names_of_any_bytes(self, trial: Trial) -> None:
        """Counters, claims, streams, groups and consumers may have such names, and each is a name
        of its own.

        If this fails, look for the capability that encodes its names by itself.
        """
        adapter = trial.adapter
        for place, name in enumerate(FOREIGN):
            counter, claim, stream = trial.keys(
                [f"counter {name}", f"claim {name}", f"stream {name}"]
            )
            assert await adapter.increment(counter, place) == place
            assert await adapter.set_nx(claim, b"owner", ttl=3_000) is True
            assert await adapter.compare_expire(claim, b"owner", 3_000) is True
            assert await adapter.compare_delete(claim, b"owner") is True
            assert (
                await adapter.acquire(claim, b"owner", 3_000, token_key=trial.token_key(claim))
                is not None
            )
            added = await adapter.xadd(stream, {"field": b"1"})
            assert await adapter.xgroup_create(stream, name) is True
            assert ids_of(await adapter.xreadgroup(stream, name, name)) == [added]
            assert [
                (entry.id, entry.consumer)
                for entry in await adapter.xpending(stream, name, consumer=name)
            ] == [(added, name)]
            assert [group.name for group in await adapter.xgroups(stream)] == [name]
            assert ids_of(await adapter.xautoclaim(stream, name, f"{name}2", 0.0)) == [added]
            assert await adapter.xack(stream, name, [added]) == 1
            assert await adapter.xlen(stream) == 1
            assert await adapter.xgroup_destroy(stream, name) is True
        counters = trial.keys(f"counter {name}" for name in FOREIGN)
        assert await adapter.mget(counters) == [b"%d" % place for place in range(len(FOREIGN))]

    @clause("SCN-9", KeyValue, Scan)
    async def test_pattern_matches_bytes_that_are_not_utf8(self, trial: Trial) -> None:
        """`?` is one such byte, `[...]` a choice or a range of them, and a literal one matches
        itself only.

        If this fails, look for patterns that are matched on characters.
        """
        adapter, prefix = trial.adapter, escape(trial.prefix)
        for key in trial.keys(FOREIGN):
            await adapter.set(key, b"")

        async def matching(pattern: str) -> list[str]:
            return sorted(
                {key.removeprefix(trial.prefix) for key in await walk(adapter, prefix + pattern, 4)}
            )

        assert await matching("caf?") == ["caf\udce8", "caf\udce9"]
        assert await matching("caf??") == ["caf\u00e9"]
        assert await matching("caf\udce9") == ["caf\udce9"]
        assert await matching("\udcff*") == ["\udcff", "\udcff*\udcfe", "\udcff\udcff"]
        assert await matching("\udcff\\*?") == ["\udcff*\udcfe"]
        assert await matching("[\udcfe\udcc3]") == ["\udcc3", "\udcfe"]
        assert await matching("?") == ["\udca9", "\udcc3", "\udcfe", "\udcff"]

    @clause("SCN-9", KeyValue, Scan)
    async def test_prefix_removal_takes_bytes_that_are_not_utf8(self, trial: Trial) -> None:
        """Every key that begins with the prefix goes, also when the next byte is the greatest there
        is; no neighbour goes.

        If this fails, look for an end of the range that some keys lie beyond.
        """
        adapter = trial.adapter
        for key in trial.keys(FOREIGN):
            await adapter.set(key, b"")

        assert await adapter.delete_prefix(f"{trial.prefix}\udcff") == 3
        await adapter.set(trial.key("\udcff\udcff"), b"")
        assert await adapter.delete_prefix(f"{trial.prefix}\udcff\udcff") == 1
        assert await adapter.delete_prefix(f"{trial.prefix}caf\udce9") == 1
        assert await adapter.exists(trial.key("caf\udce8")) is True
        assert await adapter.delete_prefix(trial.prefix) == len(FOREIGN) - 4
        assert await walk(adapter, all_of(trial), 1_000) == []

    @clause("STR-24", Streams)
    async def test_entry_of_other_software_hides_no_neighbour(self, trial: Trial) -> None:
        """An entry whose names and values are any bytes comes with its neighbours: by range, read,
        history and takeover.

        If this fails, look for an answer that is decoded as a whole: one entry must not decide
        about the others.
        """
        stream, adapter, other = trial.key(), trial.adapter, await trial.other()
        await adapter.xgroup_create(stream, "group")
        written: list[tuple[str, dict[str, bytes]]] = []
        for name in FOREIGN:
            for fields in (
                {"data": b"1"},
                {
                    name: b"\xff\x00",
                    "": b"",
                    f"{name}{name}x": name.encode("utf-8", "surrogateescape"),
                },
            ):
                added = await adapter.xadd(stream, fields)
                written.append((added, fields))

        found = {
            "range": await other.xrange(stream),
            "reverse": (await other.xrevrange(stream))[::-1],
            "read": await other.xreadgroup(stream, "group", "one"),
            "history": await other.xreadgroup(stream, "group", "one", history=True),
            "takeover": await other.xautoclaim(stream, "group", "two", 0.0),
        }

        for entries in found.values():
            assert [(entry.id, entry.fields) for entry in entries] == written
        assert await other.xack(stream, "group", [added for added, _ in written]) == len(written)
