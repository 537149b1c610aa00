"""Does kv.get stay as fast when there are a million keys?

P12, in two ways. First both stores get the same thousand keys, in the same order. In the large
store they are spread over the million, so the stores differ only in size. Then the large store gets
any of its million keys, which don't fit into the processor's caches. The same is measured for a
bare dict, to separate the cost of memory from the cost of the store.

Rule: The order is random and drawn in advance. The lists hold a separate `str` for each call, so
    that the harness misses the caches equally often for all contestants.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec
from igniter_store import Store

from benchmarks.measuring import Contestant, Pace, measure
from benchmarks.payload import SERVICE, key_of, value_of
from benchmarks.question import Answer, ask
from benchmarks.results import Comparison, Figure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.measuring import Call

_ASKED: Final = 0.7
_FEW: Final = 1_000
_MANY: Final = 1_000_000
# Calls before a list starts over. They use far more of the million keys than a processor's caches
# can hold.
_READ: Final = 200_000
_FILLED: Final = 10_000  # keys written at once
_NOTE: Final = (
    "a million keys don't fit into the processor's caches, so a look-up in a dict reads main "
    "memory several times. The table has the time that a bare dict loses, next to the time that "
    "the store loses; as far as the two agree, the memory causes it."
)


async def answer(pace: Pace) -> Answer:
    """Get from a small and a large store, in memory and on SQLite.

    There is one caller, then fifty.
    """
    in_memory = await _answer(pace, "memory", "memory://", "memory://", with_dicts=True)
    with TemporaryDirectory() as folder:
        on_disk = await _answer(
            pace,
            "SQLite",
            f"sqlite:///{folder}/small.db",
            f"sqlite:///{folder}/large.db",
            with_dicts=False,
        )
    return Answer(
        [*in_memory.comparisons, *on_disk.comparisons], [*in_memory.figures, *on_disk.figures]
    )


async def _answer(pace: Pace, backend: str, url: str, other: str, *, with_dicts: bool) -> Answer:
    count = max(int(_MANY * pace.scale), 2 * _FEW)
    read = max(int(_READ * pace.scale), pace.batch)
    random = Random(count)  # noqa: S311 - an order, not a secret; the same in every run
    chosen = random.sample(range(count), _FEW)
    some = [key_of(random.choice(chosen)) for _ in range(read)]
    any_of_all = [key_of(random.randrange(count)) for _ in range(read)]
    few, same, whole = (
        f"store of {_FEW:,} keys",
        f"store of {count:,}, the same keys",
        f"store of {count:,}, any keys",
    )
    bare_few, bare_whole = f"bare dict of {_FEW:,} keys", f"bare dict of {count:,}, any keys"
    async with (
        Store.from_url(url, service=SERVICE) as small,
        Store.from_url(other, service=SERVICE) as large,
    ):
        await _fill(small, chosen)
        await _fill(large, range(count))
        contestants = [
            Contestant(few, small.kv.get, some, value_of),
            Contestant(same, large.kv.get, some, value_of),
            Contestant(whole, large.kv.get, any_of_all, value_of),
        ]
        if with_dicts:
            contestants += [
                Contestant(bare_few, _bare(chosen), some, value_of),
                Contestant(bare_whole, _bare(range(count)), any_of_all, value_of),
            ]
        comparisons: list[Comparison] = []
        figures: list[Figure] = []
        for callers in (1, 50):
            title = f"{backend} kv.get, {callers} caller{'s' if callers > 1 else ''}"
            comparison = await measure(title, contestants, callers=callers, pace=pace)
            comparisons.append(comparison)
            figures += [
                Figure(
                    "P12", f"{title}: {same} ÷ {few}", comparison.ratios(same, few), asked=_ASKED
                ),
                Figure(
                    "P12",
                    f"{title}: {whole} ÷ {few}",
                    comparison.ratios(whole, few),
                    asked=_ASKED,
                    note=_NOTE if with_dicts else "",
                ),
            ]
            if with_dicts:
                figures += [
                    Figure(
                        "P12",
                        f"{title}: time that the store loses",
                        comparison.microseconds_between(whole, few),
                        unit="µs",
                    ),
                    Figure(
                        "P12",
                        f"{title}: time that a bare dict loses",
                        comparison.microseconds_between(bare_whole, bare_few),
                        unit="µs",
                    ),
                ]
    return Answer(comparisons, figures)


async def _fill(store: Store[Any], numbers: Iterable[int]) -> None:
    keys = map(key_of, numbers)
    while some := [*islice(keys, _FILLED)]:
        await store.batch.set({key: value_of(key) for key in some})


def _bare(numbers: Iterable[int]) -> Call:
    prefix = f"igniter:store:{SERVICE}:kv:"
    table = {prefix + key: msgspec.json.encode(value_of(key)) for key in map(key_of, numbers)}
    decode = msgspec.json.Decoder().decode

    async def get(key: str) -> Any:
        return decode(table[prefix + key])

    return get


if __name__ == "__main__":
    ask(__file__, __doc__, answer)
