"""How many bytes does a key take in memory beyond its payload, and is all of it given back?

P13. The bytes are counted by tracemalloc, in a separate process. The payload of a key is the data
that the backend receives: the complete key and the encoded value. For the larger figure, the
payload is only the user's key and value, without the prefix.

Rule: The number of keys is one above the point at which Python doubles the tables of a dict. There
    a key takes the most memory.
Rule: TTLs are between 1 and 60 seconds, and end on a clock that is moved by hand. Then the
    remaining bytes are counted.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Final

import msgspec
from igniter_store import Store
from igniter_store.contract import ManualClock
from msgspec import Struct

from benchmarks.measuring import Pace, WrongAnswerError
from benchmarks.payload import KEY, SERVICE, VALUE, key_of, value_of
from benchmarks.question import Answer, ask
from benchmarks.results import Comparison, Figure, show_spread

_ASKED: Final = 400.0
_LEFT: Final = 1.0
_KEYS: Final = 2 * 2**17 // 3 + 1
_LONGEST: Final = 60  # seconds
_WITHOUT, _WITH = "store.kv.set without TTL", "store.kv.set with TTL"
_PAYLOAD: Final = len(f"igniter:store:{SERVICE}:kv:{KEY}") + len(msgspec.json.encode(VALUE))
_GIVEN: Final = len(KEY) + len(msgspec.json.encode(VALUE))


class _Held(Struct, frozen=True):
    """Bytes held per key, payload included, and in total after every key is gone."""

    per_key: float
    left: float


async def answer(pace: Pace) -> Answer:
    """Fill a store with keys that stay, then one with keys that expire."""
    keys = max(int(_KEYS * pace.scale), 100)
    held: dict[str, list[_Held]] = {_WITHOUT: [], _WITH: []}
    tracemalloc.start()
    await _held(keys, with_ttl=True)  # the warm-up: Python allocates its permanent memory now
    for _ in range(pace.rounds):
        held[_WITHOUT].append(await _held(keys, with_ttl=False))
        held[_WITH].append(await _held(keys, with_ttl=True))
    tracemalloc.stop()
    total = {name: [one.per_key for one in rounds] for name, rounds in held.items()}
    left = {
        "every key was removed": [one.left for one in held[_WITHOUT]],
        "every TTL has passed": [one.left for one in held[_WITH]],
    }
    print(
        f"\n{keys:,} keys; payload: {_PAYLOAD} bytes as the backend receives it, {_GIVEN} bytes "
        "without the prefix"
    )
    for name, rounds in total.items():
        print(f"  {name:<44} {show_spread(rounds)} bytes per key, payload included")
    for name, rounds in left.items():
        print(f"  {name:<44} {show_spread(rounds)} bytes left of all {keys:,} keys")
    figures: list[Figure] = []
    for name, rounds in total.items():
        where = f"memory, {name.removeprefix('store.kv.set ')}: bytes per key over"
        over = [number - _PAYLOAD for number in rounds]
        beyond = [number - _GIVEN for number in rounds]
        figures.append(
            Figure(
                "P13",
                f"{where} complete key and value",
                over,
                asked=_ASKED,
                bound="at most",
                unit="bytes",
            )
        )
        figures.append(Figure("P13", f"{where} the user's key and value", beyond, unit="bytes"))
    return Answer(
        [
            Comparison(
                f"{keys:,} keys, payload of {_PAYLOAD} bytes included",
                "bytes per key",
                1,
                keys * pace.rounds * 2,
                total,
            ),
            Comparison(f"left in all, of {keys:,} keys", "bytes", 1, 0, left),
        ],
        [*figures, _nothing_left([one.left / keys for one in held[_WITH]])],
    )


def _nothing_left(per_key: list[float]) -> Figure:
    text = "memory, with TTL: bytes left per key when every TTL has passed"
    note = (
        "less than a byte per key counts as nothing: small dicts keep their tables, which hold "
        "some tens of kilobytes at most, for any number of keys. The total is shown below."
    )
    return Figure("P13", text, per_key, asked=_LEFT, bound="at most", unit="bytes", note=note)


async def _held(keys: int, *, with_ttl: bool) -> _Held:
    clock = ManualClock()
    async with Store.from_url("memory://", service=SERVICE, clock=clock) as store:
        await store.kv.set(KEY, VALUE)
        await store.kv.remove(KEY)
        before = _traced()
        for number in range(keys):
            # Key and value are created here and dropped at once. Only the store keeps memory.
            await store.kv.set(
                key_of(number),
                value_of(key_of(number)),
                ttl=1 + number % _LONGEST if with_ttl else None,
            )
        full = _traced()
        for number in range(keys):
            if await store.kv.get(key_of(number)) != value_of(key_of(number)):
                message = f"{key_of(number)} doesn't hold the written value."
                raise WrongAnswerError(message)
        if with_ttl:
            # The keys of one second are removed in steps with pauses, measured by the same clock.
            clock.advance(2.0 * _LONGEST)
        else:
            for number in range(keys):
                await store.kv.remove(key_of(number))
        return _Held((full - before) / keys, _traced() - before)


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    ask(__file__, __doc__, answer)
