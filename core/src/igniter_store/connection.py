"""The way from a store to its adapter: opened by the first operation, shared by scoped stores,
closed once.

Rule: namespaces call the adapter through the capability attributes here. What stands in them
    decides what happens: the adapter while it is
open; before that something that opens it first; after `close` something that raises `STORE_CLOSED`;
for a capability that the adapter lacks something that raises `STORE_CAPABILITY_UNSUPPORTED`. So no
operation can forget to look.
Rule: who opened the adapter closes it. An adapter that was open when the store came stays open.
Rule: a connection is bound to the event loop of its first call. Each operation asks whether that
    loop runs in this thread; only where it
doesn't does `bind` decide: it abandons what a closed loop has left, and refuses a second loop and a
forked child (`contract.affinity`).
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
    """Something that lives on a connection and ends with it, such as a subscription."""

    async def end(self) -> None:
        """Stop, and wait until nothing of it runs any more; whoever waits for it gets
        `STORE_CLOSED`.
        """
        ...

    def abandon(self) -> None:
        """Stop, when its event loop is closed or belongs to the parent process: await nothing, and
        wake no task of that loop.
        """
        ...


class _Waiting:
    # A call that waits, as something that lives on a connection.
    def __init__(self) -> None:
        self.timeout = asyncio.timeout(None)
        self.is_over = False

    async def end(self) -> None:
        # Once is enough: while the adapter still lets go of the read, asyncio refuses to be told
        # again; and so it does when the call has ended by itself, while `close` was busy with
        # others.
        if not self.is_over and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time())

    def abandon(self) -> None:
        self.is_over = True


class Capabilities(ABC):
    """The adapter as each capability, or what stands in its place."""

    keyvalue: KeyValue
    counters: Counters
    claims: Claims
    pubsub: PubSub
    streams: Streams
    scan: Scan

    @abstractmethod
    def check(self) -> None:
        """Raise what an operation would raise here, for one that has nothing to send."""

    async def wait(self, call: Awaitable[T]) -> T:
        """What `call` answers, which may wait at the backend for long; the closing of the store
        ends the waiting with `STORE_CLOSED`.
        """
        return await call


class Connection(Capabilities):
    """An adapter with its life cycle, as a store and all its scopes share it.

    Attributes:
        affinity: the event loop and the process that it is bound to.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.is_open = False
        self.affinity = Affinity(self._abandon)
        self._closables: set[Closable] = set()
        self._opened_adapter = False
        self._was_closed = False
        self._changing = asyncio.Lock()
        self._changes = 0  # calls that open or close, or wait for their turn to
        self._entered = 0  # `async with` blocks of the store and of its scopes
        self._closes_at_the_end = False  # one of those blocks was a root store's
        self._failures = 0
        self._failure: StoreError | None = None  # the last one to open the adapter
        self._place(self._opening)

    def bind(self) -> None:
        """Belong to the running event loop. What a closed loop has left is abandoned, and the next
        operation opens the adapter.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` without an asyncio loop, in a second
                loop while the first one isn't closed and uses the store, and in a forked child when
                the parent had opened it.
        """
        if (
            not self._was_closed
        ):  # else there is nothing to bind: every operation raises `STORE_CLOSED`
            self._bind()

    def _bind(self) -> None:
        self.affinity.enter(
            self.adapter.name, is_in_use=self.is_open or self._changes > 0 or bool(self._closables)
        )

    async def open(self) -> None:
        """Open the adapter, unless it is open. After `close` this opens anew."""
        self._bind()
        async with self._turn():
            await self._open()

    async def close(self) -> None:
        """End what lives on the connection, then the adapter if this connection opened it.

        Twice: nothing happens.
        """
        if self.affinity.is_inherited:
            await self._forget_parent()
            return
        self._bind()
        async with self._turn():
            self.is_open, self._was_closed = False, True
            self._place(self._closed)
            # One that fails to end must not keep the others, or the adapter, alive; its error is
            # raised when all is done.
            async with AsyncExitStack() as ending:
                if self._opened_adapter:
                    ending.push_async_callback(self._close_adapter)
                for closable in self._closables:
                    ending.push_async_callback(closable.end)
        if not self._changes and not self._opened_adapter:
            self.affinity.release()

    async def enter(self, *, is_root: bool) -> None:
        """Open, and count an `async with` block; one that can't be entered isn't counted.

        Args:
            is_root: whether the block is a root store's: with one of those among them, the last
                block to end closes the connection.
        """
        self._bind()  # before it is counted: the counts of a closed loop are abandoned here
        self._entered += 1
        try:
            await self.open()
        except (
            GeneratorExit
        ):  # the event loop was closed meanwhile, and nothing can be awaited any more
            raise
        except BaseException:
            await self.leave()
            raise
        self._closes_at_the_end = self._closes_at_the_end or is_root

    async def leave(self) -> None:
        """End an `async with` block."""
        if self._entered:  # else the process was forked inside of the block
            self._entered -= 1
            if not self._entered and self._closes_at_the_end:
                self._closes_at_the_end = False
                await self.close()

    async def wait(self, call: Awaitable[T]) -> T:
        """See `Capabilities`; for an adapter that stays open, since one that closes wakes its
        readers itself.
        """
        waiting = _Waiting()
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
        """Open if need be, and ask the adapter for a sign of life."""
        self.bind()
        await self._open_first()
        return await self.adapter.ping()

    def add(self, closable: Closable) -> None:
        """End `closable` when the connection is closed.

        Raises:
            StoreClosed: `STORE_CLOSED` when that was done while `closable` was being made.
        """
        if self._was_closed:
            raise closed()
        self._closables.add(closable)

    def discard(self, closable: Closable) -> None:
        """Forget `closable`, which ended by itself."""
        self._closables.discard(closable)

    async def _open_first(self) -> None:
        # For the first operation. Those that waited for their turn while the store was closed must
        # not open it again.
        if not self.is_open:
            failures = self._failures
            async with self._turn():
                if self._was_closed:
                    raise closed()
                # Each of a thousand callers trying for itself, one after another, would take a
                # thousand connect timeouts.
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
        # The loop is closed, or the process was forked: nothing here may await, send, or wake a
        # task.
        closables, self._closables = self._closables, set()
        if self.affinity.is_inherited:
            keep(*closables)
        for closable in closables:
            closable.abandon()
        self.is_open = self._opened_adapter = self._closes_at_the_end = False
        self._changing, self._changes, self._entered = (
            asyncio.Lock(),
            0,
            0,
        )  # whoever held the lock holds it for ever
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
        # An adapter that was open when the store came may have been closed by its owner since.
        if self.is_open and (self._opened_adapter or self.adapter.is_open):
            return
        if (affinity := self.adapter.affinity) is not None and affinity.has_ended:
            # Another store, or the user, had opened it in a loop that is closed by now
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
        self.keyvalue = self._capability(KeyValue, stand_in)
        self.counters = self._capability(Counters, stand_in)
        self.claims = self._capability(Claims, stand_in)
        self.pubsub = self._capability(PubSub, stand_in)
        self.streams = self._capability(Streams, stand_in)
        self.scan = self._capability(Scan, stand_in)

    def _capability(self, capability: type, stand_in: Callable[[], Any]) -> Any:
        if isinstance(self.adapter, capability):
            return stand_in()
        return refusing(
            lambda: store_error(
                ErrorCode.STORE_CAPABILITY_UNSUPPORTED,
                f"The backend doesn't support {capability.__name__}. Use one that does; `igniter-store backends` lists them.",
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
    """What a store uses that lacks a required scope: every operation raises the error that
    `make_error` makes.
    """

    def __init__(self, make_error: Callable[[], StoreError]) -> None:
        self._make_error = make_error
        self.keyvalue = refusing(make_error)
        self.counters = refusing(make_error)
        self.claims = refusing(make_error)
        self.pubsub = refusing(make_error)
        self.streams = refusing(make_error)
        self.scan = refusing(make_error)

    def check(self) -> None:
        """Raise the error."""
        raise self._make_error()


def refusing(make_error: Callable[[], StoreError]) -> Any:
    """Something that passes for any capability, and each of whose methods raises."""

    async def respond(method: str, *args: Any, **kwargs: Any) -> Any:
        del method, args, kwargs
        raise make_error()

    return _StandIn(respond)


def closed() -> StoreError:
    """What every operation of a closed store raises."""
    return store_error(
        ErrorCode.STORE_CLOSED,
        ("The store is closed. Open it again with open(), or close it only after its last use."),
    )


class _StandIn:
    """Answers every method with `respond(method, ...)`."""

    def __init__(self, respond: Callable[..., Awaitable[Any]]) -> None:
        self._respond = respond

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._respond(method, *args, **kwargs)

        return call
