"""The two ways to receive events: a handler that is called, and an iterator that is asked.

Rule: within one subscription events come in order, one at a time; no subscription waits for another
    (PUB-6).
Rule: a handler that raises, and a payload that can't be read, are logged and told to telemetry; the
    subscription goes on.
Rule: the task of a subscription belongs to it: `cancel` and the closing of the store wait until it
    has ended.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from igniter_store.connection import closed
from igniter_store.contract import ErrorCode, StoreError, store_error
from igniter_store.contract.affinity import forget_task
from igniter_store.events.envelope import EventContext
from igniter_store.events.mailbox import Mailbox, MailboxClosed

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable
    from types import TracebackType
    from typing import Self

    from igniter_store.connection import Connection
    from igniter_store.contract import GapCallback, MessageCallback, Subscription
    from igniter_store.operation import Attempt


T = TypeVar("T")

_ENDED: Final = (
    "The event loop of this listen() is closed. Call listen() again in the running loop."
)

# The subscription whose handler is running, inherited by the tasks that it starts: they must not
# wait for it to end.
_handling: Final[ContextVar[EventSubscription | None]] = ContextVar(
    "igniter_store_handling", default=None
)


class Feed:
    """A subscription of the adapter, seen from above: where messages come from, what they mean, and
    how they are watched.

    Args:
        name: the event's name or pattern, for messages.
        subscribe: subscribes at the adapter, given the callbacks.
        read: makes the event of a message; `None` leaves it out.
        handling: watches the handling of one event.
        unsubscribing: watches the cancelling.
    """

    def __init__(  # noqa: PLR0913 - one object that ties six others together
        self,
        name: str,
        *,
        connection: Connection,
        logger: logging.Logger,
        subscribe: Callable[[MessageCallback, GapCallback], Awaitable[Subscription]],
        read: Callable[[str, bytes], EventContext[Any]],
        handling: Callable[[], Attempt],
        unsubscribing: Callable[[], Attempt],
        max_queue: int,
    ) -> None:
        self.name = name
        self.connection = connection
        self.logger = logger
        self.read = read
        self.handling = handling
        self.mailbox: Mailbox[tuple[str, bytes]] = Mailbox(max_queue, self._warn_of_drops)
        self.gaps = 0
        self._subscribe = subscribe
        self._unsubscribing = unsubscribing
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe at the adapter."""
        self._subscription = await self._subscribe(self._receive, self._note_gap)

    async def stop(self) -> None:
        """Take nothing more, and cancel at the adapter."""
        if self._subscription is None:
            self.mailbox.close()
            return
        with self._unsubscribing():
            # Entering has bound the store to this loop, and so abandoned what a closed loop has
            # left.
            self.mailbox.close()
            if self._subscription is not None:
                await self._subscription.cancel()
        self._subscription = None

    def abandon(self) -> None:
        """Take nothing more, and forget what is at the adapter; see `Closable.abandon`."""
        self.mailbox.abandon()
        self._subscription = None

    @property
    def is_stopped(self) -> bool:
        """True when nothing is left at the adapter.

        When cancelling there failed, `stop` has to be called again.
        """
        return self._subscription is None

    def _receive(self, channel: str, payload: bytes) -> None:
        self.mailbox.put((channel, payload))

    def _note_gap(self) -> None:
        self.gaps += 1
        self.logger.warning(
            "The connection of the subscription to %r was lost and restored. Events that were published in between are lost.",
            self.name,
        )

    def _warn_of_drops(self) -> None:
        self.logger.warning(
            "The handler of the subscription to %r is too slow: its queue is full, so the oldest "
            "events are dropped. Raise max_queue, or speed up the handler.",
            self.name,
        )


class EventSubscription:
    """A handler that is called for each event, as `subscribe` returns it.

    `await sub.cancel()`, `await sub()` and leaving `async with sub` are the same.

    Attributes:
        name: the event's name or pattern.
        is_live: False once it was cancelled, or the store closed, or its task was ended by others.
    """

    def __init__(self, feed: Feed, handler: Handler[Any]) -> None:
        self.name = feed.name
        self.is_live = True
        self._was_abandoned = False
        self._feed = feed
        self._handler = handler
        self._awaited: list[EventSubscription] = []  # whose end its handler waits for
        feed.connection.add(self)
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"igniter-store events {feed.name}"
        )
        self._task.add_done_callback(self._note_end)

    @property
    def dropped(self) -> int:
        """How many events were dropped because the handler was too slow."""
        return self._feed.mailbox.dropped

    @property
    def gaps(self) -> int:
        """How often the backend's connection was lost, and with it what was published meanwhile."""
        return self._feed.gaps

    async def cancel(self) -> None:
        """End the subscription. Twice is fine, and so is a call from the handler itself.

        What waits in the queue is not delivered any more. A handler that is running is left to
        finish, and waited for; once this has returned, the handler is not running and is not called
        again. From inside the handler there is no waiting, nor from inside one whose end this
        handler waits for.

        When its event loop is closed, or the process was forked, it is over already, and this only
        returns.
        """
        if not self._was_abandoned:
            self._feed.connection.bind()
        self.is_live = False
        await self._feed.stop()
        await self._wait_for_end()
        self._forget()

    async def end(self) -> None:
        """What the closing of the store does: as `cancel`, but a handler that is running is
        cancelled.
        """
        self.is_live = False
        try:
            await self._feed.stop()
        finally:
            # The handler ends, whatever became of the subscription at the backend.
            if _handling.get() is not self and not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
            self._forget()

    def abandon(self) -> None:
        """What the closing of its event loop, or a fork, leaves to do: it is over."""
        self.is_live = False
        self._was_abandoned = True
        self._feed.abandon()
        forget_task(self._task)

    async def __call__(self) -> None:
        """As `cancel`: in `@igniter-js/store`, `subscribe` returns a function."""
        await self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cancel()

    async def _wait_for_end(self) -> None:
        inside = _handling.get()
        if self._task.done() or self._was_abandoned:
            return
        if inside is None:
            await asyncio.wait({self._task})
        elif inside is not self and not self._waits_for(inside):
            inside._awaited.append(self)  # noqa: SLF001 - another of this class
            try:
                await asyncio.wait({self._task})
            finally:
                inside._awaited.remove(self)  # noqa: SLF001

    def _waits_for(self, other: EventSubscription) -> bool:
        return any(awaited is other or awaited._waits_for(other) for awaited in self._awaited)  # noqa: SLF001

    def _note_end(self, task: asyncio.Task[None]) -> None:
        del task
        self.is_live = False
        self._feed.mailbox.close()
        self._forget()

    def _forget(self) -> None:
        # Not while a handler runs that called this, nor while something is left at the adapter: the
        # closing of the store ends both.
        if self._task.done() and self._feed.is_stopped:
            self._feed.connection.discard(self)

    async def _run(self) -> None:
        _handling.set(self)
        while True:
            try:
                channel, payload = await self._feed.mailbox.get()
            except MailboxClosed:
                return
            try:
                with self._feed.handling():
                    await self._handle(self._feed.read(channel, payload))
            except StoreError as error:
                # The handler's own exception is the cause, with its traceback.
                self._feed.logger.error(  # noqa: TRY400 - the cause has the traceback
                    "An event for %r wasn't handled: %s", self.name, error, exc_info=error.__cause__
                )
                # A handler that answers the cancelling of its task with another error has not
                # undone it.
                if self._task.cancelling():
                    return

    async def _handle(self, context: EventContext[Any]) -> None:
        try:
            result = self._handler(context)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as error:
            # A handler that awaits what others cancelled gets this error although nobody cancelled
            # the subscription: it failed.
            if isinstance(error, asyncio.CancelledError) and self._task.cancelling():
                raise
            raise store_error(
                ErrorCode.STORE_OPERATION_FAILED,
                f"The handler of {context.type!r} raised {type(error).__name__}. The subscription stays active.",
            ) from error


class EventStream(Generic[T]):
    """Events to iterate over, as `listen` returns it; `async with` subscribes and cancels."""

    def __init__(self, feed: Feed, starting: Callable[[], Attempt]) -> None:
        self.name = feed.name
        self._feed = feed
        self._starting = starting
        self._was_entered = False
        self._is_ended_by_store = False
        self._was_abandoned = False

    @property
    def dropped(self) -> int:
        """How many events were dropped because nobody asked for them in time."""
        return self._feed.mailbox.dropped

    @property
    def gaps(self) -> int:
        """How often the backend's connection was lost, and with it what was published meanwhile."""
        return self._feed.gaps

    async def __aenter__(self) -> Self:
        with self._starting():
            if self._was_entered:
                raise store_error(
                    ErrorCode.STORE_SUBSCRIBE_FAILED,
                    ("This listen() was already entered. Call listen() again."),
                )
            self._was_entered = True
            await self._feed.start()
            try:
                self._feed.connection.add(self)
            except StoreError:
                await self._feed.stop()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._feed.stop()
        self._feed.connection.discard(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventContext[T]:
        """The next event; an event that can't be read is logged and passed over.

        Raises:
            StoreClosed: `STORE_CLOSED` when the store was closed meanwhile, or the event loop in
                which it was entered.
            BackendFailed: `STORE_SUBSCRIBE_FAILED` when it was never entered, and nothing would
                ever come.
        """
        if not self._was_entered:
            raise store_error(
                ErrorCode.STORE_SUBSCRIBE_FAILED,
                ("Enter the result of listen() first: async with ... as stream."),
            )
        connection = self._feed.connection
        if get_ident() != connection.affinity.runner._thread_id:  # noqa: SLF001 - see Affinity
            connection.bind()
        while True:
            try:
                channel, payload = await self._feed.mailbox.get()
            except MailboxClosed:
                if self._was_abandoned:
                    raise store_error(ErrorCode.STORE_CLOSED, _ENDED) from None
                if self._is_ended_by_store:
                    raise closed() from None
                raise StopAsyncIteration from None
            try:
                with self._feed.handling():
                    return self._feed.read(channel, payload)
            except StoreError as error:
                self._feed.logger.error("An event for %r can't be decoded: %s", self.name, error)  # noqa: TRY400 - the message says all

    async def end(self) -> None:
        """What the closing of the store does: whoever waits gets `STORE_CLOSED`."""
        self._is_ended_by_store = True
        await self._feed.stop()

    def abandon(self) -> None:
        """What the closing of its event loop, or a fork, leaves to do: it is over."""
        self._was_abandoned = True
        self._feed.abandon()


Handler: TypeAlias = Callable[[EventContext[T]], Any]
"""Called with each event, one at a time; what it returns is awaited when it can be."""
