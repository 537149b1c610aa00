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
    """`set_nx` looks, lets others run, and writes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-1"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if await self.exists(key):
            return False
        await others_turn()
        return await self.set(key, owner, ttl=ttl)


class ClaimsNeverEnd(Broken):
    """`set_nx` forgets the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner)


class ClaimsEndByDefault(Broken):
    """A claim without TTL gets one of thirty seconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=30 if ttl is None else ttl)


class ClaimsEndEarly(Broken):
    """A claim ends after nine tenths of its time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-2"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=None if ttl is None else ttl * 0.9)


class AnybodyReleases(Broken):
    """`compare_delete` doesn't look at the owner."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        return await self.delete([key]) == 1


class ReleaseByPrefix(Broken):
    """An owner whose bytes begin as the holder's do releases."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        held = await self.get(key)
        if held is None or not ((owner and held.startswith(owner)) or held == owner):
            return False
        return await self.delete([key]) == 1


class ReleaseInTwoTrips(Broken):
    """`compare_delete` reads, lets others run, and deletes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        if await self.get(key) != owner:
            return False
        await others_turn()
        return await self.delete([key]) == 1


class ReleaseAlwaysTrue(Broken):
    """`compare_delete` says True whatever it found."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        await super().compare_delete(key, owner)
        return True


class AnybodyRenews(Broken):
    """`compare_expire` doesn't look at the owner."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.expire(key, ttl)


class RenewRevives(Broken):
    """`compare_expire` of a claim that is over takes it again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await super().compare_expire(key, owner, ttl) or await self.set_nx(
            key, owner, ttl=ttl
        )


class RenewDoesNothing(Broken):
    """`compare_expire` says True and leaves the deadline."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        return await self.get(key) == owner


class RenewAdds(Broken):
    """`compare_expire` adds its time to what is left."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        left = await self.ttl(key)
        return await super().compare_expire(
            key, owner, ttl + (0 if left is None or left == math.inf else left)
        )


class TokensRepeat(Broken):
    """A token is the time in milliseconds, which may stand still."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        await super().set(token_key, b"%d" % bare(self).milliseconds(), ttl=30 * 86_400)
        return bare(self).milliseconds() if await self.set_nx(key, owner, ttl=ttl) else None


class TokensFromOne(Broken):
    """A token counter begins at 1, so that a forgotten one gives old tokens again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        token = await self.increment(token_key)
        await self.expire(token_key, 30 * 86_400)
        return token


class TokensOfTheClient(Broken):
    """Tokens are counted in the client, from the time at which it was opened."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def open(self) -> None:
        await super().open()
        self.notes["token"] = bare(self).milliseconds()

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await super().acquire(key, owner, ttl, token_key=token_key)
        self.notes["token"] = self.notes.get("token", 0) + 1
        return None if token is None else self.notes["token"]


class TokensDieWithTheClaim(Broken):
    """The token's counter lives as long as the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await super().acquire(key, owner, ttl, token_key=token_key)
        if token is not None:
            await self.expire(token_key, ttl)
        return token


class LeaseThenToken(Broken):
    """`acquire` takes the lease first, and counts the token after that."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        await others_turn()
        token = await super().acquire(key + "\0", owner, 0.001, token_key=token_key)
        await self.delete([key + "\0"])
        return token


class ReentrantLease(Broken):
    """Whoever holds a lease acquires it again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if (await self.mget([key]))[0] == owner:
            await self.delete([key])
        return await super().acquire(key, owner, ttl, token_key=token_key)


class LeaseInMilliseconds(Broken):
    """`acquire` gives a tenth of its TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        return await super().acquire(key, owner, ttl / 10, token_key=token_key)


class RefusedClaimRenews(Broken):
    """A claim that is refused renews the holder's, which it takes for its own."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-8"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if await super().set_nx(key, owner, ttl=ttl):
            return True
        if ttl is not None:
            await self.expire(key, ttl)
        return False


class ReentrantClaim(Broken):
    """Whoever holds a claim is told again that it is his."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-8"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner, ttl=ttl) or (await self.mget([key]))[0] == owner


class ClaimsElsewhere(Broken):
    """Claims live under names of their own, so that values and claims don't see each other."""

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
    """`set_nx` takes the claim, and gives it its TTL in a second step."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-9"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        if not await super().set_nx(key, owner):
            return False
        await others_turn()
        if ttl is not None:
            await self.expire(key, ttl)
        return True


class OwnersAreText(Broken):
    """Owners are decoded on their way in."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-3"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await super().set_nx(key, owner.decode("utf-8", "ignore").encode(), ttl=ttl)


class NewClaimHasTheOldTtl(Broken):
    """A released claim leaves its deadline to the next one."""

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
    """Tokens count from 1, and their counter ends with the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-5"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if not await self.set_nx(key, owner, ttl=ttl):
            return None
        return await self.increment(token_key, ttl=ttl)


class LeaseLookThenTake(Broken):
    """`acquire` looks, lets others run, and takes the lease."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if await self.exists(key):
            return None
        await others_turn()
        await self.delete([key])
        return await super().acquire(key, owner, ttl, token_key=token_key)


class RenewInTwoTrips(Broken):
    """`compare_expire` compares, lets others run, and moves the deadline of whoever holds the claim
    by then.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-4"})

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        if await self.get(key) != owner:
            return False
        await others_turn()
        return await self.expire(key, ttl)


class ReleaseByTheSameTask(Broken):
    """A claim belongs to the task that took it, as with locks that keep their token in a local of
    the task: no other task releases it.
    """

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
