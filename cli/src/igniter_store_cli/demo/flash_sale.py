"""A flash sale: 200 buyers, each clicking twice, want one of 50 pieces at the same moment.

Things to notice: A counter assigns numbered tickets, each number once, even to concurrent callers.
Therefore one question, "is my number at most 50?", decides the sale without a lock. A claim admits
each buyer once. A stream keeps the orders in the sequence of the tickets.
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

SaleResult: TypeAlias = Literal["won", "sold out", "second click"]


class Sale(Struct, frozen=True):
    """An order that got a ticket."""

    buyer: str
    sku: str
    ticket: int


async def buy(store: Store[str], sku: str, buyer: str, click: int) -> SaleResult:
    """Handle one click on "buy now"."""
    if not await store.claim.once(f"sale:{sku}:{buyer}", {"buyer": buyer, "click": click}):
        return "second click"
    sold = await store.counter.get(f"sale:{sku}:tickets")
    await a_moment()
    # The value is already stale: all other buyers have read the same one. It may save a buyer the
    # wait, but must not decide the sale.
    if sold is not None and sold >= STOCK:
        return "sold out"
    ticket = await store.counter.increment(f"sale:{sku}:tickets")
    if ticket > STOCK:
        return "sold out"
    await store.streams.append(f"sale:{sku}:orders", Sale(buyer, sku, ticket))
    return "won"


async def perform(stage: Stage) -> None:
    """Sell the product that was ordered most, and count the results."""
    store, sku = stage.store, best_seller(stage.orders)
    buyers = names(stage.orders.customers, BUYERS)

    results = Counter(
        await stage.at_once(buy, [(sku, buyer, click) for click in (1, 2) for buyer in buyers])
    )
    sales = [entry.message for entry in await store.streams.range(f"sale:{sku}:orders", type=Sale)]

    stage.check("pieces sold", expected=STOCK, found=results["won"])
    stage.check("buyers who were too late", expected=BUYERS - STOCK, found=results["sold out"])
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
    stage.measured = (
        f"{results['won']} of {STOCK} sold, {results['sold out']} refused, "
        f"{results['second click']} double clicks"
    )


def best_seller(orders: Orders) -> str:
    """Return the product with the most sold pieces."""
    sold: Counter[str] = Counter()
    for order in orders.accepted:
        for item in order.items:
            sold[item.sku] += item.quantity
    return sold.most_common(1)[0][0]


def names(customers: list[Customer], count: int) -> list[str]:
    """Return `count` different buyers: the customers and, if they are too few, their friends."""
    return [
        customers[number % len(customers)].id
        + (f"-friend-{number // len(customers)}" if number >= len(customers) else "")
        for number in range(count)
    ]


PLAY: Final = Play(
    "flash-sale",
    "The whole stock is sold and never more, with at most one piece for each buyer.",
    perform,
)
