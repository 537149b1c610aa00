"""Calls with many keys: clauses KV-11, KV-12 and KV-15."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from igniter_store.contract import Entry

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial


class BatchClauses(Suite):
    """Calls with many keys."""

    @clause("KV-11")
    async def test_mget_answers_in_the_order_asked(self, trial: Trial) -> None:
        """`mget` returns one result per key, in the order of the keys.

        The keys are unsorted, and some of them are missing or repeated.

        If this fails, look for results in row order, keys collected in a set, or missing rows that
        are dropped.
        """
        b, a, missing, c = trial.keys(["b", "a", "missing", "c"])
        for key, value in ((c, b"3"), (a, b"1"), (b, b"2")):
            await trial.adapter.set(key, value)

        assert await trial.adapter.mget([b, missing, a, b, c, missing, a]) == [
            b"2",
            None,
            b"1",
            b"2",
            b"3",
            None,
            b"1",
        ]

    @clause("KV-11")
    async def test_mset_gives_every_entry_its_own_ttl(self, trial: Trial) -> None:
        """Each entry of a batch keeps its own TTL: none, a long one, or a short one.

        If this fails, look for a single TTL that is applied to the whole batch, or for TTLs that
        are ignored.
        """
        short, none, long = trial.keys(["short", "none", "long"])
        time = trial.time
        await trial.adapter.mset(
            [Entry(short, b"1", time.ttl), Entry(none, b"2"), Entry(long, b"3", 3_000)]
        )
        assert await trial.adapter.mget([short, none, long]) == [b"1", b"2", b"3"]
        assert await trial.adapter.ttl(none) == math.inf

        await time.expires(time.ttl)

        assert await trial.adapter.mget([short, none, long]) == [None, b"2", b"3"]
        left = await trial.adapter.ttl(long)
        assert left is not None
        assert 0 < left <= 3_000 - time.ttl

    @clause("KV-11")
    async def test_a_batch_is_seen_whole(self, trial: Trial) -> None:
        """After `mset` returns, this client and another one can read every key of the batch.

        If this fails, look for a batch that is written later, or in parts that `mset` doesn't
        await.
        """
        other = await trial.other()
        keys = trial.keys(f"key-{number}" for number in range(50))
        for turn in range(5):
            await trial.adapter.mset([Entry(key, b"%d" % turn) for key in keys])
            assert set(await other.mget(keys)) == {b"%d" % turn}
            assert set(await trial.adapter.mget(keys)) == {b"%d" % turn}

    @clause("KV-12")
    async def test_an_empty_batch_does_nothing(self, trial: Trial) -> None:
        """`mget([])` returns `[]`, and `mset([])` doesn't raise.

        If this fails, look for a command or statement that must not be sent without arguments.
        """
        assert await trial.adapter.mget([]) == []
        await trial.adapter.mset([])

    @clause("KV-12", limit=120)
    async def test_a_batch_of_ten_thousand_works(self, trial: Trial) -> None:
        """Batches of 999, 1,000, 1,001 and 10,000 keys are written, read in order and deleted.

        If this fails, look for a limit on the number of variables in a statement, and split the
        batch.
        """
        for number in (1, 999, 1_000, 1_001, 10_000):
            keys = trial.keys(f"{number}-{place}" for place in range(number))
            await trial.adapter.mset([Entry(key, b"%d" % place) for place, key in enumerate(keys)])
            assert await trial.adapter.mget(keys) == [b"%d" % place for place in range(number)]
            assert await trial.adapter.delete(keys) == number
            assert await trial.adapter.mget(keys) == [None] * number

    @clause("KV-15")
    async def test_mset_is_a_plain_set_of_each_entry(self, trial: Trial) -> None:
        """`mset` replaces existing values and clears their TTLs.

        If this fails, look for an upsert that writes the value but doesn't update the deadline
        column.
        """
        key, other, time = trial.key("key"), trial.key("other"), trial.time
        await trial.adapter.mset([Entry(key, b"old", time.ttl), Entry(other, b"old", 3_000)])

        await trial.adapter.mset([Entry(key, b"new"), Entry(other, b"new", time.ttl)])

        assert await trial.adapter.ttl(key) == math.inf
        assert 0 < (await trial.adapter.ttl(other) or 0) <= time.ttl
        await time.expires(time.ttl)
        assert await trial.adapter.mget([key, other]) == [b"new", None]

    @clause("KV-15")
    async def test_mset_keeps_last_entry_of_repeated_key(self, trial: Trial) -> None:
        """If a batch contains a key twice, the last value and the last TTL win.

        If this fails, look for entries that are grouped by key before they are written, or that are
        written concurrently in no fixed order.
        """
        key, other = trial.keys(["key", "other"])
        await trial.adapter.mset(
            [Entry(key, b"first", 3_000), Entry(other, b"other"), Entry(key, b"last")]
        )

        assert await trial.adapter.mget([key, other]) == [b"last", b"other"]
        assert await trial.adapter.ttl(key) == math.inf

    @clause("KV-15")
    async def test_delete_counts_repeated_key_once(self, trial: Trial) -> None:
        """`delete([a, a, b])` returns 2.

        If this fails, look for code that counts the requested keys, or that adds up one result per
        key.
        """
        a, b = trial.keys("ab")
        await trial.adapter.mset([Entry(a, b"1"), Entry(b, b"2")])

        assert await trial.adapter.delete([a, a, b]) == 2
