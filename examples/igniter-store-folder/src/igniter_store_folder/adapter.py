"""The adapter: its capabilities, operation by operation.

Rule: an operation reads and writes in one `step`, which no other operation interrupts.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from igniter_store.contract import (
    START,
    TOKEN_LIFETIME,
    Claims,
    Condition,
    Counters,
    Entry,
    ErrorCode,
    KeyValue,
    Pattern,
    Scan,
    ScanPage,
    escape,
    store_error,
)

from igniter_store_folder.files import Record, is_name
from igniter_store_folder.life_cycle import FolderLifeCycle

if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIMAL: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_RANGE: Final = range(-(2**63), 2**63)
_PAGE: Final = 1_000  # the most keys that one page examines, because all other calls wait for it


class FolderAdapter(FolderLifeCycle, KeyValue, Counters, Claims, Scan):
    """Stores keys as files in a folder, shared by any number of processes of one machine.

    Args:
        path: the folder; `open` creates it if it is missing. Don't keep anything else in it.
        clock: seconds since the epoch, the same for all users of the folder; by default the wall
            clock.
        timeout: seconds that an operation waits for others; then it raises `STORE_TIMEOUT`.
    """

    async def get(self, key: str) -> bytes | None:
        record = await self.alone(lambda: self.files.load(key))
        return None if record is None else record.value

    async def getdel(self, key: str) -> bytes | None:
        def step() -> bytes | None:
            record = self.files.load(key)
            if record is None:
                return None
            self.files.remove(key)
            return record.value

        return await self.alone(step)

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        def step() -> bool:
            if only_if is not None and self._is_there(key) != (only_if == "present"):
                return False
            self._store(key, value, ttl)
            return True

        return await self.alone(step)

    async def delete(self, keys: Sequence[str]) -> int:
        keys = tuple(keys)  # a cancelled caller may change its list while the step still reads it

        def step() -> int:
            removed = 0
            for key in keys:
                if self._is_there(key):
                    self.files.remove(key)
                    removed += 1
            return removed

        return await self.alone(step)

    async def exists(self, key: str) -> bool:
        return await self.alone(lambda: self._is_there(key))

    async def expire(self, key: str, ttl: float) -> bool:
        def step() -> bool:
            record = self.files.load(key)
            if record is None:
                return False
            self._store(key, record.value, ttl)
            return True

        return await self.alone(step)

    async def persist(self, key: str) -> bool:
        def step() -> bool:
            record = self.files.load(key)
            if record is None or record.deadline == math.inf:
                return False
            self._store(key, record.value, None)
            return True

        return await self.alone(step)

    async def ttl(self, key: str) -> float | None:
        def step() -> float | None:
            # Read before the record is loaded, so that some of its time is left.
            now = self.files.clock()
            record = self.files.load(key, whole=False)
            return None if record is None else record.deadline - now

        return await self.alone(step)

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        keys = tuple(keys)
        records = await self.alone(lambda: [self.files.load(key) for key in keys])
        return [None if record is None else record.value for record in records]

    async def mset(self, entries: Sequence[Entry]) -> None:
        entries = tuple(entries)

        def step() -> None:
            for entry in entries:
                self._store(entry.key, entry.value, entry.ttl)

        await self.alone(step)

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        def step() -> int:
            record = self.files.load(key) or Record(key, b"0")
            total = _added(record.value, delta)
            if record.deadline == math.inf:
                self._store(key, b"%d" % total, ttl)
            else:
                self.files.store(record._replace(value=b"%d" % total))
            return total

        return await self.alone(step)

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        return await self.set(key, owner, ttl=ttl, only_if="absent")

    async def compare_delete(self, key: str, owner: bytes) -> bool:
        def step() -> bool:
            if not self._is_held_by(owner, key):
                return False
            self.files.remove(key)
            return True

        return await self.alone(step)

    async def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        def step() -> bool:
            if not self._is_held_by(owner, key):
                return False
            self._store(key, owner, ttl)
            return True

        return await self.alone(step)

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        def step() -> int | None:
            if self._is_there(key):
                return None
            last = self.files.load(token_key)
            now = int(self.files.clock() * 1_000)
            token = now + 1 if last is None else _added(last.value, 1)
            # The token first: a process that is killed between the two has wasted a number. In the
            # other order, a number might be issued twice.
            self._store(token_key, b"%d" % token, TOKEN_LIFETIME)
            self._store(key, owner, ttl)
            return token

        return await self.alone(step)

    async def scan(self, pattern: str, *, cursor: str = START, count: int = 100) -> ScanPage:
        # The cursor is the last name that was examined: a place in the order of names, whether or
        # not the file still exists.
        if cursor != START and not is_name(cursor):
            raise store_error(
                ErrorCode.STORE_SCAN_FAILED,
                "No scan gave this cursor: begin again with '0'.",
                backend=self.name,
            )
        glob = Pattern(pattern)

        def step() -> ScanPage:
            keys: list[str] = []
            for looked_at, name in enumerate(
                self.files.names("" if cursor == START else cursor), start=1
            ):
                record = self.files.load_named(name, whole=False)
                if record is not None and glob.matches(record.key):
                    keys.append(record.key)
                if looked_at >= min(count, _PAGE):
                    return ScanPage(name, keys)
            return ScanPage(START, keys)

        return await self.alone(step)

    async def delete_prefix(self, prefix: str) -> int:
        removed, cursor = 0, START
        while True:
            page = await self.scan(escape(prefix) + "*", cursor=cursor)
            removed += await self.delete(page.keys)
            cursor = page.cursor
            if cursor == START:
                return removed

    def _is_there(self, key: str) -> bool:
        return self.files.load(key, whole=False) is not None

    def _is_held_by(self, owner: bytes, key: str) -> bool:
        record = self.files.load(key)
        return record is not None and record.value == owner

    def _store(self, key: str, value: bytes, ttl: float | None) -> None:
        self.files.store(Record(key, value, math.inf if ttl is None else self.files.clock() + ttl))


def _added(value: bytes, delta: int) -> int:
    if not _DECIMAL.fullmatch(value) or (number := int(value)) not in _RANGE:
        raise _not_counted(
            "The key holds no whole number of 64 bits: delete it, or count under another."
        )
    if number + delta in _RANGE:
        return number + delta
    raise _not_counted("The sum leaves the 64 bits of a counter: count in larger units.")


def _not_counted(message: str) -> Exception:
    return store_error(ErrorCode.STORE_INCREMENT_FAILED, message, backend=FolderAdapter.name)
