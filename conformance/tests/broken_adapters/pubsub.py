"""Broken publish and subscribe: confirmation, delivery, cancelling, callbacks and patterns."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from igniter_store.contract import (
    ErrorCode,
    GapCallback,
    MessageCallback,
    Subscription,
    report_callback_error,
    store_error,
)

from broken_adapters.breaking import Broken, bare, others_turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_memory import MemoryAdapter

DELIVERING: Final[ContextVar[bool]] = ContextVar("DELIVERING", default=False)


class Ending(Subscription):
    """A subscription whose `cancel` calls a function."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end

    async def cancel(self) -> None:
        self._end()


class DelayedCancel(Subscription):
    """A subscription whose `cancel` lets other tasks run before it ends the subscription."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def cancel(self) -> None:
        await others_turn()
        await self._subscription.cancel()


class Unconfirmed(Subscription):
    """A subscription that becomes active only some time after the caller got it."""

    def __init__(self, subscribe: Callable[[], Awaitable[Subscription]]) -> None:
        self._making = asyncio.create_task(self._made(subscribe))

    async def _made(self, subscribe: Callable[[], Awaitable[Subscription]]) -> Subscription:
        for _ in range(8):
            await others_turn()
        return await subscribe()

    async def cancel(self) -> None:
        await (await self._making).cancel()


def within(subscription: Subscription) -> Any:
    """Return the subscription without its type, for access to its private state."""
    return subscription


def listeners(adapter: MemoryAdapter, channel: str) -> list[Any]:
    """Return the subscriptions that match a channel: exact ones first, then patterns."""
    found: list[Any] = bare(adapter).channels.listeners(channel)
    return found


def only_for(wanted: Callable[[str], bool], callback: MessageCallback) -> MessageCallback:
    """Return a callback that ignores messages on unwanted channels."""

    def called(channel: str, payload: bytes) -> None:
        if wanted(channel):
            callback(channel, payload)

    return called


class SecondIsNotConfirmed(Broken):
    """A second `subscribe` to a channel returns before the server has confirmed it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-1"})
    limit: ClassVar[float | None] = 2.0

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        confirming = vars(self).setdefault("confirming", set())
        if channel in confirming:
            return Unconfirmed(partial(super().subscribe, channel, callback, on_gap=on_gap))
        confirming.add(channel)
        await others_turn()
        confirming.discard(channel)
        return await super().subscribe(channel, callback, on_gap=on_gap)


class DeliveredTwice(Broken):
    """`publish` sends each message twice, as if it retried after a lost confirmation."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-1"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        await super().publish(channel, payload)
        return await super().publish(channel, payload)


class CallbacksInAThread(Broken):
    """Callbacks run in another thread, which has its own event loop."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-1"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        def called(name: str, payload: bytes) -> None:
            async def call() -> None:
                callback(name, payload)

            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, call()).result()

        return await super().subscribe(channel, called, on_gap=on_gap)


class PublishAlternatesConnections(Broken):
    """`publish` alternates between two connections, one of which is slower."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-2"})

    async def publish(self, channel: str, payload: bytes) -> int:
        sent = vars(self).setdefault("sent", [])
        sent.append(
            asyncio.create_task(super().publish(channel, payload)) if len(sent) % 2 else None
        )
        return (
            await super().publish(channel, payload)
            if sent[-1] is None
            else len(listeners(self, channel))
        )


class EmptyMessagesAreDropped(Broken):
    """`publish` drops empty messages."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-3"})

    async def publish(self, channel: str, payload: bytes) -> int:
        return await super().publish(channel, payload) if payload else 0


class MessagesAreTruncated(Broken):
    """`publish` truncates messages to 8,000 bytes, the limit of PostgreSQL's NOTIFY."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-3"})

    async def publish(self, channel: str, payload: bytes) -> int:
        return await super().publish(channel, payload[:8_000])


class ChannelsAreFolded(Broken):
    """`subscribe` ignores the case of channel names."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-3"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        alike = only_for(lambda name: name.casefold() == channel.casefold(), callback)
        return await super().psubscribe("*", alike, on_gap=on_gap)


class LastSubscriberWins(Broken):
    """A client has only one callback for each channel, the most recent one."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-4"})
    limit: ClassVar[float | None] = 2.0

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        for subscription in listeners(self, channel):
            if subscription in self._subscriptions and not subscription._is_pattern:
                subscription.end()
        return await super().subscribe(channel, callback, on_gap=on_gap)


class OneOfEachCallback(Broken):
    """`subscribe` ignores a callback that is already subscribed to the channel."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-4"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        for subscription in listeners(self, channel):
            if subscription._callback is callback:
                return Ending(subscription.end)
        return await super().subscribe(channel, callback, on_gap=on_gap)


class OneCancelEndsAll(Broken):
    """`cancel` ends all of the client's subscriptions to the channel."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-4"})
    limit: ClassVar[float | None] = 2.0

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        all_of_them = vars(self).setdefault("by_channel", {}).setdefault(channel, [])
        all_of_them.append(within(await super().subscribe(channel, callback, on_gap=on_gap)))
        return Ending(lambda: [subscription.end() for subscription in all_of_them])


class CancelEndsThePattern(Broken):
    """`cancel` of a channel also ends the pattern subscriptions with the same text."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-4"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = within(await super().subscribe(channel, callback, on_gap=on_gap))

        def end() -> None:
            for each in [subscription, *listeners(self, channel)]:
                if each is subscription or (each._is_pattern and each._name == channel):
                    each.end()

        return Ending(end)


class BackendStaysSubscribed(Broken):
    """`cancel` leaves the backend subscribed; the client drops the messages."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-4"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = within(await super().subscribe(channel, callback, on_gap=on_gap))

        def drop() -> None:
            subscription._callback = only_for(lambda _: False, callback)

        return Ending(drop)


class InterruptedCancelDoesNothing(Broken):
    """`cancel` waits before it ends the subscription; if it is cancelled, it ends nothing."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return DelayedCancel(await super().subscribe(channel, callback, on_gap=on_gap))


class SecondCancelRaises(Broken):
    """A second `cancel` of the same subscription raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        live = [within(await super().subscribe(channel, callback, on_gap=on_gap))]
        return Ending(lambda: live.pop().end())


class DeliversAfterCancel(Broken):
    """The adapter queues messages, and delivers the queued ones after `cancel`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        def called(name: str, payload: bytes) -> None:
            asyncio.get_running_loop().call_soon(callback, name, payload)

        return await super().subscribe(channel, called, on_gap=on_gap)


class CancelWaitsForItself(Broken):
    """A `cancel` that a callback starts never returns, because it waits for the callback."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        token = DELIVERING.set(True)
        try:
            return await super().publish(channel, payload)
        finally:
            DELIVERING.reset(token)

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = await super().subscribe(channel, callback, on_gap=on_gap)

        class Waiting(Subscription):
            async def cancel(self) -> None:
                if DELIVERING.get():
                    await asyncio.get_running_loop().create_future()
                await subscription.cancel()

        return Waiting()


class CancelledSubscribeEndsOthers(Broken):
    """A cancelled `subscribe` later ends all subscriptions to the channel."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = await super().subscribe(channel, callback, on_gap=on_gap)
        try:
            await others_turn()
        except asyncio.CancelledError:
            self.notes["unsubscribing"] = asyncio.create_task(self._unsubscribe(channel))
            raise
        return subscription

    async def _unsubscribe(self, channel: str) -> None:
        for _ in range(8):  # as long as a round trip to the server
            await others_turn()
        for subscription in listeners(self, channel):
            subscription.end()


class RaisingCallbackEndsDelivery(Broken):
    """If a callback raises, the adapter doesn't call the callbacks after it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-6"})

    async def publish(self, channel: str, payload: bytes) -> int:
        found = listeners(self, channel)
        try:
            for subscription in found:
                if subscription._is_live:
                    subscription._callback(channel, payload)
        except Exception:  # noqa: BLE001 - a callback may raise anything
            report_callback_error(channel)
        return len(found)


class CallbackErrorsAreSwallowed(Broken):
    """The adapter doesn't report an exception that a callback raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-6"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        def called(name: str, payload: bytes) -> None:
            with contextlib.suppress(Exception):
                callback(name, payload)

        return await super().subscribe(channel, called, on_gap=on_gap)


class ReportsThePayload(Broken):
    """The report about a callback that raised contains the payload."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-6"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        def called(name: str, payload: bytes) -> None:
            try:
                callback(name, payload)
            except Exception:
                logging.getLogger("igniter_store").exception(
                    "A subscriber's callback raised on %r: %r", name, payload
                )

        return await super().subscribe(channel, called, on_gap=on_gap)


class CallbacksAreWaitedFor(Broken):
    """`publish` waits for the tasks of a callback before it calls the next callback."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-6"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        found = listeners(self, channel)
        for subscription in found:
            before = asyncio.all_tasks()
            subscription.deliver(channel, bytes(payload))
            if started := asyncio.all_tasks() - before:
                await asyncio.wait(started)
        return len(found)


class FnmatchPatterns(Broken):
    """`psubscribe` matches channels with Python's `fnmatch`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-7"})

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await super().psubscribe(
            "*", only_for(lambda name: fnmatch.fnmatchcase(name, pattern), callback), on_gap=on_gap
        )


class PatternInsteadOfChannel(Broken):
    """`psubscribe` passes the pattern to the callback instead of the channel."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-7"})

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await super().psubscribe(
            pattern, lambda _channel, payload: callback(pattern, payload), on_gap=on_gap
        )


class ChannelsBeforePatterns(Broken):
    """`publish` skips pattern subscribers if the channel has other subscribers."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-8"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        found = listeners(self, channel)
        for subscription in [each for each in found if not each._is_pattern] or found:
            subscription.deliver(channel, bytes(payload))
        return len(found)


class KeepsTheLastMessage(Broken):
    """The backend keeps the last message of a channel for the next subscriber."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-11"})

    async def publish(self, channel: str, payload: bytes) -> int:
        bare(self).__dict__.setdefault("kept", {})[channel] = payload
        return await super().publish(channel, payload)

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = await super().subscribe(channel, callback, on_gap=on_gap)
        kept = bare(self).__dict__.get("kept", {})
        if channel in kept:
            within(subscription).deliver(channel, kept[channel])
        return subscription


class PublishWithoutSubscribersRaises(Broken):
    """`publish` raises if the message reaches no subscriber."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-11"})

    async def publish(self, channel: str, payload: bytes) -> int:
        reached = await super().publish(channel, payload)
        if not reached:
            raise store_error(ErrorCode.STORE_PUBLISH_FAILED, "nobody listens")
        return reached


class CallbackPublishDeadlocks(Broken):
    """A `publish` that a callback starts never returns, because it waits for the callback."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-12"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        if DELIVERING.get():
            await asyncio.get_running_loop().create_future()
        token = DELIVERING.set(True)
        try:
            return await super().publish(channel, payload)
        finally:
            DELIVERING.reset(token)


class SubscriptionsExpire(Broken):
    """`publish` ends a subscription if the wall clock is over a minute away from its start."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-13"})
    limit: ClassVar[float | None] = 2.0

    async def publish(self, channel: str, payload: bytes) -> int:
        signs, now = self._signs(), float(bare(self).now())
        for subscription in listeners(self, channel):
            if abs(now - signs[subscription]) > 60.0:
                subscription.end()
        return await super().publish(channel, payload)

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return self._signed(await super().subscribe(channel, callback, on_gap=on_gap))

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return self._signed(await super().psubscribe(pattern, callback, on_gap=on_gap))

    def _signed(self, subscription: Subscription) -> Subscription:
        self._signs()[subscription] = bare(self).now()
        return subscription

    def _signs(self) -> dict[Subscription, float]:
        signs: dict[Subscription, float] = bare(self).__dict__.setdefault("signs", {})
        return signs
