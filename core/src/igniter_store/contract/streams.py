"""Logs of entries that groups of consumers share out, with a list of what was handed out and not
yet acknowledged.

Rule: ids are `<milliseconds>-<sequence>`, two unsigned 64 bit numbers, and grow strictly within a
    stream, also when the clock goes back,
after every entry was deleted or trimmed; only deleting the stream starts anew (STR-1).
`contract.stream_ids` reads them.
Rule: an entry is handed to one consumer of a group and stays pending for it until acknowledged or
    claimed by another (STR-6, STR-8).
Rule: whatever a reader does or suffers, an entry is never lost: it is still new for the group, or
    pending (STR-16).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from msgspec import Struct

from igniter_store.contract.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StreamEntry(Struct, frozen=True):
    """One entry: its id and its fields in the order they were added. The mapping is the caller's
    own.
    """

    id: str
    fields: dict[str, bytes]


class GroupInfo(Struct, frozen=True):
    """One group of a stream.

    Attributes:
        name: the group's.
        consumers: how many the backend knows of.
        pending: how many entries were handed out and not acknowledged.
        last_delivered_id: the id up to which the group has read; `0-0` at the beginning.
        lag: how many entries of the stream the group has still to read, or `None` where the backend
            can't tell.
    """

    name: str
    consumers: int
    pending: int
    last_delivered_id: str
    lag: int | None


class PendingEntry(Struct, frozen=True):
    """One entry that was handed out: to whom, how many seconds ago the last time, and how often."""

    id: str
    consumer: str
    idle: float
    deliveries: int


class Streams(Adapter):
    """Redis's X commands. `STORE_STREAM_GROUP_MISSING` is what Redis calls NOGROUP or UNBLOCKED."""

    @abstractmethod
    async def xadd(
        self,
        stream: str,
        fields: Mapping[str, bytes],
        *,
        max_len: int | None = None,
        approximate: bool = True,
    ) -> str:
        """Append an entry, make the stream if there is none, keep its TTL, and return the new
        entry's id (STR-1).

        Args:
            stream: the complete key.
            fields: at least one; values of 0 bytes to at least 1 MiB, any bytes (STR-15).
            max_len: also trim to the newest so many, as `xtrim` does, in the same step.
            approximate: see `xtrim`.
        """

    @abstractmethod
    async def xlen(self, stream: str) -> int:
        """How many entries there are; 0 when there is no stream."""

    @abstractmethod
    async def xtrim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        """Remove the oldest entries and return how many (STR-14).

        Exact, the newest `max_len` stay, 0 included: a stream without entries still knows its
        groups and its last id. Approximate, at least the newest `max_len` stay, and no more than
        some hundreds beyond: Redis removes whole nodes (STR-3).
        """

    @abstractmethod
    async def xdel(self, stream: str, ids: Sequence[str]) -> int:
        """Delete entries and return how many were there.

        One malformed id: `STORE_OPERATION_FAILED`, and none is deleted.
        """

    @abstractmethod
    async def xrange(
        self, stream: str, start: str = "-", end: str = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        """The entries from `start` to `end` in order, both included; none when there is no stream
        (STR-2).

        `-` and `+` are the ends of everything; `<ms>` alone begins at its first and ends at its
        last sequence number; `(` before an id leaves that id out. `count` (at least 1) limits;
        `None` is no limit (STR-15). Reading is not delivering: it changes no pending list.

        Raises:
            BackendFailed: `STORE_STREAM_READ_FAILED` for a malformed bound.
        """

    @abstractmethod
    async def xrevrange(
        self, stream: str, end: str = "+", start: str = "-", *, count: int | None = None
    ) -> list[StreamEntry]:
        """The mirror of `xrange`: the newest first, `count` from the newest (STR-2)."""

    @abstractmethod
    async def xgroup_create(self, stream: str, group: str, start: str = "0") -> bool:
        """Make the group, and the stream if it is missing, and say True.

        False when the group was there, and then nothing changes: neither its position nor its
        pending list, whatever `start` says (STR-4).

        The group reads what comes after `start`: `0` everything, `$` only what is added from now
        on, an id what follows it (STR-5).

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_CREATE_FAILED` for a malformed `start`.
        """

    @abstractmethod
    async def xgroup_destroy(self, stream: str, group: str) -> bool:
        """Remove the group with its pending list; False when there was none. Its blocked readers
        get `STORE_STREAM_GROUP_MISSING`.
        """

    @abstractmethod
    async def xreadgroup(  # noqa: PLR0913 - XREADGROUP's own arguments
        self,
        stream: str,
        group: str,
        consumer: str,
        *,
        count: int | None = None,
        block: float | None = None,
        history: bool = False,
    ) -> list[StreamEntry]:
        """Hand entries to `consumer`, in order.

        New ones (the default): each goes to one consumer of the group and becomes pending for it
        (STR-6, STR-8).

        History: the consumer's own pending entries again, nobody else's, without those that were
            deleted from the stream meanwhile.
        That is a delivery too: it counts, and resets the idle time (STR-18).

        Args:
            stream: the complete key.
            group: must exist.
            consumer: made by its first read.
            count: the most to return, at least 1; `None` is no limit of ours.
            block: how many seconds to wait when there is nothing new. `None` or 0 doesn't wait, and
                nothing waits for ever. Returns as soon as an entry comes, within 100 ms when
                another process added it; after its time returns an empty list. It holds up no other
                operation (STR-7). Of several waiting readers one gets the entry. Ignored with
                `history`.
            history: see above.

        If the call is cancelled, what it would have got is still new, or pending for this consumer.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING` when there is no such group or stream, and
                within a second when it disappears under a waiting reader (STR-13).
        """

    @abstractmethod
    async def xgroups(self, stream: str) -> list[GroupInfo]:
        """Every group of the stream, by name; none when there is no stream (STR-19)."""

    @abstractmethod
    async def xack(self, stream: str, group: str, ids: Sequence[str]) -> int:
        """Take entries off the group's pending list, whichever consumer holds them, and return how
        many were on it.

        Unknown ids, a second time, a missing group or stream count 0 and are no error. The entries
        stay in the stream (STR-9).

        Raises:
            BackendFailed: `STORE_STREAM_ACK_FAILED` when one id is malformed; none is acknowledged
                then.
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
        """The pending entries in order of id: of one `consumer` only, idle for at least `min_idle`
        seconds only, at most `count`.

        Looking changes nothing: neither idle times nor delivery counts (STR-18). Entries that were
        deleted meanwhile are listed until they are claimed.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
        """

    @abstractmethod
    async def xautoclaim(
        self, stream: str, group: str, consumer: str, min_idle: float, *, count: int | None = None
    ) -> list[StreamEntry]:
        """Move entries that are pending for at least `min_idle` seconds to `consumer`, oldest id
        first, and return them.

        Their idle time starts anew and their delivery count grows by one, so of several claimers
        each entry goes to one (STR-10, STR-11). Entries that were deleted meanwhile are not
        returned and don't count: they leave the pending list (STR-12). The caller's own entries are
        moved too. `count` limits what is returned; `None` walks the whole list.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
        """
