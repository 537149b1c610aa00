"""A rate limit: of 500 simultaneous requests, 100 pass, and a minute later more may follow.

The limit applies to one tenant.

Things to notice: Counting and limiting the window are one call, `increment(..., ttl=60)`, which
sets the TTL only if the counter has none. With two calls, a crash between them would leave a
counter that never expires, and would lock the tenant out permanently. If every request renewed the
TTL, the window would never end for a tenant that keeps sending requests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from igniter_store_cli.demo.concurrency import a_moment, until_true
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store import Store

LIMIT: Final = 100
REQUESTS: Final = 500
WINDOW: Final = 60.0
SHORT_WINDOW: Final = 0.25
_ROUNDING: Final = 0.01  # for a backend that counts milliseconds
_SLACK: Final = 1.0  # for a distant backend


async def is_admitted(shop: Store[str], window: float) -> bool:
    """Return True if this request is within the tenant's limit."""
    return await shop.counter.increment("requests", ttl=window) <= LIMIT


async def handle(shop: Store[str], order: str) -> str | None:
    """Answer a request about an order, or refuse it."""
    if not await is_admitted(shop, WINDOW):
        return None
    await a_moment()
    return order


async def perform(stage: Stage) -> None:
    """Send the requests, then let a window end under constant load."""
    tenant = stage.orders.organizations[0]
    shop = stage.store.scope("organization", tenant)
    orders = [order.id for order in stage.orders.of(tenant)]

    answers = await stage.at_once(
        handle, [(orders[number % len(orders)],) for number in range(REQUESTS)], store=shop
    )
    passed = len(answers) - answers.count(None)
    stage.check("requests that passed", expected=LIMIT, found=passed)
    stage.check("requests that were refused", expected=REQUESTS - LIMIT, found=answers.count(None))
    stage.check("requests counted", expected=REQUESTS, found=await shop.counter.get("requests"))
    await stage.show_keys(shop, "counter")

    lasted = await time_under_load(stage.store)
    stage.check("a window under constant load still ends", expected=True, found=lasted is not None)
    stage.check(
        f"it ends soon after its {SHORT_WINDOW} s, and not before",
        expected=True,
        found=SHORT_WINDOW - _ROUNDING <= (lasted or 0) <= SHORT_WINDOW + _SLACK,
    )
    stage.measured = (
        f"{passed} of {REQUESTS} passed; a window of {SHORT_WINDOW} s lasted "
        f"{lasted or float('inf'):.2f} s under load"
    )


async def time_under_load(store: Store[str]) -> float | None:
    """Return the duration of a short window under constant load, in seconds.

    Returns `None` if the window doesn't end.
    """

    async def is_first_of_its_window() -> bool:
        return await store.counter.increment("burst", ttl=SHORT_WINDOW) == 1

    began = time.monotonic()
    await is_first_of_its_window()
    return time.monotonic() - began if await until_true(is_first_of_its_window) else None


PLAY: Final = Play(
    "rate-limit",
    "A limit admits exactly as many requests as allowed, and its window ends by itself.",
    perform,
)
