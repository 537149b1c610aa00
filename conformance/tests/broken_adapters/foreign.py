"""Adapters that assume that every key and every field name is UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import START, Pattern, ScanPage, StreamEntry

from broken_adapters.breaking import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScanReplacesBytes(Broken):
    """`scan` decodes keys with `errors="replace"`, so it returns keys that don't exist."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-8"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        page = await super().scan(pattern, cursor=cursor, count=count)
        return ScanPage(
            page.cursor,
            [
                key.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                for key in page.keys
            ],
        )


class KeysAreEncodedStrictly(Broken):
    """`increment` encodes its key strictly, so it raises for a key that isn't UTF-8."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-8"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        return await super().increment(key.encode().decode(), delta, ttl=ttl)


class PatternOfCharacters(Broken):
    """`scan` matches a pattern that ends in `??` against characters instead of bytes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-9"})

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        if not pattern.endswith("??"):
            return await super().scan(pattern, cursor=cursor, count=count)
        page = await super().scan("*", cursor=cursor, count=count)
        matches, length = Pattern(f"{pattern[:-2]}*").matches, len(pattern.replace("\\", ""))
        return ScanPage(
            page.cursor, [key for key in page.keys if matches(key) and len(key) == length]
        )


class PrefixEndsAtTheGreatestByte(Broken):
    """`delete_prefix` skips keys in which the byte 0xff follows the prefix."""

    breaks: ClassVar[frozenset[str]] = frozenset({"SCN-9"})

    async def delete_prefix(self, prefix: str) -> int:
        first = prefix.encode("utf-8", "surrogateescape")
        deleted = 0
        for key in list(self._keyspace.values):
            if (
                first <= key.encode("utf-8", "surrogateescape") < first + b"\xff"
                and self._keyspace.find(key) is not None
            ):
                deleted += await self.delete([key])
        return deleted


class FieldsOfAllOrNone(Broken):
    """`xrange` returns no entries if one field name isn't UTF-8."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-24"})

    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        entries = await super().xrange(stream, start, end, count=count)
        try:
            return [
                StreamEntry(
                    entry.id,
                    {name.encode().decode(): value for name, value in entry.fields.items()},
                )
                for entry in entries
            ]
        except UnicodeError:
            return []


class NonUtf8FieldsAreDropped(Broken):
    """`xadd` drops fields whose names aren't UTF-8."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-24"})

    async def xadd(self, stream: str, fields: Mapping[str, bytes], **options: Any) -> str:
        kept = {
            name: value
            for name, value in fields.items()
            if name.encode("utf-8", "replace").decode() == name
        }
        return await super().xadd(stream, kept, **options)
