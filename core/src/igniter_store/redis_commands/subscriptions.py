"""The subscriptions at one server, on a connection of their own that reconnects by itself.

Rule: one table holds all subscriptions. A new connection subscribes to the names in the table, and
    then reports the gap to their subscribers.
Rule: a cancelled subscription is removed from the table before anything is awaited. A confirmed
    subscription without subscribers is unsubscribed.
Rule: a silent connection gets a PING. If its reply or a confirmation is late, the connection is
    closed: a middlebox may have dropped it, and then neither end would ever get an error.
Rule: on a cluster each node has a listener. The cluster assigns subscriptions to listeners; a
    listener only reports that it can't serve a name.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.adapter_tools.backoff import Backoff
from igniter_store.adapter_tools.timeouts import wait_for_any
from igniter_store.contract.affinity import background, forget_task
from igniter_store.contract.errors import ErrorCode, StoreError, closed, not_connected
from igniter_store.contract.pubsub import (
    GapCallback,
    MessageCallback,
    Subscription,
    report_callback_error,
)
from igniter_store.redis_commands.confirmations import PING, Confirmations
from igniter_store.redis_commands.encoding import decoded, encoded
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    ErrorReply,
    ReplyError,
    ReplyTimeout,
    error_prefix,
    failure,
    without_quotes,
)
from igniter_store.redis_commands.transport import Name, idle_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from igniter_store.redis_commands.transport import PubSubConnection, PubSubConnector

# Seconds between attempts to reconnect
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_MOST_LOSSES: Final = 4  # connections that may be lost while one caller waits for a confirmation
PLAIN: Final = b"SUBSCRIBE"
PATTERN: Final = b"PSUBSCRIBE"
SHARDED: Final = b"SSUBSCRIBE"
ENDS: Final = {PLAIN: b"UNSUBSCRIBE", PATTERN: b"PUNSUBSCRIBE", SHARDED: b"SUNSUBSCRIBE"}
_BEGINNINGS: Final = {end: verb for verb, end in ENDS.items()}
_KINDS: Final = {b"message": PLAIN, b"smessage": SHARDED}
_ASTRAY: Final = {"MOVED", "CLUSTERDOWN", "TRYAGAIN"}  # another node has the channel, or will soon

_LOGGER: Final = logging.getLogger("igniter_store")


class CommandSubscription(Subscription):
    """One callback on one channel or pattern.

    Args:
        name: the subscribe command, and the channel or pattern.
        callback: receives the messages.
        on_gap: called after messages may have been lost.
        bind: called by `cancel`, to abandon the state of a closed event loop.

    Attributes:
        name: the subscribe command, and the channel or pattern.
        listener: the listener that serves it, which may change on a cluster.
        is_live: whether its callback may be called.
        is_confirmed: whether `subscribe` has reported to the caller that it is active.
    """

    def __init__(
        self,
        name: Name,
        callback: MessageCallback,
        on_gap: GapCallback | None,
        bind: Callable[[], None],
    ) -> None:
        self.name: Final = name
        self.is_live: bool = True
        self.is_confirmed = False
        self.listener: Listener | None = None
        self._callback = callback
        self._on_gap = on_gap
        self._bind = bind

    def deliver(self, channel: str, payload: bytes) -> None:
        """Call the callback, unless an earlier callback has cancelled this subscription."""
        if self.is_live:
            try:
                self._callback(channel, payload)
            # A callback may raise anything, even the CancelledError of a future that it asked for a
            # result; it must not affect other subscribers (PUB-6).
            except (Exception, asyncio.CancelledError):  # noqa: BLE001
                report_callback_error(channel)

    def report_gap(self) -> None:
        """Report that messages may have been lost."""
        if self.is_live and self.is_confirmed and self._on_gap is not None:
            try:
                self._on_gap()
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - see `deliver`
                report_callback_error(self.name[1])

    async def cancel(self) -> None:
        if self.listener is not None:
            self._bind()
        self.is_live = False
        if self.listener is not None:
            await self.listener.remove(self)


class Listener:
    """The subscriptions at one server.

    Args:
        connector: creates connections.
        timeout: seconds that a connection, or the next confirmation, may take.
        on_astray: called when this server can't serve a name, or not at present; on a cluster,
            another node may have it.
    """

    def __init__(
        self,
        connector: PubSubConnector,
        timeout: float,
        on_astray: Callable[[], None] | None = None,
    ) -> None:
        self._connector: Final = connector
        self._unreachable: Final[tuple[type[Exception], ...]] = (StoreError, *connector.unreachable)
        self._timeout: Final = timeout
        self._on_astray: Final = on_astray
        self._table: dict[Name, list[CommandSubscription]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._is_open = False
        self._was_closed = False
        self.is_failing: bool = False
        """True after a connection attempt failed, until one succeeds."""
        # State of the current connection:
        self._connection: PubSubConnection | None = None
        self._confirmed: set[Name] = set()
        self._renewed: set[Name] = set()  # names whose gap isn't reported yet
        self._confirmations: Final = Confirmations(timeout)
        # Done when a command is sent, because its reply then has a deadline.
        self._asked: asyncio.Future[None] | None = None
        # Callers that wait for a connection; an error is the reason why there is none.
        self._arrivals: list[asyncio.Future[Exception | None]] = []

    def open(self) -> None:
        """Accept subscriptions; the first one opens a connection."""
        self._is_open, self._was_closed = True, False

    async def close(self) -> None:
        """Stop everything; no callback runs afterwards."""
        for subscription in [
            subscription for subscriptions in self._table.values() for subscription in subscriptions
        ]:
            subscription.is_live = False
        self._table.clear()
        self.retire()
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await asyncio.gather(keeping, return_exceptions=True)

    def retire(self) -> None:
        """Accept no more subscriptions, and close the connection."""
        self._is_open, self._was_closed = False, True
        if self._keeping is not None:
            self._keeping.cancel()
        self._lose(ConnectionClosed(), partial(closed, self._connector.backend))

    def abandon(self, *, is_inherited: bool) -> None:
        """See `CommandClient.abandon`."""
        for subscription in [
            subscription for subscriptions in self._table.values() for subscription in subscriptions
        ]:
            subscription.is_live, subscription.listener = False, None
        self._table.clear()
        forget_task(self._keeping)
        if self._connection is not None:
            self._connection.abandon(is_inherited=is_inherited)

    @property
    def is_idle(self) -> bool:
        """True if no connection is open or being opened."""
        return self._keeping is None or self._keeping.done()

    async def subscribe(self, subscription: CommandSubscription) -> None:
        """Subscribe, and return once the server has confirmed.

        Raises:
            StoreError: see `add`; or the error for the server's `ReplyError`.
        """
        reply_error = await self.add(subscription)
        if reply_error is not None:
            raise failure(
                reply_error,
                ErrorCode.STORE_SUBSCRIBE_FAILED,
                self._timeout,
                backend=self._connector.backend,
                writes=False,
                words=subscription.name,
            ) from without_quotes(reply_error)

    async def add(self, subscription: CommandSubscription) -> ReplyError | None:
        """Subscribe; return `None` once the server has confirmed, or the `ReplyError`.

        Raises:
            StoreError: if the server is unreachable, or the listener isn't open.
        """
        if not self._is_open:
            raise (
                closed(self._connector.backend)
                if self._was_closed
                else not_connected(self._connector.backend)
            )
        self._table.setdefault(subscription.name, []).append(subscription)
        subscription.listener = self
        try:
            reply_error = await self._until_confirmed(subscription.name)
            subscription.is_confirmed = reply_error is None
        finally:
            if not subscription.is_confirmed and self._forget(subscription):
                self._end_unwanted(subscription.name)
        if isinstance(reply_error, ConnectionClosed):
            raise closed(self._connector.backend)
        return reply_error

    async def remove(self, subscription: CommandSubscription) -> None:
        """Cancel a subscription.

        If it was the last one of its name, the method returns after the server has confirmed.
        """
        # The command is sent before anything is awaited, even if the caller is cancelled (PUB-4).
        connection = self._connection
        if (
            self._forget(subscription)
            and (ending := self._end_unwanted(subscription.name)) is not None
            and connection is not None
        ):
            await self._answer(connection, ending, asyncio.get_running_loop().time())

    @property
    def names(self) -> Sequence[Name]:
        """The names that have confirmed subscribers here."""
        return [
            name
            for name, subscriptions in self._table.items()
            if any(subscription.is_confirmed for subscription in subscriptions)
        ]

    @property
    def is_astray(self) -> bool:
        """True if the connected server doesn't serve a name that has subscribers."""
        return self._connection is not None and any(
            name not in self._confirmed for name in self.names
        )

    def give_up(self, name: Name) -> list[CommandSubscription]:
        """Remove and return the subscriptions of this name, for another listener."""
        leaving = [
            subscription for subscription in self._table.get(name, ()) if subscription.is_confirmed
        ]
        for subscription in leaving:
            self._forget(subscription)
        self._end_unwanted(name)
        return leaving

    def adopt(self, name: Name, subscriptions: Iterable[CommandSubscription]) -> None:
        """Add subscriptions of another listener, and report the gap once they are active."""
        for subscription in subscriptions:
            self._table.setdefault(name, []).append(subscription)
            subscription.listener = self
            if name in self._confirmed and self._will_hear(name):
                subscription.report_gap()
        if self._keeping is None:
            self._keeping = asyncio.create_task(background(self._keep))
        self.renew()

    def renew(self) -> None:
        """Subscribe again to the names that the server doesn't serve."""
        if self._connection is not None:
            self._ask_again(
                self._connection, [name for name in self.names if not self._will_hear(name)]
            )

    def _forget(self, subscription: CommandSubscription) -> bool:
        # Returns whether it was the last one of its name.
        subscriptions = self._table.get(subscription.name, [])
        if subscription not in subscriptions:
            return False
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._table[subscription.name]
        return not subscriptions

    def _will_hear(self, name: Name) -> bool:
        """Whether this name is subscribed once the server has answered the pending commands."""
        last = self._confirmations.last(name)
        return name in self._confirmed if last is None else last.verb in ENDS

    def _end_unwanted(self, name: Name) -> asyncio.Future[ReplyError | None] | None:
        if self._connection is None or name in self._table:
            return None
        last = self._confirmations.last(name)
        if last is not None:  # an unconfirmed subscription is ended when it is confirmed
            return None if last.verb in ENDS else last.answer
        return (
            self._send(self._connection, ENDS[name[0]], name) if name in self._confirmed else None
        )

    async def _until_confirmed(self, name: Name) -> ReplyError | None:
        loop = asyncio.get_running_loop()
        since, losses = loop.time(), 0
        if self._keeping is None:
            self._keeping = asyncio.create_task(background(self._keep))
        while (last := self._confirmations.last(name)) is not None or name not in self._confirmed:
            if not self._is_open:  # closed just after a connection was made
                raise closed(self._connector.backend)
            if self._connection is None:
                arrival: asyncio.Future[Exception | None] = loop.create_future()
                self._arrivals.append(arrival)
                # Connections that are made and lost again don't count as progress.
                if not await wait_for_any([arrival], max(0.0, since + self._timeout - loop.time())):
                    self._arrivals.remove(arrival)
                    return ReplyTimeout()
                error = arrival.result()
                try:
                    if error is not None:
                        raise error
                finally:
                    del arrival, error  # avoids a reference cycle with this frame
                # Late only because the loop was blocked: no command could be sent before.
                if loop.time() > since + self._timeout:
                    since = loop.time() - self._timeout / 2
                continue
            connection = self._connection
            answer = (
                last.answer
                if last is not None and last.verb in ENDS
                else self._send(connection, name[0], name)
            )
            asked_at = loop.time()
            reply_error = await self._answer(connection, answer, since)
            # The server answered other commands meanwhile, or the loop was blocked.
            if loop.time() > asked_at + self._timeout:
                since = loop.time() - self._timeout / 2
            # A connection that was just lost isn't a result: the next one subscribes to all names
            # in the table. But several losses in a row are a result, because a proxy closes the
            # connection on a command that it doesn't support.
            losses += isinstance(reply_error, ConnectionLost)
            if reply_error is not None and (losses in {0, _MOST_LOSSES}):
                return reply_error
        return None

    async def _answer(
        self, connection: PubSubConnection, answer: asyncio.Future[ReplyError | None], since: float
    ) -> ReplyError | None:
        """Wait for a reply, as `Confirmations.answer` does.

        If no confirmation arrives on the connection, it is closed, so that the next caller gets a
        new one.
        """
        reply_error = await self._confirmations.answer(answer, since)
        if isinstance(reply_error, ReplyTimeout) and self._is_late(connection):
            connection.end()
        return reply_error

    def _is_late(self, connection: PubSubConnection) -> bool:
        now = asyncio.get_running_loop().time()
        due = self._confirmations.due(now if connection.heard_at is None else connection.heard_at)
        return self._connection is connection and due is not None and due <= now

    def _send(
        self, connection: PubSubConnection, verb: bytes, name: Name
    ) -> asyncio.Future[ReplyError | None]:
        word = encoded(name[1])
        answer = self._confirmations.expect(verb, name)
        connection.send(verb, word)
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)
        return answer

    def _ask_again(
        self, connection: PubSubConnection, names: Sequence[Name]
    ) -> list[asyncio.Future[ReplyError | None]]:
        answers: list[asyncio.Future[ReplyError | None]] = []
        for name in names:
            self._renewed.add(name)
            answer = self._send(connection, name[0], name)
            answer.add_done_callback(partial(self._was_renewed, name))
            answers.append(answer)
        return answers

    def _was_renewed(self, name: Name, answer: asyncio.Future[ReplyError | None]) -> None:
        reply_error = answer.result()
        if not isinstance(reply_error, ErrorReply):
            return
        if self._on_astray is not None and error_prefix(str(reply_error)) in _ASTRAY:
            self._on_astray()
            return
        _LOGGER.error("The server rejects the renewed subscription to %r: %s", name[1], reply_error)
        self._report_gap(name)  # the other names report it with their confirmation

    # The task that keeps the connection up.

    async def _keep(self) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        backoff.reset(has_pause=False)
        while True:
            await backoff.pause()
            try:
                connection = await self._connector.open_pubsub(self._handle)
            except self._unreachable as error:
                self.is_failing = True
                self._lose(ConnectionLost(is_sent=False), partial(self._not_reached, error))
                if self._on_astray is not None:
                    self._on_astray()
            else:
                try:
                    await self._greet(connection)
                    backoff.reset()
                    await self._until_lost(connection)
                finally:
                    connection.end()
                self._lose(ConnectionLost(is_sent=True), None)
            if not self._table:
                self._keeping = None
                return

    def _not_reached(self, error: Exception) -> StoreError:
        if not isinstance(error, StoreError):
            return self._connector.not_reached(error)
        own = copy.copy(error)  # each waiting caller raises a copy
        own.__cause__ = error.__cause__
        return own

    async def _greet(self, connection: PubSubConnection) -> None:
        """Restore the subscriptions, then let callers use the connection.

        These callers send their own subscribe commands.
        """
        self._renewed.clear()
        answering = asyncio.gather(*self._ask_again(connection, self.names))
        if (
            not await self._confirmations.is_done(
                [connection.lost, answering], asyncio.get_running_loop().time()
            )
            or connection.lost.done()
        ):
            connection.end()
            return
        self.is_failing = False
        self._connection = connection
        self.renew()  # names that were added meanwhile
        for name in tuple(self._confirmed):  # names that were removed meanwhile
            self._end_unwanted(name)
        for arrival in self._arrivals:
            if not arrival.done():
                arrival.set_result(None)
        self._arrivals.clear()

    async def _until_lost(self, connection: PubSubConnection) -> None:
        """Return once the connection is lost, or is silent and doesn't answer a PING."""
        loop, idle = asyncio.get_running_loop(), idle_limit(self._timeout)
        while not connection.lost.done():
            heard_at, now = connection.heard_at, loop.time()
            if heard_at is None:
                await asyncio.wait([connection.lost])
                return
            due = self._confirmations.due(heard_at)
            if due is not None and due <= now:
                return
            if due is None and heard_at + idle <= now:
                self._confirmations.expect_life()
                connection.send(PING)
                continue
            wait = (heard_at + idle if due is None else due) - now
            self._asked = loop.create_future()
            await asyncio.wait(
                [connection.lost, self._asked], timeout=wait, return_when=asyncio.FIRST_COMPLETED
            )

    def _handle(self, answer: Any) -> None:
        match answer:
            case [b"message" | b"smessage" as kind, channel, payload]:
                self._deliver((_KINDS[kind], decoded(channel)), decoded(channel), payload)
            case [b"pmessage", pattern, channel, payload]:
                self._deliver((PATTERN, decoded(pattern)), decoded(channel), payload)
            case [b"subscribe" | b"psubscribe" | b"ssubscribe" as verb, channel, _]:
                name = (verb.upper(), decoded(channel))
                self._confirmed.add(name)
                self._confirmations.confirm(verb.upper(), name)
                self._report_gap(name)
                self._end_unwanted(name)
            case [b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" as verb, channel, _]:
                name = (_BEGINNINGS[verb.upper()], decoded(channel))
                self._confirmed.discard(name)
                # No command asked for this: the channel's slot has moved to another node.
                if (
                    not self._confirmations.confirm(verb.upper(), name)
                    and name in self._table
                    and self._on_astray is not None
                ):
                    self._on_astray()
            # The reply to PING while there are subscriptions, and without any.
            case [b"pong", *_] | b"PONG":
                self._confirmations.confirm_life()
            case ErrorReply():
                self._confirmations.settle(answer)
            case _:
                pass

    def _report_gap(self, name: Name) -> None:
        # Reported immediately, because the next message may follow the confirmation directly
        # (PUB-10).
        if name in self._renewed:
            self._renewed.discard(name)
            for subscription in tuple(self._table.get(name, ())):
                subscription.report_gap()

    def _deliver(self, name: Name, channel: str, payload: bytes) -> None:
        for subscription in tuple(self._table.get(name, ())):
            subscription.deliver(channel, payload)

    def _lose(self, reply_error: ReplyError, error: Callable[[], StoreError] | None) -> None:
        self._connection = None
        self._confirmed.clear()
        self._confirmations.lose(reply_error)
        if error is not None:
            for arrival in self._arrivals:
                if not arrival.done():
                    arrival.set_result(error())
            self._arrivals.clear()
