"""Broken TTLs, and expired keys that stay visible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from igniter_store.contract import Entry

from broken_adapters.breaking import Broken, Unswept, bare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract import Condition


class ExistsIgnoresExpiry(Unswept):
    """`exists` returns True for an expired key that is still in memory."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-6"})

    async def exists(self, key: str) -> bool:
        return key in bare(self).values


class AbsentIgnoresExpiry(Unswept):
    """`set` with `only_if="absent"` finds an expired key that is still in memory."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if == "absent" and key in bare(self).values:
            return False
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class ExpireRevives(Unswept):
    """`expire` gives a new deadline to a key that has already expired."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-6"})

    async def expire(self, key: str, ttl: float) -> bool:
        keyspace = bare(self)
        if key not in keyspace.values:
            return False
        keyspace.set_deadline(key, ttl)
        return True


class ExpiresAtHalfTime(Broken):
    """`set` sets half of the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value, ttl=None if ttl is None else ttl / 2, only_if=only_if)


class ExpiresLate(Broken):
    """`set` adds one second to the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value, ttl=None if ttl is None else ttl + 1, only_if=only_if)


class SetRoundsTheTtl(Broken):
    """`set` rounds the TTL down to whole seconds, but to at least one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(
            key, value, ttl=None if ttl is None else max(1, int(ttl)), only_if=only_if
        )


class ExpireInMilliseconds(Broken):
    """`expire` reads the TTL as milliseconds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def expire(self, key: str, ttl: float) -> bool:
        return await super().expire(key, ttl / 1_000)


class DaysAreLost(Broken):
    """`set` drops the whole days of a TTL, as `timedelta.seconds` does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(
            key, value, ttl=None if ttl is None else ttl % 86_400 or 1, only_if=only_if
        )


class MsetExpiresEarly(Broken):
    """`mset` sets a tenth of each TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-7"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(
            [Entry(entry.key, entry.value, entry.ttl and entry.ttl / 10) for entry in entries]
        )


class ExpireOnlyLengthens(Broken):
    """`expire` never shortens the remaining time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-8"})

    async def expire(self, key: str, ttl: float) -> bool:
        left = await self.ttl(key)
        if left is None:
            return False
        return await super().expire(key, ttl) if left == math.inf or ttl > left else True


class ExpireAdds(Broken):
    """`expire` adds the TTL to the remaining time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-8"})

    async def expire(self, key: str, ttl: float) -> bool:
        left = await self.ttl(key)
        return await super().expire(key, ttl + (0 if left is None or left == math.inf else left))


class ExpireAlwaysReturnsTrue(Broken):
    """`expire` returns True for a missing key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-8"})

    async def expire(self, key: str, ttl: float) -> bool:
        await super().expire(key, ttl)
        return True


class ExpireCreates(Broken):
    """`expire` creates an empty value under a missing key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-8"})

    async def expire(self, key: str, ttl: float) -> bool:
        if await super().expire(key, ttl):
            return True
        await super().set(key, b"", ttl=ttl)
        return False


class TtlInWholeSeconds(Broken):
    """`ttl` returns whole seconds, as Redis's TTL command does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def ttl(self, key: str) -> float | None:
        left = await super().ttl(key)
        return left if left is None or left == math.inf else float(int(left))


class MinusOne(Broken):
    """`ttl` returns Redis's -1 for a key without a TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def ttl(self, key: str) -> float | None:
        left = await super().ttl(key)
        return -1.0 if left == math.inf else left


class TtlOfAMissingKeyIsInfinite(Broken):
    """`ttl` returns infinity for a missing key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def ttl(self, key: str) -> float | None:
        left = await super().ttl(key)
        return math.inf if left is None else left


class TtlAsGiven(Broken):
    """`ttl` returns the TTL that the caller passed to `set`, not the remaining time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, value, ttl=ttl, only_if=only_if)
        if written:
            self.notes.setdefault("given", {})[key] = ttl
        return written

    async def ttl(self, key: str) -> float | None:
        left = await super().ttl(key)
        given = self.notes.get("given", {}).get(key)
        return left if left is None or left == math.inf or given is None else given


class PersistReturnsTrueWithoutATtl(Broken):
    """`persist` returns True for every key that exists."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def persist(self, key: str) -> bool:
        await super().persist(key)
        return await self.exists(key)


class PersistDoesNothing(Broken):
    """`persist` returns the right result, but keeps the deadline."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-9"})

    async def persist(self, key: str) -> bool:
        left = await self.ttl(key)
        persisted: set[str] = self.notes.setdefault("persisted", set())
        if left is None or left == math.inf or key in persisted:
            return False
        persisted.add(key)
        return True


class DeadlineOutlivesItsKey(Broken):
    """`delete` keeps the deadline, and the next `set` without a TTL applies it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-16"})

    async def delete(self, keys: Sequence[str]) -> int:
        left = {key: await self.ttl(key) for key in keys}
        deleted = await super().delete(keys)
        self.notes.setdefault("old", {}).update(
            {key: ttl for key, ttl in left.items() if ttl is not None and ttl != math.inf}
        )
        return deleted

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        old = self.notes.setdefault("old", {}).pop(key, None)
        return await super().set(key, value, ttl=old if ttl is None else ttl, only_if=only_if)


class XlenIgnoresExpiry(Unswept):
    """`xlen` returns the length of an expired stream that is still in memory."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-6"})

    async def xlen(self, stream: str) -> int:
        held = bare(self).values.get(stream)
        return (
            len(held)
            if held is not None and not isinstance(held, bytes)
            else await super().xlen(stream)
        )
