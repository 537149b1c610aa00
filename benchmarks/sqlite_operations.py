"""How fast are kv.get and kv.set on SQLite, next to other libraries that keep a file?

P9 and P10. All libraries write into an SQLite file in WAL mode. Ours encodes JSON, and the calls
of one event-loop iteration share a transaction. Cashews runs diskcache in a thread for each call.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from benchmarks.measuring import Contestant, Pace, WrongAnswerError, measure
from benchmarks.payload import key_of, value_of
from benchmarks.peers import OURS, KeyValueCalls
from benchmarks.question import Answer, ask
from benchmarks.results import Comparison, Figure, versions
from benchmarks.sqlite_peers import SQLITE, our_sqlite

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_AGAINST: Final = "cashews disk://"
_ASKED: Final = {
    ("kv.get", 1): ("P10", 1.1),
    ("kv.set", 1): ("P10", 1.5),
    ("kv.get", 50): ("P9", 8.0),
    ("kv.set", 50): ("P9", 8.0),
}
_NOTE: Final = (
    "with a single caller, each call switches to SQLite's thread and back, and each switch wakes a "
    "sleeping processor. On one processor (`taskset -c 1`), which doesn't sleep, a read took 51 "
    "µs, and 85 µs with cashews: a ratio of 1.65. On two processors, both took some 90 µs more, "
    "which lowers the ratio. Every library that keeps SQLite off the event loop has this cost. "
    "py-key-value calls SQLite in the event loop, so it doesn't have the cost, and the disk blocks "
    "all its callers."
)
_BATCH: Final = 2_000  # calls between two checks of results: the slowest make few in a second
_KEYS: Final = [
    key_of(number) for number in range(50)
]  # every batch uses each of them, however small it is


async def answer(pace: Pace) -> Answer:
    """Get and set, for one caller and for fifty."""
    pace = replace(pace, batch=min(pace.batch, _BATCH))
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    installed, _ = versions(SQLITE)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(opening())
            for opening in (our_sqlite, *(SQLITE[name] for name in installed))
        ]
        for calls in opened:
            for key in _KEYS:
                await calls.set(key, value_of(key))
        getting = [Contestant(calls.name, calls.get, _KEYS, value_of) for calls in opened]
        for operation, contestants in (
            ("kv.get", getting),
            ("kv.set", list(map(_setting, opened))),
        ):
            for callers in (1, 50):
                figure, asked = _ASKED[operation, callers]
                title = f"SQLite {operation}, {callers} caller{'s' if callers > 1 else ''}"
                comparison = await measure(title, contestants, callers=callers, pace=pace)
                comparisons.append(comparison)
                ratios = comparison.ratios(OURS, _AGAINST) if _AGAINST in comparison.rounds else []
                note = _NOTE if (operation, callers) == ("kv.get", 1) else ""
                figures.append(
                    Figure(figure, f"{title}: ours ÷ {_AGAINST}", ratios, asked=asked, note=note)
                )
    return Answer(comparisons, figures)


def _setting(calls: KeyValueCalls) -> Contestant:
    # Each library reports that it has written. To check that, another value is written before the
    # round, and the key is read after it.
    @asynccontextmanager
    async def around() -> AsyncGenerator[None]:
        await calls.set(_KEYS[0], {"stale": True})
        yield
        if await calls.get(_KEYS[0]) != value_of(_KEYS[0]):
            message = f"{calls.name} doesn't hold the written value after the round."
            raise WrongAnswerError(message)

    def setting(key: str) -> Any:
        return calls.set(key, value_of(key))

    return Contestant(calls.name, setting, _KEYS, lambda _: calls.written, around)


if __name__ == "__main__":
    ask(__file__, __doc__, answer, packages=[*SQLITE, "igniter-store-sqlite", "sqlalchemy"])
