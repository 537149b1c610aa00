"""The base classes of broken adapters, and their helpers.

A broken adapter is the in-memory adapter, or the adapter over redis-py, with one bug. It declares
the clauses that the bug breaks.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import Adapter, ManualClock
from igniter_store_conformance import Harness
from igniter_store_memory import MemoryAdapter

if TYPE_CHECKING:
    from igniter_store_conformance.engine.clause_info import ClauseTest
    from igniter_store_conformance.engine.suite import LentClient
    from igniter_store_memory.keyspace import Keyspace


ONLY_CROSSED = frozenset({"CTR-8", "CLM-11", "CLM-12", "STR-26"})
"""The clauses that only the crossing tests."""


class Breaking(Adapter):
    """The properties of an adapter that the kit's own tests need.

    Attributes:
        breaks: the clauses that the adapter breaks. The README's table also lists the clauses that
            fail because they depend on them.
        limit: seconds that a test of the adapter may take, if not the default.
        needs_many_runs: whether only many random runs find the bug, which takes half a minute.
    """

    breaks: ClassVar[frozenset[str]] = frozenset()
    limit: ClassVar[float | None] = None
    needs_many_runs: ClassVar[bool] = False

    @property
    def notes(self) -> dict[str, Any]:
        """The state that the bug needs, kept for each adapter."""
        notes: dict[str, Any] = vars(self).setdefault("_notes", {})
        return notes

    @classmethod
    @abstractmethod
    def harness(cls) -> Harness:
        """Return the harness for tests of this adapter."""

    @classmethod
    def lent_client(cls) -> LentClient | None:
        """See `Suite`."""
        return None

    @classmethod
    @abstractmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        """Return whether the kit runs this test over the adapter."""


class Broken(Breaking, MemoryAdapter):
    """The base class of the in-memory adapters; it has no bug."""

    @classmethod
    def harness(cls) -> Harness:
        return memory_harness(cls)

    @classmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        # The test of the model is slow and finds nearly every bug. It runs only over adapters that
        # break MDL-1. The tests of the crossing have generated adapters of their own; here they run
        # only for the clauses that have no other test.
        if test.body.__module__.endswith(".crossed"):
            return test.clause.id in ONLY_CROSSED & cls.breaks
        return test.clause.id != "MDL-1" or "MDL-1" in cls.breaks


class Unswept(Broken):
    """The base class of some expiry bugs: expired keys stay in memory until the next access."""

    def use(self, keyspace: Keyspace) -> None:
        # no sweep
        keyspace._arm = _do_nothing  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]
        super().use(keyspace)


def _do_nothing() -> None:
    pass


class MemoryOracle:
    """Reads and writes the stored bytes without the adapter."""

    def __init__(self, adapter: MemoryAdapter) -> None:
        # an oracle bypasses the adapter
        self._data = adapter._data  # pyright: ignore[reportPrivateUsage]

    async def peek(self, key: str) -> bytes | None:
        value = self._data.values.get(key)
        return value if isinstance(value, bytes) else None

    async def poke(self, key: str, value: bytes) -> None:
        self._data.values[key] = value


def memory_harness(adapter_class: type[MemoryAdapter] = MemoryAdapter) -> Harness:
    """Return the harness of an adapter that derives from the in-memory one."""
    clock, url = ManualClock(), f"memory://{secrets.token_hex(8)}"

    def connect() -> Adapter:
        return adapter_class.from_url(url, clock=clock)

    def rewind(seconds: float) -> None:
        clock.now -= seconds

    kept = adapter_class.from_url(
        url, clock=clock
    )  # the data exists as long as an adapter with this name does
    return Harness(connect, advance=clock.advance, rewind=rewind, oracle=MemoryOracle(kept))


async def others_turn() -> None:
    """Let other tasks run, where a real adapter would wait for its backend."""
    await asyncio.sleep(0)


def bare(adapter: MemoryAdapter) -> Any:
    """Return the data of an adapter, without its type."""
    # the bugs change private state
    return adapter._keyspace  # pyright: ignore[reportPrivateUsage]
