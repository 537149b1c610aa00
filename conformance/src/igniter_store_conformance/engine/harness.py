"""The harness: how to create a backend's adapters, and how to control the backend.

Rule: only `connect` is required. Each further argument enables more tests. A test that can't run
    reports which argument it needs.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from igniter_store.contract import Adapter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from igniter_store.contract import ErrorCode

    from igniter_store_conformance.network.cuts import CutMoment

Connect: TypeAlias = Callable[[], Adapter]
Advance: TypeAlias = Callable[[float], Awaitable[None] | None]


class Network(Protocol):
    """A network that a test can break.

    `igniter_store_conformance.network.proxy.Proxy` sits in front of one server, a `ProxyGroup` in
    front of several.
    """

    @property
    def cuts(self) -> int:
        """The number of connections that `cut_at` has cut."""
        ...

    async def cut(self) -> None:
        """Reset every open connection now."""
        ...

    async def cut_at(self, marker: bytes, when: CutMoment = "before") -> None:
        """Cut the first connection whose client sends `marker`, at the given moment.

        No further connection is cut.
        """
        ...

    async def delay(self, seconds: float) -> None:
        """Delay all data by `seconds`, in both directions."""
        ...

    async def black_hole(self) -> None:
        """Accept data from clients and servers, and forward none of it."""
        ...

    async def half_open(self) -> None:
        """Stop forwarding data on existing connections without closing them.

        New connections work.
        """
        ...

    async def heal(self) -> None:
        """Undo every fault, and cut the connections that a fault has damaged."""
        ...


class ServerControl(Protocol):
    """Control over the one server that all adapters of a harness use.

    `igniter_store_conformance.servers` has implementations. A backend without a server may have an
    equivalent: moving its folder away stops it, locking the folder pauses it.

    Attributes:
        proxy: the network between the adapters and the server, so that tests can cut connections;
            `None` when the adapters connect to the server directly.
    """

    @property
    def proxy(self) -> Network | None:
        """See the class."""
        ...

    async def stop(self) -> None:
        """Shut down gracefully: the server saves its data and closes its connections."""
        ...

    async def kill(self) -> None:
        """Kill the server, without a graceful shutdown."""
        ...

    async def restart(self) -> None:
        """Start again at the same address, and return when the server answers.

        A running server is stopped first.
        """
        ...

    async def pause(self) -> None:
        """Stop answering, and keep every connection open."""
        ...

    async def resume(self) -> None:
        """Continue after `pause`; does nothing if the server isn't paused."""
        ...


class Refusal(Protocol):
    """The error that an adapter must raise when the server refuses a command."""

    @property
    def code(self) -> ErrorCode:
        """The error code that the adapter must raise."""
        ...

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        ...


class RefusingServer(ServerControl, Protocol):
    """A server that tests can make refuse commands (FLT-6)."""

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The refusals that the server can produce, by error prefix ("OOM", "READONLY")."""
        ...

    def refusing(self, word: str) -> AbstractAsyncContextManager[None]:
        """Within the block, the server answers every write with this refusal."""
        ...


class Oracle(Protocol):
    """Access to the stored bytes with a client of its own, bypassing the adapter.

    A key may not be UTF-8: its bytes are those of `igniter_store.contract.name_to_bytes`.
    """

    async def peek(self, key: str) -> bytes | None:
        """Return the bytes stored under this complete key.

        Returns `None` when the key doesn't exist or has expired.
        """
        ...

    async def poke(self, key: str, value: bytes) -> None:
        """Store bytes under this complete key, without a TTL."""
        ...


class Harness:
    """One backend, as the kit sees it.

    The kit creates a new harness for every test, so creating one should be cheap: start servers
    elsewhere, once.

    Args:
        connect: creates an adapter without opening it. Two adapters from two calls are clients of
            the same data. If two adapters can't share the backend's data, it returns the same
            adapter each time. Tests in other processes need a `connect` that can be pickled:
            `functools.partial(MyAdapter, url)` can, a lambda can't.
        connect_other: creates the second client of the same data, if it should differ from the
            first: another client library, a wrapper, another version. Without it, `connect` creates
            both.
        server: control over the server, for the tests that stop, kill or pause it or make it refuse
            commands (FLT). Give the adapters short timeouts then, of a second or two, because the
            kit waits for them.
        advance: moves the backend's time forward by a number of seconds; a plain function or a
            coroutine function. Without it, the kit uses short TTLs and waits. Blocked reads may
            follow the moved time or real time. If the backend records when a subscriber was last
            alive, that record ages too.
        oracle: reads and writes the stored bytes without the adapter.
        granularity: the resolution of the backend's TTLs in seconds, if it is coarser than a
            millisecond.
        namespace: the prefix of every key, channel and stream that the kit uses. By default each
            harness gets a new one, so that a run never sees data of an earlier run. The kit reads,
            writes and removes nothing outside of it.
        rewind: sets the backend's clock back by a number of seconds; a plain function or a
            coroutine function. Setting the last ids of the streams ahead has the same effect on a
            stream and is enough.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that a backend may allow
        self,
        connect: Connect,
        *,
        connect_other: Connect | None = None,
        server: ServerControl | None = None,
        advance: Advance | None = None,
        oracle: Oracle | None = None,
        granularity: float = 0.001,
        namespace: str | None = None,
        rewind: Advance | None = None,
    ) -> None:
        self.connect = connect
        self.connect_other: Connect = connect if connect_other is None else connect_other
        self.server = server
        self.advance = advance
        self.oracle = oracle
        self.granularity = granularity
        self.rewind = rewind
        self.namespace: str = (
            f"igniter-conformance-{secrets.token_hex(6)}:" if namespace is None else namespace
        )

    def through(self, wrapper: Callable[[Adapter], Adapter]) -> Harness:
        """Return the same backend with every adapter wrapped by `wrapper`.

        Use it to run the suite again through an adapter that wraps another adapter.
        """
        connect, connect_other = self.connect, self.connect_other
        wrapped = copy.copy(self)
        wrapped.connect = lambda: wrapper(connect())
        wrapped.connect_other = lambda: wrapper(connect_other())
        return wrapped
