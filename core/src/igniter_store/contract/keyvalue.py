"""Values under keys, with an optional time to live.

Rule: an expired key is absent for every method of every capability, from the same moment, even if
    the backend hasn't removed it yet (KV-6).
Rule: the adapter owns its values. If the caller modifies an argument or a result, the stored data
    doesn't change (KV-13).
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
    """One key to write: its value and, optionally, its TTL in seconds."""

    key: str
    value: bytes
    ttl: float | None = None


class KeyValue(Adapter):
    """Redis's strings: GET, SET, GETDEL, DEL, EXISTS, PEXPIRE, PERSIST, PTTL, MGET, MSET."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, or `None` if the key doesn't exist (KV-1, KV-2).

        The value is exactly the bytes that were set.

        Raises:
            BackendFailed: `STORE_OPERATION_FAILED` if the key holds a stream (KV-14).
        """

    @abstractmethod
    async def getdel(self, key: str) -> bytes | None:
        """Read and delete `key` in one atomic step (KV-10).

        Of two concurrent callers, one gets the value and the other gets `None`.
        """

    @abstractmethod
    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        """Write `value`; return whether it was written (always True without `only_if`).

        The new value replaces any existing value of the key, even a stream (KV-14). It also
        replaces an existing TTL: without `ttl`, the key doesn't expire (KV-4).

        Args:
            key: the complete key.
            value: any bytes; every backend accepts 0 bytes to at least 8 MiB.
            ttl: seconds that the key lives; never less, and at most 50 ms longer (KV-7).
            only_if: "absent" writes only if the key doesn't exist or has expired, "present" only if
                the key is live. The check is atomic among concurrent callers (KV-5). If nothing is
                written, the value and the TTL stay unchanged.
        """

    @abstractmethod
    async def delete(self, keys: Sequence[str]) -> int:
        """Delete keys of any type; return how many of them were live (KV-10).

        Duplicates count once. An empty list isn't an error.
        """

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """True if a live key of any type exists. Agrees with `get` in every state."""

    @abstractmethod
    async def expire(self, key: str, ttl: float) -> bool:
        """Set the TTL of a live key to `ttl` seconds from now; return True if the key is live.

        The key may be of any type, and the new TTL may be longer or shorter than the old one. The
        method returns False if the key isn't live, and creates no key (KV-8).
        """

    @abstractmethod
    async def persist(self, key: str) -> bool:
        """Remove the TTL of `key`; return whether the key had one (KV-9)."""

    @abstractmethod
    async def ttl(self, key: str) -> float | None:
        """Return the remaining seconds of `key`, always above 0 (KV-9).

        The method returns `math.inf` if the key has no TTL, and `None` if the key isn't live. The
        result has millisecond resolution: Redis's TTL command rounds, PTTL doesn't.
        """

    @abstractmethod
    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return one value for each of `keys`, in the same order (KV-11).

        Duplicate and missing keys are included. As in Redis's MGET, a key of another type reads as
        `None`. For no keys, the method returns an empty list without a round trip. 10,000 keys must
        work (KV-12).
        """

    @abstractmethod
    async def mset(self, entries: Sequence[Entry]) -> None:
        """Write all `entries`, each with its own TTL or none (KV-11).

        Existing TTLs are cleared. If two entries have the same key, the last one wins. If the
        backend supports it, the method is atomic and takes one round trip; a cluster may write slot
        by slot. For no entries, nothing happens (KV-12).
        """
