"""The connection between a store and its adapter, shared by the store's scopes.

Rule: the first operation opens the connection, and it is closed once.
Rule: namespaces call the adapter through the capability attributes defined here, so no operation
    can forget to check the connection's state. Each attribute is one of these:
    - the adapter, while it is open;
    - before that, a stand-in that opens the adapter first;
    - after `close`, a stand-in that raises `STORE_CLOSED`;
    - for a capability that the adapter lacks, a stand-in that raises
      `STORE_CAPABILITY_UNSUPPORTED`.
Rule: a connection closes the adapter only if it opened it. An adapter that was open when the store
    was created stays open.
Rule: a connection is bound to the event loop of its first call. Each operation checks only whether
    that loop runs in the current thread. If it doesn't, `bind` decides: it abandons the remains of
    a closed loop, and refuses a second loop and a forked child (`contract.affinity`).
"""

from __future__ import annotations

import asyncio
import copy
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from igniter_store.contract import (
    Affinity,
    Claims,
    Counters,
    ErrorCode,
    KeyValue,
    PubSub,
    Scan,
    StoreError,
    Streams,
    store_error,
)
from igniter_store.contract.affinity import keep

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from igniter_store.contract import Adapter


T = TypeVar("T")


class Closable(Protocol):
    """An object that ends with its connection, such as a subscription."""

    async def end(self) -> None:
        """Stop, and return when nothing of this object runs any more.

        Calls that wait for it raise `STORE_CLOSED`.
        """
        ...

    def abandon(self) -> None:
        """Stop without awaiting anything and without waking a task of the event loop.

        Called when the event loop is closed or belongs to the parent process.
        """
        ...


class _BlockingCall:
    # A blocking call, as a `Closable`.
    def __init__(self) -> None:
        self.timeout = asyncio.timeout(None)
        self.is_over = False

    async def end(self) -> None:
        # Reschedule only once. asyncio refuses it after the timeout has expired, while the adapter
        # still cancels the read. It also refuses it after the call has ended by itself, which can
        # happen while `close` ends other objects.
        if not self.is_over and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())

    def abandon(self) -> None:
        self.is_over = True


class Capabilities(ABC):
    """The adapter's capabilities, or the stand-ins for them."""

    keyvalue: KeyValue
    counters: Counters
    claims: Claims
    pubsub: PubSub
    streams: Streams
    scan: Scan

    @abstractmethod
    def check(self) -> None:
        """Raise the error that an operation would raise here.

        For operations that have nothing to send.
        """

    async def wait(self, call: Awaitable[T]) -> T:
        """Await `call`, which may block at the backend for long, and return its result.

        Closing the store ends the wait with `STORE_CLOSED`.
        """
        return await call


class StoreConnection(Capabilities):
    """An adapter and its lifecycle, shared by a store and all its scopes.

    Attributes:
        affinity: the event loop and the process that the connection is bound to.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.is_open: bool = False
        self.affinity: Affinity = Affinity(self._abandon)
        self._closables: set[Closable] = set()
        self._opened_adapter = False
        self._was_closed = False
        self._changing = asyncio.Lock()
        self._changes = 0  # calls that open or close, or wait for the lock to do so
        self._entered = 0  # `async with` blocks of the store and of its scopes
        self._closes_at_the_end = False  # one of those blocks was a root store's
        self._failures = 0
        self._failure: StoreError | None = None  # the last failure to open the adapter
        self._place(self._opening)

    def bind(self) -> None:
        """Bind the connection to the running event loop.

        The remains of a closed loop are abandoned, and the next operation opens the adapter.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` without an asyncio loop, in a second
                loop while the first one isn't closed and uses the store, and in a forked child if
                the parent opened the connection.
        """
        # A closed connection needs no binding, because every operation raises `STORE_CLOSED`.
        if not self._was_closed:
            self._bind()

    def _bind(self) -> None:
        self.affinity.enter(
            self.adapter.name, is_in_use=self.is_open or self._changes > 0 or bool(self._closables)
        )

    async def open(self) -> None:
        """Open the adapter unless it is open. After `close`, open it again."""
        self._bind()
        async with self._turn():
            await self._open()

    async def close(self) -> None:
        """End everything that depends on the connection, then close the adapter.

        An adapter that this connection didn't open stays open. A second call does nothing.
        """
        if self.affinity.is_inherited:
            await self._forget_parent()
            return
        self._bind()
        async with self._turn():
            self.is_open, self._was_closed = False, True
            self._place(self._closed)
            # If one object fails to end, the others and the adapter are still closed. Its error is
            # raised afterwards.
            async with AsyncExitStack() as ending:
                if self._opened_adapter:
                    ending.push_async_callback(self._close_adapter)
                for closable in self._closables:
                    ending.push_async_callback(closable.end)
        if not self._changes and not self._opened_adapter:
            self.affinity.release()

    async def enter(self, *, is_root: bool) -> None:
        """Open the connection and count an `async with` block.

        A block that fails to open isn't counted.

        Args:
            is_root: whether the block is that of a root store. If any of the blocks is, the last
                block to end closes the connection.
        """
        self._bind()  # before counting, because this resets the counts of a closed loop
        self._entered += 1
        try:
            await self.open()
        except GeneratorExit:  # the event loop was closed, so nothing can be awaited any more
            raise
        except BaseException:
            await self.leave()
            raise
        self._closes_at_the_end = self._closes_at_the_end or is_root

    async def leave(self) -> None:
        """End an `async with` block."""
        if self._entered:  # 0 if the process was forked inside the block
            self._entered -= 1
            if not self._entered and self._closes_at_the_end:
                self._closes_at_the_end = False
                await self.close()

    async def wait(self, call: Awaitable[T]) -> T:
        """See `Capabilities.wait`.

        This matters for an adapter that stays open; an adapter that closes wakes its readers
        itself.
        """
        waiting = _BlockingCall()
        self._closables.add(waiting)
        try:
            async with waiting.timeout:
                return await call
        except TimeoutError:
            if waiting.timeout.expired():
                raise closed() from None
            raise
        finally:
            waiting.is_over = True
            self._closables.discard(waiting)

    def check(self) -> None:
        """Raise `STORE_CLOSED` after `close`."""
        if self._was_closed:
            raise closed()

    async def ping(self) -> float:
        """Open the adapter if necessary, and ping the backend."""
        self.bind()
        await self._open_first()
        return await self.adapter.ping()

    def add(self, closable: Closable) -> None:
        """Register `closable`, which is ended when the connection closes.

        Raises:
            StoreClosed: `STORE_CLOSED` when the connection was closed while `closable` was being
                created.
        """
        if self._was_closed:
            raise closed()
        self._closables.add(closable)

    def discard(self, closable: Closable) -> None:
        """Unregister `closable`, which has ended."""
        self._closables.discard(closable)

    async def _open_first(self) -> None:
        # For the first operation. An operation that waited for the lock while the store was closed
        # must not open it again.
        if not self.is_open:
            failures = self._failures
            async with self._turn():
                if self._was_closed:
                    raise closed()
                # Reuse the failure of the attempt that these callers waited for. Otherwise a
                # thousand callers would retry one after another, for a thousand connect timeouts.
                if self._failure is not None and self._failures > failures:
                    raise copy.copy(self._failure) from self._failure.__cause__
                await self._open()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        self._changes += 1
        try:
            async with self._changing:
                yield
        finally:
            self._changes -= 1

    def _abandon(self) -> None:
        # The loop is closed, or the process was forked: don't await, send, or wake a task here.
        closables, self._closables = self._closables, set()
        if self.affinity.is_inherited:
            keep(*closables)
        for closable in closables:
            closable.abandon()
        self.is_open = self._opened_adapter = self._closes_at_the_end = False
        # A new lock, because a task of the closed loop may hold the old one for ever.
        self._changing, self._changes, self._entered = asyncio.Lock(), 0, 0
        self._failure = None
        if not self._was_closed:
            self._place(self._opening)
        self.adapter.abandon()

    async def _forget_parent(self) -> None:
        # In a forked child.
        self.affinity.inherit()
        self._was_closed = True
        self._place(self._closed)
        self.affinity.release()
        await self.adapter.close()

    async def _open(self) -> None:
        # The owner of an adapter that was open before the store may have closed it since.
        if self.is_open and (self._opened_adapter or self.adapter.is_open):
            return
        if (affinity := self.adapter.affinity) is not None and affinity.has_ended:
            # Another store or the user opened it in a loop that is closed now.
            self.adapter.abandon()
        if not self.adapter.is_open:
            try:
                await self.adapter.open()
            except StoreError as error:
                self._failures += 1
                self._failure = copy.copy(error)
                self._failure.__cause__ = error.__cause__
                raise
            self._opened_adapter = True
        self._failure = None
        self._place(self._present)
        self.is_open, self._was_closed = True, False

    async def _close_adapter(self) -> None:
        await self.adapter.close()
        self._opened_adapter = False

    def _place(self, stand_in: Callable[[], Any]) -> None:
        self.keyvalue: KeyValue = self._capability(KeyValue, stand_in)
        self.counters: Counters = self._capability(Counters, stand_in)
        self.claims: Claims = self._capability(Claims, stand_in)
        self.pubsub: PubSub = self._capability(PubSub, stand_in)
        self.streams: Streams = self._capability(Streams, stand_in)
        self.scan: Scan = self._capability(Scan, stand_in)

    def _capability(self, capability: type, stand_in: Callable[[], Any]) -> Any:
        if isinstance(self.adapter, capability):
            return stand_in()
        return refusing(
            lambda: store_error(
                ErrorCode.STORE_CAPABILITY_UNSUPPORTED,
                f"The backend doesn't support {capability.__name__}. Use one that does; "
                "`igniter-store backends` lists them.",
                details={"capability": capability.__name__},
            )
        )

    def _present(self) -> Any:
        return self.adapter

    def _opening(self) -> Any:
        async def respond(method: str, *args: Any, **kwargs: Any) -> Any:
            await self._open_first()
            return await getattr(self.adapter, method)(*args, **kwargs)

        return _StandIn(respond)

    def _closed(self) -> Any:
        return refusing(closed)


class RefusedCapabilities(Capabilities):
    """The capabilities of a store that lacks a required scope.

    Every operation raises the error that `make_error` returns.
    """

    def __init__(self, make_error: Callable[[], StoreError]) -> None:
        self._make_error = make_error
        self.keyvalue: KeyValue = refusing(make_error)
        self.counters: Counters = refusing(make_error)
        self.claims: Claims = refusing(make_error)
        self.pubsub: PubSub = refusing(make_error)
        self.streams: Streams = refusing(make_error)
        self.scan: Scan = refusing(make_error)

    def check(self) -> None:
        """Raise the error."""
        raise self._make_error()


def refusing(make_error: Callable[[], StoreError]) -> Any:
    """Return a stand-in for any capability; each of its methods raises."""

    async def respond(method: str, *args: Any, **kwargs: Any) -> Any:
        del method, args, kwargs
        raise make_error()

    return _StandIn(respond)


def closed() -> StoreError:
    """Return the error that every operation of a closed store raises."""
    return store_error(
        ErrorCode.STORE_CLOSED,
        ("The store is closed. Open it again with open(), or close it only after its last use."),
    )


class _StandIn:
    """Responds to every method call with `respond(method, ...)`."""

    def __init__(self, respond: Callable[..., Awaitable[Any]]) -> None:
        self._respond = respond

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._respond(method, *args, **kwargs)

        return call
