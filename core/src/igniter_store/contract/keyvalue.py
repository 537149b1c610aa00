"""Values under keys, with an optional time to live.

Rule: an expired key is absent to every method of every capability, in the same moment for all,
    swept already or not (KV-6).
Rule: a value is the adapter's own. Changing what was passed in or handed out changes nothing stored
    (KV-13).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from igniter_store.contract.adapter import Adapter

if TYPE_CHECKING:
    from collections.abc import Sequence

Condition: TypeAlias = Literal["absent", "present"]


class Entry(Struct, frozen=True):
    """One key to write: its value and, where it has one, its TTL in seconds."""

    key: str
    value: bytes
    ttl: float | None = None


class KeyValue(Adapter):
    """Redis's strings: GET, SET, GETDEL, DEL, EXISTS, PEXPIRE, PERSIST, PTTL, MGET, MSET."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value of `key`, exactly the bytes that were set; `None` when there is no such key
        (KV-1, KV-2).

        Raises:
            BackendFailed: `STORE_OPERATION_FAILED` when the key holds a stream (KV-14).
        """

    @abstractmethod
    async def getdel(self, key: str) -> bytes | None:
        """Read and remove `key` in one atomic step: of two concurrent callers one gets the value,
        the other `None` (KV-10).
        """

    @abstractmethod
    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        """Write `value`, and say whether it was written (always, without `only_if`).

        The new value replaces whatever the key held, a stream too (KV-14), and an old TTL: without
        `ttl` the key stays for good (KV-4).

        Args:
            key: the complete key.
            value: 0 bytes to at least 8 MiB, any bytes.
            ttl: seconds that the key lives, never less, and at most 50 ms longer (KV-7).
            only_if: "absent" writes only when there is no live key, "present" only when there is
                one; atomic among concurrent callers (KV-5). What is not written changes neither
                value nor TTL.
        """

    @abstractmethod
    async def delete(self, keys: Sequence[str]) -> int:
        """Remove `keys`, of every kind, and say how many live ones there were; duplicates count
        once, no keys are no error (KV-10).
        """

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """True when there is a live key of any kind. Agrees with `get` in every state."""

    @abstractmethod
    async def expire(self, key: str, ttl: float) -> bool:
        """Give a live key, of any kind, `ttl` seconds from now, be it more or less than it had, and
        say True.

        False when there is no live key, and none is made (KV-8).
        """

    @abstractmethod
    async def persist(self, key: str) -> bool:
        """Remove the TTL of `key`, and say whether it had one (KV-9)."""

    @abstractmethod
    async def ttl(self, key: str) -> float | None:
        """The seconds that `key` has left, above 0; `math.inf` when it has no TTL, `None` when
        there is no live key (KV-9).

        Milliseconds count: Redis's TTL rounds, PTTL doesn't.
        """

    @abstractmethod
    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys` in the order asked, one for each, duplicates and missing ones
        included (KV-11).

        A key of another kind reads as `None` here, as in Redis's MGET. No keys: an empty list
        without a trip. 10,000 keys work (KV-12).
        """

    @abstractmethod
    async def mset(self, entries: Sequence[Entry]) -> None:
        """Write all `entries`, each with its own TTL or none; old TTLs are cleared, and of two for
        one key the last wins (KV-11).

        One round trip, and all or nothing, where the backend can; a cluster may write slot by slot.
        No entries: nothing happens (KV-12).
        """
