"""Subscriptions: one connection of their own, which comes back by itself.

Rule: the server answers commands of one connection in their order, so the oldest one that waits for a confirmation gets the next.
Rule: what is subscribed stands in one table. A new connection subscribes to what the table says, then those in it are told of the gap.
Rule: a subscription that was cancelled is out of the table before anything is awaited.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract import ErrorCode, GapCallback, MessageCallback, PubSub, StoreError, Subscription, report_callback_error

from igniter_store_redis.errors import UNREACHABLE, closed, failure, not_connected, not_reached
from igniter_store_redis.multiplexer import Late, Lost, Refused, Shut, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_redis.cluster import Cluster
    from igniter_store_redis.commands import Commands
    from igniter_store_redis.connecting import Connector
    from igniter_store_redis.link import Link

_FIRST_PAUSE: Final = 0.02  # seconds between attempts to get a connection back; each twice the one before
_LONGEST_PAUSE: Final = 1.0
_ENDS: Final = {b"SUBSCRIBE": b"UNSUBSCRIBE", b"PSUBSCRIBE": b"PUNSUBSCRIBE"}

_LOGGER: Final = logging.getLogger("igniter_store")

_Name: TypeAlias = tuple[bytes, str]  # SUBSCRIBE and a channel, or PSUBSCRIBE and a pattern


class RedisSubscription(Subscription):
    """One callback on one channel or pattern."""

    def __init__(self, listener: Listener, name: _Name, callback: MessageCallback, on_gap: GapCallback | None) -> None:
        self.name: Final = name
        self.is_live = True
        self.is_confirmed = False
        self._listener = listener
        self._callback = callback
        self._on_gap = on_gap

    def deliver(self, channel: str, payload: bytes) -> None:
        """Call the callback, unless an earlier one has cancelled this subscription."""
        if self.is_live:
            try:
                self._callback(channel, payload)
            except Exception:  # noqa: BLE001 - whatever a callback raises is its author's, and stops nobody else (PUB-6)
                report_callback_error(channel)

    def tell_of_gap(self) -> None:
        """Say that messages may have been lost."""
        if self.is_live and self.is_confirmed and self._on_gap is not None:
            try:
                self._on_gap()
            except Exception:  # noqa: BLE001 - the same
                report_callback_error(self.name[1])

    async def cancel(self) -> None:
        self.is_live = False
        await self._listener.remove(self)


class Listener:
    """All subscriptions of one adapter.

    Args:
        connector: makes connections.
        timeout: seconds that a confirmation may take.
    """

    def __init__(self, connector: Connector | Cluster, timeout: float) -> None:
        self._connector: Final = connector
        self._timeout: Final = timeout
        self._table: dict[_Name, list[RedisSubscription]] = {}
        self._changing = asyncio.Lock()  # one change of the table at a time, its confirmation included (PUB-1)
        self._keeping: asyncio.Task[None] | None = None
        self._is_open = False
        self._was_closed = False
        # Of the present connection:
        self._link: Link | None = None
        self._confirmed: set[_Name] = set()
        self._renewed: set[_Name] = set()  # that have still to hear of the gap
        self._commands: deque[asyncio.Future[Trouble | None]] = deque()  # that wait for a confirmation, or for what went wrong
        # Those who wait for a connection, or for what went wrong:
        self._arrivals: list[asyncio.Future[Exception | None]] = []

    def open(self) -> None:
        """Let callers in; a connection is made for the first of them."""
        self._is_open, self._was_closed = True, False

    async def close(self) -> None:
        """Stop everything; no callback runs any more."""
        self._is_open, self._was_closed = False, True
        for subscription in [subscription for subscriptions in self._table.values() for subscription in subscriptions]:
            subscription.is_live = False
        self._table.clear()
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        self._lose(Shut(), closed)

    async def add(self, subscription: RedisSubscription) -> None:
        """Subscribe, and return once the server has confirmed it."""
        if not self._is_open:
            raise closed() if self._was_closed else not_connected()
        try:
            async with asyncio.timeout(self._timeout), self._changing:
                if not self._is_open:
                    raise closed()
                self._table.setdefault(subscription.name, []).append(subscription)
                try:
                    await self._until_confirmed(subscription.name)
                except BaseException:
                    self._take_back(subscription)
                    raise
                subscription.is_confirmed = True
        except StoreError:  # some are TimeoutErrors, too
            raise
        except TimeoutError as error:
            raise self._failure(Late()) from error

    async def remove(self, subscription: RedisSubscription) -> None:
        """Cancel a subscription, and return once the server knows, if it was the last of its name."""
        if not self._forget(subscription):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout), self._changing:
                if self._link is not None and subscription.name not in self._table and subscription.name in self._confirmed:
                    await self._send(self._link, _ENDS[subscription.name[0]], subscription.name[1])

    def _forget(self, subscription: RedisSubscription) -> bool:
        # Says whether it was the last of its name.
        subscriptions = self._table.get(subscription.name, [])
        if subscription not in subscriptions:
            return False
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._table[subscription.name]
        return not subscriptions

    def _take_back(self, subscription: RedisSubscription) -> None:
        # The server may have subscribed, or may yet; nobody waits for the answer.
        subscription.is_live = False
        if self._forget(subscription) and self._link is not None:
            self._send(self._link, _ENDS[subscription.name[0]], subscription.name[1])

    async def _until_confirmed(self, name: _Name) -> None:
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        # What a cancelled call has sent is still under way where a command waits: it may be an unsubscribing from this very name.
        while name not in self._confirmed or self._commands:
            if self._link is None:
                arrival: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
                self._arrivals.append(arrival)
                error = await arrival
                if error is not None:
                    raise error
                continue
            trouble = await self._send(self._link, *name)
            # A connection that was lost just now is no answer: the next one subscribes to all that the table says.
            if trouble is not None and not isinstance(trouble, Lost):
                raise self._failure(trouble) from trouble

    def _send(self, link: Link, verb: bytes, name: str) -> asyncio.Future[Trouble | None]:
        answer: asyncio.Future[Trouble | None] = asyncio.get_running_loop().create_future()
        self._commands.append(answer)
        link.send(verb, name)
        return answer

    def _failure(self, trouble: Trouble) -> StoreError:
        return failure(trouble, ErrorCode.STORE_SUBSCRIBE_FAILED, self._timeout, writes=False)

    # The task that keeps the connection.

    async def _keep(self) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at once
            pause = min(_LONGEST_PAUSE, 2 * pause or _FIRST_PAUSE)
            try:
                link = await self._connector.link(self._handle)
            except UNREACHABLE as error:
                self._lose(Lost(is_sent=False), partial(not_reached, error))
                continue
            try:
                await self._greet(link)
                pause = _FIRST_PAUSE
                await link.lost
            finally:
                link.end()
            self._lose(Lost(is_sent=True), None)

    async def _greet(self, link: Link) -> None:
        """Subscribe again to what was subscribed, then let callers use the connection, who subscribe for themselves."""
        again = [name for name, subscriptions in self._table.items() if any(subscription.is_confirmed for subscription in subscriptions)]
        self._renewed = set(again)
        answering = asyncio.gather(*(self._send(link, *name) for name in again))
        ends: list[asyncio.Future[Any]] = [link.lost, answering]
        done, _ = await asyncio.wait(ends, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        if not done or link.lost.done():
            link.end()
            return
        for (_, name), trouble in zip(again, answering.result(), strict=True):
            if trouble is not None:
                _LOGGER.error("The server refuses to renew the subscription of %r after a lost connection: %s", name, trouble)
        for refused in tuple(self._renewed):  # the others have heard it with their confirmation
            self._tell_of_gap(refused)
        self._link = link
        for arrival in self._arrivals:
            if not arrival.done():
                arrival.set_result(None)
        self._arrivals.clear()

    def _handle(self, answer: Any) -> None:
        match answer:
            case [b"message", channel, payload]:
                name = _text(channel)
                self._deliver((b"SUBSCRIBE", name), name, payload)
            case [b"pmessage", pattern, channel, payload]:
                self._deliver((b"PSUBSCRIBE", _text(pattern)), _text(channel), payload)
            case [b"subscribe" | b"psubscribe" as verb, name, _]:
                self._confirmed.add((verb.upper(), _text(name)))
                self._answer(None)
                self._tell_of_gap((verb.upper(), _text(name)))
            case [b"unsubscribe" | b"punsubscribe" as verb, name, _]:
                self._confirmed.discard((verb.upper().replace(b"UN", b"", 1), _text(name)))
                self._answer(None)
            case Refused():
                self._answer(answer)
            case _:
                pass

    def _tell_of_gap(self, name: _Name) -> None:
        # At once, since the next message may stand right behind the confirmation (PUB-10).
        if name in self._renewed:
            self._renewed.discard(name)
            for subscription in tuple(self._table.get(name, ())):
                subscription.tell_of_gap()

    def _deliver(self, name: _Name, channel: str, payload: bytes) -> None:
        for subscription in tuple(self._table.get(name, ())):
            subscription.deliver(channel, payload)

    def _answer(self, outcome: Trouble | None) -> None:
        if self._commands:
            answer = self._commands.popleft()
            if not answer.done():
                answer.set_result(outcome)

    def _lose(self, trouble: Trouble, error: Callable[[], StoreError] | None) -> None:
        self._link = None
        self._confirmed.clear()
        for command in self._commands:
            if not command.done():
                command.set_result(trouble)
        self._commands.clear()
        if error is not None:
            for arrival in self._arrivals:
                if not arrival.done():
                    arrival.set_result(error())
            self._arrivals.clear()


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")  # others may publish on what they like


class RedisPubSub(PubSub):
    """`PubSub` on commands and a listener."""

    _commands: Commands
    _listener: Listener

    async def publish(self, channel: str, payload: bytes) -> int:
        return int(await self._commands.tell("PUBLISH", channel, payload, code=ErrorCode.STORE_PUBLISH_FAILED))

    async def subscribe(self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None) -> Subscription:
        return await self._added((b"SUBSCRIBE", channel), callback, on_gap)

    async def psubscribe(self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None) -> Subscription:
        return await self._added((b"PSUBSCRIBE", pattern), callback, on_gap)

    async def _added(self, name: _Name, callback: MessageCallback, on_gap: GapCallback | None) -> Subscription:
        subscription = RedisSubscription(self._listener, name, callback, on_gap)
        await self._listener.add(subscription)
        return subscription
