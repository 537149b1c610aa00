"""Broken claims."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from broken_adapters.breaking import Broken, bare, others_turn

if TYPE_CHECKING:
    from igniter_store_memory import MemoryAdapter


class CheckThenSet(Broken):
    """`set_nx` checks for the key, lets other tasks run, and then writes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-1"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if await self.exists(key):
            return False
        await others_turn()
        return await self.set(key, owner, ttl=ttl)


class ClaimsNeverExpire(Broken):
    """`set_nx` ignores the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner)


class ClaimsExpireByDefault(Broken):
    """A claim without a TTL expires after thirty seconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=30 if ttl is None else ttl)


class ClaimsExpireEarly(Broken):
    """A claim expires after nine tenths of its TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=None if ttl is None else ttl * 0.9)


class ReleaseIgnoresTheOwner(Broken):
    """`compare_delete` doesn't compare the owner."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await self.delete([key]) == 1


class ReleaseByPrefix(Broken):
    """`compare_delete` accepts a prefix of the owner's bytes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        held = await self.get(key)
        if held is None or not ((owner and held.startswith(owner)) or held == owner):
            return False
        return await self.delete([key]) == 1


class ReleaseInTwoTrips(Broken):
    """`compare_delete` compares the owner, lets other tasks run, and then deletes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        if await self.get(key) != owner:
            return False
        await others_turn()
        return await self.delete([key]) == 1


class ReleaseAlwaysTrue(Broken):
    """`compare_delete` always returns True."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        await super().compare_delete(key, owner)
        return True


class RenewIgnoresTheOwner(Broken):
    """`compare_expire` doesn't compare the owner."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.expire(key, ttl)


class RenewTakesMissingClaims(Broken):
    """`compare_expire` takes a claim that has expired or was released."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await super().compare_expire(key, owner, ttl) or await self.set_nx(
            key, owner, ttl=ttl
        )


class RenewDoesNothing(Broken):
    """`compare_expire` returns True to the owner, but doesn't change the deadline."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.get(key) == owner


class RenewAdds(Broken):
    """`compare_expire` adds the TTL to the remaining time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        left = await self.ttl(key)
        return await super().compare_expire(
            key, owner, ttl + (0 if left is None or left == math.inf else left)
        )


class TokensRepeat(Broken):
    """A token is the time in milliseconds, so two leases may get the same token."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        await super().set(token_key, b"%d" % bare(self).milliseconds(), ttl=30 * 86_400)
        return bare(self).milliseconds() if await self.set_nx(key, owner, ttl=ttl) else None


class TokensFromOne(Broken):
    """A token counter starts at 1, so tokens repeat after the counter has expired."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        token = await self.increment(token_key)
        await self.expire(token_key, 30 * 86_400)
        return token


class TokensOfTheClient(Broken):
    """Each client counts its own tokens, from the time at which it was opened."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def open(self) -> None:
        await super().open()
        self.notes["token"] = bare(self).milliseconds()

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await super().acquire(key, owner, ttl, token_key=token_key)
        self.notes["token"] = self.notes.get("token", 0) + 1
        return None if token is None else self.notes["token"]


class TokenCounterExpiresWithTheLease(Broken):
    """The token counter expires at the same time as the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await super().acquire(key, owner, ttl, token_key=token_key)
        if token is not None:
            await self.expire(token_key, ttl)
        return token


class LeaseThenToken(Broken):
    """`acquire` takes the lease, lets other tasks run, and then counts the token."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        await others_turn()
        token = await super().acquire(key + "\0", owner, 0.001, token_key=token_key)
        await self.delete([key + "\0"])
        return token


class ReentrantLease(Broken):
    """`acquire` succeeds again for the current owner of the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if (await self.mget([key]))[0] == owner:
            await self.delete([key])
        return await super().acquire(key, owner, ttl, token_key=token_key)


class LeaseExpiresEarly(Broken):
    """`acquire` sets a tenth of the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        return await super().acquire(key, owner, ttl / 10, token_key=token_key)


class RefusedClaimRenews(Broken):
    """`set_nx` applies its TTL to the existing claim when it returns False."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-8"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if await super().set_nx(key, owner, ttl=ttl):
            return True
        if ttl is not None:
            await self.expire(key, ttl)
        return False


class ReentrantClaim(Broken):
    """`set_nx` returns True again for the current owner of the claim."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-8"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=ttl) or (await self.mget([key]))[0] == owner


class ClaimsUnderSeparateKeys(Broken):
    """The adapter stores claims under separate keys, so claims and values don't conflict."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-8"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key + "\0claim", owner, ttl=ttl)

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await super().compare_delete(key + "\0claim", owner)

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await super().compare_expire(key + "\0claim", owner, ttl)

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        return await super().acquire(key + "\0claim", owner, ttl, token_key=token_key)


class ClaimThenTtl(Broken):
    """`set_nx` takes the claim, lets other tasks run, and then sets the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-9"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if not await super().set_nx(key, owner):
            return False
        await others_turn()
        if ttl is not None:
            await self.expire(key, ttl)
        return True


class OwnersAreText(Broken):
    """`set_nx` drops the bytes of the owner that aren't UTF-8."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner.decode("utf-8", "ignore").encode(), ttl=ttl)


class NewClaimHasTheOldTtl(Broken):
    """A claim without a TTL gets the remaining TTL of the claim that was released before it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        left = await self.ttl(key)
        released = await super().compare_delete(key, owner)
        if released and left is not None and left != math.inf:
            self.notes.setdefault("left", {})[key] = left
        return released

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        left = self.notes.setdefault("left", {}).pop(key, None)
        return await super().set_nx(key, owner, ttl=left if ttl is None else ttl)


class TokensOfOneLease(Broken):
    """Tokens start at 1, and their counter expires at the same time as the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        return await self.increment(token_key, ttl=ttl)


class LeaseCheckThenAcquire(Broken):
    """`acquire` checks for the lease, lets other tasks run, and then replaces any lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if await self.exists(key):
            return None
        await others_turn()
        await self.delete([key])
        return await super().acquire(key, owner, ttl, token_key=token_key)


class RenewInTwoTrips(Broken):
    """`compare_expire` compares the owner, lets other tasks run, and renews any owner's claim."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        if await self.get(key) != owner:
            return False
        await others_turn()
        return await self.expire(key, ttl)


class ReleaseByTheSameTask(Broken):
    """Only the task that took a claim can release it, as long as that task exists."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-10"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        acquired = await super().set_nx(key, owner, ttl=ttl)
        if acquired:
            _takers(self)[key] = asyncio.current_task()
        return acquired

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        taker = _takers(self).get(key)
        if taker is not None and taker is not asyncio.current_task():
            return False
        return await super().compare_delete(key, owner)


def _takers(adapter: MemoryAdapter) -> WeakValueDictionary[str, Any]:
    takers: WeakValueDictionary[str, Any] = bare(adapter).__dict__.setdefault(
        "takers", WeakValueDictionary()
    )
    return takers


class ClaimNamesAreCut(Broken):
    """`set_nx` truncates the name of a claim to 255 characters."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-11"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key[:255], owner, ttl=ttl)


class OwnersAreCut(Broken):
    """`acquire` stores only the first 1,000 bytes of an owner."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-12"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        return await super().acquire(key, owner[:1_000], ttl, token_key=token_key)
