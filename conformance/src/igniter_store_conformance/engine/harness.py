"""What an author tells the kit about a backend: how to make clients of it, and what else may be
done to it.

Rule: only `connect` is needed. Each further argument lets more tests run; a test that can't run
    says which argument it would need.
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

    from igniter_store_conformance.network.cuts import Moment

Connect: TypeAlias = Callable[[], Adapter]
Advance: TypeAlias = Callable[[float], Awaitable[None] | None]


class Network(Protocol):
    """A network that can be broken: `igniter_store_conformance.network.proxy.Proxy` before one
    server, a `ProxyGroup` before several.
    """

    @property
    def cuts(self) -> int:
        """How many connections `cut_at` has cut."""
        ...

    async def cut(self) -> None:
        """Reset every open connection now."""
        ...

    async def cut_at(self, marker: bytes, when: Moment = "before") -> None:
        """Cut the first connection whose client sends `marker`, at a chosen moment; then no more."""
        ...

    async def delay(self, seconds: float) -> None:
        """Let everything, in both directions, arrive later by `seconds`."""
        ...

    async def black_hole(self) -> None:
        """Take what clients and server send and pass nothing on."""
        ...

    async def half_open(self) -> None:
        """Pass nothing more on over the present connections, and close none of them; new
        connections work.
        """
        ...

    async def heal(self) -> None:
        """Undo every fault. Connections that a fault has damaged are cut."""
        ...


class ServerControl(Protocol):
    """Power over the one server that all adapters of a harness talk to.
    `igniter_store_conformance.servers` has some ready.

    A backend without a server may have something like it: a folder that is moved away is stopped,
    one that is locked is paused.

    Attributes:
        proxy: what the adapters' connections go through, so that they can be cut; `None` when they
            go straight to the server.
    """

    @property
    def proxy(self) -> Network | None:
        """See the class."""
        ...

    async def stop(self) -> None:
        """Shut down in order: the server saves what it saves and closes its connections."""
        ...

    async def kill(self) -> None:
        """End at once, without a goodbye."""
        ...

    async def restart(self) -> None:
        """Be there again at the same address, and return when the server answers; a running one is
        stopped first.
        """
        ...

    async def pause(self) -> None:
        """Stop answering, and keep every connection open."""
        ...

    async def resume(self) -> None:
        """Go on after `pause`; nothing happens otherwise."""
        ...


class Refusal(Protocol):
    """What an adapter has to say when the server refuses a command."""

    @property
    def code(self) -> ErrorCode:
        """The code that the adapter's error must have."""
        ...

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        ...


class RefusingServer(ServerControl, Protocol):
    """A server that can be made to refuse (FLT-6)."""

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The refusals that it can be made to answer with, by the server's own word for each
        ("OOM", "READONLY").
        """
        ...

    def refusing(self, word: str) -> AbstractAsyncContextManager[None]:
        """Within the block, the server answers every write with this refusal."""
        ...


class Oracle(Protocol):
    """A way around the adapter to the stored bytes, with a client of its own.

    A key may not be UTF-8: its bytes are those of `igniter_store.contract.name_to_bytes`.
    """

    async def peek(self, key: str) -> bytes | None:
        """The bytes that the backend holds under this complete key; `None` when there is no such
        key, or its time is over.
        """
        ...

    async def poke(self, key: str, value: bytes) -> None:
        """Put bytes under this complete key, without a TTL."""
        ...


class Harness:
    """One backend, as the kit sees it. A fresh one is made for every test, so it should be cheap:
    start servers elsewhere, once.

    Args:
        connect: makes an adapter, not yet opened. Made twice, the two are clients of the same data.
            A backend whose data can't be shared by two adapters returns the same adapter each time.
            Tests in other processes need a `connect` that pickles (`functools.partial(MyAdapter,
            url)` does, a lambda doesn't).
        connect_other: makes the second client of the same data, where it should differ from the
            first: another client library, a wrapper, another version. Without it, `connect` makes
            both.
        server: power over the server, for the tests that stop, kill, pause or refuse (FLT). Make
            adapters with short timeouts then, of a second or two: the kit waits for them.
        advance: moves the backend's time by so many seconds, a plain function or a coroutine
            function. Without it the kit waits, with short TTLs. Blocked reads may follow it, or go
            on in real time. Where the backend keeps the time of a subscriber's last sign of life,
            it gets older, too.
        oracle: reads and writes stored bytes around the adapter.
        granularity: seconds to which the backend resolves TTLs, when that is coarser than a
            millisecond.
        namespace: what every key, channel and stream of the kit begins with. By default a new one
            for each harness, so that no run meets what another has left. Nothing outside is read,
            written or removed.
        rewind: sets the backend's clock back by so many seconds, a plain function or a coroutine
            function; or sets the last ids of streams ahead, which to a stream is the same.
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
        self.connect_other = connect if connect_other is None else connect_other
        self.server = server
        self.advance = advance
        self.oracle = oracle
        self.granularity = granularity
        self.rewind = rewind
        self.namespace = (
            f"igniter-conformance-{secrets.token_hex(6)}:" if namespace is None else namespace
        )

    def through(self, wrapper: Callable[[Adapter], Adapter]) -> Harness:
        """The same backend with every adapter inside `wrapper`, to run the suite again through an
        adapter over an adapter.
        """
        connect, connect_other = self.connect, self.connect_other
        wrapped = copy.copy(self)
        wrapped.connect = lambda: wrapper(connect())
        wrapped.connect_other = lambda: wrapper(connect_other())
        return wrapped
