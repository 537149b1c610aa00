"""Broken values, keys and batches."""

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


class GetErrorHasAReferenceCycle(Broken):
    """The error of `get` is in a reference cycle, because a local variable refers to it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-13"})

    async def get(self, key: str) -> bytes | None:
        failure: StoreError | None = None
        try:
            return await super().get(key)
        except StoreError as error:
            failure = error
        raise failure


class EmptyIsMissing(Broken):
    """`get` returns `None` for an empty value."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-1"})

    async def get(self, key: str) -> bytes | None:
        return await super().get(key) or None


class MissingIsEmpty(Broken):
    """`get` returns `b""` for a missing key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-1"})

    async def get(self, key: str) -> bytes | None:
        return await super().get(key) or b""


class ValuesAreStripped(Broken):
    """`set` strips white space from both ends of a value, as some text columns do."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value.strip(b" \t\r\n"), ttl=ttl, only_if=only_if)


class CutAtNul(Broken):
    """`set` truncates a value at its first NUL, as in a C string."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, bytes(value).split(b"\0", 1)[0], ttl=ttl, only_if=only_if)


class CutAt64KiB(Broken):
    """`set` truncates a value to 64 KiB, as a column of that size does."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key, value[:65_536], ttl=ttl, only_if=only_if)


class ValuesAreDecoded(Broken):
    """`get` replaces the bytes of a value that aren't UTF-8."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def get(self, key: str) -> bytes | None:
        value = await super().get(key)
        return None if value is None else value.decode("utf-8", "replace").encode()


class ReadCache(Broken):
    """`get` returns the result of the client's first read of the key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-2"})

    async def get(self, key: str) -> bytes | None:
        kept: dict[str, bytes | None] = self.notes.setdefault("kept", {})
        if key not in kept:
            kept[key] = await super().get(key)
        return kept[key]


class FoldedKeys(Broken):
    """The adapter ignores the case of keys."""

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
    """`set` and `get` normalize keys, so two spellings of a character are the same key."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(unicodedata.normalize("NFC", key), value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(unicodedata.normalize("NFC", key))


class KeysCutAtNul(Broken):
    """`set` and `get` truncate keys at the first NUL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key.split("\0", 1)[0], value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(key.split("\0", 1)[0])


class ShortKeys(Broken):
    """`set` and `get` truncate keys to 1,000 characters."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(key[:1_000], value, ttl=ttl, only_if=only_if)

    async def get(self, key: str) -> bytes | None:
        return await super().get(key[:1_000])


class DeleteByPattern(Broken):
    """`delete` treats each key as a glob pattern."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-3"})

    async def delete(self, keys: Sequence[str]) -> int:
        # A name without these is a pattern that matches only itself.
        patterns = [Pattern(key) for key in keys if any(special in key for special in "*?[\\")]
        matching = {
            name for name in bare(self).values if any(pattern.matches(name) for pattern in patterns)
        }
        return await super().delete([*keys, *sorted(matching - {*keys})])


class FirstWriteWins(Broken):
    """`set` doesn't replace an existing value."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is None and await self.exists(key):
            return True
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class TtlSurvivesASet(Broken):
    """`set` without a TTL keeps the old deadline."""

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
    """`set` with a TTL never extends the remaining time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        left = await self.ttl(key)
        if ttl is not None and left is not None:
            ttl = min(ttl, left)
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class ConditionalSetInTwoSteps(Broken):
    """A conditional `set` checks for the key, lets other tasks run, and then writes."""

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
    """`set` returns True even if its condition isn't met."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        await super().set(key, value, ttl=ttl, only_if=only_if)
        return True


class PresentCreates(Broken):
    """`set` ignores `only_if="present"`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-5"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        return await super().set(
            key, value, ttl=ttl, only_if=None if only_if == "present" else only_if
        )


class RefusedSetMovesTheDeadline(Broken):
    """`set` applies its TTL to the key even if its condition isn't met."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-17"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, value, ttl=ttl, only_if=only_if)
        if not written and ttl is not None:
            await self.expire(key, ttl)
        return written


class DeleteCountsAllKeys(Broken):
    """`delete` returns the number of keys that the caller passed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def delete(self, keys: Sequence[str]) -> int:
        await super().delete(keys)
        return len(keys)


class DeleteCountsTwice(Broken):
    """`delete` counts a key twice if the caller passes it twice."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def delete(self, keys: Sequence[str]) -> int:
        there = [key for key in keys if await self.exists(key)]
        await super().delete(keys)
        return len(there)


class DeleteSkipsStreams(Broken):
    """`delete` skips streams."""

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
    """`getdel` reads, lets other tasks run, and then deletes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def getdel(self, key: str) -> bytes | None:
        value = await self.get(key)
        await others_turn()
        await self.delete([key])
        return value


class GetdelKeepsEmptyValues(Broken):
    """`getdel` doesn't delete an empty value."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-10"})

    async def getdel(self, key: str) -> bytes | None:
        value = await self.get(key)
        if value:
            await self.delete([key])
        return value


class MgetInStoredOrder(Broken):
    """`mget` returns values in the order in which they were stored, and skips missing keys."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget([key for key in bare(self).values if key in keys])


class MgetOnceEach(Broken):
    """`mget` returns one value for a key that the caller passes twice."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await super().mget(list(dict.fromkeys(keys)))


class MgetIgnoresExpiry(Unswept):
    """`mget` returns expired values that are still in memory."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-6"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        values = [bare(self).values.get(key) for key in keys]
        return [value if isinstance(value, bytes) else None for value in values]


class MsetDropsTtls(Broken):
    """`mset` ignores the TTLs of its entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset([Entry(entry.key, entry.value) for entry in entries])


class MsetGivesOneTtl(Broken):
    """`mset` applies the TTL of the first entry to all entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset([Entry(entry.key, entry.value, entries[0].ttl) for entry in entries])


class MsetKeepsTtls(Broken):
    """`mset` keeps the old deadline of a key if its entry has no TTL."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        left = {entry.key: await self.ttl(entry.key) for entry in entries if entry.ttl is None}
        await super().mset(entries)
        for key, ttl in left.items():
            if ttl is not None and ttl != math.inf:
                await self.expire(key, ttl)


class MsetFirstWins(Broken):
    """If two entries have the same key, `mset` writes the first one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-15"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(list({entry.key: entry for entry in reversed(entries)}.values()))


class EmptyBatchRaises(Broken):
    """`mget` without keys raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-12"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            message = "wrong number of arguments for 'mget'"
            raise RuntimeError(message)
        return await super().mget(keys)


class SmallBatches(Broken):
    """`mset` writes only the first 1,000 entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-12"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        await super().mset(entries[:1_000])


class SharedValues(Broken):
    """`set` stores the caller's object, not a copy."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-13"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, b"", ttl=ttl, only_if=only_if)
        if written:
            bare(self).values[key] = value
        return written


class SharedReplies(Broken):
    """`mget` returns the same list object again for the same keys."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-13"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        answers: dict[tuple[str, ...], list[bytes | None]] = self.notes.setdefault("answers", {})
        current = await super().mget(keys)
        kept = answers.get(tuple(keys))
        if kept is None or (kept and kept != current):
            answers[tuple(keys)] = kept = current
        return kept


class StreamReadsAsMissing(Broken):
    """`get` returns `None` for a stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def get(self, key: str) -> bytes | None:
        try:
            return await super().get(key)
        except BackendFailed:
            return None


class SetRefusesAStream(Broken):
    """`set` raises if the key holds a stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        await self.get(key)
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class ExistsFindsOnlyValues(Broken):
    """`exists` returns False for a stream."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-14"})

    async def exists(self, key: str) -> bool:
        return (await self.mget([key]))[0] is not None


class MsetReturnsEarly(Broken):
    """`mset` returns before it has written its entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"KV-11"})

    async def mset(self, entries: Sequence[Entry]) -> None:
        writing = asyncio.create_task(super().mset(entries))
        self.notes.setdefault("writing", []).append(writing)


class TornSet(Broken):
    """`set` deletes the old value, lets other tasks run, and then writes the new one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"MDL-1"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is None and await self.delete([key]):
            await others_turn()
        return await super().set(key, value, ttl=ttl, only_if=only_if)


class PersistIgnoresOneValue(Broken):
    """`persist` does nothing for a key that holds -7, which only random calls find."""

    breaks: ClassVar[frozenset[str]] = frozenset({"MDL-1"})
    needs_many_runs: ClassVar[bool] = True

    async def persist(self, key: str) -> bool:
        if (await self.mget([key]))[0] == b"-7":
            return False
        return await super().persist(key)
