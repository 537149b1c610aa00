"""`store.claim`: at most one owner at a time.

Semantics are clauses CLM-1 to CLM-10 of the contract. Operations are atomic, and raise what those
of `store.kv` raise. When the backend can't be reached they raise: a claim never fails open. A
cancelled `once` leaves no claim, or one that ends with its TTL.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.namespaces.owners import owner_bytes
from igniter_store.operation import Operation
from igniter_store.ttl import Ttl, optional_ttl_seconds, ttl_seconds
from igniter_store.undoing import Undoing

if TYPE_CHECKING:
    from igniter_store.connection import Connection

ONCE: Final = Operation("claim.once", ErrorCode.STORE_CLAIM_FAILED, event="claim.acquire")
OWNER: Final = Operation("claim.owner", ErrorCode.STORE_GET_FAILED)
TTL: Final = Operation("claim.ttl", ErrorCode.STORE_GET_FAILED)
RELEASE: Final = Operation("claim.release", ErrorCode.STORE_CLAIM_FAILED)
RENEW: Final = Operation("claim.renew", ErrorCode.STORE_CLAIM_FAILED)


class ClaimNamespace(Namespace):
    """Claims under keys. Equal owners are the same owner, so give each holder one of its own; a
    `str` is the best.

    Owners are compared by one spelling, which Node's library shares: keys and sets in order; `1`,
    `"1"` and `True` are three owners. What Python and JavaScript spell differently (`1.0`, `1e21`,
    an int beyond 2**53 - 1) and types with several spellings of equal values (times, decimals,
    bytes) are refused. In Node, give the keys of an object in sorted order.
    """

    word = "claim"

    def __init__(self, surroundings: Surroundings, connection: Connection) -> None:
        super().__init__(surroundings)
        self._connection: Final = connection
        self._undoing: Final = Undoing(connection, surroundings.logger)

    async def once(self, key: str, owner: Any, *, ttl: Ttl | None = None) -> bool:
        """Take the claim if nobody holds it, and say whether that worked. Redis SET NX; CLM-1,
        CLM-2, CLM-7.

        Args:
            key: the key within this store and scope.
            owner: who takes it; needed again to release or renew.
            ttl: when the claim ends by itself. Without it, only `release` ends it, and a crashed
                holder keeps it for good.

        A call that is cancelled leaves no claim, or one that ends with its `ttl`. Without `ttl` a
        claim that the call has taken is given back behind the caller, and closing the store waits
        for that; a claim that `owner` held before stays. When it can't be given back (the backend
        is gone, or the event loop ends) a warning is logged; CLM-9, CLM-10.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` for an owner of `None`; `STORE_ARGUMENT_INVALID`
                for one without one spelling; `STORE_TTL_INVALID`.
        """
        with self._attempt(ONCE) as attempt:
            full_key, holder, seconds = (
                self._key(key),
                owner_bytes(owner, self._codec),
                optional_ttl_seconds(ttl),
            )
            attempt.note("ctx.claim.ttl", seconds)
            if seconds is None:
                taking = partial(self._through.claims.set_nx, full_key, holder)
                acquired = await self._undoing.whole(
                    taking, partial(self._give_back, full_key, holder)
                )
            else:
                acquired = await self._through.claims.set_nx(full_key, holder, ttl=seconds)
            attempt.note("ctx.claim.acquired", acquired)
            return acquired

    async def owner(self, key: str) -> Any | None:
        """Who holds the claim, or `None`. Redis GET.

        It may have changed by the time you read it: act with `release` and `renew`, which compare
        and act in one step.
        """
        with self._attempt(OWNER):
            data = await self._through.keyvalue.get(self._key(key))
            return None if data is None else self._codec.decode_any(data)

    async def ttl(self, key: str) -> float | None:
        """The seconds until the claim ends by itself. Redis PTTL; KV-9.

        `None` when it has no TTL, so that only `release` ends it, or when it isn't held; `owner`
        tells the two apart. The time may have changed when the caller reads it.
        """
        with self._attempt(TTL) as attempt:
            left = await self._through.keyvalue.ttl(self._key(key))
            if left is None or math.isinf(left):
                return None
            attempt.note("ctx.claim.ttl", left)
            return left

    async def release(self, key: str, owner: Any) -> bool:
        """End the claim if `owner` holds it, and say whether that was so. It never ends another's;
        CLM-3.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` for an owner of `None`; `STORE_ARGUMENT_INVALID`
                for one without one spelling.
        """
        with self._attempt(RELEASE):
            return await self._through.claims.compare_delete(
                self._key(key), owner_bytes(owner, self._codec)
            )

    async def renew(self, key: str, owner: Any, ttl: Ttl) -> bool:
        """Let the claim last for `ttl` from now if `owner` holds it, and say whether that was so.
        It revives nothing; CLM-4.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` for an owner of `None`; `STORE_ARGUMENT_INVALID`
                for one without one spelling; `STORE_TTL_INVALID`.
        """
        with self._attempt(RENEW) as attempt:
            full_key, holder, seconds = (
                self._key(key),
                owner_bytes(owner, self._codec),
                ttl_seconds(ttl),
            )
            attempt.note("ctx.claim.ttl", seconds)
            return await self._through.claims.compare_expire(full_key, holder, seconds)

    async def _give_back(self, full_key: str, holder: bytes) -> None:
        # Past `through`, which refuses everything once the store is closing.
        adapter: Any = self._connection.adapter
        await adapter.compare_delete(full_key, holder)
