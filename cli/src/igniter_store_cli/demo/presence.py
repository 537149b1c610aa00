"""Presence: which customers are in the shop right now?

A customer that stops sending heartbeats disappears after a moment, without having to sign off.

Things to notice: A key with a TTL is a statement that expires. `touch` renews it, and returns False
if it is too late; then the customer arrives anew. No server process counts customers, and none has
to clean up after a customer whose train entered a tunnel.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from igniter_store_cli.demo.concurrency import at_once, meanwhile, until_true
from igniter_store_cli.demo.stage import Play, Stage

if TYPE_CHECKING:
    from igniter_store import Store

    from igniter_store_cli.demo.orders import Customer

LIFETIME: Final = 0.8
HEARTBEAT: Final = 0.1
GUESTS: Final = 6
_ROUNDING: Final = 0.01  # for a backend that counts milliseconds


def key(guest: Customer) -> str:
    """Return the key of a guest's presence."""
    return f"online:{guest.id}"


async def arrive(store: Store[str], guest: Customer) -> None:
    """Announce the guest."""
    await store.kv.set(key(guest), {"name": guest.name}, ttl=LIFETIME)


async def stay(store: Store[str], guests: list[Customer]) -> None:
    """Send heartbeats until cancelled."""

    async def heartbeats(guest: Customer) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            if not await store.kv.touch(key(guest), LIFETIME):
                await arrive(store, guest)

    await at_once(heartbeats(guest) for guest in guests)


async def online(store: Store[str], guests: list[Customer]) -> list[str]:
    """Return the names of the present guests."""
    found = await store.batch.get([key(guest) for guest in guests], dict[str, str])
    return [presence["name"] for presence in found if presence is not None]


async def perform(stage: Stage) -> None:
    """Let some customers arrive, let the last one lose its connection, and check their presence."""
    store, guests = stage.store, stage.orders.customers[:GUESTS]
    *staying, leaving = guests
    await at_once(arrive(store, guest) for guest in guests)
    stage.check(
        "present at first",
        expected=[guest.name for guest in guests],
        found=await online(store, guests),
    )
    await stage.show_keys(store, "kv")

    async with meanwhile(stay(store, staying)):
        async with meanwhile(stay(store, [leaving])):
            await asyncio.sleep(LIFETIME * 1.2)
            stage.check(
                "kept present by heartbeats, beyond one TTL",
                expected=len(guests),
                found=len(await online(store, guests)),
            )

        # Leaving the block stopped this customer's heartbeats: the train is in the tunnel.
        last_sign = time.monotonic()
        await store.kv.touch(key(leaving), LIFETIME)
        is_gone = await until_true(lambda: is_offline(store, leaving))
        lasted = time.monotonic() - last_sign
        stage.check("a silent customer is gone", expected=True, found=is_gone)
        stage.check(
            f"but not before the TTL of {LIFETIME} s",
            expected=True,
            found=lasted >= LIFETIME - _ROUNDING,
        )
        stage.check(
            "still present",
            expected=[guest.name for guest in staying],
            found=await online(store, guests),
        )
        stage.check(
            "a late heartbeat is refused",
            expected=False,
            found=await store.kv.touch(key(leaving), LIFETIME),
        )

    stage.measured = (
        f"{len(guests)} came, 1 fell silent and was gone after {lasted:.2f} s, {len(staying)} "
        "stayed"
    )


async def is_offline(store: Store[str], guest: Customer) -> bool:
    """Return True if the guest's key has expired."""
    return not await store.kv.exists(key(guest))


PLAY: Final = Play(
    "presence", "A customer without heartbeats is gone after its TTL, and all others stay.", perform
)
