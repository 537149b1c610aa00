"""Mutations of what a method does, rather than of its arguments."""

from __future__ import annotations

import asyncio
import functools
import math
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode, StoreError, store_error

if TYPE_CHECKING:
    from generated_adapters.changes import Method

READS: Final = (
    "get",
    "exists",
    "ttl",
    "mget",
    "xlen",
    "xrange",
    "xrevrange",
    "xgroups",
    "xpending",
)
WRITES: Final = (
    "getdel",
    "set",
    "delete",
    "expire",
    "persist",
    "mset",
    "increment",
    "set_nx",
    "compare_delete",
    "compare_expire",
    "acquire",
    "xadd",
    "xtrim",
    "xdel",
    "xgroup_create",
    "xgroup_destroy",
    "xreadgroup",
    "xack",
    "xautoclaim",
    "delete_prefix",
)
KEEPING: Final = (
    "increment",
    "xadd",
    "xtrim",
    "xdel",
    "xgroup_create",
    "xgroup_destroy",
    "xreadgroup",
    "xack",
    "xautoclaim",
)
REFUSING: Final = ("set", "set_nx", "compare_delete", "compare_expire", "acquire")


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments and isinstance(arguments[0], str) else None


def cached(method: str, original: Method, *, keeps: str) -> Method:
    """Answer again what this client was answered before, until it writes something itself."""

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept: dict[Any, Any] = self.notes.setdefault("cache", {})
        asked = (method, repr(args), repr(kwargs))
        if asked in kept:
            return kept[asked]
        answer = await original(self, *args, **kwargs)
        is_hit = answer not in (None, False, [], 0)
        if keeps == "all" or (keeps == "hits") is is_hit:
            kept[asked] = answer
        return answer

    return changed


def forgetting_cache(method: str, original: Method) -> Method:
    """Write, and forget what was cached."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.notes.pop("cache", None)
        try:
            return await original(self, *args, **kwargs)
        finally:
            self.notes.pop("cache", None)

    return changed


def clearing_ttl(method: str, original: Method) -> Method:
    """Remove the TTL of the key."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await original(self, *args, **kwargs)
        key = _first(args)
        if key is not None:
            self._keyspace.deadlines.pop(key, None)
        return answer

    return changed


def renewing_ttl(method: str, original: Method) -> Method:
    """Give the key a TTL of ten minutes, if it had any."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = _first(args)
        had = key is not None and key in self._keyspace.deadlines
        answer = await original(self, *args, **kwargs)
        if had and self._keyspace.find(key) is not None:
            self._keyspace.expire(key, 600.0)
        return answer

    return changed


def keeping_ttl(method: str, original: Method) -> Method:
    """Keep the former TTL of the key, whatever the call says."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        keys = _keys(args)
        left = {key: await self.ttl(key) for key in keys}
        answer = await original(self, *args, **kwargs)
        for key, seconds in left.items():
            if seconds is not None and seconds != math.inf:
                self._keyspace.expire(key, seconds)
        return answer

    return changed


def _keys(args: tuple[Any, ...]) -> list[str]:
    if isinstance(args[0], str):
        return [args[0]]
    return [getattr(each, "key", each) for each in args[0]]


def twice(method: str, original: Method) -> Method:
    """Send the call again, as after a lost reply."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        await original(self, *args, **kwargs)
        return await original(self, *args, **kwargs)

    return changed


def swallowing(method: str, original: Method) -> Method:
    """Return an empty result instead of an error."""
    empty: Any = {
        "get": None,
        "getdel": None,
        "increment": 0,
        "xadd": "0-1",
        "set_nx": False,
        "acquire": None,
    }.get(method, False if method.startswith(("compare", "xgroup_")) else [])

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except StoreError as error:
            if error.code in {ErrorCode.STORE_CLOSED, ErrorCode.STORE_CONFIGURATION_INVALID}:
                raise
            return empty

    return changed


def other_code(method: str, original: Method) -> Method:
    """Raise every error with the most general code."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except StoreError as error:
            if error.code == ErrorCode.STORE_OPERATION_FAILED:
                raise store_error(
                    ErrorCode.STORE_CONNECTION_FAILED, "x", backend="memory"
                ) from None
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "x", backend="memory") from None

    return changed


def naming_the_key(method: str, original: Method) -> Method:
    """Put the key into every error."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except StoreError as error:
            raise store_error(error.code, f"failed for {args[0]}", backend="memory") from None

    return changed


def without_backend(method: str, original: Method) -> Method:
    """Leave the backend's name out of every error."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except StoreError as error:
            raise store_error(error.code, "x") from None

    return changed


def negating(method: str, original: Method) -> Method:
    """Return the opposite."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return not await original(self, *args, **kwargs)

    return changed


def off_by_one(method: str, original: Method) -> Method:
    """Return one more."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await original(self, *args, **kwargs) + 1

    return changed


def always(answer: Any, method: str, original: Method) -> Method:
    """Return the same answer, whatever happened."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        await original(self, *args, **kwargs)
        return answer

    return changed


def silent(method: str, original: Method) -> Method:
    """Do nothing on an existing key, and say that it was done."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.notes.setdefault("calls", 0) % 3 == 2:
            self.notes["calls"] += 1
            return True
        self.notes["calls"] += 1
        return await original(self, *args, **kwargs)

    return changed


def number_text(method: str, original: Method) -> Method:
    """Return True and False as 1 and 0."""
    del method

    @functools.wraps(original)
    async def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return int(await original(self, *args, **kwargs))

    return changed


async def others_turn() -> None:
    """Let other tasks run, where a real adapter would wait for its backend."""
    await asyncio.sleep(0)


async def _getdel(self: Any, key: str) -> Any:
    value = await self.get(key)
    await others_turn()
    if value is not None:
        await self.delete([key])
    return value


async def _set(
    self: Any, key: str, value: bytes, *, ttl: float | None = None, only_if: Any = None
) -> bool:
    if only_if is not None:
        found = await self.exists(key)
        await others_turn()
        if found is (only_if == "absent"):
            return False
    self._keyspace.put(key, bytes(value), ttl, evictable=True)
    return True


async def _delete(self: Any, keys: Any) -> int:
    there = [key for key in dict.fromkeys(keys) if await self.exists(key)]
    await others_turn()
    for key in there:
        if self._keyspace.find(key) is not None:
            self._keyspace.remove(key)
    return len(there)


async def _persist(self: Any, key: str) -> bool:
    left = await self.ttl(key)
    await others_turn()
    self._keyspace.deadlines.pop(key, None)
    return left is not None and left != math.inf


async def _increment(self: Any, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
    value = await self.get(key)
    left = await self.ttl(key)
    await others_turn()
    number = int(value or 0) + delta
    rest = ttl if left in (None, math.inf) else left
    self._keyspace.put(key, b"%d" % number, rest, evictable=False)
    return number


async def _set_nx(self: Any, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
    if await self.exists(key):
        return False
    await others_turn()
    self._keyspace.put(key, bytes(owner), ttl, evictable=False)
    return True


async def _compare_delete(self: Any, key: str, owner: bytes) -> bool:
    if await self.get(key) != owner:
        return False
    await others_turn()
    if self._keyspace.find(key) is not None:
        self._keyspace.remove(key)
    return True


SPLIT: Final[dict[str, Any]] = {
    "getdel": _getdel,
    "set": _set,
    "delete": _delete,
    "persist": _persist,
    "increment": _increment,
    "set_nx": _set_nx,
    "compare_delete": _compare_delete,
}
"""Methods in two steps, between which other tasks run."""
