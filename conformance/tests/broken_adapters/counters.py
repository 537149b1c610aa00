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
    """`increment` returns what was there before."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=ttl) - delta


class CountsFromOne(Broken):
    """The first increment sets 1, whatever it adds."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta if await self.exists(key) else 1, ttl=ttl)


class ZeroCreatesNothing(Broken):
    """An increment of 0 is not sent."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-1"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        if delta == 0 and not await self.exists(key):
            return 0
        return await super().increment(key, delta, ttl=ttl)


class ReadModifyWrite(Broken):
    """`increment` reads, lets others run, and writes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-2"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, 0)
        await others_turn()
        return await super().increment(
            key, number + delta - await super().increment(key, 0), ttl=ttl
        )


class FiftyThreeBits(Broken):
    """Numbers are floats on their way."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return int(float(await super().increment(key, delta, ttl=ttl)))


class NumbersWithoutEnd(Broken):
    """Numbers grow beyond 64 bits, as Python's do."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed:
            number = int(await self.get(key) or b"0") + delta
            bare(self).replace(key, b"%d" % number)
            return number


class WrapsAround(Broken):
    """An overflow comes out at the other end, as DECRBY of the smallest number did in Redis 6.2."""

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


class OverflowWithAnotherCode(Broken):
    """An overflow raises `STORE_OPERATION_FAILED`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3", "CTR-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except BackendFailed as error:
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "no") from error


class PythonsIntegers(Broken):
    """Whatever `int` takes is a number."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        text = (await self.mget([key]))[0]
        if text is not None:
            with suppress(ValueError):
                bare(self).replace(key, b"%d" % int(text))
        return await super().increment(key, delta, ttl=ttl)


class NoNumberIsZero(Broken):
    """What is no number counts as 0."""

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
    """`increment` writes the number as a plain set would."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        await self.persist(key)
        if ttl is not None:
            await self.expire(key, ttl)
        return number


class IncrementRenewsTheTtl(Broken):
    """`ttl=` begins the window anew with every increment."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        if ttl is not None:
            await self.expire(key, ttl)
        return number


class TtlWithTheFirstAlone(Broken):
    """`ttl=` is looked at only when the counter is new."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=None if await self.exists(key) else ttl)


class WindowInTwoSteps(Broken):
    """The TTL of a new counter is set by a second call, which a caller that is cut short never
    makes.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        number = await super().increment(key, delta)
        if ttl is not None and await self.ttl(key) == math.inf:
            await others_turn()
            await self.expire(key, ttl)
        return number


class WindowOfHalfItsTime(Broken):
    """The TTL of a counter has another unit."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-5"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key, delta, ttl=None if ttl is None else ttl / 2)


class CountersElsewhere(Broken):
    """Counters live under names of their own, so that `get` doesn't find them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-6"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key + "\0counter", delta, ttl=ttl)


class PaddedNumbers(Broken):
    """Numbers are stored with leading zeros, to be sorted as text."""

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


class RefusedStepGivesATtl(Broken):
    """An increment that is refused has given its TTL before."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-3"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        if ttl is not None and await self.ttl(key) == math.inf:
            await self.expire(key, ttl)
        return await super().increment(key, delta, ttl=ttl)


class CounterTtlApart(Broken):
    """The TTL that `increment` gives is kept in a table of counters, where `ttl` doesn't look."""

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
