"""What every adapter is: something with a name that can be opened, closed and asked whether it is
there.

An adapter stores bytes under complete keys. It inherits the capability classes that it keeps
(`KeyValue`, `Counters`, `Claims`, `PubSub`, `Streams`, `Scan`) and implements their methods; a
store raises `STORE_CAPABILITY_UNSUPPORTED` for what a backend doesn't inherit.

Rules for every method of every capability:
- The caller guarantees: keys, channels, names of streams, groups and consumers are non-empty `str`
  that `name_to_bytes` can encode; values and payloads are `bytes`; times are finite seconds, TTLs
  above 0 and at most 10^10; deltas, counts and lengths are `int` that fit 64 bits with sign. Don't
  check them again.
- A name that other software chose may not be UTF-8: each such byte is a lone surrogate in it, going
in and coming out (SCN-8, STR-24).
- Keys come complete and are opaque: an adapter never builds, splits, folds or normalizes one.
- Times are seconds as `float`, resolved to a millisecond at least. A coarser backend rounds *up*: a
key never lives less than its TTL.
- One call is one round trip where the backend can, and one atomic step always, unless the method
says otherwise.
- A call that is cancelled has happened wholly or not at all, and leaves the adapter correct: the
  next call gets its own answer (LIF-4). `asyncio.CancelledError` passes through untouched.
- A driver's exception never leaves the adapter. One constant table and one translator per backend
  turn it into a `StoreError`: unreachable is `STORE_CONNECTION_FAILED`, too late is
  `STORE_TIMEOUT`, the backend's own refusal is `STORE_OPERATION_FAILED`, unless a method names a
  code of its own. A write that was sent and never answered says `maybe_applied=True` and is not
  repeated.
- A key that holds another kind (a stream read as a value) raises `STORE_OPERATION_FAILED`, and
changes nothing (KV-14).
- After `close` every operation raises `STORE_CLOSED` (LIF-2).
- In a second event loop, while the first one isn't closed, an operation works or raises
  `STORE_CONFIGURATION_INVALID` (LIF-11). In a forked child, every operation of what the parent had
  opened raises the same code, and `close` only forgets (LIF-14).
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
        name: the backend in one lower-case word, as errors and telemetry show it ("redis").
        is_open: True between `open` and `close`. A store that finds its adapter open leaves it open
            when the store closes: who opened it closes it. An adapter that never sets it is opened
            and closed by every store that uses it.
        in_process: True when the data lives in this process, so that neither sockets nor threads
            are needed.
    """

    name: ClassVar[str]
    in_process: bool = False
    is_open: bool = False

    @property
    def affinity(self) -> Affinity | None:
        """The event loop and the process in which it was opened, where the adapter keeps that
        (`contract.affinity`).

        A store then sees that an adapter which says that it is open was opened in a loop that is
        closed by now.
        """
        return None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """An adapter for `url`, not yet opened; `options` are the constructor's, and win over the
        URL's query.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` for a URL or an option that the
                backend doesn't know. The message never shows user, password or query of the URL.
        """
        del url, options
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            f"{cls.__name__} can't be created from a URL. Construct it, and pass it to with_adapter().",
        )

    @abstractmethod
    async def open(self) -> None:
        """Connect and make ready. Called again while open: nothing happens. Called after `close`:
        opens anew, with the same data (LIF-1).

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED` within the connect timeout when the
                backend isn't there; nothing is left running, and a later `open` may succeed
                (LIF-3).
        """

    @abstractmethod
    async def close(self) -> None:
        """End every task, thread, socket and file of the adapter; called twice or before `open`:
        nothing happens (LIF-1, LIF-5).

        Blocked reads end with `STORE_CLOSED` within a second, and subscriptions stop: no callback
        runs once `close` has returned. A client that the user passed in stays open (LIF-6). If
        `close` is cancelled, what could be released is released, and a second call finishes the
        work.

        In a forked child, what the parent had opened is abandoned, and the parent doesn't notice; a
        later `open` opens anew (LIF-14).
        """

    def abandon(self) -> None:
        """Forget what belongs to an event loop that is closed, or to the parent process; LIF-12,
        LIF-13.

        No I/O in the caller's thread, nothing awaited, nothing sent, no callback. Afterwards the
        adapter is as if it had never been opened: `open` works in another loop, and the data
        outlive it as they outlive `close`. Subscriptions are over, and cancelling them returns.
        While the loop in which it was opened isn't closed, nothing happens.

        Of a closed loop, threads, sockets and files are released. In a forked child they stay as
        they are, since the parent uses them: `igniter_store.contract.affinity` has what is needed
        for both.

        An adapter that keeps nothing of an event loop, and shares nothing with a forked child,
        needs no more than this default.
        """
        if self.affinity is None or self.affinity.has_ended:
            self.is_open = False

    @abstractmethod
    async def ping(self) -> float:
        """Ask the backend for a sign of life and return the seconds that the round trip took.

        Raises:
            BackendUnavailable, BackendTimeout: when there is none.
        """
