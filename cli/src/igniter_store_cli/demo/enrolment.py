"""Course enrolment: 20 seats, a prerequisite, duplicate applications and a waiting list.

Impatient students apply twice, and the waiting list moves up in order.

Things to notice: Each business rule is one atomic operation. A claim per student stops the second
application, a counter assigns the seats, a stream is the waiting list, and a group over it passes
each freed seat to the next student. The course is never locked.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

from igniter_store_cli.demo.concurrency import a_moment
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store import Store

SEATS: Final = 20
LEAVING: Final = 3
BASICS: Final = "coffee-basics"
COURSE: Final = "latte-art"

EnrolmentResult: TypeAlias = Literal["enrolled", "waiting", "applied before", "not prepared"]


class Place(Struct, frozen=True):
    """One line of a list: the student on it."""

    student: str


async def apply(store: Store[str], student: str) -> EnrolmentResult:
    """Apply for the course once."""
    if not await store.kv.exists(f"passed:{BASICS}:{student}"):
        return "not prepared"
    await a_moment()
    if not await store.claim.once(f"applied:{COURSE}:{student}", student):
        return "applied before"
    if await store.counter.increment(f"seats:{COURSE}") <= SEATS:
        await store.streams.append(f"enrolled:{COURSE}", Place(student))
        return "enrolled"
    await store.streams.append(f"waiting:{COURSE}", Place(student))
    return "waiting"


async def leave(store: Store[str], student: str) -> None:
    """Return the seat to the desk, which passes it on."""
    if await store.claim.release(f"applied:{COURSE}:{student}", student):
        await store.streams.append(f"freed:{COURSE}", Place(student))


async def hand_on_seats(store: Store[str]) -> list[str]:
    """Enrol the next waiting student for each freed seat, in order; return these students."""
    desk = store.streams.group("desk", "desk-1")
    await desk.ensure(f"freed:{COURSE}")
    await desk.ensure(f"waiting:{COURSE}")
    promoted: list[str] = []
    for freed in await desk.read(f"freed:{COURSE}", type=Place):
        for next_in_line in await desk.read(f"waiting:{COURSE}", count=1, type=Place):
            await store.streams.append(f"enrolled:{COURSE}", next_in_line.message)
            await desk.ack(f"waiting:{COURSE}", [next_in_line.id])
            promoted.append(next_in_line.message.student)
        await desk.ack(f"freed:{COURSE}", [freed.id])
    return promoted


async def perform(stage: Stage) -> None:
    """Let all customers apply twice at once, let some leave again, and compare the lists."""
    store = stage.store
    students = [customer.id for customer in stage.orders.customers]
    # Customers with a delivery had the beans to practise with, and have passed the basics.
    prepared = {order.customer.id for order in stage.orders.accepted if order.status == "delivered"}
    await store.batch.set({f"passed:{BASICS}:{student}": True for student in prepared})

    results = Counter(
        await stage.at_once(apply, [(student,) for _ in (1, 2) for student in students])
    )
    enrolled, waiting = await listed(store, "enrolled"), await listed(store, "waiting")
    seats = min(SEATS, len(prepared))
    stage.check("seats given", expected=seats, found=results["enrolled"])
    stage.check(
        "students on the waiting list", expected=len(prepared) - seats, found=results["waiting"]
    )
    stage.check(
        "second applications refused", expected=len(prepared), found=results["applied before"]
    )
    stage.check(
        "applications refused because the basics are missing",
        expected=2 * (len(students) - len(prepared)),
        found=results["not prepared"],
    )
    stage.check(
        "students who are listed exactly once",
        expected=sorted(prepared),
        found=sorted(enrolled + waiting),
    )

    leaving = enrolled[:LEAVING]
    await stage.at_once(leave, [(student,) for student in leaving])
    promoted = await hand_on_seats(store)
    stage.check(
        "students who moved up, longest wait first",
        expected=waiting[: len(leaving)],
        found=promoted,
    )
    final = [student for student in await listed(store, "enrolled") if student not in leaving]
    stage.check(
        "enrolled at the end, with all seats filled",
        expected=enrolled[len(leaving) :] + waiting[: len(leaving)],
        found=final,
    )
    await stage.show_keys(store, "counter", "claim", "streams", "kv")
    stage.measured = (
        f"{results['enrolled']} of {SEATS} seats given, {results['waiting']} wait, "
        f"{results['applied before']} second tries refused, {len(promoted)} moved up"
    )


async def listed(store: Store[str], name: str) -> list[str]:
    """Return the students on a list, in order."""
    return [
        entry.message.student for entry in await store.streams.range(f"{name}:{COURSE}", type=Place)
    ]


PLAY: Final = Play(
    "enrolment",
    "Seats, prerequisites and a waiting list stay correct under concurrent applications.",
    perform,
)
