"""Reading streams by id: clause STR-2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.assertions import refused
from igniter_store_conformance.tools.streams import fill, ids_of, number_of

if TYPE_CHECKING:
    from igniter_store_conformance.engine.trial import Trial

_MALFORMED: Final = (
    "",
    "x",
    "1-",
    "1-x",
    "1-2-3",
    "(",
    "(-",
    "1.5",
    " 1",
    "18446744073709551616",
    "1-18446744073709551616",
    "\u0661",
)


class RangeClauses(Suite):
    """Entries between two ids."""

    @clause("STR-2")
    async def test_a_range_includes_both_ends(self, trial: Trial) -> None:
        """A range includes both of its bounds and the entries between them, in order.

        `-` and `+` are the bounds of the whole stream.

        If this fails, look for `<` where `<=` is meant.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 12)

        assert ids_of(await adapter.xrange(stream, ids[3], ids[8])) == ids[3:9]
        assert ids_of(await adapter.xrange(stream, ids[5], ids[5])) == ids[5:6]
        assert ids_of(await adapter.xrange(stream, "-", ids[2])) == ids[:3]
        assert ids_of(await adapter.xrange(stream, ids[9])) == ids[9:]
        assert (
            ids_of(await adapter.xrange(stream))
            == ids_of(await adapter.xrange(stream, "-", "+"))
            == ids
        )

    @clause("STR-2")
    async def test_ids_are_ordered_as_numbers(self, trial: Trial) -> None:
        """Ids are ordered and compared as numbers.

        Of many entries in one millisecond, number 9 comes before number 10. Bounds are compared in
        the same way.

        If this fails, look for ids that are compared as text.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 220)

        assert ids_of(await adapter.xrange(stream)) == ids
        for begin, end in ((8, 11), (9, 10), (98, 101), (2, 110)):
            assert (
                ids_of(await adapter.xrange(stream, ids[begin], ids[end])) == ids[begin : end + 1]
            )

    @clause("STR-2")
    async def test_a_bound_may_leave_its_id_out(self, trial: Trial) -> None:
        """`(` before an id excludes it, at either bound and at both.

        If this fails, look at how `(` is parsed: it is part of the bound, not of the id.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 12)

        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", ids[7])) == ids[3:8]
        assert ids_of(await adapter.xrange(stream, ids[2], f"({ids[7]}")) == ids[2:7]
        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", f"({ids[7]}")) == ids[3:7]
        assert ids_of(await adapter.xrange(stream, f"({ids[2]}", f"({ids[3]}")) == []
        assert ids_of(await adapter.xrevrange(stream, f"({ids[7]}", f"({ids[2]}")) == ids[6:2:-1]

    @clause("STR-2")
    async def test_bound_without_sequence_covers_its_millisecond(self, trial: Trial) -> None:
        """A bound without a sequence number covers its whole millisecond.

        It starts at the first entry of the millisecond, or ends at the last.

        If this fails, look at the sequence number that is filled in: 0 for the start, and the
        greatest possible number for the end.
        """
        stream, adapter = trial.key(), trial.adapter
        ids: list[str] = []
        for _ in range(3):
            ids += await fill(adapter, stream, 30)
            await trial.time.passes(0.005)
        middle = number_of(ids[45])[0]
        text = str(middle)

        assert ids_of(await adapter.xrange(stream, text, text)) == [
            added for added in ids if number_of(added)[0] == middle
        ]
        assert ids_of(await adapter.xrange(stream, text)) == [
            added for added in ids if number_of(added)[0] >= middle
        ]
        assert ids_of(await adapter.xrange(stream, "-", text)) == [
            added for added in ids if number_of(added)[0] <= middle
        ]
        assert ids_of(await adapter.xrange(stream, f"({text}")) == [
            added for added in ids if number_of(added) > (middle, 0)
        ]

    @clause("STR-2")
    async def test_a_bound_need_not_be_an_entry(self, trial: Trial) -> None:
        """The id of a deleted entry, or one that never existed, is a valid bound.

        If this fails, look for a bound that is looked up instead of compared.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 8)
        await adapter.xdel(stream, [ids[2], ids[5]])

        assert ids_of(await adapter.xrange(stream, ids[2], ids[5])) == ids[3:5]
        assert ids_of(await adapter.xrange(stream, "1-1", "99999999999999-5")) == [
            *ids[:2],
            *ids[3:5],
            *ids[6:],
        ]

    @clause("STR-2")
    async def test_count_limits_from_the_beginning(self, trial: Trial) -> None:
        """`count` limits a range to its first entries, and a reversed one to its last entries.

        If the range has fewer entries, all of them are returned.

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
        """For any bounds, `xrevrange` returns the result of `xrange` in reverse, newest first.

        The fields are the same.

        If this fails, look at the order of the arguments of XREVRANGE: the end comes first.
        """
        stream, adapter, random = trial.key(), trial.adapter, trial.random
        ids = await fill(adapter, stream, 30)
        bounds = [
            "-",
            "+",
            *ids,
            *(f"({added}" for added in ids),
            *(added.partition("-")[0] for added in ids),
        ]
        pairs = [(random.choice(bounds), random.choice(bounds)) for _ in range(60)]

        forth = await asyncio.gather(*(adapter.xrange(stream, start, end) for start, end in pairs))
        back = await asyncio.gather(
            *(adapter.xrevrange(stream, end, start) for start, end in pairs)
        )

        for pair, entries, mirrored in zip(pairs, forth, back, strict=True):
            assert mirrored == entries[::-1], f"from {pair[0]} to {pair[1]}"
        assert ids_of(await adapter.xrevrange(stream)) == ids[::-1]

    @clause("STR-2")
    async def test_there_may_be_nothing_in_a_range(self, trial: Trial) -> None:
        """A range without entries is an empty list, and doesn't raise.

        The stream is missing or emptied, or the bounds are in the wrong order.

        If this fails, check the reply of your backend when there are no entries.
        """
        stream, missing, adapter = trial.key(), trial.key("missing"), trial.adapter
        ids = await fill(adapter, stream, 3)

        assert await adapter.xrange(missing) == await adapter.xrevrange(missing) == []
        assert (
            await adapter.xrange(stream, ids[2], ids[0])
            == await adapter.xrange(stream, "+", "-")
            == []
        )
        assert (
            await adapter.xrevrange(stream, "-", "+")
            == await adapter.xrange(stream, "1-1", "2-2")
            == []
        )
        await adapter.xdel(stream, ids)
        assert await adapter.xrange(stream) == await adapter.xrevrange(stream) == []

    @clause("STR-2", KeyValue)
    async def test_reading_makes_no_stream(self, trial: Trial) -> None:
        """Methods that only read, and trimming or deleting, don't create a missing stream.

        The test calls `xrange`, `xrevrange`, `xgroups`, `xlen`, `xtrim` and `xdel`.

        If this fails, look for a lookup that creates the stream if it is missing.
        """
        stream, adapter = trial.key(), trial.adapter
        assert await adapter.xrange(stream) == await adapter.xrevrange(stream) == []
        assert await adapter.xgroups(stream) == []
        assert (
            await adapter.xlen(stream),
            await adapter.xtrim(stream, 0),
            await adapter.xdel(stream, ["1-1"]),
        ) == (0, 0, 0)

        assert await adapter.exists(stream) is False

    @clause("STR-2")
    async def test_a_malformed_bound_is_refused(self, trial: Trial) -> None:
        """A malformed bound raises `STORE_STREAM_READ_FAILED`, at either end.

        If this fails, check that your backend's error about an id is mapped to the code for
        reading. `stream_ids` has a parser.
        """
        stream, adapter = trial.key(), trial.adapter
        await fill(adapter, stream, 3)

        for bound in _MALFORMED:
            await refused(
                adapter.xrange(stream, bound), ErrorCode.STORE_STREAM_READ_FAILED, f"from {bound!r}"
            )
            await refused(
                adapter.xrange(stream, "-", bound),
                ErrorCode.STORE_STREAM_READ_FAILED,
                f"to {bound!r}",
            )
            await refused(
                adapter.xrevrange(stream, bound),
                ErrorCode.STORE_STREAM_READ_FAILED,
                f"back from {bound!r}",
            )

    @clause("STR-2")
    async def test_large_count_does_not_extend_a_range(self, trial: Trial) -> None:
        """With a `count` larger than the range, only the range is returned, forward and backward.

        If this fails, look for a limit that is counted from the start and ignores the end.
        """
        stream, adapter = trial.key(), trial.adapter
        ids = await fill(adapter, stream, 10)

        assert ids_of(await adapter.xrange(stream, ids[2], ids[4], count=7)) == ids[2:5]
        assert ids_of(await adapter.xrange(stream, "-", f"({ids[4]}", count=9)) == ids[:4]
        assert ids_of(await adapter.xrevrange(stream, ids[7], ids[5], count=7)) == [
            ids[7],
            ids[6],
            ids[5],
        ]
        assert ids_of(await adapter.xrevrange(stream, "+", f"({ids[5]}", count=9)) == ids[:5:-1]
