"""Deleting by prefix: clause SCN-5."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import Claims, Counters, Entry, KeyValue, Streams, escape

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.scans import LARGE, all_of, put, walk

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_PREFIXES: Final = (
    # prefix, names that begin with it, names that don't
    (
        "org:1:",
        ("org:1:", "org:1:a", "org:1:\U0010ffff", "org:1:\x00", "org:1::"),
        ("org:1", "org:10:a", "Org:1:a", "xorg:1:a", "org:2:a"),
    ),
    ("a*b", ("a*b", "a*b:1"), ("axb", "ab", "aXXb:1", "a*", "a\\*b")),
    ("a?b", ("a?b", "a?bc"), ("axb", "ab")),
    ("[q]", ("[q]", "[q]1"), ("q", "q1", "[q")),
    ("[^q]", ("[^q]1",), ("a1", "q1")),
    ("\\", ("\\", "\\a"), ("a", "/a")),
    ("a\\*", ("a\\*1",), ("a*1", "ab1")),
    ("a_b", ("a_b1",), ("axb1", "a-b1")),
    ("a%b", ("a%b1",), ("ab1", "axxb1")),
    ("\u00e9", ("\u00e9", "\u00e9t\u00e9"), ("e", "e\u0301", "\u00c9", "\u00ea")),
    ("sp ace", ("sp ace", "sp ace1"), ("space1", "sp  ace1")),
    ("line\n", ("line\n", "line\n1"), ("line", "line1")),
    ("nul\x00", ("nul\x001",), ("nul", "nul1")),
    ("", ("", "anything", "*"), ()),
)


class PrefixClauses(Suite):
    """Deleting exactly the keys that begin with a prefix."""

    @clause("SCN-5", KeyValue)
    async def test_delete_prefix_removes_exactly_the_matching_keys(self, trial: Trial) -> None:
        """`delete_prefix` deletes exactly the keys that begin with the prefix.

        It keeps keys whose names continue differently or differ in case, and keys that `*`, `?`,
        `[`, `%` or `_` in the prefix would match as a wildcard.

        If this fails, look for a prefix that is used as a pattern, in a glob or in LIKE, without
        being escaped.
        """
        adapter, other = trial.adapter, await trial.other()
        for number, (prefix, taken, left) in enumerate(_PREFIXES):
            begin = f"{number}:"
            keys, others = (
                trial.keys(begin + name for name in taken),
                trial.keys(begin + name for name in left),
            )
            await put(adapter, [*keys, *others])

            assert await other.delete_prefix(trial.prefix + begin + prefix) == len(keys), (
                f"prefix {prefix!r}"
            )

            assert set(await walk(adapter, f"{escape(trial.prefix)}{begin}*", 1_000)) == set(
                others
            ), f"after prefix {prefix!r}"
            assert await adapter.mget(others) == [b"value"] * len(others)

    @clause("SCN-5", KeyValue, Counters, Claims, Streams)
    async def test_a_prefix_takes_keys_of_every_kind(self, trial: Trial) -> None:
        """`delete_prefix` deletes and counts keys of every type.

        These are values, counters, claims, and streams with their groups. Expired keys aren't
        counted.

        If this fails, look for types that are stored in separate tables, and for expired keys that
        are still in the table.
        """
        adapter, time = trial.adapter, trial.time
        value, counter, claim, stream, mortal = trial.keys(
            ["p:value", "p:counter", "p:claim", "p:stream", "p:mortal"]
        )
        outside = trial.key("q")
        await adapter.mset([Entry(value, b""), Entry(mortal, b"", time.ttl), Entry(outside, b"")])
        await adapter.increment(counter, 41)
        await adapter.set_nx(claim, b"owner")
        await adapter.xgroup_create(stream, "group")
        await time.expires(time.ttl)

        assert await adapter.delete_prefix(trial.prefix + "p:") == 4

        assert await walk(adapter, all_of(trial), 1_000) == [outside]
        assert await adapter.xgroups(stream) == []
        assert await adapter.increment(counter) == 1
        assert await adapter.set_nx(claim, b"another") is True

    @clause("SCN-5", KeyValue)
    async def test_a_prefix_with_nothing_behind_it_counts_nothing(self, trial: Trial) -> None:
        """`delete_prefix` returns 0 if no key begins with the prefix, and doesn't raise.

        This includes a prefix whose keys were just deleted.

        If this fails, check the reply of your backend when there is nothing to delete.
        """
        adapter, keys = trial.adapter, trial.keys(["a:1", "a:2"])
        await put(adapter, keys)

        assert await adapter.delete_prefix(trial.key("b:")) == 0
        assert await adapter.delete_prefix(trial.key("a:")) == 2
        assert await adapter.delete_prefix(trial.key("a:")) == 0

    @clause("SCN-5", KeyValue)
    async def test_a_prefix_takes_thousands_and_leaves_their_neighbours(self, trial: Trial) -> None:
        """`delete_prefix` deletes and counts 2,500 keys, and keeps keys with similar names.

        Keys outside of the prefix that are written during the deletion also stay.

        If this fails, look for a deletion that ends after its first page, or that skips keys
        because it deletes the list it iterates over.
        """
        adapter, other = trial.adapter, await trial.other()
        keys, neighbours = (
            trial.keys(f"org:1:{place}" for place in range(2_500)),
            trial.keys(f"org:10:{place}" for place in range(500)),
        )
        await put(adapter, [*keys, *neighbours])
        written = trial.keys(f"org:11:{place}" for place in range(10))

        removed, *_ = await asyncio.gather(
            adapter.delete_prefix(trial.key("org:1:")),
            *(other.set(key, b"value") for key in written),
        )

        assert removed == 2_500
        assert set(await walk(adapter, all_of(trial), 1_000)) == {*neighbours, *written}

    @clause("SCN-5", KeyValue, limit=120)
    async def test_a_removal_is_not_disturbed_by_other_removals(self, trial: Trial) -> None:
        """With concurrent deletions, each key is counted by exactly one of them, without an error.

        Two calls delete by the same prefix, while a third client deletes the same keys in small
        batches.

        If this fails, look for a list of keys that is made once, and whose keys are assumed to
        still exist when they are deleted.
        """
        adapter, other, keys = (
            trial.adapter,
            await trial.other(),
            trial.keys(f"p:{place}" for place in range(LARGE)),
        )
        await put(adapter, keys)

        async def delete_from_the_end() -> int:
            deleted = 0
            for begin in range(LARGE - 100, LARGE // 2, -100):
                deleted += await other.delete(keys[begin : begin + 100])
                await asyncio.sleep(0)
            return deleted

        prefix = trial.key("p:")
        removed = await asyncio.gather(
            adapter.delete_prefix(prefix), delete_from_the_end(), other.delete_prefix(prefix)
        )

        assert sum(removed) == LARGE
        assert await walk(adapter, all_of(trial), 1_000) == []
