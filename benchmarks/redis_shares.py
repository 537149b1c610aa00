"""How much of a get on Redis is the store's own, and how much is telemetry's?

P5 and P6, with fifty callers that share round trips. `adapter.get` returns bytes and `store.kv.get`
the value, so decoding is part of the store's share.
"""

from __future__ import annotations

from typing import Final

import msgspec
from igniter_store import Store
from igniter_store.contract import KeyValue
from igniter_store_conformance import servers

from benchmarks.measuring import Contestant, Pace, measure
from benchmarks.payload import KEY, SERVICE, VALUE
from benchmarks.question import Answer, ask
from benchmarks.redis_peers import on_glide
from benchmarks.results import Comparison, Figure
from benchmarks.telemetry_share import NoOpTelemetry

_CALLERS: Final = 50
_REDIS, _GLIDE = "Redis", "Redis over valkey-glide"
_STORE, _ADAPTER, _OBSERVED = "store.kv.get", "adapter.get", "store.kv.get with a no-op sink"
_BY_HAND: Final = "adapter.get and msgspec decode, by hand"


async def answer(pace: Pace) -> Answer:
    """Get through the adapter, through the store, and through a store with a sink.

    Each is done on both backends.
    """
    whole = Answer([], [])
    with servers.start("redis") as server:
        for name, url in ((_REDIS, server.url), (_GLIDE, on_glide(server.url))):
            comparison = await _measured(name, url, pace)
            whole.comparisons.append(comparison)
            whole.figures.extend(_figures(name, comparison))
    return whole


async def _measured(name: str, url: str, pace: Pace) -> Comparison:
    building = Store.create().with_service(SERVICE)
    plain = building.with_url(url).build()
    seen = building.with_url(url).with_telemetry(NoOpTelemetry()).build()
    async with plain as store, seen as observed:
        adapter = store.adapter
        if not isinstance(adapter, KeyValue):
            raise TypeError(adapter.name)
        await store.kv.set(KEY, VALUE)
        data = msgspec.json.encode(VALUE)
        decode, around = msgspec.json.Decoder().decode, f"igniter:store:{SERVICE}:kv:"

        async def by_hand(key: str) -> object:
            found = await adapter.get(around + key)
            return None if found is None else decode(found)

        return await measure(
            f"get on {name}, {_CALLERS} callers",
            [
                Contestant(_STORE, store.kv.get, [KEY], lambda _: VALUE),
                Contestant(
                    _ADAPTER, adapter.get, [f"igniter:store:{SERVICE}:kv:{KEY}"], lambda _: data
                ),
                Contestant(_BY_HAND, by_hand, [KEY], lambda _: VALUE),
                Contestant(_OBSERVED, observed.kv.get, [KEY], lambda _: VALUE),
            ],
            callers=_CALLERS,
            pace=pace,
        )


def _figures(name: str, comparison: Comparison) -> list[Figure]:
    is_asked = name == _REDIS
    of_store = comparison.microseconds_between(_STORE, _ADAPTER)
    of_sink = comparison.microseconds_between(_OBSERVED, _STORE)
    ratios = comparison.ratios
    asked = (0.92, 0.75) if is_asked else (None, None)
    return [
        Figure(
            "P5",
            f"{name}, {_CALLERS} callers: {_STORE} ÷ {_BY_HAND}",
            ratios(_STORE, _BY_HAND),
            asked=asked[0],
        ),
        Figure(
            "P5",
            f"{name}, {_CALLERS} callers: {_STORE} ÷ {_ADAPTER}",
            ratios(_STORE, _ADAPTER),
        ),
        Figure("P5", f"{name}: the store's time in a get, decoding included", of_store, unit="µs"),
        Figure(
            "P5",
            f"{name}, {_CALLERS} callers: {_BY_HAND} ÷ {_ADAPTER}",
            ratios(_BY_HAND, _ADAPTER),
        ),
        Figure(
            "P6",
            f"{name}, {_CALLERS} callers: {_OBSERVED} ÷ without",
            ratios(_OBSERVED, _STORE),
            asked=asked[1],
        ),
        Figure("P6", f"{name}: what the sink costs", of_sink, unit="µs"),
    ]


if __name__ == "__main__":
    ask(
        __file__,
        __doc__,
        answer,
        packages=(
            "igniter-store-redis",
            "igniter-store-valkey",
            "redis",
            "hiredis",
            "valkey-glide",
        ),
    )
