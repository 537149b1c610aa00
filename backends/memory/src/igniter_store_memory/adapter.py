"""The adapter: one client of a keyspace, which is private or shared by name."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import unquote
from weakref import WeakValueDictionary

from igniter_store.adapter_tools.options import Options, whole
from igniter_store.adapter_tools.urls import parsed
from igniter_store.contract import Affinity, Clock

from igniter_store_memory.channels import Channels, MemorySubscription
from igniter_store_memory.claims import MemoryClaims
from igniter_store_memory.counters import MemoryCounters
from igniter_store_memory.errors import ERRORS, NAME
from igniter_store_memory.keyspace import ClosedKeyspace, InheritedKeyspace, Keyspace
from igniter_store_memory.keyvalue import MemoryKeyValue
from igniter_store_memory.pubsub import MemoryPubSub
from igniter_store_memory.scan import MemoryScan
from igniter_store_memory.streams import MemoryStreams

if TYPE_CHECKING:
    import asyncio
    from typing import Self

    from igniter_store.contract import StreamEntry

    from igniter_store_memory.log import Group, Waiter

_OPTIONS: Final = Options(NAME, {"max_keys": whole(1, 2**63 - 1)})

# The keyspace of each `memory://name` in this process. A keyspace lives as long as an adapter uses
# it, like a shared in-memory database of other libraries.
_named: WeakValueDictionary[str, Keyspace] = WeakValueDictionary()


class MemoryAdapter(
    MemoryKeyValue, MemoryCounters, MemoryClaims, MemoryPubSub, MemoryStreams, MemoryScan
):
    """Every capability, in memory, for tests and for programs that run in one process.

    Each process has its own data. The workers of `uvicorn --workers 4`, gunicorn or multiprocessing
    don't see each other's keys: each grants the same claim once, and each counts from 0. For
    several workers on one machine use `sqlite:///state.db`; for several machines use `redis://`.

    The adapter works without `open`. The data outlives `close`: an adapter that is opened again
    finds its data. Use it from one event loop at a time. Opening, subscribing or waiting in a
    second loop while the adapter isn't closed in the first raises `STORE_CONFIGURATION_INVALID`.

    Args:
        clock: a function that returns seconds, used instead of the system's clock.
            `igniter_store.contract.ManualClock` also controls the timers of waiting calls.
        max_keys: the number of keys above which plain values are evicted, the least recently used
            first. Claims, counters and streams are never evicted; they may exceed the limit.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if `clock` isn't callable or `max_keys` is
            below 1.
    """

    name: ClassVar[str] = NAME
    in_process: bool = True
    is_open: bool = False

    def __init__(self, *, clock: Clock | None = None, max_keys: int | None = None) -> None:
        _check_options(clock, max_keys)
        self._affinity = Affinity(self.abandon)
        self.use(Keyspace(clock, max_keys, Channels()))

    @property
    def affinity(self) -> Affinity:
        """The event loop and the process in which the adapter was opened."""
        return self._affinity

    @classmethod
    def from_url(
        cls, url: str, *, clock: Clock | None = None, max_keys: int | None = None, **options: Any
    ) -> Self:
        """Create an adapter: `memory://` is private, `memory://name` is shared within this process.

        All adapters of the same name share one database.

        Args:
            url: as above; its query may contain `max_keys`.
            clock: as for the class.
            max_keys: as for the class.
            options: `timeout`, `connect_timeout` and `connections` are checked but have no effect,
                because there is no server to wait for. They are accepted so that only the URL's
                scheme has to change.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        name, query = _parts(url)
        _check_options(clock, max_keys)
        max_keys = _OPTIONS.read(query, {**options, "max_keys": max_keys}).get("max_keys")
        if not name:
            return cls(clock=clock, max_keys=max_keys)
        _check_options(clock, max_keys)
        keyspace = _named.get(name)
        if keyspace is None:
            keyspace = _named[name] = Keyspace(clock, max_keys, Channels())
        elif (clock, max_keys) not in [(None, None), (keyspace.clock, keyspace.max_keys)]:
            raise ERRORS.misconfigured(
                f"The memory database {name!r} is already open with another clock or max_keys. "
                "Pass the same ones, or none."
            )
        adapter = cls(clock=clock, max_keys=max_keys)
        adapter.use(keyspace)
        return adapter

    def use(self, keyspace: Keyspace) -> None:
        """Use `keyspace`, which other adapters may share."""
        self._data = keyspace
        self._keyspace = keyspace
        self._subscriptions: set[MemorySubscription] = set()
        self._waiting: dict[asyncio.Future[list[StreamEntry]], tuple[Group, Waiter]] = {}

    async def open(self) -> None:
        self._bind()
        self._keyspace = self._data
        self._data.watch()
        self.is_open = True

    async def close(self) -> None:
        if self.affinity.is_inherited:
            self.affinity.inherit()
        elif self.is_open or self._subscriptions or self._waiting:
            self._bind()
        self._keyspace = cast("Keyspace", ClosedKeyspace())
        self.is_open = False
        for subscription in list(self._subscriptions):
            subscription.end()
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(ERRORS.closed())
        self.affinity.release()

    def abandon(self) -> None:
        if not self.affinity.has_ended:
            return
        self.is_open = False
        self._keyspace = (
            cast("Keyspace", InheritedKeyspace()) if self.affinity.is_inherited else self._data
        )
        for subscription in list(self._subscriptions):
            subscription.end()
        for group, waiter in self._waiting.values():
            if waiter in group.waiters:
                group.waiters.remove(waiter)
        self._waiting.clear()
        self.affinity.end()

    def _bind(self) -> None:
        self.affinity.enter(
            NAME, is_in_use=self.is_open or bool(self._subscriptions) or bool(self._waiting)
        )

    async def ping(self) -> float:
        began = time.perf_counter()
        self._keyspace.now()
        return time.perf_counter() - began


def _parts(url: str) -> tuple[str, str]:
    """Return the name and the query."""
    parts = parsed(url, ("memory",), NAME)
    name = parts.place.rstrip("/")
    if any(mark in name for mark in "/@:[]"):
        message = (
            "A memory URL is memory:// (private) or memory://name (shared in this process). Remove "
            "the user, the port or the path."
        )
        raise ERRORS.misconfigured(message)
    with contextlib.suppress(UnicodeDecodeError):
        return unquote(name, errors="strict"), parts.query
    raise ERRORS.misconfigured(
        "The name of the memory URL isn't UTF-8. Write it percent-encoded as UTF-8."
    )


def _check_options(clock: Any, max_keys: Any) -> None:
    if clock is not None and not callable(clock):
        raise ERRORS.misconfigured(
            "The clock must be a function without arguments that returns seconds."
        )
    if max_keys is not None and (
        not isinstance(max_keys, int) or isinstance(max_keys, bool) or max_keys < 1
    ):
        raise ERRORS.misconfigured("max_keys must be an integer of 1 or more.")
