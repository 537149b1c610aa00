"""The base class of every adapter: its life cycle, and the rules for all capabilities.

An adapter stores bytes under complete keys. It inherits the capability classes that it supports
(`KeyValue`, `Counters`, `Claims`, `PubSub`, `Streams`, `Scan`) and implements their methods. For
any capability that the adapter doesn't inherit, the store raises `STORE_CAPABILITY_UNSUPPORTED`.

Rules for every method of every capability:
- The caller validates the arguments; don't check them again. Keys, channels, and the names of
  streams, groups and consumers are non-empty `str` that `name_to_bytes` can encode. Values and
  payloads are `bytes`. Times are finite seconds; TTLs are above 0 and at most 10^10. Deltas, counts
  and lengths are `int` that fit into signed 64 bits.
- A name that other software chose may not be valid UTF-8. Each invalid byte is represented by a
  lone surrogate, in arguments and in results (SCN-8, STR-24).
- Keys are complete and opaque. An adapter never builds, splits, case-folds or normalizes a key.
- Times are `float` seconds with a resolution of at least one millisecond. A coarser backend rounds
  *up*, so a key never lives shorter than its TTL.
- Unless the method documents otherwise, a call is one atomic step, and one round trip if the
  backend supports it.
- A cancelled call takes effect completely or not at all, and leaves the adapter usable: the next
  call gets its own reply (LIF-4). `asyncio.CancelledError` propagates unchanged.
- Exceptions of the driver never leave the adapter. Each backend has one constant table and one
  translator, which convert them to `StoreError`: `STORE_CONNECTION_FAILED` if the backend is
  unreachable, `STORE_TIMEOUT` if the reply is late, `STORE_OPERATION_FAILED` if the backend rejects
  the operation and the method names no other code. If a write was sent but not answered, the error
  has `maybe_applied=True`, and the adapter doesn't retry the write.
- An operation on a key that holds another type (for example, reading a stream as a value) raises
  `STORE_OPERATION_FAILED` and changes nothing (KV-14).
- After `close`, every operation raises `STORE_CLOSED` (LIF-2).
- While the first event loop isn't closed, an operation in a second loop either works or raises
  `STORE_CONFIGURATION_INVALID` (LIF-11). If the parent process opened the adapter, every operation
  in a forked child raises the same code, and `close` only drops the inherited state (LIF-14).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract.errors import ErrorCode, store_error

if TYPE_CHECKING:
    from typing import Self

    from igniter_store.contract.affinity import Affinity


class Adapter(ABC):
    """The life cycle that all capabilities share.

    Attributes:
        name: the name of the backend in errors and telemetry, as one lower-case word ("redis").
        is_open: True between `open` and `close`. If the adapter is open before a store uses it, the
            store leaves it open when the store closes; the code that opened it must close it. If an
            adapter never sets this attribute, every store that uses the adapter opens and closes
            it.
        in_process: True if the data lives in this process, so the adapter needs neither sockets nor
            threads.
    """

    name: ClassVar[str]
    in_process: bool = False
    is_open: bool = False

    @property
    def affinity(self) -> Affinity | None:
        """The event loop and process that opened the adapter, or `None` if it doesn't track them.

        See `contract.affinity`. The affinity lets a store detect an adapter that is marked as open
        although the event loop that opened it is closed.
        """
        return None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Create an adapter for `url` without opening it.

        `options` are the options of the constructor. They take precedence over the query of the
        URL.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` if the backend doesn't support the URL
                or an option. The message never shows the user, the password or the query of the
                URL.
        """
        del url, options
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            f"{cls.__name__} can't be created from a URL. "
            "Construct it, and pass it to with_adapter().",
        )

    @abstractmethod
    async def open(self) -> None:
        """Connect, and prepare the adapter for use.

        Calling `open` on an open adapter does nothing. Calling it after `close` opens the adapter
        again, with the same data (LIF-1).

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED` within the connect timeout if the backend
                is unreachable. No task or connection is left running, and a later `open` may
                succeed (LIF-3).
        """

    @abstractmethod
    async def close(self) -> None:
        """Stop every task and thread of the adapter, and close its sockets and files.

        Calling `close` twice, or before `open`, does nothing (LIF-1, LIF-5).

        Blocked reads raise `STORE_CLOSED` within a second, and subscriptions end: no callback runs
        after `close` has returned. A client that the user passed in stays open (LIF-6). If `close`
        is cancelled, it releases as much as it can, and a second call finishes the work.

        In a forked child, `close` abandons everything that the parent opened, without affecting the
        parent. A later `open` opens the adapter again (LIF-14).
        """

    def abandon(self) -> None:
        """Drop all state of a closed event loop or of the parent process (LIF-12, LIF-13).

        The method does no I/O in the caller's thread, awaits nothing, sends nothing and runs no
        callback. Afterwards the adapter is in the same state as before its first `open`: it can be
        opened in another loop, and the data persists as it does after `close`. Subscriptions end,
        and cancelling one returns without an error. While the event loop that opened the adapter
        isn't closed, `abandon` does nothing.

        If the loop is closed, `abandon` releases threads, sockets and files. In a forked child it
        leaves them as they are, because the parent still uses them.
        `igniter_store.contract.affinity` has helpers for both cases.

        This default is sufficient for an adapter that keeps no state of an event loop and shares
        nothing with a forked child.
        """
        if self.affinity is None or self.affinity.has_ended:
            self.is_open = False

    @abstractmethod
    async def ping(self) -> float:
        """Check that the backend responds, and return the round-trip time in seconds.

        Raises:
            BackendUnavailable, BackendTimeout: if the backend doesn't respond.
        """
