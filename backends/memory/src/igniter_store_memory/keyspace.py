"""The data of one in-memory database: keys with values and deadlines, as in a Redis server.

Rule: `find` is the only way to read a key. It never returns an expired key, whether or not the key
    was swept.
Rule: No method awaits, so every method is one atomic step. Only one event loop at a time uses a
    keyspace.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from cachetools import LRUCache, TTLCache
from igniter_store.contract import Clock, ErrorCode, Timer, TimerClock, store_error

from igniter_store_memory.errors import ERRORS, NAME
from igniter_store_memory.log import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_memory.channels import Channels

Value: TypeAlias = bytes | Log
V = TypeVar("V")

# Keys removed at once: about a millisecond of work, so that no caller waits for long.
_SWEEP_STEP: Final = 1_000
_SWEEP_PAUSE: Final = 0.01  # keys that expire within this many seconds are removed together
_SMALL: Final = 1_024  # fewer removals or stale heap entries than this aren't cleaned up
# A table with more bytes per key than this is copied; a table that just grew has about 100.
_SPARSE: Final = 800
# The total number of keys that active scans remember, about 160 MB. Beyond it, the oldest scans
# are dropped.
_SCANNED_KEYS: Final = 20_000_000
_SCAN_LIFETIME: Final = 600.0  # seconds after which an abandoned scan is dropped


class Keyspace:
    """Values and deadlines, in two tables, so that a key without a TTL doesn't pay for one.

    Attributes:
        values: the value of each key, including expired keys that aren't swept yet.
        unrecorded: the same table as `values`, or an empty one if `max_keys` makes every read of a
            value count as its use.
        deadlines: the time at which each key with a TTL expires, on the scale of `now`.
        now: seconds on a monotonic scale, unless the caller injected a clock.
        channels: the live subscriptions.
        scans: the keys of each active scan, by its number.
    """

    def __init__(self, clock: Clock | None, max_keys: int | None, channels: Channels) -> None:
        self.values: dict[str, Value] = {}
        self.unrecorded: dict[str, Value] = self.values if max_keys is None else {}
        self.deadlines: dict[str, float] = {}
        self.clock = clock
        self.max_keys = max_keys
        self.now: Clock = time.monotonic if clock is None else clock
        self.channels = channels
        self.scans: TTLCache[int, list[str]] = TTLCache(
            _SCANNED_KEYS,
            _SCAN_LIFETIME,
            timer=self.now,
            getsizeof=lambda names: min(len(names), _SCANNED_KEYS),
        )
        # With the system's clock, deadlines are monotonic, and ids and tokens use the time of day
        # that corresponds to the monotonic time.
        self._epoch = time.time() - time.monotonic() if clock is None else 0.0
        self._waits = clock if isinstance(clock, TimerClock) else None
        # Plain values in the order of their last use. These keys may be evicted if there are more
        # than `max_keys`.
        self._evictable: LRUCache[str, None] | None = (
            None if max_keys is None else LRUCache(math.inf)
        )
        self._heap: list[tuple[float, str]] = []
        self._removals = 0
        self._timer: Timer | None = None
        self._timer_due = math.inf
        self._timer_loop: asyncio.AbstractEventLoop | None = None

    def milliseconds(self) -> int:
        """Return the time of day in milliseconds, for ids and tokens."""
        # Rounded, since a clock that was moved by 0.001 returns a float just below or above the
        # millisecond.
        return round((self.now() + self._epoch) * 1000)

    def find(self, key: str) -> Value | None:
        """Return the value of `key`, or `None` if there is no live key."""
        value = self.values.get(key)
        if value is not None and self.deadlines and self.deadlines.get(key, math.inf) <= self.now():
            self.remove(key)
            return None
        if self._evictable is not None and key in self._evictable:
            self._evictable[key]
        return value

    def find_bytes(self, key: str) -> bytes | None:
        """Like `find`, for a key that must not hold a stream."""
        value = self.find(key)
        if isinstance(value, Log):
            raise _wrong_kind("a stream", "a value")
        return value

    def find_log(self, key: str) -> Log | None:
        """Like `find`, for a key that must hold a stream."""
        value = self.find(key)
        if value is None or isinstance(value, Log):
            return value
        raise _wrong_kind("a value", "a stream")

    def put(self, key: str, value: Value, ttl: float | None, *, evictable: bool = False) -> None:
        """Replace the value of `key` and its TTL."""
        old = self.values.get(key)
        if isinstance(old, Log):
            old.vanish()
        self.values[key] = value
        if ttl is not None:
            self.set_deadline(key, ttl)
        elif self.deadlines:
            self.deadlines.pop(key, None)
        if self._evictable is not None:
            self._make_room(self._evictable, key, may_go=evictable)

    def replace(self, key: str, value: bytes) -> None:
        """Replace the value of a live key and keep its TTL; the key is no longer evicted."""
        self.values[key] = value
        if self._evictable is not None:
            self._evictable.pop(key, None)

    def set_deadline(self, key: str, ttl: float) -> None:
        """Let `key` expire `ttl` seconds from now."""
        deadline = self.now() + ttl
        self.deadlines[key] = deadline
        heapq.heappush(self._heap, (deadline, key))
        if len(self._heap) > 2 * len(self.deadlines) + _SMALL:
            self._heap = [(due, name) for name, due in self.deadlines.items()]
            heapq.heapify(self._heap)
        self._arm()

    def remove(self, key: str) -> None:
        """Remove a key that exists."""
        value = self.values.pop(key)
        self.deadlines.pop(key, None)
        if self._evictable is not None:
            self._evictable.pop(key, None)
        if isinstance(value, Log):
            value.vanish()
        self._removals += 1
        if self._removals >= _SMALL:
            self._give_back()

    def watch(self) -> None:
        """Sweep expired keys; the event loop of the previous timer may be closed."""
        if self._heap:
            self._arm()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `delay` seconds.

        The injected clock measures the delay if it has timers; otherwise these are real seconds.
        """
        if self._waits is not None:
            return self._waits.call_later(delay, callback)
        return asyncio.get_running_loop().call_later(delay, callback)

    def _make_room(self, evictable: LRUCache[str, None], written: str, *, may_go: bool) -> None:
        evictable.pop(written, None)
        # `max_keys` is set whenever `evictable` is.
        while len(self.values) > self.max_keys and evictable:  # type: ignore[operator]
            self.remove(evictable.popitem()[0])
        if may_go:
            evictable[written] = None

    def _arm(self) -> None:
        loop = None if self._waits is not None else asyncio.get_running_loop()
        if (
            self._timer is not None
            and self._timer_due <= self._heap[0][0]
            and self._timer_loop is loop
        ):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(self._heap[0][0] - self.now(), 0.0) + _SWEEP_PAUSE
        self._timer_due = self._heap[0][0]
        self._timer_loop = loop
        self._timer = self.call_later(delay, _sweep_if_alive(weakref.ref(self)))

    def sweep(self) -> None:
        """Remove some of the expired keys, and schedule the next sweep for the rest."""
        self._timer = None
        now = self.now()
        for _ in range(_SWEEP_STEP):
            if not self._heap or self._heap[0][0] > now:
                break
            deadline, key = heapq.heappop(self._heap)
            if self.deadlines.get(key) == deadline:
                self.remove(key)
        if self._heap:
            self._arm()
        else:
            self._give_back()

    def _give_back(self) -> None:
        self._removals = 0
        self.values, self.deadlines = _compact(self.values), _compact(self.deadlines)
        if self.max_keys is None:
            self.unrecorded = self.values


def _compact(table: dict[str, V]) -> dict[str, V]:
    # A dict keeps the largest size that it ever needed; a copy has the size that it needs now.
    return dict(table) if sys.getsizeof(table) > _SPARSE * (len(table) + 1) else table


def _sweep_if_alive(keyspace: weakref.ref[Keyspace]) -> Callable[[], None]:
    # A timer far in the future must not keep the data of an unused adapter in memory.
    def sweep() -> None:
        alive = keyspace()
        if alive is not None:
            alive.sweep()

    return sweep


def _wrong_kind(held: str, wanted: str) -> Exception:
    return store_error(
        ErrorCode.STORE_OPERATION_FAILED,
        f"The key holds {held}, but was used as {wanted}. Use another key, or delete this one.",
        backend=NAME,
        details={"holds": held, "wanted": wanted},
    )


class ClosedKeyspace:
    """Replaces the keyspace of a closed adapter, so that every operation fails (LIF-2)."""

    def __getattr__(self, name: str) -> Any:
        raise ERRORS.closed()


class InheritedKeyspace:
    """Replaces the keyspace after the process was forked.

    Changes to the parent's data aren't visible in the child.
    """

    def __getattr__(self, name: str) -> Any:
        raise ERRORS.inherited()
