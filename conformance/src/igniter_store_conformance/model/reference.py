"""The contract as a plain reference: one dict, and a check of the clock on every call.

It is slow and simple on purpose.

Rule: values that a backend is free to choose (the id of a new entry) are passed to the reference.
    It derives everything else by itself.
Rule: the reference has its own clock. The machine moves it by steps on which no TTL, idle time or
    wait ends, so the real time between two calls decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeGuard

from igniter_store.contract import Entry, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Id: TypeAlias = tuple[int, int]

NOTHING: Final[Id] = (0, 0)
"""The last id of a group that has read nothing."""


def is_id(value: object) -> TypeGuard[Id]:
    """Return True for an id, and for no other argument or answer."""
    return isinstance(value, tuple)


Found: TypeAlias = tuple[Id, dict[str, bytes]]


class RefusedCall(Exception):  # noqa: N818 - an answer
    """Raised with the code that the contract defines for a call."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Delivery:
    """The last consumer of an entry, the time of its delivery, and the delivery count."""

    consumer: str
    at: float
    times: int


@dataclass
class Group:
    """A group's position, and its pending entries."""

    position: Id
    pending: dict[Id, Delivery] = field(default_factory=dict[Id, Delivery])


@dataclass
class Stream:
    """Entries, groups, and every id that was ever issued."""

    issued: list[Id] = field(default_factory=list[Id])
    entries: dict[Id, dict[str, bytes]] = field(default_factory=dict[Id, dict[str, bytes]])
    groups: dict[str, Group] = field(default_factory=dict[str, Group])

    @property
    def last(self) -> Id:
        """The last id that was issued."""
        return self.issued[-1] if self.issued else NOTHING


@dataclass
class Held:
    """The value of a key, and its deadline."""

    value: bytes | Stream
    ends: float = math.inf


@dataclass(eq=False)
class BlockedRead:
    """A blocked read, and once it has ended its answer or the code that it raised."""

    stream: str
    group: str
    consumer: str
    count: int | None
    until: float
    answer: list[Found] | ErrorCode | None = None


class Reference:
    """Every capability.

    Methods are named as in the contract; ids are pairs of numbers.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.held: dict[str, Held] = {}
        self.waiting: list[BlockedRead] = []

    def live(self, key: str) -> Held | None:
        """The value of a key, unless it has expired."""
        held = self.held.get(key)
        return held if held is not None and self.now < held.ends else None

    def names(self) -> list[str]:
        """Every live key."""
        return sorted(key for key in self.held if self.live(key) is not None)

    def lose(self, key: str) -> None:
        """Remove a key, and end the blocked reads of its groups."""
        self.held.pop(key, None)
        self.wake(key, None)

    def write(self, key: str, value: bytes | Stream, ttl: float | None) -> None:
        """Replace the value of a key."""
        self.lose(key)
        self.held[key] = Held(value, math.inf if ttl is None else self.now + ttl)

    def advance(self, seconds: float) -> None:
        """Move time forward."""
        end = self.now + seconds
        for waiting in self.waiting:
            held = self.held.get(waiting.stream)
            gone = math.inf if held is None else held.ends
            if waiting.answer is None and min(waiting.until, gone) <= end:
                waiting.answer = (
                    [] if waiting.until < gone else ErrorCode.STORE_STREAM_GROUP_MISSING
                )
        self.now = end

    # Key-value

    def get(self, key: str) -> bytes | None:
        """See the contract."""
        held = self.live(key)
        if held is None:
            return None
        if isinstance(held.value, Stream):
            raise RefusedCall(ErrorCode.STORE_OPERATION_FAILED)
        return held.value

    def getdel(self, key: str) -> bytes | None:
        """See the contract."""
        value = self.get(key)
        if value is not None:
            self.lose(key)
        return value

    def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: str | None = None
    ) -> bool:
        """See the contract."""
        is_there = self.live(key) is not None
        if (only_if == "absent" and is_there) or (only_if == "present" and not is_there):
            return False
        self.write(key, value, ttl)
        return True

    def delete(self, keys: Sequence[str]) -> int:
        """See the contract."""
        there = [key for key in dict.fromkeys(keys) if self.live(key) is not None]
        for key in there:
            self.lose(key)
        return len(there)

    def exists(self, key: str) -> bool:
        """See the contract."""
        return self.live(key) is not None

    def expire(self, key: str, ttl: float) -> bool:
        """See the contract."""
        held = self.live(key)
        if held is None:
            return False
        held.ends = self.now + ttl
        return True

    def persist(self, key: str) -> bool:
        """See the contract."""
        held = self.live(key)
        if held is None or held.ends == math.inf:
            return False
        held.ends = math.inf
        return True

    def ttl(self, key: str) -> float | None:
        """See the contract."""
        held = self.live(key)
        return None if held is None else held.ends - self.now

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """See the contract."""
        found = [self.live(key) for key in keys]
        return [
            held.value if held is not None and isinstance(held.value, bytes) else None
            for held in found
        ]

    def mset(self, entries: Sequence[Entry]) -> None:
        """See the contract."""
        for entry in entries:
            self.write(entry.key, entry.value, entry.ttl)

    # Counters and claims

    def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        """See the contract."""
        held = self.live(key)
        text = b"0" if held is None else held.value
        if (
            isinstance(text, Stream)
            or not _is_integer(text)
            or not -(2**63) <= int(text) + delta < 2**63
        ):
            raise RefusedCall(ErrorCode.STORE_INCREMENT_FAILED)
        ends = math.inf if held is None else held.ends
        if ends == math.inf and ttl is not None:
            ends = self.now + ttl
        number = int(text) + delta
        self.held[key] = Held(b"%d" % number, ends)
        return number

    def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        """See the contract."""
        return self.set(key, owner, ttl=ttl, only_if="absent")

    def compare_delete(self, key: str, owner: bytes) -> bool:
        """See the contract."""
        return self.get(key) == owner and self.delete([key]) == 1

    def compare_expire(self, key: str, owner: bytes, ttl: float) -> bool:
        """See the contract."""
        return self.get(key) == owner and self.expire(key, ttl)

    def acquire(self, key: str, owner: bytes, ttl: float) -> bool | None:
        """See the contract; True stands for the backend's token.

        The token depends on the backend's clock and on its count of acquisitions.
        """
        return True if self.set_nx(key, owner, ttl=ttl) else None

    def delete_prefix(self, prefix: str) -> int:
        """See the contract."""
        return self.delete([key for key in self.names() if key[: len(prefix)] == prefix])

    # Streams

    def stream(self, key: str) -> Stream | None:
        """The stream under a key, which must not hold a value."""
        held = self.live(key)
        if held is None:
            return None
        if isinstance(held.value, bytes):
            raise RefusedCall(ErrorCode.STORE_OPERATION_FAILED)
        return held.value

    def made(self, key: str) -> Stream:
        """The stream under a key, created if it is missing."""
        stream = self.stream(key)
        if stream is None:
            stream = Stream()
            self.write(key, stream, None)
        return stream

    def group(self, key: str, group: str) -> tuple[Stream, Group]:
        """An existing group; a missing one is refused."""
        stream = self.stream(key)
        if stream is None or group not in stream.groups:
            raise RefusedCall(ErrorCode.STORE_STREAM_GROUP_MISSING)
        return stream, stream.groups[group]

    def wake(self, key: str, group: str | None) -> None:
        """End the blocked reads of a group, or of all groups, that no longer exist."""
        for waiting in self.waiting:
            if waiting.stream == key and group in {None, waiting.group} and waiting.answer is None:
                waiting.answer = ErrorCode.STORE_STREAM_GROUP_MISSING

    def xadd(
        self,
        key: str,
        fields: Mapping[str, bytes],
        *,
        new_id: Id,
        max_len: int | None = None,
        approximate: bool = False,
    ) -> Id:
        """See the contract; `new_id` is the id that the backend has chosen."""
        stream = self.made(key)
        stream.issued.append(new_id)
        stream.entries[new_id] = dict(fields)
        for waiting in self.waiting:
            if waiting.stream == key and waiting.answer is None:
                waiting.answer = (
                    self.xreadgroup(key, waiting.group, waiting.consumer, count=waiting.count)
                    or None
                )
        if max_len is not None:
            self.xtrim(key, max_len, approximate=approximate)
        return new_id

    def xlen(self, key: str) -> int:
        """See the contract."""
        stream = self.stream(key)
        return 0 if stream is None else len(stream.entries)

    def xtrim(self, key: str, max_len: int, *, approximate: bool = False) -> int:
        """See the contract; only exact trimming is used."""
        del approximate
        stream = self.stream(key)
        return (
            0 if stream is None else self.xdel(key, sorted(stream.entries, reverse=True)[max_len:])
        )

    def xdel(self, key: str, ids: Sequence[Id]) -> int:
        """See the contract."""
        stream = self.stream(key)
        if stream is None:
            return 0
        there = [i for i in dict.fromkeys(ids) if i in stream.entries]
        for i in there:
            del stream.entries[i]
        return len(there)

    def xrange(
        self, key: str, start: Id | str = "-", end: Id | str = "+", *, count: int | None = None
    ) -> list[Found]:
        """See the contract; bounds are ids, `-` and `+`."""
        stream = self.stream(key)
        if stream is None:
            return []
        low = (-1, 0) if isinstance(start, str) else start
        high = (2**64, 0) if isinstance(end, str) else end
        return _entries(stream, [i for i in sorted(stream.entries) if low <= i <= high][:count])

    def xrevrange(
        self, key: str, end: Id | str = "+", start: Id | str = "-", *, count: int | None = None
    ) -> list[Found]:
        """See the contract."""
        return self.xrange(key, start, end)[::-1][:count]

    def xgroup_create(self, key: str, group: str, start: Id | str = "0") -> bool:
        """See the contract."""
        stream = self.made(key)
        if group in stream.groups:
            return False
        position = start if isinstance(start, tuple) else {"0": NOTHING, "$": stream.last}[start]
        stream.groups[group] = Group(position)
        return True

    def xgroup_destroy(self, key: str, group: str) -> bool:
        """See the contract."""
        stream = self.stream(key)
        if stream is None or stream.groups.pop(group, None) is None:
            return False
        self.wake(key, group)
        return True

    def xreadgroup(
        self,
        key: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        history: bool = False,
    ) -> list[Found]:
        """See the contract; without blocking."""
        stream, reading = self.group(key, group)
        if history:
            chosen = [
                i
                for i in sorted(reading.pending)
                if reading.pending[i].consumer == consumer and i in stream.entries
            ][:count]
        else:
            chosen = [i for i in sorted(stream.entries) if i > reading.position][:count]
            reading.position = max([reading.position, *chosen])
        self._hand(reading, consumer, chosen)
        return _entries(stream, chosen)

    def xgroups(self, key: str) -> list[tuple[str, int, Id]]:
        """Name, pending count and position of each group."""
        stream = self.stream(key)
        return (
            []
            if stream is None
            else [
                (name, len(group.pending), group.position)
                for name, group in sorted(stream.groups.items())
            ]
        )

    def xack(self, key: str, group: str, ids: Sequence[Id]) -> int:
        """See the contract."""
        stream = self.stream(key)
        if stream is None or group not in stream.groups:
            return 0
        pending = stream.groups[group].pending
        return len([pending.pop(i) for i in dict.fromkeys(ids) if i in pending])

    def xpending(
        self,
        key: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[tuple[Id, str, float, int]]:
        """Id, consumer, idle time and delivery count of each pending entry."""
        _, reading = self.group(key, group)
        listed = [
            (i, of.consumer, self.now - of.at, of.times)
            for i, of in sorted(reading.pending.items())
        ]
        return [of for of in listed if consumer in {None, of[1]} and of[2] >= (min_idle or 0)][
            :count
        ]

    def xautoclaim(
        self, key: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[Found]:
        """See the contract."""
        stream, reading = self.group(key, group)
        chosen: list[Id] = []
        for i in sorted(reading.pending):
            if len(chosen) == count:
                break
            if i not in stream.entries:
                del reading.pending[i]
            elif self.now - reading.pending[i].at >= min_idle:
                chosen.append(i)
        self._hand(reading, consumer, chosen)
        return _entries(stream, chosen)

    def _hand(self, reading: Group, consumer: str, chosen: list[Id]) -> None:
        for i in chosen:
            times = reading.pending[i].times if i in reading.pending else 0
            reading.pending[i] = Delivery(consumer, self.now, times + 1)

    def has_deleted_pending(self, key: str) -> bool:
        """Return True if a group of the stream has a pending entry that was deleted."""
        held = self.live(key)
        if held is None or isinstance(held.value, bytes):
            return False
        return any(
            i not in held.value.entries
            for group in held.value.groups.values()
            for i in group.pending
        )


def answer_of(
    reference: Reference, name: str, arguments: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """The reference's answer, or the code of its refusal."""
    try:
        return getattr(reference, name)(*arguments, **options)
    except RefusedCall as refused:
        return refused.code


def _is_integer(text: bytes) -> bool:
    try:
        return str(int(text)).encode() == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


def _entries(stream: Stream, ids: Sequence[Id]) -> list[Found]:
    return [(i, dict(stream.entries[i])) for i in ids]
