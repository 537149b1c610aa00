"""Values: Redis's strings."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.contract.errors import StoreError
from igniter_store.contract.keyvalue import Condition, Entry, KeyValue
from igniter_store.redis_commands.replies import (
    count,
    data_or_none,
    flag,
    milliseconds_left,
    ok,
    ok_or_none,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from igniter_store.redis_commands.client import CommandClient


T = TypeVar("T")

_NO_KEY: Final = -2  # the reply of PTTL for a missing key; -1 means no TTL


def milliseconds(seconds: float) -> int:
    """Convert seconds, rounded up so that a key never lives shorter than its TTL."""
    return max(1, math.ceil(seconds * 1000))


class CommandKeyValue(KeyValue):
    """Implements `KeyValue` with commands."""

    _commands: CommandClient

    async def get(self, key: str) -> bytes | None:
        return await self._commands.read("GET", key, read=data_or_none)

    async def getdel(self, key: str) -> bytes | None:
        return await self._commands.write("GETDEL", key, read=data_or_none)

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if ttl is None and only_if is None:
            return await self._commands.write("SET", key, value, read=ok)
        words: list[Any] = ["SET", key, value]
        if ttl is not None:
            words += ["PX", milliseconds(ttl)]
        if only_if is not None:
            words += ["NX" if only_if == "absent" else "XX"]
        return await self._commands.write(*words, read=ok if only_if is None else ok_or_none)

    async def delete(self, keys: Sequence[str]) -> int:
        commands = self._commands
        commands.require_open()
        removing = [
            commands.write("DEL", *[keys[place] for place in group], read=count)
            for group in commands.group_by_slot(keys)
        ]
        return sum(await all_of(removing, write=True))

    async def exists(self, key: str) -> bool:
        return await self._commands.read("EXISTS", key, read=flag)

    async def expire(self, key: str, ttl: float) -> bool:
        return await self._commands.write("PEXPIRE", key, milliseconds(ttl), read=flag)

    async def persist(self, key: str) -> bool:
        return await self._commands.write("PERSIST", key, read=flag)

    async def ttl(self, key: str) -> float | None:
        left = await self._commands.read("PTTL", key, read=milliseconds_left)
        if left == _NO_KEY:
            return None
        # A key in its last millisecond returns 0.
        return math.inf if left == -1 else max(left, 1) / 1000

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        commands = self._commands
        commands.require_open()
        groups = commands.group_by_slot(keys)
        if len(groups) == 1:
            return await commands.read("MGET", *keys, read=values(len(keys)))
        asking = [
            commands.read("MGET", *[keys[place] for place in group], read=values(len(group)))
            for group in groups
        ]
        found: list[bytes | None] = [None] * len(keys)
        for group, answer in zip(groups, await all_of(asking, write=False), strict=True):
            for place, value in zip(group, answer, strict=True):
                found[place] = value
        return found

    async def mset(self, entries: Sequence[Entry]) -> None:
        commands = self._commands
        commands.require_open()
        groups = commands.group_by_slot([entry.key for entry in entries])
        await all_of(
            [self._mset([entries[place] for place in group]) for group in groups], write=True
        )

    async def _mset(self, entries: Sequence[Entry]) -> None:
        if all(entry.ttl is None for entry in entries):
            await self._commands.write(
                "MSET", *[word for entry in entries for word in (entry.key, entry.value)], read=ok
            )
            return
        arguments = [
            word
            for entry in entries
            for word in (entry.value, "" if entry.ttl is None else milliseconds(entry.ttl))
        ]
        await self._commands.run_write_script(
            "mset", [entry.key for entry in entries], *arguments, read=ok
        )


async def all_of(calls: Sequence[Coroutine[Any, Any, T]], *, write: bool) -> list[T]:
    """Return all results, or raise the first error after every call has finished.

    With `write`, `maybe_applied` of the error is True if any of the calls may have been applied.
    """
    if len(calls) == 1:
        return [await calls[0]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    error = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    if write and isinstance(error, StoreError):
        error.maybe_applied = any(
            not isinstance(answer, StoreError) or answer.maybe_applied for answer in answers
        )
    if error is not None:
        try:
            raise error
        finally:
            del answers, error  # avoids a reference cycle with this frame
    return [answer for answer in answers if not isinstance(answer, BaseException)]
