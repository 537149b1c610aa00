"""Broken key-value."""

from __future__ import annotations

import asyncio
import math
import unicodedata
from typing import TYPE_CHECKING, ClassVar

from igniter_store.contract import BackendFailed, Entry, Pattern, StoreError

from broken_adapters.breaking import Broken, Unswept, bare, others_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract import Condition


class NamesItsErrors(Broken):
    """`get` has a local name for the error that it raises, which the error's traceback leads back
    to.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-13"})

    async def get(self, key: str) -> bytes | None:
        failure: StoreError | None = None
        try:
            return await super().get(key)
        except StoreError as error:
            failure = error
        raise failure


class EmptyIsMissing(Broken):
    """`get` says `value or None`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-1"})

    async def get(self, key: str) -> bytes | None:
        return await super().get(key) or None


class MissingIsEmpty(Broken):
    """`get` of nothing gives no bytes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-1"})

    async def get(self, key: str) -> bytes | None:
        return await super().get(key) or b""


class Trimmed(Broken):
    """Values lose the white space at their ends, as text does in some columns."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value.strip(b" \t\r\n"), ttl=ttl, only_if=only_if)


class CutAtNul(Broken):
    """Values end at their first NUL, as strings do in C."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, bytes(value).split(b"\0", 1)[0], ttl=ttl, only_if=only_if)


class CutAt64KiB(Broken):
    """Values end at 64 KiB, as in a column of that size."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value[:65_536], ttl=ttl, only_if=only_if)


class Decoded(Broken):
    """Values go through text on their way."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def get(self, key: str) -> bytes | None:
        value = await super().get(key)
        return None if value is None else value.decode("utf-8", "replace").encode()


class ReadCache(Broken):
    """Each client answers reads from what it read before."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def get(self, key: str) -> bytes | None:
        kept: dict[str, bytes | None] = self.notes.setdefault("kept", {})
        if key not in kept:
            kept[key] = await super().get(key)
        return kept[key]


class FoldedKeys(Broken):
    """Keys are compared without regard to case."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key.casefold(), value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(key.casefold())

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget([key.casefold() for key in keys])

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(
            [Entry(entry.key.casefold(), entry.value, entry.ttl) for entry in entries]
        )

    async def delete(self, keys: Sequence[str]) -> int:
        return await super().delete([key.casefold() for key in keys])


class NormalizedKeys(Broken):
    """Keys are normalized, so that two spellings of one character are one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(unicodedata.normalize("NFC", key), value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(unicodedata.normalize("NFC", key))


class KeysCutAtNul(Broken):
    """Keys end at their first NUL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key.split("\0", 1)[0], value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(key.split("\0", 1)[0])


class ShortKeys(Broken):
    """Keys are cut at 1,000 characters."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key[:1_000], value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(key[:1_000])


class DeleteByPattern(Broken):
    """`delete` takes each key as a glob."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def delete(self, keys: Sequence[str]) -> int:
        patterns = [Pattern(key) for key in keys]
        matching = [
            name
            for name in bare(self).values
            if name in keys or any(pattern.matches(name) for pattern in patterns)
        ]
        return await super().delete(matching)


class FirstWriteWins(Broken):
    """A set of a key that is there is ignored."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is None and await self.exists(key):
            return True
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class TtlSurvivesASet(Broken):
    """A plain set keeps the old deadline."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        left = await self.ttl(key)
        written = await super().set(key, value, ttl=ttl, only_if=only_if)
        if written and ttl is None and left is not None and left != math.inf:
            await self.expire(key, left)
        return written


class TtlOnlyShortens(Broken):
    """A set with a TTL never gives a key more time than it had."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        left = await self.ttl(key)
        if ttl is not None and left is not None:
            ttl = min(ttl, left)
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class LookThenSet(Broken):
    """A conditional set looks, lets others run, and writes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is not None:
            if await self.exists(key) is (only_if == "absent"):
                return False
            await others_turn()
        return await super().set(key, value, ttl=ttl)


class AlwaysWritten(Broken):
    """A conditional set that wrote nothing says True."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        await super().set(key, value, ttl=ttl, only_if=only_if)
        return True


class PresentCreates(Broken):
    """`only_if="present"` is not looked at."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(
            key, value, ttl=ttl, only_if=None if only_if == "present" else only_if
        )


class RefusedSetMovesTheDeadline(Broken):
    """A conditional set that is refused gives the key its TTL all the same."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-17"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, value, ttl=ttl, only_if=only_if)
        if not written and ttl is not None:
            await self.expire(key, ttl)
        return written


class DeleteCountsWhatWasAsked(Broken):
    """`delete` says how many keys it was given."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def delete(self, keys: Sequence[str]) -> int:
        await super().delete(keys)
        return len(keys)


class DeleteCountsTwice(Broken):
    """`delete` counts a key that is named twice two times."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def delete(self, keys: Sequence[str]) -> int:
        there = [key for key in keys if await self.exists(key)]
        await super().delete(keys)
        return len(there)


class DeleteForgetsStreams(Broken):
    """`delete` only knows the table of values."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def delete(self, keys: Sequence[str]) -> int:
        values: list[str] = []
        for key in keys:
            try:
                await self.get(key)
            except BackendFailed:
                continue
            values.append(key)
        return await super().delete(values)


class GetdelInTwoSteps(Broken):
    """`getdel` reads, lets others run, and deletes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def getdel(self, key: str) -> bytes | None:
        value = await self.get(key)
        await others_turn()
        await self.delete([key])
        return value


class GetdelKeeps(Broken):
    """`getdel` leaves empty values, for a test of truth."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def getdel(self, key: str) -> bytes | None:
        value = await self.get(key)
        if value:
            await self.delete([key])
        return value


class MgetInStoredOrder(Broken):
    """`mget` answers in the order in which the keys were written, without the missing ones."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget([key for key in bare(self).values if key in keys])


class MgetOnceEach(Broken):
    """`mget` answers a key that is asked twice once."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget(list(dict.fromkeys(keys)))


class MgetForgetsExpiry(Unswept):
    """`mget` reads around the check of the deadline."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-6"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        values = [bare(self).values.get(key) for key in keys]
        return [value if isinstance(value, bytes) else None for value in values]


class MsetDropsTtls(Broken):
    """`mset` writes values without their TTLs."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset([Entry(entry.key, entry.value) for entry in entries])


class MsetGivesOneTtl(Broken):
    """`mset` gives every entry the TTL of the first."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset([Entry(entry.key, entry.value, entries[0].ttl) for entry in entries])


class MsetKeepsTtls(Broken):
    """`mset` leaves old deadlines where an entry brings none."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        left = {entry.key: await self.ttl(entry.key) for entry in entries if entry.ttl is None}
        await super().mset(entries)
        for key, ttl in left.items():
            if ttl is not None and ttl != math.inf:
                await self.expire(key, ttl)


class MsetFirstWins(Broken):
    """Of two entries for one key `mset` writes the first."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(list({entry.key: entry for entry in reversed(entries)}.values()))


class NoEmptyBatch(Broken):
    """An empty batch is sent, and the backend refuses it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-12"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            message = "wrong number of arguments for 'mget'"
            raise RuntimeError(message)
        return await super().mget(keys)


class SmallBatches(Broken):
    """A batch may have 1,000 keys, as a statement has variables; the rest is forgotten."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-12"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(entries[:1_000])


class SharedValues(Broken):
    """What was passed in is what is stored, not a copy."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-13"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, b"", ttl=ttl, only_if=only_if)
        if written:
            bare(self).values[key] = value
        return written


class SharedAnswers(Broken):
    """`mget` hands out the same list again for the same keys."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-13"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        answers: dict[tuple[str, ...], list[bytes | None]] = self.notes.setdefault("answers", {})
        current = await super().mget(keys)
        kept = answers.get(tuple(keys))
        if kept is None or (kept and kept != current):
            answers[tuple(keys)] = kept = current
        return kept


class StreamReadsAsMissing(Broken):
    """`get` of a stream is `None`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def get(self, key: str) -> bytes | None:
        try:
            return await super().get(key)
        except BackendFailed:
            return None


class SetRefusesAStream(Broken):
    """`set` over a stream raises, for the key is in another table."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        await self.get(key)
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class ExistsKnowsValuesAlone(Broken):
    """`exists` looks into the table of values."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def exists(self, key: str) -> bool:
        return (await self.mget([key]))[0] is not None


class BatchLater(Broken):
    """`mset` returns before its entries are written."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        writing = asyncio.create_task(super().mset(entries))
        self.notes.setdefault("writing", []).append(writing)


class TornSet(Broken):
    """`set` removes the old value, lets others run, and writes the new one: alone it answers
    rightly.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"MDL-1"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is None and await self.delete([key]):
            await others_turn()
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class PersistForgetsOneValue(Broken):
    """`persist` does nothing for a key that holds -7, which only random calls find."""

    breaks: ClassVar[frozenset[str]] = frozenset({"MDL-1"})

    async def persist(self, key: str) -> bool:
        if (await self.mget([key]))[0] == b"-7":
            return False
        return await super().persist(key)
