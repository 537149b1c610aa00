"""Checks a server's INFO when an adapter opens: does it evict keys, and does it store data at all?

Rule: each opening sends one INFO, and waits at most a second. If the server rejects it or doesn't
    reply, the adapter opens anyway.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from igniter_store.contract.errors import StoreError

if TYPE_CHECKING:
    from igniter_store.redis_commands.client import CommandClient

_PATIENCE: Final = 1.0  # seconds
_LOGGER: Final = logging.getLogger("igniter_store")
_EVICTS: Final = (
    "The server of the %s backend evicts keys when its memory is full (%s), %s: a claim may get "
    "a second owner, and a counter may restart at 0. Set maxmemory-policy to noeviction, or use "
    "a separate server for the store."
)
_ALL: Final = "including claims, counters and streams"
_WITH_TTL: Final = "namely those with a TTL, including claims and counters"


async def facts_of(commands: CommandClient) -> dict[str, str]:
    """Return the lines of the server's INFO; empty if it isn't available."""
    try:
        async with asyncio.timeout(_PATIENCE):
            answer = await commands.information()
    except (StoreError, TimeoutError):
        return {}
    lines = answer.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def is_sentinel(facts: dict[str, str]) -> bool:
    """Whether the server is a Sentinel, which stores no data."""
    return "sentinel" in {facts.get("redis_mode"), facts.get("server_mode")}


def warn_of_eviction(facts: dict[str, str], backend: str) -> bool:
    """Log a warning if the server evicts keys; return whether it did."""
    policy = facts.get("maxmemory_policy", "")
    if facts.get("cache_mode") == "cache":  # Dragonfly's name for it
        policy, setting = "allkeys-lru", "cache_mode"
    else:
        setting = f"maxmemory-policy {policy}"
    scope, dash, _ = policy.partition("-")
    dropped = {"allkeys": _ALL, "volatile": _WITH_TTL}.get(scope)
    if not dash or dropped is None:
        return False
    _LOGGER.warning(_EVICTS, backend, setting, dropped)
    return True
