"""How much of an operation is the store's own, between the user's call and the adapter's?

P5 sets its bound for Redis, where a round trip takes about 4 µs with 50 callers. In memory,
`adapter.get` is one lookup in a dict, so the raw ratio says little. Only the store's cost per call,
in microseconds, applies to Redis too.

Rule: The cost of a get is its time minus the time of the adapter's own get, so it includes decoding
    the value.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from igniter_store import Store
from igniter_store.contract import KeyValue

from benchmarks.measuring import Contestant, Pace, measure
from benchmarks.payload import KEY, SERVICE, VALUE
from benchmarks.question import Answer, ask
from benchmarks.results import Figure

_URL: Final = "memory://"
_CALLERS: Final = 50
_STORE, _ADAPTER, _BY_HAND = (
    "store.kv.get",
    "adapter.get",
    "adapter.get and msgspec decode, by hand",
)


async def answer(pace: Pace) -> Answer:
    """Get through the store, through its adapter, and through its adapter with decoding by hand."""
    async with Store.from_url(_URL, service=SERVICE) as store:
        adapter = store.adapter
        if not isinstance(adapter, KeyValue):
            raise TypeError(adapter.name)
        read, decode = adapter.get, msgspec.json.Decoder().decode

        async def by_hand(key: str) -> Any:
            data = await read(key)
            return None if data is None else decode(data)

        await store.kv.set(KEY, VALUE)
        full_key = f"igniter:store:{SERVICE}:kv:{KEY}"
        data = msgspec.json.encode(VALUE)
        comparison = await measure(
            f"get in {adapter.name}, {_CALLERS} callers",
            [
                Contestant(_STORE, store.kv.get, [KEY], lambda _: VALUE),
                Contestant(_ADAPTER, read, [full_key], lambda _: data),
                Contestant(_BY_HAND, by_hand, [full_key], lambda _: VALUE),
            ],
            callers=_CALLERS,
            pace=pace,
        )
    cost = comparison.microseconds_between(_STORE, _ADAPTER)
    beyond_decoding = comparison.microseconds_between(_STORE, _BY_HAND)
    decoding = comparison.microseconds_between(_BY_HAND, _ADAPTER)
    return Answer(
        [comparison],
        [
            Figure("P5", f"{_STORE} ÷ {_ADAPTER}, in memory", comparison.ratios(_STORE, _ADAPTER)),
            Figure(
                "P5",
                f"{_BY_HAND} ÷ {_ADAPTER}, in memory: the most a store could reach",
                comparison.ratios(_BY_HAND, _ADAPTER),
            ),
            Figure("P5", f"{_STORE} ÷ {_BY_HAND}, in memory", comparison.ratios(_STORE, _BY_HAND)),
            Figure("P5", "the store's own time in a get, decoding included", cost, unit="µs"),
            Figure("P5", "the same without decoding", beyond_decoding, unit="µs"),
            Figure("P5", "decoding by hand, for comparison", decoding, unit="µs"),
        ],
    )


if __name__ == "__main__":
    ask(__file__, __doc__, answer)
