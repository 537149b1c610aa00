"""`store.claim`: at most one owner at a time.

Rule: semantics are the clauses CLM of the contract.
Rule: operations are atomic, and raise the same errors as those of `store.kv`.
Rule: a claim never fails open: when the backend can't be reached, the operation raises.
Rule: a cancelled `once` leaves no claim, or a claim that its TTL ends.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.namespaces.owners import owner_bytes
from igniter_store.operation import Operation
from igniter_store.ttl import Ttl, optional_ttl_seconds, ttl_seconds
from igniter_store.undoing import Undoing

if TYPE_CHECKING:
    from igniter_store.connection import StoreConnection

ONCE: Final = Operation("claim.once", ErrorCode.STORE_CLAIM_FAILED, event="claim.acquire")
OWNER: Final = Operation("claim.owner", ErrorCode.STORE_GET_FAILED)
TTL: Final = Operation("claim.ttl", ErrorCode.STORE_GET_FAILED)
RELEASE: Final = Operation("claim.release", ErrorCode.STORE_CLAIM_FAILED)
RENEW: Final = Operation("claim.renew", ErrorCode.STORE_CLAIM_FAILED)


class ClaimNamespace(Namespace):
    """Claims under keys.

    Equal owners are the same owner, so give each holder an owner of its own, preferably a `str`.

    Owners are compared by one canonical form, which the Node library shares: mapping keys and sets
    are ordered, and `1`, `"1"` and `True` are three different owners. An owner is refused if Python
    and JavaScript write it differently (`1.0`, `1e21`, an int beyond 2**53 - 1), or if equal values
    of its type can be written in several ways (times, decimals, bytes). In Node, pass objects with
    sorted keys.
    """

    word = "claim"

    def __init__(self, surroundings: Surroundings, connection: StoreConnection) -> None:
        super().__init__(surroundings)
        self._connection: Final = connection
        self._undoing: Final = Undoing(connection, surroundings.logger)

    async def once(self, key: str, owner: Any, *, ttl: Ttl | None = None) -> bool:
        """Take the claim if it isn't held, and return whether it was taken.

        Redis SET NX; CLM-1, CLM-2, CLM-7.

        Args:
            key: the key within this store and scope.
            owner: the new owner; pass it again to release or renew the claim.
            ttl: when the claim expires. Without it, only `release` ends the claim, so a crashed
                owner holds it forever.

        A cancelled call with a `ttl` leaves no claim, or a claim that expires. Without a `ttl`, a
        claim that the cancelled call took is released in the background, and closing the store
        waits for that release. A claim that `owner` held before the call is kept. If the release
        fails (the backend is gone, or the event loop ends), a warning is logged; CLM-9, CLM-10.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` when `owner` is `None`; `STORE_ARGUMENT_INVALID`
                when it has no canonical form; `STORE_TTL_INVALID`.
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
        """Return the owner of the claim, or `None` when it isn't held. Redis GET.

        The owner may have changed by the time the caller reads it. To act on it, use `release` and
        `renew`, which compare and act in one step.
        """
        with self._attempt(OWNER):
            data = await self._through.keyvalue.get(self._key(key))
            return None if data is None else self._codec.decode_any(data)

    async def ttl(self, key: str) -> float | None:
        """Return the seconds until the claim expires. Redis PTTL; KV-9.

        `None` when the claim has no TTL, so that only `release` ends it, or when it isn't held;
        `owner` distinguishes the two. The remaining time may have changed by the time the caller
        reads it.
        """
        return await self._remaining(TTL, key)

    async def release(self, key: str, owner: Any) -> bool:
        """End the claim if `owner` holds it, and return whether it was held by `owner`.

        A claim of another owner is never ended; CLM-3.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` when `owner` is `None`; `STORE_ARGUMENT_INVALID`
                when it has no canonical form.
        """
        with self._attempt(RELEASE):
            return await self._through.claims.compare_delete(
                self._key(key), owner_bytes(owner, self._codec)
            )

    async def renew(self, key: str, owner: Any, ttl: Ttl) -> bool:
        """Extend the claim to `ttl` from now if `owner` holds it, and return whether it did.

        An expired claim isn't revived; CLM-4.

        Raises:
            InvalidArgument: `STORE_VALUE_REQUIRED` when `owner` is `None`; `STORE_ARGUMENT_INVALID`
                when it has no canonical form; `STORE_TTL_INVALID`.
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
        # Bypasses `_through`, which refuses every call once the store is closing.
        adapter: Any = self._connection.adapter
        await adapter.compare_delete(full_key, holder)
