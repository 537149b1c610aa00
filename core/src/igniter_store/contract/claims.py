"""Claims: at most one owner holds a key at a time, until it lets go or its time is over.

Rule: ownership is equality of the owner's bytes, compared and acted on in one atomic step.
Rule: when the backend can't be reached, claiming raises. It never says yes (CLM-7).
Rule: claims and fencing tokens are never evicted to make room for other data.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from igniter_store.contract.adapter import Adapter

TOKEN_LIFETIME: Final = 30 * 86_400.0
"""Seconds after which a token counter that nobody used may be forgotten (CLM-5)."""


class Claims(Adapter):
    """SET NX with compare-and-delete, compare-and-expire, and fencing tokens; on Redis Lua scripts,
    on SQL one statement each.
    """

    @abstractmethod
    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        """Take the claim for `owner` if nobody holds it, and say whether that worked.

        Of any number of concurrent callers, tasks, connections and processes, exactly one gets True
        (CLM-1). A live claim refuses everybody, its own holder too. It ends with its TTL in
        seconds; without one it stays (CLM-2). A call with a TTL that is cancelled has left either
        no claim, or the claim with its TTL (CLM-9). The store cancels no call without a TTL: it
        waits for the answer, and gives back with `compare_delete`, from another task, what a
        cancelled caller has taken (CLM-10).
        """

    @abstractmethod
    async def compare_delete(self, key: str, owner: bytes) -> bool:
        """Remove the claim if it still has these owner bytes, atomically, and say whether it had
        (CLM-3).

        The late release of a former owner must never remove the claim of the next one: a read and a
        delete in two steps is the classic bug.
        """

    @abstractmethod
    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        """Give the claim `ttl` seconds from now if it still has these owner bytes, atomically, and
        say whether it had (CLM-4).

        An expired claim is not revived, a missing one not created.
        """

    @abstractmethod
    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        """Take the claim as `set_nx` does and return its fencing token, or `None` when another
        holds it, in one atomic step (CLM-5, CLM-6).

        The token is greater than every token ever given for this key: after release, expiry, and
        restart of every client. It is counted under `token_key`, which the caller built so that a
        cluster keeps both keys in one slot. A counter that doesn't exist begins at the backend's
        clock in milliseconds, and every use gives it `TOKEN_LIFETIME` more seconds to live: so
        unused ones don't pile up, and tokens still grow when one was forgotten. A refused call
        doesn't count.

        Raises:
            BackendFailed: `STORE_INCREMENT_FAILED` when `token_key` holds no number; the claim is
                not taken then.
        """
