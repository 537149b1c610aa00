"""A tenant's price cache: the slow catalogue is called once, then the store has the price.

A price stays in the store for a minute.

Things to notice: `store.scope` gives each tenant its own keys, which other tenants can't reach.
`ttl=` limits how long a value is trusted. The type passed to `get` is the type of the result.
`batch` reads and writes many keys in one round trip.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store import BatchEntry, Store
from msgspec import Struct

from igniter_store_cli.demo.concurrency import at_once
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

LIFETIME: Final = 60


class Price(Struct, frozen=True):
    """The price of one piece, in the currency's smallest unit."""

    amount: int
    currency: str


class SlowCatalogue:
    """A slow service behind the cache that has every price."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self.asked: int = 0
        self._prices = prices

    async def price(self, sku: str) -> Price:
        """Return the price of a product."""
        self.asked += 1
        await asyncio.sleep(0.002)
        return self._prices[sku]


class PriceCache:
    """Prices of one tenant; `shop` is a store in the tenant's scope."""

    def __init__(self, shop: Store[str], catalogue: SlowCatalogue) -> None:
        self.hits: int = 0
        self._shop = shop
        self._catalogue = catalogue

    async def price(self, sku: str) -> Price:
        """Return the price from the store, or fetch it and store it for a minute."""
        cached = await self._shop.kv.get(f"price:{sku}", Price)
        if cached is not None:
            self.hits += 1
            return cached
        price = await self._catalogue.price(sku)
        await self._shop.kv.set(f"price:{sku}", price, ttl=LIFETIME)
        return price


async def perform(stage: Stage) -> None:
    """Fill the cache, read it concurrently, and look for its keys from another tenant."""
    tenant, *others = stage.orders.organizations
    shop = stage.store.scope("organization", tenant)
    rival = stage.store.scope("organization", others[0] if others else f"not-{tenant}")
    sold = [(item, order.currency) for order in stage.orders.of(tenant) for item in order.items]
    prices = {item.sku: Price(item.unit_price, currency) for item, currency in sold}
    lookups = [item.sku for item, _ in sold]
    catalogue = SlowCatalogue(prices)
    cache = PriceCache(shop, catalogue)

    for sku in lookups:
        await cache.price(sku)
    answers = await at_once(cache.price(sku) for sku in lookups)
    stage.check(
        "lookups that reached the catalogue, one for each price",
        expected=len(prices),
        found=catalogue.asked,
    )
    stage.check("lookups that were hits", expected=2 * len(lookups) - len(prices), found=cache.hits)
    wrong = sum(answer != prices[sku] for sku, answer in zip(lookups, answers, strict=True))
    stage.check("answers that differ from the catalogue", expected=0, found=wrong)

    keys = [f"price:{sku}" for sku in prices]
    left = await shop.kv.ttl(keys[0])
    stage.check(
        f"a price is kept for at most {LIFETIME} s",
        expected=True,
        found=left is not None and 0 < left <= LIFETIME,
    )
    stage.check(
        "prices that another tenant sees",
        expected=0,
        found=len(keys) - (await rival.batch.get(keys)).count(None),
    )

    await rival.batch.set(BatchEntry(key, Price(1, "EUR"), ttl=LIFETIME) for key in keys)
    same = await shop.batch.get([*keys, "price:unknown"], Price) == [*prices.values(), None]
    stage.check(
        "another tenant's writes under the same names change nothing", expected=True, found=same
    )

    await stage.show_keys(shop, "kv")
    await stage.show_keys(rival, "kv")
    stage.measured = f"{2 * len(lookups)} lookups: {cache.hits} hits, {catalogue.asked} misses"


PLAY: Final = Play(
    "price-cache",
    "A cache calls the slow service once for each price, separately for each tenant.",
    perform,
)
