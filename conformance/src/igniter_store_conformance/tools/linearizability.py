"""What happened, written down while it happened and judged afterwards.

Rule: a call is in a history with the moment before it was made and the moment after it was
    answered. Of two calls whose times overlap
either may have come first; of others the order is known. A history is right when some order that
agrees with the times gives every call the answer that it got.
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
"""From a state and a call with its answer to the states that may follow; none when this state never
gives this answer.
"""


class Event(Struct, frozen=True):
    """One call that was made and answered.

    Attributes:
        caller: who made it.
        call: the method's name.
        arguments: what it was given.
        answer: what came back.
        began: the moment before it was made, on a scale of the history's own.
        ended: the moment after it was answered.
    """

    caller: str
    call: str
    arguments: tuple[Any, ...]
    answer: Any
    began: float
    ended: float


class History:
    """The calls of one run, in the order in which they were answered."""

    def __init__(self) -> None:
        self.events: Final[list[Event]] = []
        # Two moments that the clock can't tell apart are still one after the other.
        self._ticks = itertools.count()

    def _moment(self) -> float:
        return time.monotonic() + next(self._ticks) * 1e-9

    async def record(
        self, caller: str, call: str, arguments: tuple[Any, ...], answer: Awaitable[Any]
    ) -> Any:
        """Make a call, and write down what it answered."""
        began = self._moment()
        answered = await answer
        self.events.append(Event(caller, call, arguments, answered, began, self._moment()))
        return answered


def explain(history: Sequence[Event], start: S, step: Step[S]) -> list[Event] | None:
    """An order of the events that agrees with their times and with `step`, or `None` when there is
    none.

    The search of Wing and Gong: take any event that no other one must precede, see whether `step`
    explains its answer in this state, go on with the rest. States that were seen with the same rest
    are not tried again.

    Args:
        history: some tens of events; of many that overlap the search takes long.
        start: the state before.
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
    """The shortest beginning of the history that has no explanation; an empty list when the whole
    has one.

    A beginning ends where nobody is waiting for an answer: what is under way may have taken effect
    already.
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
    """The events for a person, one a line."""
    if not events:
        return ""
    zero = min(event.began for event in events)
    return "\n".join(
        f"  {(event.began - zero) * 1e3:8.3f} to {(event.ended - zero) * 1e3:8.3f} ms  {event.caller:>10}  "
        f"{event.call}{event.arguments!r} -> {event.answer!r}"
        for event in events
    )


def key_step(state: bytes | None, event: Event) -> list[bytes | None]:
    """What one key of the contract does, as a `Step`; the state is its value, or `None`."""
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
    """What is wrong with the answers of so many increments of one counter, in a line; empty when
    they are 1, 2, 3 and so on.
    """
    number = len(answers)
    if sorted(answers) == list(range(1, number + 1)):
        return ""
    answer, times = Counter(answers).most_common(1)[0]
    lost = len(set(range(1, number + 1)) - set(answers))
    return f"of {number} increments {lost} numbers were never answered, and {answer} was answered {times} times; the last is {max(answers)}"


def overlapping_leases(events: Sequence[Event]) -> list[tuple[Event, Event]]:
    """Pairs of leases that were certainly held at the same time: `acquire` and `release` events, by
    owner.

    A lease is certain from the answer of its `acquire` to the beginning of its `release`.
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
