"""Logs of entries that the consumers of a group share, with a list of pending entries.

Pending entries were delivered and not yet acknowledged.

Rule: ids are `<milliseconds>-<sequence>`, two unsigned 64-bit numbers. They strictly increase
    within a stream, even if the clock goes back, or after every entry was deleted or trimmed. Only
    deleting the stream starts over (STR-1). `contract.stream_ids` parses ids.
Rule: an entry is delivered to one consumer of a group, and stays pending for that consumer until it
    is acknowledged or another consumer claims it (STR-6, STR-8).
Rule: an entry is never lost, even if a reader fails or is cancelled: it is either still new for the
    group, or pending (STR-16).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from msgspec import Struct

from igniter_store.contract.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StreamEntry(Struct, frozen=True):
    """One entry: its id, and its fields in the order in which they were added.

    The mapping belongs to the caller.
    """

    id: str
    fields: dict[str, bytes]


class GroupInfo(Struct, frozen=True):
    """One group of a stream.

    Attributes:
        name: the name of the group.
        consumers: the number of consumers known to the backend.
        pending: the number of entries that were delivered and not acknowledged.
        last_delivered_id: the id up to which the group has read; `0-0` at the beginning.
        lag: the number of entries that the group hasn't read yet, or `None` if the backend can't
            determine it.
    """

    name: str
    consumers: int
    pending: int
    last_delivered_id: str
    lag: int | None


class PendingEntry(Struct, frozen=True):
    """An entry that was delivered and isn't acknowledged yet.

    Attributes:
        id: the entry's id.
        consumer: the consumer that it was delivered to.
        idle: the seconds since its last delivery.
        deliveries: how often it was delivered.
    """

    id: str
    consumer: str
    idle: float
    deliveries: int


class Streams(Adapter):
    """Redis's X commands; the errors NOGROUP and UNBLOCKED become `STORE_STREAM_GROUP_MISSING`."""

    @abstractmethod
    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        """Append an entry and return its id; create the stream if it is missing (STR-1).

        The TTL of the stream is kept.

        Args:
            stream: the complete key.
            fields: at least one field; every backend accepts values of 0 bytes to at least 1 MiB,
                and any bytes (STR-15).
            max_len: also trim the stream to its newest `max_len` entries, as `xtrim` does, in the
                same step.
            approximate: see `xtrim`.
        """

    @abstractmethod
    async def xlen(self, stream: str) -> int:
        """Return the number of entries; 0 if the stream doesn't exist."""

    @abstractmethod
    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        """Delete the oldest entries; return how many were deleted (STR-14).

        If `approximate` is False, exactly the newest `max_len` entries stay. `max_len` may be 0: a
        stream without entries keeps its groups and its last id. If it is True, at least the newest
        `max_len` entries stay, and at most some hundreds more, because Redis removes whole nodes
        (STR-3).
        """

    @abstractmethod
    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        """Delete entries; return how many existed.

        If any id is malformed, the method raises `STORE_OPERATION_FAILED` and deletes no entry.
        """

    @abstractmethod
    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        """Return the entries from `start` to `end` in order, both included (STR-2).

        The list is empty if the stream doesn't exist. `-` and `+` are the lowest and the highest
        bound. An id that is only `<ms>` stands for its first sequence number as `start`, and for
        its last one as `end`. `(` before an id excludes that id. `count` (at least 1) limits the
        number of entries; `None` means no limit (STR-15). Reading isn't a delivery: it changes no
        pending list.

        Raises:
            BackendFailed: `STORE_STREAM_READ_FAILED` for a malformed bound.
        """

    @abstractmethod
    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        """The reverse of `xrange`: newest first, and `count` counts from the newest (STR-2)."""

    @abstractmethod
    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        """Create the group, and the stream if it is missing; return True if the group is new.

        If the group already exists, the method returns False and changes nothing: the group's
        position and its pending list stay the same, regardless of `start` (STR-4).

        The group reads the entries after `start`: `0` means all entries, `$` only entries that are
        added from now on, and an id the entries after it (STR-5).

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_CREATE_FAILED` for a malformed `start`.
        """

    @abstractmethod
    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        """Delete the group and its pending list; return False if the group doesn't exist.

        Blocked readers of the group raise `STORE_STREAM_GROUP_MISSING`.
        """

    @abstractmethod
    async def xreadgroup(  # noqa: PLR0913 - the arguments of XREADGROUP
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        """Deliver entries to `consumer`, in order.

        By default the method delivers new entries. Each new entry goes to one consumer of the
        group, and becomes pending for that consumer (STR-6, STR-8).

        With `history`, the method returns the consumer's own pending entries again, without those
        of other consumers, and without entries that were deleted from the stream meanwhile. This is
        a delivery too: it increments the delivery count and resets the idle time (STR-18).

        If the call is cancelled, its entries are either still new, or pending for this consumer.

        Args:
            stream: the complete key.
            group: must exist.
            consumer: created by its first read.
            count: the maximum number of entries, at least 1; `None` means that the contract sets no
                limit.
            block: the seconds to wait if there are no new entries. `None` or 0 doesn't wait, and
                there is no way to wait forever. The call returns as soon as an entry arrives,
                within 100 ms if another process added it. If the time expires, it returns an empty
                list. It doesn't block other operations (STR-7). If several readers wait, one of
                them gets the entry. Ignored with `history`.
            history: see above.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING` if the group or the stream doesn't exist. If
                either is deleted during a blocking read, the error comes within a second (STR-13).
        """

    @abstractmethod
    async def xgroups(self, stream: str) -> list[GroupInfo]:
        """Return every group of the stream, by name; none if the stream doesn't exist (STR-19)."""

    @abstractmethod
    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        """Acknowledge entries; return how many were pending in the group.

        The entries leave the group's pending list, regardless of which consumer holds them. Unknown
        ids, ids that were already acknowledged, and a missing group or stream count as 0 and aren't
        errors. The entries stay in the stream (STR-9).

        Raises:
            BackendFailed: `STORE_STREAM_ACK_FAILED` if an id is malformed; no entry is
                acknowledged.
        """

    @abstractmethod
    async def xpending(
        self,
        stream: str,
        group: str,
        *,
        min_idle: float | None = None,
        consumer: str | None = None,
        count: int | None = None,
    ) -> list[PendingEntry]:
        """Return the pending entries of the group in order of their ids.

        `consumer` limits the result to one consumer, `min_idle` to entries that have been idle for
        at least that many seconds, and `count` to that many entries.

        The method changes neither idle times nor delivery counts (STR-18). Entries that were
        deleted from the stream meanwhile are listed until they are claimed.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
        """

    @abstractmethod
    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        """Move entries that have been pending for `min_idle` seconds or more to `consumer`.

        Returns these entries, lowest id first. Their idle time restarts and their delivery count
        increases by one, so if several callers claim at once, each entry goes to one of them
        (STR-10, STR-11). Entries that were deleted from the stream meanwhile leave the pending
        list; they aren't returned and don't count (STR-12). Entries that the caller already holds
        are moved too. `count` limits the number of returned entries; `None` processes the whole
        list.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
        """
