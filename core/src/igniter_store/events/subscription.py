"""The two ways to receive events: a handler callback and an async iterator.

Rule: within one subscription, events are handled in order, one at a time. No subscription waits for
    another (PUB-6).
Rule: if a handler raises or a payload can't be decoded, the error is logged and reported to
    telemetry, and the subscription continues.
Rule: a subscription owns its task. `cancel` and closing the store wait until the task has ended.
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

    from igniter_store.connection import StoreConnection
    from igniter_store.contract import GapCallback, MessageCallback, Subscription
    from igniter_store.operation import Attempt


T = TypeVar("T")

_ENDED: Final = (
    "The event loop of this listen() is closed. Call listen() again in the running loop."
)

# The subscription whose handler is running. Tasks that the handler starts inherit it, because they
# must not wait for that subscription to end.
_handling: Final[ContextVar[EventSubscription | None]] = ContextVar(
    "igniter_store_handling", default=None
)


class Feed:
    """A subscription at the adapter, with its decoding and telemetry.

    Args:
        name: the event's name or pattern, for messages.
        subscribe: subscribes at the adapter with the given callbacks.
        read: converts a message to its event.
        handling: observes the handling of one event.
        unsubscribing: observes the cancellation.
    """

    def __init__(  # noqa: PLR0913 - it connects six objects
        self,
        name: str,
        *,
        connection: StoreConnection,
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
        self.gaps: int = 0
        self._subscribe = subscribe
        self._unsubscribing = unsubscribing
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe at the adapter."""
        self._subscription = await self._subscribe(self._receive, self._note_gap)

    async def stop(self) -> None:
        """Accept no more events, and cancel the subscription at the adapter."""
        if self._subscription is None:
            self.mailbox.close()
            return
        with self._unsubscribing():
            # Entering the block has bound the store to this loop. If the old loop is closed, that
            # has abandoned this feed.
            self.mailbox.close()
            if self._subscription is not None:
                await self._subscription.cancel()
        self._subscription = None

    def abandon(self) -> None:
        """Accept no more events, and forget the adapter's subscription.

        See `Closable.abandon`.
        """
        self.mailbox.abandon()
        self._subscription = None

    @property
    def is_stopped(self) -> bool:
        """True when no subscription is left at the adapter.

        If cancelling there failed, `stop` must be called again.
        """
        return self._subscription is None

    def _receive(self, channel: str, payload: bytes) -> None:
        self.mailbox.put((channel, payload))

    def _note_gap(self) -> None:
        self.gaps += 1
        self.logger.warning(
            "The connection of the subscription to %r was lost and restored. Events that were "
            "published in between are lost.",
            self.name,
        )

    def _warn_of_drops(self) -> None:
        self.logger.warning(
            "The handler of the subscription to %r is too slow: its queue is full, so the oldest "
            "events are dropped. Raise max_queue, or speed up the handler.",
            self.name,
        )


class EventSubscription:
    """A handler that is called for each event, as returned by `subscribe`.

    `await sub.cancel()`, `await sub()` and leaving `async with sub` are equivalent.

    Attributes:
        name: the event's name or pattern.
        is_live: False once the subscription is cancelled, the store is closed, or other code has
            ended the subscription's task.
    """

    def __init__(self, feed: Feed, handler: Handler[Any]) -> None:
        self.name: str = feed.name
        self.is_live: bool = True
        self._was_abandoned = False
        self._feed = feed
        self._handler = handler
        self._awaited: list[EventSubscription] = []  # subscriptions whose end this handler awaits
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
        """How often the backend's connection was lost.

        Events that were published before it was restored are lost.
        """
        return self._feed.gaps

    async def cancel(self) -> None:
        """End the subscription; idempotent. The handler itself may call it.

        Queued events are discarded. The call waits for a running handler to finish; after it
        returns, the handler isn't running and isn't called again. It doesn't wait when it is called
        inside this handler, or inside a handler whose end this handler waits for.

        If its event loop is closed or the process was forked, the subscription has already ended,
        and the call only returns.
        """
        if not self._was_abandoned:
            self._feed.connection.bind()
        self.is_live = False
        await self._feed.stop()
        await self._wait_for_end()
        self._forget()

    async def end(self) -> None:
        """End the subscription as `cancel` does, but cancel a running handler.

        Closing the store calls this.
        """
        self.is_live = False
        try:
            await self._feed.stop()
        finally:
            # End the handler even if cancelling at the backend failed.
            if _handling.get() is not self and not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
            self._forget()

    def abandon(self) -> None:
        """Mark the subscription as ended, because its event loop is closed or was forked."""
        self.is_live = False
        self._was_abandoned = True
        self._feed.abandon()
        forget_task(self._task)

    async def __call__(self) -> None:
        """Cancel; in `@igniter-js/store`, `subscribe` returns a function."""
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
            inside._awaited.append(self)  # noqa: SLF001 - an instance of the same class
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
        # Keep it while the calling handler still runs, or a subscription is left at the adapter:
        # closing the store must end both.
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
                # A handler may respond to its task's cancellation with another error. The task is
                # still cancelled then.
                if self._task.cancelling():
                    return

    async def _handle(self, context: EventContext[Any]) -> None:
        try:
            result = self._handler(context)
            if inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as error:
            # A handler that awaits a cancelled task gets CancelledError although the subscription
            # wasn't cancelled. That is a failure of the handler.
            if isinstance(error, asyncio.CancelledError) and self._task.cancelling():
                raise
            raise store_error(
                ErrorCode.STORE_OPERATION_FAILED,
                f"The handler of {context.type!r} raised {type(error).__name__}. The subscription "
                "stays active.",
            ) from error


class EventStream(Generic[T]):
    """Events to iterate over, as returned by `listen`.

    Entering `async with` subscribes, and leaving it cancels the subscription.
    """

    def __init__(self, feed: Feed, starting: Callable[[], Attempt]) -> None:
        self.name: str = feed.name
        self._feed = feed
        self._starting = starting
        self._was_entered = False
        self._is_ended_by_store = False
        self._was_abandoned = False

    @property
    def dropped(self) -> int:
        """How many events were dropped because the iteration was too slow."""
        return self._feed.mailbox.dropped

    @property
    def gaps(self) -> int:
        """How often the backend's connection was lost.

        Events that were published before it was restored are lost.
        """
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
        """Wait for the next event and return it.

        An event that can't be decoded is logged and skipped.

        Raises:
            StoreClosed: `STORE_CLOSED` when the store was closed, or the event loop in which the
                stream was entered.
            BackendFailed: `STORE_SUBSCRIBE_FAILED` when the stream was never entered, so no event
                would ever arrive.
        """
        if not self._was_entered:
            raise store_error(
                ErrorCode.STORE_SUBSCRIBE_FAILED,
                ("Enter the result of listen() first: async with ... as stream."),
            )
        connection = self._feed.connection
        if get_ident() != connection.affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
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
                # the message is complete
                self._feed.logger.error("An event for %r can't be decoded: %s", self.name, error)  # noqa: TRY400

    async def end(self) -> None:
        """End the stream; a pending iteration raises `STORE_CLOSED`.

        Closing the store calls this.
        """
        self._is_ended_by_store = True
        await self._feed.stop()

    def abandon(self) -> None:
        """Mark the stream as ended, because its event loop is closed or was forked."""
        self._was_abandoned = True
        self._feed.abandon()


Handler: TypeAlias = Callable[[EventContext[T]], Any]
"""Called with each event, one at a time; an awaitable result is awaited."""
