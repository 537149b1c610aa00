"""Events of orders: each kind has its own type and subscribers, and an audit receives all.

Things to notice: Events are declared once, as a class, which gives every publisher and subscriber
its types. A payload that doesn't fit is refused before any subscriber receives it. A pattern also
subscribes to kinds that don't exist yet. `as_actor` records the actor that caused an event.

Rule: The play checks the promise of PUB-2: one publisher's events of one kind arrive in the order
    in which they were published. Events of different kinds are on different channels. On a cluster,
    these have different nodes, so the events may overtake each other.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, Final

from igniter_store import EventContext, EventGroup, Store, StoreError, event
from msgspec import Meta, Struct

from igniter_store_cli.demo.concurrency import a_moment, at_once, until
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store_cli.demo.orders import Order


class OrderPlaced(Struct, frozen=True):
    """The payload for a new order."""

    order: str
    total: Annotated[int, Meta(gt=0)]
    currency: str


class OrderPacked(Struct, frozen=True):
    """The payload for a packed item; items are packed in the order in which they are listed."""

    order: str
    position: int


class OrderMoved(Struct, frozen=True):
    """The payload for an order that moved one step further."""

    order: str


class OrderEvents(EventGroup, namespace="order"):
    """All events of an order."""

    placed: Final = event(OrderPlaced)
    packed: Final = event(OrderPacked)
    paid: Final = event(OrderMoved)
    shipped: Final = event(OrderMoved)
    delivered: Final = event(OrderMoved)
    cancelled: Final = event(OrderMoved)


KINDS: Final = ("placed", "packed", "paid", "shipped", "delivered", "cancelled")
_STEPS: Final = ("placed", "paid", "shipped", "delivered")


def life(order: Order) -> tuple[str, ...]:
    """Return the kinds of the events that led to the order's status, in the order of publishing."""
    steps = (
        ("placed", "cancelled")
        if order.status == "cancelled"
        else _STEPS[: _STEPS.index(order.status) + 1]
    )
    return ("placed", *["packed"] * len(order.items), *steps[1:])


async def publish_life(store: Store[str], order: Order) -> None:
    """Publish the events of one order, with its customer as the actor."""
    events = store.as_actor(order.customer.id, type="customer").events.bind(OrderEvents)
    await events.placed.publish(OrderPlaced(order.id, order.total, order.currency))
    for position, _ in enumerate(order.items):
        await a_moment()
        await events.packed.publish(OrderPacked(order.id, position))
    for kind in life(order)[1 + len(order.items) :]:
        await a_moment()
        await getattr(events, kind).publish(OrderMoved(order.id))


async def perform(stage: Stage) -> None:
    """Subscribe, publish everything at once, and compare the received and the published events."""
    store, orders = stage.store, [order for order in stage.orders.accepted if order.total > 0]
    happened = Counter(kind for order in orders for kind in life(order))
    most = happened.total() + 1  # large enough never to drop: the demo must not depend on speed
    heard: Counter[str] = Counter()
    audit: list[EventContext[Any]] = []
    revenue: Counter[str] = Counter()

    async def count(context: EventContext[OrderPacked | OrderMoved]) -> None:
        await a_moment()
        heard[context.type] += 1

    def add_up(context: EventContext[OrderPlaced]) -> None:
        heard[context.type] += 1
        revenue[context.data.currency] += context.data.total  # typed: `data` is an OrderPlaced

    events = store.events.bind(OrderEvents)
    async with AsyncExitStack() as subscriptions:
        await subscriptions.enter_async_context(
            await events.placed.subscribe(add_up, max_queue=most)
        )
        for kind in KINDS[1:]:
            await subscriptions.enter_async_context(
                await getattr(events, kind).subscribe(count, max_queue=most)
            )
        await subscriptions.enter_async_context(
            await store.events.subscribe("order:*", audit.append, max_queue=most)
        )

        await at_once(publish_life(store, order) for order in orders)
        await until(lambda: heard.total() >= happened.total() and len(audit) >= happened.total())
        refusal = await refused(store, stage)

    found = {kind: heard[f"order:{kind}"] for kind in KINDS}
    stage.check(
        "events received by the subscribers of each kind",
        expected={kind: happened[kind] for kind in KINDS},
        found=found,
    )
    stage.check("events received by the audit", expected=happened.total(), found=len(audit))
    stage.check(
        "orders with a missing or repeated event in the audit",
        expected=0,
        found=incomplete(orders, audit),
    )
    stage.check(
        "orders whose items arrived in another order than they were packed",
        expected=0,
        found=out_of_sequence(orders, audit),
    )
    stage.check(
        "events with another actor than the customer",
        expected=0,
        found=without_its_customer(orders, audit),
    )
    expected = Counter[str]()
    for order in orders:
        expected[order.currency] += order.total
    stage.check("totals added up from the payloads", expected=dict(expected), found=dict(revenue))
    stage.check(
        "error for a payload that breaks the schema",
        expected="STORE_SCHEMA_VALIDATION_FAILED",
        found=refusal,
    )
    stage.show_channels(store, *(f"order:{kind}" for kind in KINDS))
    stage.measured = (
        f"{len(audit)} events of {len(orders)} orders, {len(KINDS) + 1} subscribers, 1 bad payload "
        "refused"
    )


async def refused(store: Store[str], stage: Stage) -> str:
    """Publish an order that costs nothing, and return the code of the error.

    The order comes from the file if it contains such an order.
    """
    bad = next(
        (rejected.order for rejected in stage.orders.rejected if rejected.order.total <= 0), None
    )
    payload = OrderPlaced(
        bad.id if bad else "ord_0", bad.total if bad else 0, bad.currency if bad else "EUR"
    )
    try:
        await store.events.bind(OrderEvents).placed.publish(payload)
    except StoreError as error:
        return error.code
    return "published"


def incomplete(orders: list[Order], audit: list[EventContext[Any]]) -> int:
    """Return the number of orders whose events in the audit differ from the published ones.

    The sequence of the events doesn't matter.
    """
    heard: dict[str, Counter[str]] = {}
    for context in audit:
        heard.setdefault(context.data["order"], Counter())[context.type.removeprefix("order:")] += 1
    return sum(heard.get(order.id) != Counter(life(order)) for order in orders)


def out_of_sequence(orders: list[Order], audit: list[EventContext[Any]]) -> int:
    """Return the number of orders whose events reached the audit out of sequence.

    Only the channel that has several events of each order is checked.
    """
    heard: dict[str, list[int]] = {}
    for context in audit:
        if context.type == "order:packed":
            heard.setdefault(context.data["order"], []).append(context.data["position"])
    return sum(heard.get(order.id, []) != sorted(heard.get(order.id, [])) for order in orders)


def without_its_customer(orders: list[Order], audit: list[EventContext[Any]]) -> int:
    """Return the number of events whose actor isn't the order's customer."""
    customers = {order.id: order.customer.id for order in orders}
    return sum(
        context.actor is None or context.actor.id != customers.get(context.data["order"])
        for context in audit
    )


PLAY: Final = Play(
    "events",
    "Typed events reach every subscriber, each kind in order, and a wildcard audit misses none.",
    perform,
)
