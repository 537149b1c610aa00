"""Record the calls of concurrent callers, and check them afterwards.

Rule: a history has each call with the time just before it was made, and the time just after it
    returned. If two calls overlap in time, either may have come first; otherwise the order is
    known. A history is correct if some order that agrees with the times explains the result of
    every call.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct

S = TypeVar("S", bound=Hashable)
Step: TypeAlias = Callable[[S, "Event"], Sequence[S]]
"""Maps a state and a call with its result to the possible next states.

It returns no states if the call can't have this result in this state.
"""


class Event(Struct, frozen=True):
    """A call that was made and has returned.

    Attributes:
        caller: the name of the caller.
        call: the name of the method.
        arguments: its arguments.
        answer: its result.
        began: the time just before the call, on a scale of the history's own.
        ended: the time just after it returned.
    """

    caller: str
    call: str
    arguments: tuple[Any, ...]
    answer: Any
    began: float
    ended: float


class History:
    """The calls of one run, in the order in which they returned."""

    def __init__(self) -> None:
        self.events: Final[list[Event]] = []
        # Keeps moments in order even if the clock returns the same time for both.
        self._ticks = itertools.count()

    def _moment(self) -> float:
        return time.monotonic() + next(self._ticks) * 1e-9

    async def record(
        self, caller: str, call: str, arguments: tuple[Any, ...], answer: Awaitable[Any]
    ) -> Any:
        """Make a call, and record its result."""
        began = self._moment()
        answered = await answer
        self.events.append(Event(caller, call, arguments, answered, began, self._moment()))
        return answered


def explain(history: Sequence[Event], start: S, step: Step[S]) -> list[Event] | None:
    """Return an order of the events that agrees with their times and with `step`, or `None`.

    This is the search of Wing and Gong. It takes any event that no other one must precede, checks
    whether `step` explains its result in the current state, and continues with the remaining
    events. It doesn't try a state with the same remaining events twice.

    Args:
        history: up to some tens of events; with many overlapping ones, the search takes long.
        start: the initial state.
        step: see `Step`.
    """
    seen: set[tuple[frozenset[int], S]] = set()
    order: list[Event] = []

    def search(rest: frozenset[int], state: S) -> bool:
        if not rest:
            return True
        if (rest, state) in seen:
            return False
        seen.add((rest, state))
        first_end = min(history[number].ended for number in rest)
        for number in sorted(rest, key=lambda number: history[number].began):
            event = history[number]
            if event.began > first_end:
                break
            order.append(event)
            if any(search(rest - {number}, after) for after in step(state, event)):
                return True
            order.pop()
        return False

    return order if search(frozenset(range(len(history))), start) else None


def shortest_wrong(history: Sequence[Event], start: S, step: Step[S]) -> list[Event]:
    """Return the shortest prefix of the history that has no explanation.

    If the whole history has an explanation, the list is empty. A prefix only ends where no call is
    in flight, because a call in flight may already have taken effect.
    """
    if explain(history, start, step) is not None:
        return []
    begun = sorted(history, key=lambda event: event.began)
    quiet = [
        place
        for place in range(1, len(begun))
        if max(event.ended for event in begun[:place]) < begun[place].began
    ]
    return next(
        (begun[:place] for place in quiet if explain(begun[:place], start, step) is None), begun
    )


def described(events: Sequence[Event]) -> str:
    """Return the events as readable text, one per line."""
    if not events:
        return ""
    zero = min(event.began for event in events)
    return "\n".join(
        f"  {(event.began - zero) * 1e3:8.3f} to {(event.ended - zero) * 1e3:8.3f} ms"
        f"  {event.caller:>10}  "
        f"{event.call}{event.arguments!r} -> {event.answer!r}"
        for event in events
    )


def key_step(state: bytes | None, event: Event) -> list[bytes | None]:
    """The behaviour of one key of the contract, as a `Step`.

    The state is its value, or `None`.
    """
    after, answer = _key_after(state, event.call, event.arguments)
    return [after] if answer == event.answer else []


def _key_after(  # noqa: PLR0911 - a table
    state: bytes | None, call: str, arguments: tuple[Any, ...]
) -> tuple[bytes | None, Any]:
    match call:
        case "get":
            return state, state
        case "set":
            return arguments[0], True
        case "set if absent":
            return (arguments[0], True) if state is None else (state, False)
        case "set if present":
            return (state, False) if state is None else (arguments[0], True)
        case "getdel":
            return None, state
        case "delete":
            return None, int(state is not None)
        case "exists":
            return state, state is not None
        case "increment":
            number = int(state or b"0") + arguments[0]
            return b"%d" % number, number
        case _:
            raise ValueError(call)


def miscounted(answers: Sequence[int]) -> str:
    """Describe in one line what is wrong with the results of increments of one counter.

    The line is empty if the results are 1, 2, 3 and so on.
    """
    number = len(answers)
    if sorted(answers) == list(range(1, number + 1)):
        return ""
    answer, times = Counter(answers).most_common(1)[0]
    lost = len(set(range(1, number + 1)) - set(answers))
    return (
        f"of {number} increments {lost} numbers were never answered, "
        f"and {answer} was answered {times} times; the last is {max(answers)}"
    )


def overlapping_leases(events: Sequence[Event]) -> list[tuple[Event, Event]]:
    """Return pairs of leases that were certainly held at the same time.

    The leases are matched from `acquire` and `release` events by owner. A lease is certainly held
    from the return of its `acquire` to the call of its `release`.
    """
    held: list[tuple[float, float, Event]] = []
    for event in events:
        if event.call == "acquire" and event.answer is not None:
            releases = [
                other
                for other in events
                if other.call == "release" and other.arguments == event.arguments
            ]
            ends = [release.began for release in releases if release.began > event.ended]
            held.append((event.ended, min(ends, default=float("inf")), event))
    held.sort(key=lambda lease: lease[0])
    return [(one[2], two[2]) for one, two in itertools.pairwise(held) if two[0] < one[1]]
