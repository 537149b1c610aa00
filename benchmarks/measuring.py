"""Timing contestants against each other in one process.

Rule: Contestants are measured in turn, A B C A B C, so that a slow moment of the machine affects
    all of them. Ratios are computed round by round.
Rule: Every contestant is called through the same loop, with the same number of awaits. The cost of
    that loop is measured too, with an empty coroutine, and printed. It isn't subtracted.
Rule: Every timed result is checked, batch by batch, while the clock is stopped. So few results are
    in memory at a time.
Rule: Garbage is collected before each round and never during it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from time import perf_counter
from typing import Any, Final, TypeAlias

from msgspec import Struct

from benchmarks.results import Comparison, show_spread

Call: TypeAlias = Callable[[str], Awaitable[Any]]
Batch: TypeAlias = list[list[str]]
Elsewhere: TypeAlias = Callable[[Batch], Awaitable[tuple[list[list[Any]], float]]]

EMPTY: Final = "an empty coroutine"


class Pace(Struct, frozen=True):
    """How long to measure.

    Attributes:
        rounds: counted rounds of each contestant.
        seconds: minimum length of a round, which ends with a whole batch. The warm-up is as long.
        batch: calls of all callers together between two checks of the results.
        scale: factor for the large numbers of a question.
    """

    rounds: int
    seconds: float
    batch: int
    scale: float


FULL: Final = Pace(rounds=9, seconds=0.3, batch=10_000, scale=1.0)
QUICK: Final = Pace(rounds=5, seconds=0.0, batch=100, scale=0.001)


class Contestant(Struct, frozen=True):
    """One thing that is measured.

    Attributes:
        name: as tables and pictures show it.
        call: the operation, which takes a key.
        keys: the keys it is called with, in turn, and from the start again.
        expected: the right result for a key.
        around: entered before each round and left after it, both untimed. It sets up and checks
            anything besides the results.
        elsewhere: makes the calls of a batch in another process, in the same way, and returns their
            results with the seconds that they took.
    """

    name: str
    call: Call
    keys: Sequence[str]
    expected: Callable[[str], Any]
    around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    elsewhere: Elsewhere | None = None


class WrongAnswerError(Exception):
    """A contestant returned a wrong result, so its time means nothing."""


async def measure(
    title: str, contestants: Sequence[Contestant], *, callers: int, pace: Pace
) -> Comparison:
    """Time `contestants` with `callers` concurrent tasks, and print the result.

    Raises:
        WrongAnswerError: when a contestant returned a wrong result.
    """
    empty = Contestant(EMPTY, nothing, contestants[0].keys, lambda _: None)
    turns = [_Turn(contestant, callers, pace) for contestant in (empty, *contestants)]
    for turn in turns:
        await turn.run()
    rounds: dict[str, list[float]] = {turn.contestant.name: [] for turn in turns}
    checked = 0
    for _ in range(pace.rounds):
        for turn in turns:
            calls, seconds = await turn.run()
            rounds[turn.contestant.name].append(calls / seconds)
            checked += calls
    comparison = Comparison(
        title=title, unit="calls/s", callers=callers, answers_checked=checked, rounds=rounds
    )
    print(f"\n{title}")
    for name, rates in rounds.items():
        print(f"  {name:<44} {show_spread(rates)} calls/s")
    return comparison


class _Turn:
    """One contestant with its batches, which continue from round to round."""

    def __init__(self, contestant: Contestant, callers: int, pace: Pace) -> None:
        self.contestant = contestant
        self._seconds = pace.seconds
        self._batches: Iterator[Batch] = itertools.cycle(
            _batches(contestant.keys, callers, pace.batch)
        )

    async def run(self) -> tuple[int, float]:
        """Run one round; return the number of calls, and the seconds that they took."""
        calls, seconds = 0, 0.0
        async with self.contestant.around():
            gc.collect()
            gc.disable()
            try:
                while not calls or seconds < self._seconds:
                    batch = next(self._batches)
                    if self.contestant.elsewhere is not None:
                        answers, took = await self.contestant.elsewhere(batch)
                    else:
                        began = perf_counter()
                        answers = await asyncio.gather(
                            *[_caller(self.contestant.call, keys) for keys in batch]
                        )
                        took = perf_counter() - began
                    seconds += took
                    calls += self._check(batch, answers)
                    del answers  # so that the memory is free for the next batch
            finally:
                gc.enable()
        return calls, seconds

    def _check(self, batch: Batch, answers: list[list[Any]]) -> int:
        checked = 0
        for key, answer in zip(itertools.chain(*batch), itertools.chain(*answers), strict=True):
            if answer != self.contestant.expected(key):
                message = (
                    f"{self.contestant.name} answered {answer!r} for {key!r}, not "
                    f"{self.contestant.expected(key)!r}."
                )
                raise WrongAnswerError(message)
            checked += 1
        return checked


async def _caller(call: Call, keys: list[str]) -> list[Any]:
    return [await call(key) for key in keys]


async def nothing(key: str) -> None:
    """Do nothing: the empty coroutine."""


def _batches(keys: Sequence[str], callers: int, size: int) -> list[Batch]:
    # A key list shorter than a batch is repeated. A longer one is cut, and the rest dropped.
    each = max(size // callers, 1)
    wanted = (
        list(keys)
        if len(keys) >= each * callers
        else list(itertools.islice(itertools.cycle(keys), each * callers))
    )
    starts = range(0, len(wanted) - each * callers + 1, each * callers)
    return [
        [wanted[start + each * caller : start + each * (caller + 1)] for caller in range(callers)]
        for start in starts
    ]
