"""A flash sale: 200 buyers, each clicking twice, want one of 50 pieces in the same moment.

What to see here: a counter hands out numbered tickets, each number once, whoever asks at the same
time; so the one question "is my number at most 50?" decides the sale, without a lock. A claim lets
each buyer in once. A stream keeps the orders in the sequence they were won.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

from igniter_store_cli.demo.concurrency import a_moment
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store import Store

    from igniter_store_cli.demo.orders import Customer, Orders

STOCK: Final = 50
BUYERS: Final = 200

Result: TypeAlias = Literal["won", "sold out", "second click"]


class Sale(Struct, frozen=True):
    """An order that was won."""

    buyer: str
    sku: str
    ticket: int


async def buy(store: Store[str], sku: str, buyer: str, click: int) -> Result:
    """One click on "buy now"."""
    if not await store.claim.once(f"sale:{sku}:{buyer}", {"buyer": buyer, "click": click}):
        return "second click"
    sold = await store.counter.get(f"sale:{sku}:tickets")
    await a_moment()
    # What was read is old by now: all the others have read the same. It may save a buyer the wait,
    # and must decide nothing.
    if sold is not None and sold >= STOCK:
        return "sold out"
    ticket = await store.counter.increment(f"sale:{sku}:tickets")
    if ticket > STOCK:
        return "sold out"
    await store.streams.append(f"sale:{sku}:orders", Sale(buyer, sku, ticket))
    return "won"


async def perform(stage: Stage) -> None:
    """Hold the sale of what was ordered most, and count what came out."""
    store, sku = stage.store, best_seller(stage.orders)
    buyers = names(stage.orders.customers, BUYERS)

    results = Counter(
        await stage.at_once(buy, [(sku, buyer, click) for click in (1, 2) for buyer in buyers])
    )
    sales = [entry.message for entry in await store.streams.range(f"sale:{sku}:orders", type=Sale)]

    stage.check("pieces sold", expected=STOCK, found=results["won"])
    stage.check("buyers who came too late", expected=BUYERS - STOCK, found=results["sold out"])
    stage.check("second clicks refused", expected=BUYERS, found=results["second click"])
    stage.check(
        "tickets on the order list",
        expected=list(range(1, STOCK + 1)),
        found=sorted(sale.ticket for sale in sales),
    )
    stage.check(
        "different buyers on the order list",
        expected=STOCK,
        found=len({sale.buyer for sale in sales}),
    )

    await stage.show_keys(store, "counter", "claim", "streams")
    stage.measured = f"{results['won']} of {STOCK} sold, {results['sold out']} refused, {results['second click']} double clicks"


def best_seller(orders: Orders) -> str:
    """What was bought most."""
    sold: Counter[str] = Counter()
    for order in orders.accepted:
        for item in order.items:
            sold[item.sku] += item.quantity
    return sold.most_common(1)[0][0]


def names(customers: list[Customer], count: int) -> list[str]:
    """So many different buyers: the customers, and with too few of them their friends."""
    return [
        customers[number % len(customers)].id
        + (f"-friend-{number // len(customers)}" if number >= len(customers) else "")
        for number in range(count)
    ]


PLAY: Final = Play(
    "flash-sale", "A stock is sold to the last piece and not beyond, once to each buyer.", perform
)
