"""What a broken adapter is: the in-memory backend, or the one over redis-py, with one thing wrong,
and the clauses that this breaks.
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


class Breaking(Adapter):
    """What every broken adapter says of itself.

    Attributes:
        breaks: the clauses that it breaks. What fails besides, because it stands on them, is in the
            README's table.
        limit: seconds that a test may take over it, when it isn't the usual.
    """

    breaks: ClassVar[frozenset[str]] = frozenset()
    limit: ClassVar[float | None] = None

    @property
    def notes(self) -> dict[str, Any]:
        """What it remembers besides."""
        notes: dict[str, Any] = vars(self).setdefault("_notes", {})
        return notes

    @classmethod
    @abstractmethod
    def harness(cls) -> Harness:
        """A backend of its own, empty."""

    @classmethod
    def lent_client(cls) -> LentClient | None:
        """See `Suite`."""
        return None

    @classmethod
    @abstractmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        """Whether the test is run over it."""


class Broken(Breaking, MemoryAdapter):
    """The base of those in memory: nothing is broken here."""

    @classmethod
    def harness(cls) -> Harness:
        return memory_harness(cls)

    @classmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        # The model finds nearly everything and takes its time; whoever breaks MDL-1 is judged by
        # it.
        return test.clause.id != "MDL-1" or "MDL-1" in cls.breaks


class Unswept(Broken):
    """The base of those that look at keys whose time is over: here they lie about until somebody
    asks for them.
    """

    def use(self, keyspace: Keyspace) -> None:
        keyspace._arm = _do_nothing  # type: ignore[method-assign]  # pyright: ignore[reportPrivateUsage]  # no sweep
        super().use(keyspace)


def _do_nothing() -> None:
    pass


class MemoryOracle:
    """The bytes in the dict."""

    def __init__(self, adapter: MemoryAdapter) -> None:
        # around the adapter is what an oracle is for
        self._data = adapter._data  # pyright: ignore[reportPrivateUsage]

    async def peek(self, key: str) -> bytes | None:
        value = self._data.values.get(key)
        return value if isinstance(value, bytes) else None

    async def poke(self, key: str, value: bytes) -> None:
        self._data.values[key] = value


def memory_harness(adapter_class: type[MemoryAdapter] = MemoryAdapter) -> Harness:
    """The harness of any adapter that is made from the in-memory one."""
    clock, url = ManualClock(), f"memory://{secrets.token_hex(8)}"

    def connect() -> Adapter:
        return adapter_class.from_url(url, clock=clock)

    def rewind(seconds: float) -> None:
        clock.now -= seconds

    kept = adapter_class.from_url(
        url, clock=clock
    )  # the data lives as long as some adapter of this name
    return Harness(connect, advance=clock.advance, rewind=rewind, oracle=MemoryOracle(kept))


async def others_turn() -> None:
    """Where a real adapter would wait for its backend, and other callers run."""
    await asyncio.sleep(0)


def bare(adapter: MemoryAdapter) -> Any:
    """The data behind an adapter."""
    # what is broken is broken in here
    return adapter._keyspace  # pyright: ignore[reportPrivateUsage]
