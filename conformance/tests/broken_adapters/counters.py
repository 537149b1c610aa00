"""Broken counters."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from igniter_store.contract import BackendFailed, ErrorCode, store_error

from broken_adapters.breaking import Broken, bare, others_turn

if TYPE_CHECKING:
    from igniter_store.contract import Condition


class ReturnsTheOldNumber(Broken):
    """`increment` returns the previous number."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=ttl) - delta


class CountsFromOne(Broken):
    """The first `increment` sets the counter to 1 instead of the delta."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta if await self.exists(key) else 1, ttl=ttl)


class ZeroCreatesNothing(Broken):
    """An `increment` by 0 doesn't create a missing counter."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        if delta == 0 and not await self.exists(key):
            return 0
        return await super().increment(key, delta, ttl=ttl)


class ReadModifyWrite(Broken):
    """`increment` reads, lets other tasks run, and then writes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-2"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, 0)
        await others_turn()
        return await super().increment(
            key, number + delta - await super().increment(key, 0), ttl=ttl
        )


class FiftyThreeBits(Broken):
    """`increment` converts its result to a float, which has 53 bits of precision."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return int(float(await super().increment(key, delta, ttl=ttl)))


class NumbersWithoutLimit(Broken):
    """Counters exceed 64 bits, as Python's integers do."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed:
            number = int(await self.get(key) or b"0") + delta
            bare(self).replace(key, b"%d" % number)
            return number


class WrapsAround(Broken):
    """An overflow wraps around, as DECRBY of the smallest number did in Redis 6.2."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed:
            text = await self.mget([key])
            if (
                text[0] is None
                or text[0].lstrip(b"-") in {b"", b"0"}
                or not text[0].lstrip(b"-").isdigit()
                or abs(int(text[0])) > 2**63
            ):
                raise
            number = (int(text[0]) + delta + 2**63) % 2**64 - 2**63
            bare(self).replace(key, b"%d" % number)
            return number


class IncrementFailsWithAnotherCode(Broken):
    """`increment` raises `STORE_OPERATION_FAILED` instead of `STORE_INCREMENT_FAILED`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3", "CTR-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed as error:
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "no") from error


class PythonsIntegers(Broken):
    """`increment` accepts any text that Python's `int` accepts."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        text = (await self.mget([key]))[0]
        if text is not None:
            with suppress(ValueError):
                bare(self).replace(key, b"%d" % int(text))
        return await super().increment(key, delta, ttl=ttl)


class NonNumberIsZero(Broken):
    """`increment` counts from 0 if the value isn't a number."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed:
            text = (await self.mget([key]))[0]
            if text is not None and not text.lstrip(b"-").isdigit():
                bare(self).replace(key, b"0")
                return await super().increment(key, delta, ttl=ttl)
            raise


class IncrementDropsTheTtl(Broken):
    """`increment` removes the TTL, as a plain `set` does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        await self.persist(key)
        if ttl is not None:
            await self.expire(key, ttl)
        return number


class IncrementRenewsTheTtl(Broken):
    """`increment` applies its TTL on every call."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        if ttl is not None:
            await self.expire(key, ttl)
        return number


class TtlOnlyForNewCounters(Broken):
    """`increment` applies its TTL only if it creates the counter."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=None if await self.exists(key) else ttl)


class CounterThenTtl(Broken):
    """`increment` writes the counter, lets other tasks run, and then sets the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        if ttl is not None and await self.ttl(key) == math.inf:
            await others_turn()
            await self.expire(key, ttl)
        return number


class CounterTtlIsHalved(Broken):
    """`increment` sets half of the TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=None if ttl is None else ttl / 2)


class CountersUnderSeparateKeys(Broken):
    """The adapter stores counters under separate keys, so `get` doesn't find them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-6"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key + "\0counter", delta, ttl=ttl)


class PaddedNumbers(Broken):
    """`get` returns counters with leading zeros, as if they were stored for sorting."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-6"})

    async def get(self, key: str) -> bytes | None:
        value = await super().get(key)
        return (
            b"%020d" % int(value)
            if value is not None and key in self.notes.get("counted", ())
            else value
        )

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        self.notes.setdefault("counted", set()).add(key)
        return await super().increment(key, delta, ttl=ttl)

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        self.notes.setdefault("counted", set()).discard(key)
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class RefusedIncrementSetsTheTtl(Broken):
    """`increment` sets the TTL even if it then raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        if ttl is not None and await self.ttl(key) == math.inf:
            await self.expire(key, ttl)
        return await super().increment(key, delta, ttl=ttl)


class TtlIgnoresCounters(Broken):
    """`ttl` returns infinity for a counter to which `increment` has given a TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-7"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        value = await super().increment(key, delta, ttl=ttl)
        if ttl is not None:
            bare(self).__dict__.setdefault("counters", set()).add(key)
        return value

    async def ttl(self, key: str) -> float | None:
        left = await super().ttl(key)
        return (
            math.inf
            if left is not None and key in bare(self).__dict__.get("counters", ())
            else left
        )


class CounterNamesAreFolded(Broken):
    """`increment` ignores the case of a counter's name."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-8"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key.casefold(), delta, ttl=ttl)
