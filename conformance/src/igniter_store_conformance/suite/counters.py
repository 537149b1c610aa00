"""Counters: clauses CTR. Concurrent callers are tested in `concurrency.keys`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import BackendFailed, Entry, ErrorCode, KeyValue, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.samples import INTEGERS, NOT_INTEGERS

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MAX = 2**63 - 1
_MIN = -(2**63)


class CounterClauses(Suite):
    """Integer counters."""

    @clause("CTR-1")
    async def test_a_missing_counter_counts_from_zero(self, trial: Trial) -> None:
        """A missing counter counts from 0.

        The first increment returns its own delta, whether positive, negative or 0. Later increments
        add to it.

        If this fails, check which value the first increment starts from, and whether the adapter
        returns the new value or the old one.
        """
        up, down, still = trial.keys(["up", "down", "still"])
        assert [await trial.adapter.increment(up, delta) for delta in (1, 41, -2, 0)] == [
            1,
            42,
            40,
            40,
        ]
        assert [await trial.adapter.increment(down, delta) for delta in (-5, -5, 11)] == [
            -5,
            -10,
            1,
        ]
        assert [await trial.adapter.increment(still, delta) for delta in (0, 0, 7)] == [0, 0, 7]

    @clause("CTR-1")
    async def test_without_a_delta_it_is_one(self, trial: Trial) -> None:
        """`increment(key)` adds 1.

        If this fails, check the default of `delta`.
        """
        key = trial.key()
        assert [await trial.adapter.increment(key) for _ in range(3)] == [1, 2, 3]

    @clause("CTR-1")
    async def test_counters_are_apart(self, trial: Trial) -> None:
        """Counters with similar names are independent of each other.

        If this fails, check how keys are compared.
        """
        keys = trial.keys(["a", "A", "a*", "ab", "a ", "\u00e9", "e\u0301"])
        for place, key in enumerate(keys):
            await trial.adapter.increment(key, place + 1)

        assert [await trial.adapter.increment(key, 100) for key in keys] == [
            101,
            102,
            103,
            104,
            105,
            106,
            107,
        ]

    @clause("CTR-1")
    async def test_another_client_counts_on(self, trial: Trial) -> None:
        """Two clients that increment in turn share one counter.

        If this fails, look for numbers that are cached in the client.
        """
        other, key = await trial.other(), trial.key()
        clients = (trial.adapter, other)
        assert [await clients[turn % 2].increment(key, 10) for turn in range(6)] == [
            10,
            20,
            30,
            40,
            50,
            60,
        ]

    @clause("CTR-1", KeyValue)
    async def test_increments_of_zero_create_the_counter(self, trial: Trial) -> None:
        """A delta of 0 on a missing counter creates one that holds 0.

        If this fails, look for a shortcut that skips the write when the delta is 0.
        """
        key = trial.key()
        assert await trial.adapter.increment(key, 0) == 0
        assert await trial.adapter.exists(key) is True
        assert await trial.adapter.get(key) == b"0"

    @clause("CTR-3")
    async def test_counter_is_exact_over_64_bit_range(self, trial: Trial) -> None:
        """Numbers beyond 2^53, up to both ends of the 64-bit range, are exact.

        If this fails, look for a float, or for a 32-bit column.
        """
        key, high, low = trial.keys(["key", "high", "low"])
        assert await trial.adapter.increment(key, 2**53) == 2**53
        assert await trial.adapter.increment(key) == 2**53 + 1
        assert await trial.adapter.increment(key) == 2**53 + 2
        assert await trial.adapter.increment(high, _MAX) == _MAX
        assert await trial.adapter.increment(low, _MIN) == _MIN
        assert await trial.adapter.increment(high, -1) == _MAX - 1
        assert await trial.adapter.increment(low, 1) == _MIN + 1

    @clause("CTR-3")
    async def test_leaving_the_range_is_refused(self, trial: Trial) -> None:
        """An increment beyond either end raises `STORE_INCREMENT_FAILED`.

        The counter keeps its value.

        If this fails, look for unbounded integers such as Python's, or for an overflow that wraps.
        Redis 6.2 wraps on a decrement by -2^63.
        """
        for start, deltas in ((_MAX, (1, 2, _MAX)), (_MIN, (-1, -2, _MIN))):
            key = trial.key(f"from {start}")
            await trial.adapter.increment(key, start)
            for delta in deltas:
                with pytest.raises(BackendFailed) as caught:
                    await trial.adapter.increment(key, delta)
                assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
            assert await trial.adapter.increment(key, 0) == start

    @clause("CTR-3")
    async def test_a_great_step_leaves_the_range_from_anywhere(self, trial: Trial) -> None:
        """A delta as large as the range is refused from 1 and from -1.

        A delta that leads from one end of the range to the other is accepted.

        If this fails, look for a check of the delta or of the old number: the sum has to be
        checked.
        """
        for start, delta in ((1, _MAX), (-1, _MIN)):
            key = trial.key(f"from {start}")
            await trial.adapter.increment(key, start)
            with pytest.raises(BackendFailed) as caught:
                await trial.adapter.increment(key, delta)
            assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
            assert await trial.adapter.increment(key, 0) == start
        down, up = trial.keys(["down", "up"])
        await trial.adapter.increment(down, _MAX)
        await trial.adapter.increment(up, _MIN)
        assert await trial.adapter.increment(down, _MIN) == -1
        assert await trial.adapter.increment(up, _MAX) == -1

    @clause("CTR-3", KeyValue)
    async def test_a_refused_step_changes_no_ttl(self, trial: Trial) -> None:
        """A refused increment leaves the TTL unchanged, even when it was called with `ttl=`.

        If this fails, look for an adapter that increments and sets the TTL in two steps.
        """
        key, text, mortal = trial.keys(["key", "text", "mortal"])
        await trial.adapter.increment(key, _MAX)
        await trial.adapter.set(text, b"no number")
        await trial.adapter.set(mortal, b"%d" % _MAX, ttl=2_000)

        for refused in (key, text, mortal):
            with pytest.raises(BackendFailed):
                await trial.adapter.increment(refused, 1, ttl=3_000)

        assert await trial.adapter.ttl(key) == math.inf
        assert await trial.adapter.ttl(text) == math.inf
        assert 0 < (await trial.adapter.ttl(mortal) or 0) <= 2_000

    @clause("CTR-4", KeyValue)
    async def test_increment_refuses_non_integer_values(self, trial: Trial) -> None:
        """A value that isn't a 64-bit decimal integer can't be incremented.

        Text, fractions, spaces, leading zeros, a plus sign, "-0", an empty value and numbers beyond
        64 bits are refused.

        If this fails, look for Python's `int` or SQL's CAST, which accept more than Redis does.
        """
        for place, text in enumerate(NOT_INTEGERS):
            key = trial.key(f"text-{place}")
            await trial.adapter.set(key, text)
            for delta in (
                1,
                0,
                -1,
            ):  # the sum with a number beyond 64 bits may fit in 64 bits, and is refused too
                with pytest.raises(BackendFailed) as caught:
                    await trial.adapter.increment(key, delta)
                assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED, text
            assert await trial.adapter.get(key) == text

    @clause("CTR-4", Streams)
    async def test_a_stream_is_not_incremented(self, trial: Trial) -> None:
        """`increment` of a key that holds a stream raises `STORE_INCREMENT_FAILED`.

        The stream stays as it is.

        If this fails, check which error your backend returns for a key that holds another type of
        value.
        """
        key = trial.key()
        await trial.adapter.xadd(key, {"field": b"1"})

        with pytest.raises(BackendFailed) as caught:
            await trial.adapter.increment(key)

        assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
        assert await trial.adapter.xlen(key) == 1

    @clause("CTR-5", KeyValue)
    async def test_an_increment_keeps_the_ttl(self, trial: Trial) -> None:
        """Later increments don't change the TTL of a counter, with `ttl=` or without.

        The counter expires at its original deadline, however often it is incremented.

        If this fails, look for a deadline that is dropped together with the old value, or that
        restarts with every increment.
        """
        key, long, time = trial.key(), trial.key("long"), trial.time
        await trial.adapter.increment(key, ttl=time.ttl)
        await trial.adapter.increment(long, ttl=3_000)
        await time.passes(time.ttl / 2)

        await trial.adapter.increment(key)
        await trial.adapter.increment(key, ttl=3_000)
        await trial.adapter.increment(long, ttl=time.ttl)

        assert 0 < (await trial.adapter.ttl(long) or 0) <= 3_000 - time.ttl / 2 + time.granularity
        await time.expires(time.ttl / 2)
        assert await trial.adapter.exists(key) is False
        assert await trial.adapter.get(long) == b"2"

    @clause("CTR-5", KeyValue)
    async def test_a_window_lasts_as_long_as_its_ttl(self, trial: Trial) -> None:
        """A TTL set by the first increment lasts exactly as long as any other TTL.

        If this fails, check the unit of the TTL and the step that sets it.
        """
        key, adapter = trial.key(), trial.adapter

        async def begin(ttl: float) -> None:
            await adapter.delete([key])
            assert await adapter.increment(key, ttl=ttl) == 1

        await trial.time.bracket(trial.time.ttl, begin, lambda: adapter.exists(key))
        await trial.time.bracket(0.25 + trial.time.granularity, begin, lambda: adapter.exists(key))

    @clause("CTR-5", KeyValue)
    async def test_increment_adds_ttl_to_counter_without_one(self, trial: Trial) -> None:
        """`ttl=` sets a TTL on a counter without one, even if the counter isn't new.

        If this fails, look for a TTL that only the first increment sets.
        """
        counted, written, never = trial.keys(["counted", "written", "never"])
        await trial.adapter.increment(counted)
        await trial.adapter.set(written, b"5")
        await trial.adapter.increment(never)

        assert await trial.adapter.increment(counted, ttl=3_000) == 2
        assert await trial.adapter.increment(written, ttl=3_000) == 6
        assert await trial.adapter.increment(never) == 2

        assert 0 < (await trial.adapter.ttl(counted) or 0) <= 3_000
        assert 0 < (await trial.adapter.ttl(written) or 0) <= 3_000
        assert await trial.adapter.ttl(never) == math.inf

    @clause("CTR-6", KeyValue)
    async def test_a_counter_is_stored_as_its_decimal_text(self, trial: Trial) -> None:
        """`get` and `mget` of a counter return its decimal digits, with a minus sign if negative.

        If this fails, look for numbers that are stored in a separate column or in another format.
        """
        key = trial.key()
        for delta, text in ((7, b"7"), (-10, b"-3"), (3, b"0"), (_MAX, b"9223372036854775807")):
            await trial.adapter.increment(key, delta)
            assert await trial.adapter.get(key) == text
            assert await trial.adapter.mget([key]) == [text]

    @clause("CTR-6", KeyValue)
    async def test_stored_decimal_text_can_be_incremented(self, trial: Trial) -> None:
        """A decimal text written by `set` or `mset` can be incremented.

        If this fails, look for counters and values that are stored in two places.
        """
        for text in INTEGERS:
            keys = trial.keys(f"{how} {text.decode()}" for how in ("set", "mset"))
            await trial.adapter.set(keys[0], text)
            await trial.adapter.mset([Entry(keys[1], text)])
            for key in keys:
                assert await trial.adapter.increment(key) == int(text) + 1
                assert await trial.adapter.get(key) == b"%d" % (int(text) + 1)

    @clause("CTR-6", KeyValue)
    async def test_the_store_holds_the_decimal_text(self, trial: Trial) -> None:
        """The backend stores a counter as its decimal text under the counter's key.

        If this fails, look for a format of your own around the number.
        """
        key, oracle = trial.key(), trial.oracle
        await trial.adapter.increment(key, 41)
        assert await oracle.peek(key) == b"41"

        await oracle.poke(key, b"99")

        assert await trial.adapter.increment(key) == 100

    @clause("CTR-7", KeyValue)
    async def test_counter_ttl_returns_remaining_seconds(self, trial: Trial) -> None:
        """`ttl` of a counter returns the seconds that are left.

        The TTL comes from `increment` or `expire`. `ttl` returns `math.inf` for a counter without a
        TTL, and `None` for a missing counter.

        If this fails, look for deadlines of counters that are stored apart from those of values.
        """
        window, lasting, later, time = (
            trial.key("window"),
            trial.key("lasting"),
            trial.key("later"),
            trial.time,
        )
        adapter, other = trial.adapter, await trial.other()
        await adapter.increment(window, ttl=3_000)
        await adapter.increment(lasting)
        await adapter.increment(later)
        await adapter.expire(later, 2_000)

        await time.passes(time.ttl)
        await adapter.increment(window, ttl=9_000)

        assert 2_000 < (await other.ttl(window) or 0) <= 3_000 - 0.75 * time.ttl
        assert await other.ttl(lasting) == math.inf
        assert 0 < (await other.ttl(later) or 0) <= 2_000
        assert await other.ttl(trial.key("missing")) is None
        assert await other.persist(window) is True
        assert await adapter.ttl(window) == math.inf
