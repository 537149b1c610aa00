"""Time to live: clauses KV-6 to KV-9, and KV-16."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, Claims, Counters, Entry, ErrorCode, Scan, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.clock import LATE
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.scans import walk

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import FullAdapter, Trial


class ExpiryClauses(Suite):
    """The lifetime of keys."""

    @clause("KV-6")
    async def test_an_expired_key_is_gone_for_every_reader(self, trial: Trial) -> None:
        """Every method treats an expired key as missing, even if it is the first to access it.

        The methods are `get`, `exists`, `mget`, `ttl`, `expire`, `persist`, `getdel` and `delete`.

        If this fails, look for a method that bypasses the deadline check.
        """
        adapter, time = trial.adapter, trial.time
        keys = trial.keys(["get", "exists", "mget", "ttl", "expire", "persist", "getdel", "delete"])
        await adapter.mset([Entry(key, b"value", time.ttl) for key in keys])

        await time.expires(time.ttl)

        assert await adapter.get(keys[0]) is None
        assert await adapter.exists(keys[1]) is False
        assert await adapter.mget([keys[2]]) == [None]
        assert await adapter.ttl(keys[3]) is None
        assert await adapter.expire(keys[4], 3_000) is False
        assert await adapter.persist(keys[5]) is False
        assert await adapter.getdel(keys[6]) is None
        assert await adapter.delete([keys[7]]) == 0
        assert await adapter.mget(keys) == [None] * len(keys)

    @clause("KV-6", Scan)
    async def test_a_scan_does_not_give_expired_keys(self, trial: Trial) -> None:
        """A scan returns the live keys and leaves out the expired ones.

        If this fails, look for a scan that returns everything that hasn't been swept yet.
        """
        adapter, time = trial.adapter, trial.time
        mortal, immortal = (
            trial.keys(f"m{n}" for n in range(20)),
            trial.keys(f"i{n}" for n in range(20)),
        )
        await adapter.mset(
            [Entry(key, b"value", time.ttl) for key in mortal]
            + [Entry(key, b"value") for key in immortal]
        )

        await time.expires(time.ttl)

        found = set(await walk(adapter, trial.prefix + "*", 7))
        assert found == set(immortal)

    @clause("KV-6", Counters)
    async def test_an_expired_counter_counts_from_nothing(self, trial: Trial) -> None:
        """`increment` of an expired key starts again from 0, without a TTL.

        If this fails, look for an increment that finds the old row.
        """
        key, time = trial.key(), trial.time
        await trial.adapter.increment(key, 41, ttl=time.ttl)

        await time.expires(time.ttl)

        assert await trial.adapter.increment(key) == 1
        assert await trial.adapter.ttl(key) == math.inf

    @clause("KV-6", Streams)
    async def test_an_expired_stream_is_gone_with_its_groups(self, trial: Trial) -> None:
        """An expired stream has no entries and no groups.

        Reading in one of its groups raises `STORE_STREAM_GROUP_MISSING`.

        If this fails, check whether your stream methods compare the deadline of the key.
        """
        key, time, adapter = trial.key(), trial.time, trial.adapter
        await adapter.xadd(key, {"field": b"1"})
        await adapter.xgroup_create(key, "group")
        assert await adapter.expire(key, time.ttl) is True

        await time.expires(time.ttl)

        assert await adapter.xlen(key) == 0
        assert await adapter.xrange(key) == []
        assert await adapter.xgroups(key) == []
        with pytest.raises(BackendFailed) as caught:
            await adapter.xreadgroup(key, "group", "consumer")
        assert caught.value.code == ErrorCode.STORE_STREAM_GROUP_MISSING

    @clause("KV-7")
    async def test_a_key_lives_as_long_as_its_ttl(self, trial: Trial) -> None:
        """A key exists shortly before its TTL is over, and is gone 50 ms after its end.

        If this fails, look at the unit of the TTL (seconds in the contract), at rounding, and at
        which clock the deadline is compared with, on the client or on the server.
        """
        key, adapter = trial.key(), trial.adapter
        await trial.time.bracket(
            trial.time.ttl,
            lambda ttl: adapter.set(key, b"value", ttl=ttl),
            lambda: adapter.exists(key),
        )

    @clause("KV-7")
    async def test_a_ttl_under_a_second_works(self, trial: Trial) -> None:
        """TTLs of 0.05 s, and of seconds with a fraction, aren't truncated or rounded to seconds.

        If this fails, look for a TTL that is converted to `int`. Most backends have a command or a
        column with milliseconds.
        """
        adapter = trial.adapter
        for shortest in (0.05, 0.25, 1.5):
            key = trial.key(f"key-{shortest}")
            write, is_there = partial(_set, adapter, key), partial(adapter.exists, key)
            await trial.time.bracket(shortest + trial.time.granularity, write, is_there)

    @clause("KV-7")
    async def test_every_method_applies_the_requested_ttl(self, trial: Trial) -> None:
        """`set`, a conditional `set`, `mset` and `expire` all apply exactly the requested TTL.

        If this fails, look for a code path whose unit or rounding differs from the others.
        """
        adapter = trial.adapter
        one, two, three, four = trial.keys(["absent", "present", "mset", "expire"])

        async def set_if_absent(ttl: float) -> None:
            await adapter.delete([one])
            assert await adapter.set(one, b"value", ttl=ttl, only_if="absent")

        async def set_if_present(ttl: float) -> None:
            await adapter.set(two, b"old")
            assert await adapter.set(two, b"value", ttl=ttl, only_if="present")

        async def expire(ttl: float) -> None:
            await adapter.set(four, b"value")
            assert await adapter.expire(four, ttl)

        ttl = trial.time.ttl
        await trial.time.bracket(ttl, set_if_absent, lambda: adapter.exists(one))
        await trial.time.bracket(ttl, set_if_present, lambda: adapter.exists(two))
        await trial.time.bracket(
            ttl,
            lambda ttl: adapter.mset([Entry(three, b"value", ttl)]),
            lambda: adapter.exists(three),
        )
        await trial.time.bracket(ttl, expire, lambda: adapter.exists(four))

    @clause("KV-7")
    async def test_very_long_ttls_are_kept(self, trial: Trial) -> None:
        """TTLs of a day, a year and 10^10 seconds are kept unchanged.

        10^10 seconds is the longest TTL that the store allows.

        If this fails, look for a number of milliseconds that overflows 32 or 64 bits, or for an
        interval that loses its days.
        """
        for ttl in (86_400.0, 366 * 86_400.0, 1e10):
            key = trial.key(f"key-{ttl}")
            await trial.adapter.set(key, b"value", ttl=ttl)
            left = await trial.adapter.ttl(key)
            assert left is not None
            assert ttl - 600 < left <= ttl + trial.time.granularity
            assert await trial.adapter.get(key) == b"value"

    @clause("KV-8")
    async def test_expire_gives_a_new_ttl(self, trial: Trial) -> None:
        """`expire` shortens, extends or adds a TTL, and keeps the value.

        If this fails, look for a deadline that is only moved in one direction, or that is computed
        from the old one.
        """
        adapter, time = trial.adapter, trial.time
        shorter, longer, none = trial.keys(["shorter", "longer", "none"])
        await adapter.mset(
            [Entry(shorter, b"1", 3_000), Entry(longer, b"2", time.ttl), Entry(none, b"3")]
        )

        assert await adapter.expire(shorter, time.ttl) is True
        assert await adapter.expire(longer, 3_000) is True
        assert await adapter.expire(none, time.ttl) is True

        assert await adapter.mget([shorter, longer, none]) == [b"1", b"2", b"3"]
        await time.expires(time.ttl)
        assert await adapter.mget([shorter, longer, none]) == [None, b"2", None]

    @clause("KV-8")
    async def test_expire_of_nothing_says_false_and_creates_nothing(self, trial: Trial) -> None:
        """`expire` returns False for a missing key and for an expired one, and creates neither.

        If this fails, look for an upsert of the deadline.
        """
        adapter, time = trial.adapter, trial.time
        missing, expired = trial.keys(["missing", "expired"])
        await adapter.set(expired, b"value", ttl=time.ttl)
        await time.expires(time.ttl)

        for key in (missing, expired):
            assert await adapter.expire(key, 3_000) is False
            assert await adapter.exists(key) is False
            assert await adapter.get(key) is None

    @clause("KV-9")
    async def test_ttl_tells_three_things_apart(self, trial: Trial) -> None:
        """`ttl` distinguishes a missing key, a key without a TTL, and a key with one.

        It returns `None` for a missing key, `math.inf` for a key without a TTL, and the remaining
        seconds otherwise. The remaining time is never more than the TTL that was set, and never 0.

        If this fails, check the replies of your backend for "no such key" and for "no TTL". Redis
        returns -2 and -1, and its TTL command rounds (use PTTL).
        """
        adapter, time = trial.adapter, trial.time
        missing, immortal, mortal = trial.keys(["missing", "immortal", "mortal"])
        await adapter.mset([Entry(immortal, b"1"), Entry(mortal, b"2", time.ttl)])

        assert await adapter.ttl(missing) is None
        assert await adapter.ttl(immortal) == math.inf
        first = await adapter.ttl(mortal)
        assert first is not None
        assert 0 < first <= time.ttl + time.granularity
        await time.passes(time.ttl / 2)
        second = await adapter.ttl(mortal)
        assert second is None or 0 < second <= time.ttl / 2 + time.granularity

    @clause("KV-9")
    async def test_ttl_counts_from_when_it_was_given(self, trial: Trial) -> None:
        """`ttl` returns the TTL minus the time since it was set, to a fraction of a second.

        The test sets a TTL of 3,000 seconds and lets some time pass.

        If this fails, look for whole seconds, or for a stored TTL where a deadline should be
        stored.
        """
        key, time, adapter = trial.key(), trial.time, trial.adapter
        began = time.now()
        await adapter.set(key, b"value", ttl=3_000)
        written = time.now()

        await time.passes(0.3)

        asked = time.now()
        left = await adapter.ttl(key)
        answered = time.now()
        assert left is not None
        assert (
            3_000 - (answered - began) - 0.01
            <= left
            <= 3_000 - (asked - written) + time.granularity + 0.01
        )

    @clause("KV-9")
    async def test_persist_returns_whether_it_removed_a_ttl(self, trial: Trial) -> None:
        """`persist` removes the TTL and returns True only if there was one.

        The second call for the same key returns False, and so do calls for a missing key and for a
        key without a TTL. The key then stays.

        If this fails, look at how "changed" is determined when there was no TTL to remove.
        """
        adapter, time = trial.adapter, trial.time
        mortal, immortal, missing = trial.keys(["mortal", "immortal", "missing"])
        await adapter.mset([Entry(mortal, b"1", time.ttl), Entry(immortal, b"2")])

        assert await adapter.persist(mortal) is True
        assert await adapter.persist(mortal) is False
        assert await adapter.persist(immortal) is False
        assert await adapter.persist(missing) is False

        await time.expires(time.ttl)
        assert await adapter.get(mortal) == b"1"
        assert await adapter.exists(missing) is False

    @clause("KV-16", Counters)
    async def test_a_deleted_key_leaves_nothing_to_its_successor(self, trial: Trial) -> None:
        """A key that is written again after a delete inherits neither its old TTL nor its count.

        If this fails, look for a deadline or a counter in a separate table that `delete` doesn't
        clear.
        """
        adapter, time = trial.adapter, trial.time
        value, number, taken = trial.keys(["value", "number", "taken"])
        await adapter.mset([Entry(value, b"old", time.ttl), Entry(taken, b"old", time.ttl)])
        await adapter.increment(number, 41, ttl=time.ttl)

        assert await adapter.delete([value, number]) == 2
        assert await adapter.getdel(taken) == b"old"
        await adapter.set(value, b"new")
        await adapter.set(taken, b"new")

        assert await adapter.increment(number) == 1
        assert [await adapter.ttl(key) for key in (value, number, taken)] == [math.inf] * 3
        await time.expires(time.ttl)
        assert await adapter.mget([value, number, taken]) == [b"new", b"1", b"new"]

    @clause("KV-16", Streams)
    async def test_an_expired_key_may_become_another_kind(self, trial: Trial) -> None:
        """A stream can replace an expired value, and a value an expired stream.

        The new key doesn't get the old TTL.

        If this fails, look for a check of the type that runs before the check of the deadline.
        """
        adapter, time = trial.adapter, trial.time
        value, stream = trial.keys(["value", "stream"])
        await adapter.set(value, b"old", ttl=time.ttl)
        await adapter.xadd(stream, {"field": b"old"})
        await adapter.expire(stream, time.ttl)

        await time.expires(time.ttl)

        await adapter.xadd(value, {"field": b"new"})
        assert await adapter.xlen(value) == 1
        assert await adapter.ttl(value) == math.inf
        assert await adapter.set(stream, b"new", only_if="absent") is True
        assert await adapter.get(stream) == b"new"

    @clause("KV-9")
    async def test_ttl_at_deadline_is_none_or_positive(self, trial: Trial) -> None:
        """At the end of a TTL, and just before it, `ttl` returns `None` or more than 0.

        If this fails, look for `<` where `<=` is meant. A key whose deadline is now has no time
        left, so it is gone.
        """
        adapter, time = trial.adapter, trial.time
        for early in (0.0, time.granularity):
            key = trial.key(f"key {early}")
            await adapter.set(key, b"value", ttl=time.ttl)
            await time.passes(time.ttl - early)
            left = await adapter.ttl(key)
            assert left is None or left > 0, f"{left!r} seconds left"

    @clause("KV-6", Counters, Claims)
    async def test_results_agree_with_effects_at_the_deadline(self, trial: Trial) -> None:
        """At the end of a TTL, every call's result agrees with its effect.

        A key may still be found just after its TTL is over (KV-7). A key that a call reported as
        renewed exists, and a key that a call removed doesn't.

        If this fails, look for a read that returns a value which it has just removed as expired.
        """
        adapter, time = trial.adapter, trial.time
        for late in (0.0, 0.002, 0.005, 0.02):
            expired, kept, counted, claim, dropped, taken, released = keys = trial.keys(
                f"{name} {late}"
                for name in ("expired", "kept", "counted", "claim", "dropped", "taken", "released")
            )
            await adapter.mset([Entry(key, b"41", time.ttl) for key in keys])
            await time.passes(time.ttl + late)

            renewed, persisted = await adapter.expire(expired, 3_000), await adapter.persist(kept)
            number, held = (
                await adapter.increment(counted),
                await adapter.compare_expire(claim, b"41", 3_000),
            )
            assert await adapter.delete([dropped]) in (0, 1)
            assert await adapter.getdel(taken) in (None, b"41")
            assert await adapter.compare_delete(released, b"41") in (True, False)

            assert number in (1, 42)
            assert await adapter.mget([expired, kept, claim]) == [
                b"41" if there else None for there in (renewed, persisted, held)
            ]
            await time.expires(0)
            assert await adapter.mget([expired, kept, claim]) == [
                b"41" if there else None for there in (renewed, persisted, held)
            ]
            assert await adapter.mget([counted, dropped, taken, released]) == [
                b"1" if number == 1 else None,
                None,
                None,
                None,
            ]

    @clause("KV-7")
    async def test_after_a_busy_time_nothing_lives_on(self, trial: Trial) -> None:
        """Keys that expire while the event loop is blocked are gone for the next calls.

        The program computes while the TTLs end, so no timer can run.

        If this fails, look for a method that relies on an event-loop timer to remove expired keys.
        """
        adapter, passing = trial.adapter, trial.time
        ttl = 0.05 + passing.granularity
        keys = trial.keys(
            ["get", "exists", "mget", "ttl", "expire", "persist", "getdel", "delete", "set"]
        )
        await adapter.mset([Entry(key, b"value", ttl) for key in keys])

        if passing.is_moved:
            await passing.expires(ttl)
        else:
            # blocks the event loop on purpose
            time.sleep(ttl + LATE + passing.granularity)  # noqa: ASYNC251

        assert await adapter.get(keys[0]) is None
        assert await adapter.exists(keys[1]) is False
        assert await adapter.mget([keys[2]]) == [None]
        assert await adapter.ttl(keys[3]) is None
        assert await adapter.expire(keys[4], 3_000) is False
        assert await adapter.persist(keys[5]) is False
        assert await adapter.getdel(keys[6]) is None
        assert await adapter.delete([keys[7]]) == 0
        assert await adapter.set(keys[8], b"new", only_if="present") is False

    @clause("KV-16", Counters, Claims)
    async def test_old_deadline_affects_no_other_key(self, trial: Trial) -> None:
        """The old deadline of a removed or persisted key affects no other key.

        Keys with TTLs are deleted, read with `getdel`, released and persisted. When their TTLs
        would have ended, other keys still expire on time.

        If this fails, look for a deadline that isn't removed with its key, and check the code that
        runs when that deadline passes.
        """
        adapter, passing = trial.adapter, trial.time
        deleted, taken, released, persisted, mortal, later = trial.keys(
            ["deleted", "taken", "released", "persisted", "mortal", "later"]
        )
        await adapter.mset(
            [
                Entry(key, b"value", passing.ttl)
                for key in (deleted, taken, released, persisted, mortal)
            ]
        )
        assert await adapter.delete([deleted]) == 1
        assert await adapter.getdel(taken) == b"value"
        assert await adapter.compare_delete(released, b"value") is True
        assert await adapter.persist(persisted) is True

        await passing.expires(passing.ttl)

        assert await adapter.mget([deleted, taken, released, persisted, mortal]) == [
            None,
            None,
            None,
            b"value",
            None,
        ]
        await adapter.set(later, b"value", ttl=passing.ttl)
        assert await adapter.increment(deleted) == 1
        assert [await adapter.ttl(key) for key in (deleted, persisted)] == [math.inf, math.inf]
        await passing.expires(passing.ttl)
        assert await adapter.mget([deleted, persisted, later]) == [b"1", b"value", None]


async def _set(adapter: FullAdapter, key: str, ttl: float) -> None:
    await adapter.set(key, b"value", ttl=ttl)
