"""Claims: a key has at most one owner at a time, until the owner releases it or its TTL expires.

Rule: ownership means that the owner's bytes are equal. Comparing them and acting on the result is
    one atomic step.
Rule: if the backend is unreachable, claiming raises an error. It never reports success (CLM-7).
Rule: the backend never evicts claims or fencing tokens to make room for other data.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from igniter_store.contract.adapter import Adapter

TOKEN_LIFETIME: Final = 30 * 86_400.0
"""Seconds after which an unused token counter may be deleted (CLM-5)."""


class Claims(Adapter):
    """SET NX with compare-and-delete, compare-and-expire, and fencing tokens.

    On Redis each method is one command or one Lua script; on SQL it is one transaction.
    """

    @abstractmethod
    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        """Acquire the claim for `owner` if it is free; return whether that succeeded.

        Of any number of concurrent callers (tasks, connections and processes), exactly one gets
        True (CLM-1). While a claim is live, every other attempt returns False, even one by its own
        owner. The claim ends after its TTL in seconds; without a TTL it stays (CLM-2).

        If a call with a TTL is cancelled, it leaves either no claim or the claim with its TTL
        (CLM-9). The store never cancels a call without a TTL: it waits for the reply, and if the
        caller was cancelled, another task releases the claim with `compare_delete` (CLM-10).
        """

    @abstractmethod
    async def compare_delete(self, key: str, owner: bytes) -> bool:
        """Atomically delete the claim if `owner` still holds it; return whether it did (CLM-3).

        A late release by a former owner must never delete the claim of the next owner. Reading and
        deleting in two steps is the classic bug.
        """

    @abstractmethod
    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        """Atomically set the TTL to `ttl` seconds from now if `owner` still holds the claim.

        Returns whether `owner` held it (CLM-4). An expired claim isn't revived, and a missing claim
        isn't created.
        """

    @abstractmethod
    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        """Acquire the claim as `set_nx` does, and return its fencing token.

        Both happen in one atomic step. The method returns `None` if the claim is already held
        (CLM-5, CLM-6).

        The token is greater than every token that was ever issued for this key, even after a
        release, an expiry, or a restart of every client. The token counter is stored under
        `token_key`, which the caller builds so that a cluster keeps both keys in the same slot. A
        missing counter starts at the backend's clock in milliseconds, and each use resets its TTL
        to `TOKEN_LIFETIME`. So unused counters don't accumulate, and tokens still increase after a
        counter was deleted. A rejected call doesn't increment the counter.

        Raises:
            BackendFailed: `STORE_INCREMENT_FAILED` if `token_key` doesn't hold a number, or holds
                the largest one of 64 bits; the claim isn't acquired.
        """
