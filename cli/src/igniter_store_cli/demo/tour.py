"""The tour: all plays in sequence, each on an empty store, independent of earlier failures.

Rule: A play that raises an error has failed, with the error as its reason. The tour continues.
Rule: The keys of a play are deleted when it ends, even if it failed or the user pressed Ctrl-C.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import StoreError
from igniter_store.store import Store
from msgspec import Struct

from igniter_store_cli.demo import (
    chat,
    enrolment,
    events,
    flash_sale,
    leader,
    presence,
    price_cache,
    rate_limit,
)
from igniter_store_cli.demo.stage import Check, Play, Stage
from igniter_store_cli.demo.wire import delete_keys, observed
from igniter_store_cli.failures import described

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from igniter_store.contract import Adapter

    from igniter_store_cli.demo.orders import Orders
    from igniter_store_cli.demo.workers import Tasks

PLAYS: Final[dict[str, Play]] = {
    module.PLAY.name: module.PLAY
    for module in (price_cache, flash_sale, rate_limit, leader, events, chat, presence, enrolment)
}

_LONGEST: Final = 60.0  # seconds; a play takes one second on a nearby backend


class PlayResult(Struct, frozen=True):
    """The result of a play.

    Attributes:
        error: the reason why it stopped early, or `None`.
        removed: the number of leftover keys that were deleted.
    """

    play: Play
    checks: list[Check]
    keys: list[str]
    measured: str
    error: str | None
    seconds: float
    removed: int

    @property
    def ok(self) -> bool:
        """True if the play ended and every check passed."""
        return self.error is None and bool(self.checks) and all(check.ok for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return the outcome as `--json` prints it."""
        return {
            "name": self.play.name,
            "claim": self.play.claim,
            "ok": self.ok,
            "measured": self.measured,
            "seconds": round(self.seconds, 3),
            "error": self.error,
            "checks": [
                {
                    "name": check.name,
                    "expected": check.expected,
                    "found": check.found,
                    "ok": check.ok,
                }
                for check in self.checks
            ],
            "keys": self.keys,
            "removed": self.removed,
        }


def own_store(adapter: Adapter) -> Store[str]:
    """Create a store with a unique service."""
    return (
        Store.create()
        .with_adapter(observed(adapter))
        .with_service(f"demo-{secrets.token_hex(3)}")
        .build()
    )


async def perform(
    store: Store[str], plays: Iterable[Play], orders: Orders, workers: Tasks
) -> AsyncIterator[PlayResult]:
    """Yield the outcome of each play when it ends. The store has to be open."""
    for play in plays:
        yield await _performed(store, play, orders, workers)


async def _performed(store: Store[str], play: Play, orders: Orders, workers: Tasks) -> PlayResult:
    stage = Stage(store, orders, workers)
    error, removed = None, 0
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_LONGEST):
            await play.perform(stage)
    except TimeoutError as problem:
        error = (
            described(problem)
            if isinstance(problem, StoreError)
            else f"it didn't finish within {_LONGEST:.0f} s"
        )
    # Any error from a broken backend is a failed play.
    except Exception as problem:  # noqa: BLE001
        error = described(problem)
    finally:
        seconds = time.perf_counter() - began
        try:
            removed = await delete_keys(store)
        except Exception as problem:  # noqa: BLE001 - as above
            error = error or f"its keys couldn't be deleted: {described(problem)}"
    return PlayResult(play, stage.checks, stage.keys, stage.measured, error, seconds, removed)
