"""How fast are kv.get and kv.set in memory, next to other libraries?

P8. Ours encodes and decodes each value, so callers never share an object; py-key-value does the
same. Cashews keeps a shallow copy and aiocache the object itself, and both return the same object
to all callers.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Contestant, Pace, WrongAnswerError, measure
from benchmarks.payload import KEY, VALUE
from benchmarks.peers import MEMORY, OURS, KeyValueCalls, our_memory
from benchmarks.question import Answer, ask
from benchmarks.results import Comparison, Figure, versions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_ASKED = 4.0
_AGAINST = "cashews mem://"


async def answer(pace: Pace) -> Answer:
    """Get and set, for one caller and for fifty."""
    comparisons: list[Comparison] = []
    figures: list[Figure] = []
    installed, _ = versions(MEMORY)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(opening())
            for opening in (our_memory, *(MEMORY[name] for name in installed))
        ]
        for operation, contestants in (
            ("kv.get", [await _getting(calls) for calls in opened]),
            ("kv.set", list(map(_setting, opened))),
        ):
            for callers in (1, 50):
                title = f"{operation}, {callers} caller{'s' if callers > 1 else ''}"
                comparison = await measure(title, contestants, callers=callers, pace=pace)
                comparisons.append(comparison)
                ratios = comparison.ratios(OURS, _AGAINST) if _AGAINST in comparison.rounds else []
                figures.append(
                    Figure("P8", f"memory {title}: ours ÷ {_AGAINST}", ratios, asked=_ASKED)
                )
    return Answer(comparisons, figures)


async def _getting(calls: KeyValueCalls) -> Contestant:
    await calls.set(KEY, VALUE)
    return Contestant(calls.name, calls.get, [KEY], lambda _: VALUE)


def _setting(calls: KeyValueCalls) -> Contestant:
    # Each library reports that it has written. To check that, another value is written before the
    # round, and the key is read after it.
    @asynccontextmanager
    async def around() -> AsyncGenerator[None]:
        await calls.set(KEY, {"stale": True})
        yield
        found = await calls.get(KEY)
        if found != VALUE:
            message = f"{calls.name} returned {found!r} after the round, not the written value."
            raise WrongAnswerError(message)

    def entered() -> AbstractAsyncContextManager[None]:
        return around()

    def setting(key: str) -> Any:
        return calls.set(key, VALUE)

    return Contestant(calls.name, setting, [KEY], lambda _: calls.written, entered)


if __name__ == "__main__":
    ask(__file__, __doc__, answer, packages=MEMORY)
