"""Publishes to the present listeners of any process, through a table that each listener polls.

Rule: a message is stored only if its channel has a listener, and removed once all listeners have
    read past it.
Rule: a listener sends a heartbeat. A listener that was silent for long is forgotten, together with
    the messages it hasn't read. When it wakes, it detects this and reports the gap to its
    subscriptions (PUB-10).
Rule: the wall clock only raises a doubt, since it may have been set. A doubted listener answers at
    once. It is forgotten when the doubt is old by the monotonic clock, and one process has found it
    unanswered at two checks (PUB-13). That clock belongs to the machine and is the same for all
    processes. It stands still while the machine sleeps, as the listeners do, so a laptop that wakes
    forgets none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from igniter_store.contract import (
    ErrorCode,
    GapCallback,
    MessageCallback,
    Pattern,
    PubSub,
    StoreError,
    Subscription,
    name_from_bytes,
    name_to_bytes,
    report_callback_error,
)
from igniter_store.contract.affinity import background, forget_task
from sqlalchemy import bindparam, delete, func, insert, null, or_, select, update

from igniter_store_sqlite.statements import NONE, constant, sql
from igniter_store_sqlite.tables import LISTENERS, MESSAGES, SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_sqlite.change_watch import Changes
    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

LIFETIME: Final = 60.0  # seconds of silence after which a listener is doubted
PATIENCE: Final = 30.0  # seconds that a doubted listener has to answer
_SLACK: Final = 1.0  # seconds by which a clock correction raises no doubt
_HEARTBEAT: Final = 10.0  # seconds between two heartbeats
_GOODBYE: Final = 0.2  # seconds that leaving may take
_LEAST: Final = 0.05  # seconds before a failed read is retried, unless something changes
_PAGE: Final = 500  # messages read, or removed, at once

_MAX: Final = 2**63 - 1
_LOGGER: Final = logging.getLogger("igniter_store")

Name: TypeAlias = tuple[bytes, bool]
"""A channel (False), or a pattern (True)."""

Doubts: TypeAlias = dict[int, int | None]
"""Listeners by number, and when each was doubted, in microseconds of the monotonic clock."""


_LAST: Final = sql(select(func.coalesce(func.max(MESSAGES.c.number), constant(0))))
_WHO_MAY_HEAR: Final = sql(
    select(SUBSCRIPTIONS.c.name, SUBSCRIPTIONS.c.is_pattern).where(
        or_(SUBSCRIPTIONS.c.is_pattern, SUBSCRIPTIONS.c.name == bindparam("channel"))
    )
)
_PUBLISH: Final = sql(
    insert(MESSAGES).values(channel=bindparam("channel"), payload=bindparam("payload"))
)
_NEWS: Final = sql(
    select(MESSAGES.c.number, MESSAGES.c.channel, MESSAGES.c.payload)
    .where(MESSAGES.c.number > bindparam("position"))
    .order_by(MESSAGES.c.number)
    .limit(bindparam("count"))
    .offset(NONE)
)
_ADD_LISTENER: Final = sql(insert(LISTENERS))
_IS_ALIVE: Final = sql(
    update(LISTENERS)
    .where(LISTENERS.c.number == bindparam("listener"))
    .values(position=bindparam("to"), seen_at=bindparam("now"), doubted=null())
)
_REMOVE_LISTENER: Final = sql(delete(LISTENERS).where(LISTENERS.c.number == bindparam("who")))
_REMOVE_SUBSCRIPTIONS: Final = sql(
    delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.listener == bindparam("who"))
)
_SUBSCRIBED: Final = sql(
    select(SUBSCRIPTIONS.c.name, SUBSCRIPTIONS.c.is_pattern).where(
        SUBSCRIPTIONS.c.listener == bindparam("who")
    )
)
_SUBSCRIBE: Final = sql(insert(SUBSCRIPTIONS))
_UNSUBSCRIBE: Final = sql(
    delete(SUBSCRIPTIONS).where(
        SUBSCRIPTIONS.c.listener == bindparam("who"),
        SUBSCRIPTIONS.c.name == bindparam("what"),
        SUBSCRIPTIONS.c.is_pattern == bindparam("how"),
    )
)
_SILENT: Final = sql(
    select(LISTENERS.c.number, LISTENERS.c.doubted).where(
        or_(
            LISTENERS.c.seen_at < bindparam("before"),
            LISTENERS.c.seen_at > bindparam("after"),
            LISTENERS.c.doubted.is_not(None),
        )
    )
)
_DOUBT: Final = sql(
    update(LISTENERS).where(LISTENERS.c.number == bindparam("who")).values(doubted=bindparam("at"))
)
_DOUBTED: Final = sql(select(LISTENERS.c.doubted).where(LISTENERS.c.number == bindparam("who")))
# The newest message stays: it marks where a new listener begins.
_READ_BY_ALL: Final = (
    select(MESSAGES.c.number)
    .where(
        MESSAGES.c.number < select(func.max(MESSAGES.c.number)).scalar_subquery(),
        MESSAGES.c.number
        <= select(func.coalesce(func.min(LISTENERS.c.position), constant(_MAX))).scalar_subquery(),
    )
    .order_by(MESSAGES.c.number)
    .limit(bindparam("count"))
    .offset(NONE)
)
_IS_READ: Final = sql(_READ_BY_ALL)
_DROP: Final = sql(delete(MESSAGES).where(MESSAGES.c.number.in_(_READ_BY_ALL)))


class SQLiteSubscription(Subscription):
    """One callback on one channel or pattern.

    Attributes:
        name: the channel or pattern, and which of the two it is.
        since: number of the last message before it began.
    """

    def __init__(
        self, listener: Listener, name: Name, callback: MessageCallback, on_gap: GapCallback | None
    ) -> None:
        self.name = name
        self.since = _MAX  # receives nothing until it is live
        self._listener = listener
        self._pattern = Pattern(name_from_bytes(name[0])) if name[1] else None
        self._callback = callback
        self._on_gap = on_gap
        self._is_live = True

    def deliver(self, number: int, channel: str, payload: bytes) -> None:
        """Call the callback, if the message matches."""
        if not self._is_live or number <= self.since:
            return
        if (
            self._pattern.matches(channel)
            if self._pattern is not None
            else name_to_bytes(channel) == self.name[0]
        ):
            try:
                self._callback(channel, payload)
            # An exception in a callback must not stop other subscribers (PUB-6). That includes the
            # CancelledError of a future that the callback asked for a result.
            except (Exception, asyncio.CancelledError):  # noqa: BLE001
                report_callback_error(channel)

    def report_gap(self) -> None:
        """Report to the subscriber that messages may be lost."""
        if self._is_live and self._on_gap is not None:
            try:
                self._on_gap()
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - see `deliver`
                report_callback_error(name_from_bytes(self.name[0]))

    def end(self) -> None:
        """Never call the callback again."""
        self._is_live = False

    async def cancel(self) -> None:
        if self._is_live:
            self._listener.bind()
            self.end()
            await self._listener.remove(self)


class Listener:
    """The subscriptions of one adapter.

    Args:
        reads: worker that reads messages.
        writes: worker that writes subscriptions.
        changes: wakes the listener for new messages.
        bind: called before a subscription is cancelled, to abandon the state of a closed event
            loop.
    """

    def __init__(
        self, reads: Worker, writes: Worker, changes: Changes, bind: Callable[[], None]
    ) -> None:
        self.bind: Final = bind
        self._reads = reads
        self._writes = writes
        self._changes = changes
        self._subscriptions: list[SQLiteSubscription] = []
        # Our number among the listeners; valid even if the reply to the write was lost.
        self._number = secrets.randbits(62)
        self._position = 0
        self._was_lost = False  # the file was lost: messages may have gone to another one meanwhile
        self._listening: asyncio.Task[None] | None = None

    async def add(self, subscription: SQLiteSubscription) -> None:
        """Make a subscription live."""
        self._subscriptions.append(subscription)
        try:
            _, last = await self._written()
        except BaseException:  # mostly cancellation
            # The call may have been applied nevertheless. Another write corrects that, and no
            # caller has to wait for it.
            subscription.end()
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
                self._written().add_done_callback(_looked_at)
            raise
        subscription.since = last
        if self._listening is None and self._subscriptions:
            self._position = last
            self._listening = asyncio.create_task(background(self._listen))

    async def remove(self, subscription: SQLiteSubscription) -> None:
        """End a subscription, and remove it from the table if it was the last of its name."""
        if subscription not in self._subscriptions:
            return
        self._subscriptions.remove(subscription)
        if any(other.name == subscription.name for other in self._subscriptions):
            return
        # This is written even if the caller is cancelled; otherwise publishers would keep counting
        # this subscription.
        written = self._written()
        written.add_done_callback(_looked_at)
        if not self._subscriptions and self._listening is not None:
            listening, self._listening = self._listening, None
            listening.cancel()
            await asyncio.wait({listening})
        await asyncio.shield(written)

    async def close(self) -> None:
        """End all subscriptions."""
        for subscription in self._subscriptions:
            subscription.end()
        was_known = bool(self._subscriptions)
        self._subscriptions.clear()
        if was_known:
            # Publishers needn't count us any more. Closing doesn't wait for a lock here: after some
            # time of silence this listener is removed anyway.
            leaving = self._written()
            leaving.add_done_callback(_looked_at)
            await asyncio.wait({leaving}, timeout=_GOODBYE)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
            self._listening = None

    def abandon(self) -> None:
        """Do as `close`, for a closed event loop; `leave` does the rest, in the table."""
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()
        forget_task(self._listening)

    def leave(self, connection: sqlite3.Connection) -> None:
        """Remove this listener from the table; called in the connection's thread.

        If another connection holds the lock, it does nothing: the listener is removed later,
        because it is silent.
        """
        if self._listening is None or connection.in_transaction:
            return
        with contextlib.suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_REMOVE_SUBSCRIPTIONS, {"who": self._number})
                connection.execute(_REMOVE_LISTENER, {"who": self._number})
            finally:
                connection.execute("COMMIT")

    def _written(self) -> asyncio.Future[tuple[bool, int]]:
        """Write the current subscriptions; calls that share a transaction share one write."""
        return self._writes.share(
            _write_last, (self._number, {one.name for one in self._subscriptions}, self._position)
        )

    async def _listen(self) -> None:
        clock = asyncio.get_running_loop().time
        with self._changes.waiting() as changes:
            beat = clock() + _HEARTBEAT
            while True:
                # A failure here is temporary; publishers get the error themselves.
                with contextlib.suppress(StoreError):
                    is_well_known = await self._read_on()
                    if clock() >= beat or not is_well_known:
                        was_known, last = await self._written()
                        beat = clock() + _HEARTBEAT
                        if not was_known:
                            self._begin_anew(last)
                await changes.until(max(beat, clock() + _LEAST))

    async def _read_on(self) -> bool:
        """Deliver new messages; return False if this listener is doubted or was forgotten."""
        while True:
            try:
                rows, is_well_known = await self._reads.call(_news, self._number, self._position)
            except StoreError as error:
                self._lose(error)
                raise
            if self._was_lost:
                self._was_lost = False
                self._report_gap()
            for number, channel, payload in rows:
                self._position = number
                name = name_from_bytes(channel)
                for subscription in tuple(self._subscriptions):
                    subscription.deliver(number, name, payload)
            if len(rows) < _PAGE:
                return is_well_known

    def _lose(self, error: StoreError) -> None:
        # A permanent error: a program that only listens makes no call that could raise it.
        is_refused = error.code == ErrorCode.STORE_CONFIGURATION_INVALID
        if is_refused and not self._was_lost:
            _LOGGER.error("Subscriptions don't receive messages. %s", error.message)
        self._was_lost = (
            self._was_lost or is_refused or error.code == ErrorCode.STORE_CONNECTION_FAILED
        )

    def _begin_anew(self, last: int) -> None:
        self._position = last
        for subscription in self._subscriptions:
            subscription.since = last
        self._report_gap()

    def _report_gap(self) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.report_gap()


class SQLitePubSub(PubSub):
    """`PubSub` on the tables."""

    _writes: Worker
    _listener: Listener

    async def publish(self, channel: str, payload: bytes) -> int:
        return await self._writes.call(_publish, name_to_bytes(channel), bytes(payload))

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await self._subscribe((name_to_bytes(channel), False), callback, on_gap)

    async def psubscribe(
        self, pattern: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        return await self._subscribe((name_to_bytes(pattern), True), callback, on_gap)

    async def _subscribe(
        self, name: Name, callback: MessageCallback, on_gap: GapCallback | None
    ) -> Subscription:
        subscription = SQLiteSubscription(self._listener, name, callback, on_gap)
        await self._listener.add(subscription)
        return subscription


def silent(session: Session) -> Doubts:
    """Return listeners that seem silent for long or are doubted, each with its doubt."""
    before, after = session.now - int(LIFETIME * 1_000_000), session.now + int(_SLACK * 1_000_000)
    return dict(session.execute(_SILENT, {"before": before, "after": after}).fetchall())


def is_to_be_judged(found: Doubts, before: Doubts) -> bool:
    """Whether `judge` has to act on the results of `silent` from now and before."""
    return any(
        doubted is None or _is_dead(number, doubted, before) for number, doubted in found.items()
    )


def judge(session: Session, before: Doubts) -> Doubts:
    """Doubt silent listeners, and remove those whose doubt is old.

    The process of such a listener was killed, or is stopped.
    """
    found = silent(session)
    for number, doubted in [*found.items()]:
        if doubted is None:
            found[number] = _monotonic()
            session.execute(_DOUBT, {"who": number, "at": found[number]})
        elif _is_dead(number, doubted, before):
            session.execute(_REMOVE_SUBSCRIPTIONS, {"who": number})
            session.execute(_REMOVE_LISTENER, {"who": number})
    return found


def is_anything_read(session: Session) -> bool:
    """Whether there are messages that every listener has read."""
    return session.execute(_IS_READ, {"count": 1}).fetchone() is not None


def drop_read(session: Session) -> bool:
    """Remove a batch of messages that every listener has read; return whether there may be more."""
    return session.execute(_DROP, {"count": _PAGE}).rowcount == _PAGE


def _publish(session: Session, channel: bytes, payload: bytes) -> int:
    hearing = 0
    for name, is_pattern in session.execute(_WHO_MAY_HEAR, {"channel": channel}):
        hearing += not is_pattern or _pattern(name).matches(name_from_bytes(channel))
    if hearing:
        session.execute(_PUBLISH, {"channel": channel, "payload": payload})
    return hearing


def _is_dead(number: int, doubted: int, before: Doubts) -> bool:
    # A doubt from the future was raised before the machine was rebooted, so its process is gone.
    return before.get(number) == doubted and abs(_monotonic() - doubted) >= PATIENCE * 1_000_000


def _monotonic() -> int:
    return time.monotonic_ns() // 1000


def _news(
    session: Session, listener: int, position: int
) -> tuple[list[tuple[int, bytes, bytes]], bool]:
    is_well_known = session.execute(_DOUBTED, {"who": listener}).fetchone() == (None,)
    return session.execute(_NEWS, {"position": position, "count": _PAGE}).fetchall(), is_well_known


def _write_last(
    session: Session, asked: list[tuple[int, set[Name], int]]
) -> list[tuple[bool, int] | StoreError]:
    """Do `_write` for the last of these states, which includes the earlier ones."""
    written = _write(session, *asked[-1])
    return [written for _ in asked]


def _write(session: Session, listener: int, names: set[Name], position: int) -> tuple[bool, int]:
    """Write a listener's subscriptions.

    Returns:
        Whether the listener was known, and the number of the last message.
    """
    [last] = session.execute(_LAST).fetchone()
    if not names:
        session.execute(_REMOVE_SUBSCRIPTIONS, {"who": listener})
        session.execute(_REMOVE_LISTENER, {"who": listener})
        return True, last
    was_known = (
        session.execute(
            _IS_ALIVE, {"listener": listener, "to": position, "now": session.now}
        ).rowcount
        > 0
    )
    if not was_known:
        session.execute(
            _ADD_LISTENER,
            {"number": listener, "position": last, "seen_at": session.now, "doubted": None},
        )
    there = {
        (name, bool(is_pattern))
        for name, is_pattern in session.execute(_SUBSCRIBED, {"who": listener})
    }
    session.execute_many(
        _UNSUBSCRIBE, [{"who": listener, "what": name, "how": how} for name, how in there - names]
    )
    session.execute_many(
        _SUBSCRIBE,
        [{"listener": listener, "name": name, "is_pattern": how} for name, how in names - there],
    )
    return was_known, last


@lru_cache(1024)
def _pattern(text: bytes) -> Pattern:
    return Pattern(name_from_bytes(text))


def _looked_at(future: asyncio.Future[tuple[bool, int]]) -> None:
    if not future.cancelled():
        future.exception()
