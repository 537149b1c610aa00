"""Subscriptions: they share one connection of their own, and one task that reads it.

Rule: the server answers the commands of a connection in order, so the next confirmation belongs to
    the oldest pending command.
Rule: one table lists the subscriptions. A new connection subscribes to the names in the table, and
    then reports the gap to their subscribers.
Rule: a cancelled subscription leaves the table before anything is awaited.
Rule: the listener pings the server continuously. It closes a connection that stays silent for twice
    the interval.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract import (
    ErrorCode,
    GapCallback,
    MessageCallback,
    PubSub,
    StoreError,
    Subscription,
    report_callback_error,
)
from igniter_store.contract.affinity import forget_task
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from igniter_store_conformance.redis_py.calls import is_sent
from igniter_store_conformance.redis_py.errors import closed, timed_out, translated, word_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from igniter_store_conformance.redis_py.calls import Calls

# Seconds between reconnection attempts; the last one is repeated.
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
_Name: TypeAlias = tuple[str, str]  # SUBSCRIBE and a channel, or PSUBSCRIBE and a pattern
_ENDS: Final = {"SUBSCRIBE": "UNSUBSCRIBE", "PSUBSCRIBE": "PUNSUBSCRIBE"}


class RedisPySubscription(Subscription):
    """One callback on one channel or pattern."""

    def __init__(
        self, listener: Listener, name: _Name, callback: MessageCallback, on_gap: GapCallback | None
    ) -> None:
        self.name: Final = name
        self.is_live = True
        self.is_confirmed = False
        self._listener = listener
        self._callback = callback
        self._on_gap = on_gap

    def deliver(self, channel: str, payload: bytes) -> None:
        """Call the callback, unless an earlier one has cancelled this subscription."""
        if self.is_live:
            self._call(channel, lambda: self._callback(channel, payload))

    def tell_of_gap(self) -> None:
        """Report that messages may have been lost."""
        if self.is_live and self.is_confirmed and self._on_gap is not None:
            self._call(self.name[1], self._on_gap)

    async def cancel(self) -> None:
        if self.is_live:
            self._listener.bind()
        self.is_live = False
        await self._listener.remove(self)

    def _call(self, channel: str, callback: GapCallback) -> None:
        try:
            callback()
        # a callback's exception is its author's, and must not affect other subscribers (PUB-6)
        except Exception:  # noqa: BLE001
            report_callback_error(channel)


class Listener:
    """All subscriptions of one adapter."""

    def __init__(self, calls: Calls) -> None:
        self.bind = calls.bind
        self._calls = calls
        self._table: dict[_Name, list[RedisPySubscription]] = {}
        # One change of the table at a time, its confirmation included (PUB-1).
        self._changing = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        # Unsubscribe tasks, which outlive a cancelled caller.
        self._ending: set[asyncio.Task[None]] = set()
        # State of the current connection, empty without one:
        self._connection: Any = None
        self._confirmed: set[_Name] = set()
        # Pending confirmations; the result of each is the error, if there was one.
        self._commands: deque[asyncio.Future[Exception | None]] = deque()
        # Callers that wait for a connection, or for the error that prevents one:
        self._arrivals: list[asyncio.Future[Exception | None]] = []

    async def add(self, subscription: RedisPySubscription) -> None:
        """Subscribe, and return once the server has confirmed it."""
        try:
            async with self._calls.limit(self._calls.timeout), self._changing:
                self._table.setdefault(subscription.name, []).append(subscription)
                try:
                    await self._until_confirmed(subscription.name)
                except BaseException:
                    await self._take_back(subscription)
                    raise
                subscription.is_confirmed = True
        except StoreError:  # some are TimeoutErrors and ConnectionErrors, too
            raise
        except TimeoutError as error:
            raise (
                closed()
                if self._calls.is_closed
                else timed_out(self._calls.timeout, maybe_applied=False)
            ) from error
        except (RedisError, OSError) as error:
            failed = translated(error, ErrorCode.STORE_SUBSCRIBE_FAILED)
        else:
            return
        raise failed  # outside of the block, where it would have redis-py's words as its context

    async def remove(self, subscription: RedisPySubscription) -> None:
        """Cancel a subscription.

        If it was the last one of its name, return once the server has confirmed it.
        """
        if not self._forget(subscription):
            return
        # A task, because the server must be unsubscribed even if this call is cancelled: otherwise
        # it continues to send messages.
        ending = asyncio.create_task(self._unsubscribe(subscription.name))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.wait([ending])

    async def _unsubscribe(self, name: _Name) -> None:
        # Without a connection, or when it is lost meanwhile, there is nothing left to cancel.
        with contextlib.suppress(TimeoutError, RedisError, OSError, StoreError):
            async with self._calls.limit(self._calls.timeout), self._changing:
                verb, channel = name
                if name not in self._table and name in self._confirmed:
                    await (await self._send(_ENDS[verb], channel))

    async def end(self) -> None:
        """Stop everything; no callback runs any more."""
        for subscription in [
            subscription for subscriptions in self._table.values() for subscription in subscriptions
        ]:
            subscription.is_live = False
        self._table.clear()
        tasks = [*self._ending] if self._reader is None else [self._reader, *self._ending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reader = None

    def abandon(self) -> None:
        """Stop everything after the event loop was closed."""
        for subscription in [
            subscription for subscriptions in self._table.values() for subscription in subscriptions
        ]:
            subscription.is_live = False
        self._table.clear()
        for task in (self._reader, *self._ending):
            forget_task(task)
        self._reader = None

    def _forget(self, subscription: RedisPySubscription) -> bool:
        # Returns whether it was the last one of its name.
        subscriptions = self._table.get(subscription.name, [])
        if subscription not in subscriptions:
            return False
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._table[subscription.name]
        return not subscriptions

    async def _take_back(self, subscription: RedisPySubscription) -> None:
        # The server may have subscribed, or may do so yet; no caller waits for the reply.
        subscription.is_live = False
        if self._forget(subscription) and self._connection is not None:
            verb, name = subscription.name
            await self._send(_ENDS[verb], name)

    async def _until_confirmed(self, name: _Name) -> None:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        # While a command is pending, the command of a cancelled call may still be in flight. It may
        # unsubscribe from this very name.
        while name not in self._confirmed or self._commands:
            connects = self._connection is None
            error = await (await (self._arrival() if connects else self._send(*name)))
            # A connection that was just lost isn't a failure: the next one subscribes to all names
            # in the table.
            if error is not None and (connects or word_of(error)):
                raise error

    async def _arrival(self) -> asyncio.Future[Exception | None]:
        arrival: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._arrivals.append(arrival)
        return arrival

    async def _send(self, verb: str, name: str) -> asyncio.Future[Exception | None]:
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._commands.append(answer)
        # If it isn't sent, the reading task gets the same error, and passes it on.
        await is_sent(self._connection, (verb, name))
        return answer

    # The reading task

    async def _read(self) -> None:
        failures = 0
        while True:
            error = await self._read_one_connection()
            if self._connection is not None:
                failures = 0
            self._lose(error)
            await self._calls.drop_idle()
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _read_one_connection(self) -> Exception:
        try:
            async with (
                asyncio.timeout(self._calls.timeout) as limit,
                self._calls.connection() as connection,
            ):
                while missing := self._table.keys() - self._confirmed:
                    for verb, name in missing:
                        if not await is_sent(connection, (verb, name)):
                            return RedisConnectionError(
                                "The connection was closed while it was idle."
                            )
                    while not missing <= self._confirmed:
                        self._handle(await connection.read_response())
                self._connection = connection
                _settle(self._arrivals, None)
                for subscription in [
                    subscription
                    for subscriptions in self._table.values()
                    for subscription in subscriptions
                ]:
                    subscription.tell_of_gap()
                async with self._asking_for_life(connection):
                    while True:
                        limit.reschedule(asyncio.get_running_loop().time() + self._longest_silence)
                        self._handle(await connection.read_response())
        except (RedisError, OSError, StoreError) as error:
            return error

    @property
    def _longest_silence(self) -> float:
        return 2 * self._calls.timeout

    @contextlib.asynccontextmanager
    async def _asking_for_life(self, connection: Any) -> AsyncGenerator[None]:
        async def ask() -> None:
            is_lost = False
            while not is_lost:
                await asyncio.sleep(self._calls.timeout)
                # If it isn't sent, the reading task gets the same error.
                is_lost = not await is_sent(connection, ("PING",))

        asking = asyncio.create_task(ask())
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _handle(self, answer: list[Any]) -> None:
        match answer:
            case [b"message", channel, payload]:
                self._deliver(("SUBSCRIBE", _text(channel)), _text(channel), payload)
            case [b"pmessage", pattern, channel, payload]:
                self._deliver(("PSUBSCRIBE", _text(pattern)), _text(channel), payload)
            case [b"subscribe" | b"psubscribe" as verb, name, _]:
                self._confirmed.add((verb.decode().upper(), _text(name)))
                self._answer()
            case [b"unsubscribe" | b"punsubscribe" as verb, name, _]:
                self._confirmed.discard((verb.decode().upper().replace("UN", "", 1), _text(name)))
                self._answer()
            case _:
                pass

    def _deliver(self, name: _Name, channel: str, payload: bytes) -> None:
        for subscription in list(self._table.get(name, ())):
            subscription.deliver(channel, payload)

    def _answer(self) -> None:
        if self._commands:
            answer = self._commands.popleft()
            if not answer.done():
                answer.set_result(None)

    def _lose(self, error: Exception) -> None:
        self._connection = None
        self._confirmed.clear()
        _settle(self._commands, error)
        _settle(self._arrivals, error)


def _settle(
    waiting: deque[asyncio.Future[Exception | None]] | list[asyncio.Future[Exception | None]],
    outcome: Exception | None,
) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(outcome)
    waiting.clear()


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")  # foreign publishers may use any name


class RedisPyPubSub(PubSub):
    """`PubSub` over redis-py."""

    _calls: Calls
    _listener: Listener

    async def publish(self, channel: str, payload: bytes) -> int:
        return int(
            await self._calls.tell("PUBLISH", channel, payload, code=ErrorCode.STORE_PUBLISH_FAILED)
        )

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await self._added(("SUBSCRIBE", channel), callback, on_gap)

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await self._added(("PSUBSCRIBE", pattern), callback, on_gap)

    async def _added(
        self, name: _Name, callback: MessageCallback, on_gap: GapCallback | None
    ) -> Subscription:
        subscription = RedisPySubscription(self._listener, name, callback, on_gap)
        await self._listener.add(subscription)
        return subscription
