"""Names from other software whose bytes aren't UTF-8: clauses SCN-8, SCN-9 and STR-24.

These are names of keys, groups and fields. The contract represents each invalid byte as a lone
surrogate, as Python's `surrogateescape` does. Adapters that store or send bytes can use
`igniter_store.contract.name_to_bytes` and `name_from_bytes`.
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
    "\udcf0\udc9f\udc98",  # a truncated character
    "\udced\udca0\udc80",  # a surrogate in CESU-8
    "\udcc0\udc80",  # NUL in two bytes
)
"""Distinct names, some of which would become equal if invalid UTF-8 was replaced or dropped."""


class ForeignClauses(Suite):
    """Names that aren't UTF-8."""

    @clause("SCN-8", KeyValue, Scan)
    async def test_scanned_key_of_any_bytes_is_taken_back(self, trial: Trial) -> None:
        """A scan returns keys that aren't UTF-8 unchanged, and every value method accepts them.

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
        """A scan returns keys that other software wrote; the adapter reads and deletes them.

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
        """Counters, claims, streams, groups and consumers accept names that aren't UTF-8.

        Different names stay different.

        If this fails, look for a capability that encodes its names separately.
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
        """Patterns match invalid UTF-8 byte by byte.

        `?` matches one such byte, `[...]` a choice or a range of them, and a literal byte only
        itself.

        If this fails, look for patterns that are matched character by character.
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
        """`delete_prefix` deletes every key that begins with the prefix, and no other.

        This includes keys in which the byte after the prefix is the greatest possible one.

        If this fails, look for an upper bound of a range that is smaller than some of the keys.
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
        """An entry whose names and values aren't UTF-8 is returned along with its neighbours.

        The test reads by range, by group, from the history and by `xautoclaim`.

        If this fails, look for a reply that is decoded as a whole. One entry must not affect the
        others.
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
