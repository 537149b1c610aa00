"""One connection to a server that many callers share.

Commands of one event-loop iteration are sent in one write, and replies arrive in order.

How it works. `send` packs a command, appends a future to a queue and returns it. The first command
of an iteration also schedules `_flush` for the end of the iteration; it writes all commands that
were queued. The server replies in the order of the commands, so each reply belongs to the future at
the head of the queue. A caller that gets a reply often sends its next command at once, so
`data_received` schedules a flush too. It runs right after the callers that were just woken, one
iteration earlier than the flush that they would schedule. Another flush runs after the first half
of them, so that the server has work to do while the other half wakes up.

Rule: only its reply removes a future from the queue. A cancelled caller's future stays in the queue
    and its reply is discarded, so replies never shift.
Rule: futures get results, never exceptions. A failure is a `ReplyError` that the caller checks for,
    so asyncio never warns about an unretrieved exception of a cancelled caller.
Rule: one timer watches all commands. Commands of one flush time out together.
Rule: a connection that completes no reply within the timeout is closed, even if bytes arrive. An
    idle connection sends PING, so that the next caller doesn't pay for a connection that a
    middlebox has dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import hiredis
from igniter_store.adapter_tools.timeouts import oversleep
from igniter_store.contract.affinity import disconnect, release_transport
from igniter_store.redis_commands.encoding import as_bytes
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    MalformedReply,
    ReplyError,
    ReplyTimeout,
)
from igniter_store.redis_commands.transport import idle_limit

from igniter_store_redis.errors import ERRORS
from igniter_store_redis.incoming import NOTHING, Incoming, can_complete, reader

if TYPE_CHECKING:
    from collections.abc import Callable

# Commands without a reply. At the limit, more callers wait until half of the replies have arrived.
_MOST_WAITING: Final = 50_000
_LARGE: Final = 262_144  # bytes of one reply, after which other commands should not queue behind it
# Commands in flight for which a flush at half of the replies pays off: fewer fit in one write, and
# more keep the server busy anyway.
_HALVED: Final = range(32, 257)

_untyped: Any = hiredis  # its types for pack_command are incomplete
pack_command: Final[Callable[[tuple[Any, ...]], bytes]] = _untyped.pack_command


class Multiplexer(asyncio.Protocol):
    """The protocol of one connection, which takes over a connected transport after the login.

    Args:
        transport: has no bytes in flight.
        timeout: seconds that a reply may take.
        on_lost: called once with this object when the connection is gone; this side or the server
            may have closed it.
        largest: bytes that a reply may have.

    Attributes:
        is_live: False once the connection is gone; commands sent after that are lost.
        is_full: True while callers should use another connection or wait for `room`, because too
            many commands are in flight or a large value is.
        kept: an object that must live as long as the connection.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        timeout: float,
        on_lost: Callable[[Multiplexer], None],
        largest: int,
    ) -> None:
        self.is_live: bool = True
        self.is_full: bool = False
        self.kept: object = None
        self._loop: Final = asyncio.get_running_loop()
        self._transport: Final = transport
        self._timeout: Final = timeout
        self._on_lost: Final = on_lost
        self._reader = reader()
        self._incoming: Final = Incoming(largest)
        self._waiting: Final[deque[asyncio.Future[Any]]] = deque()
        self._outgoing: Final[list[bytes]] = []
        # For each flush, the number of commands sent up to its end, and its time
        self._flushes: Final[deque[tuple[int, float]]] = deque()
        self._sent = 0
        self._answered = 0
        self._answered_at = self._asked_at = self._loop.time()
        self._flush_is_due = False
        self._is_paused = False
        self._is_retired = False
        self._watching: asyncio.TimerHandle | None = None
        self._idle: Final = idle_limit(timeout)
        self._beating = self._loop.call_later(self._idle, self._beat)
        self._room: asyncio.Future[None] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Send a command, and return the future of its reply.

        The result is the server's reply as hiredis parses it, or a `ReplyError`.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ERRORS.elsewhere()
        try:
            packed = pack_command(words)
        # Bytes-like objects, or text with surrogate escapes (see `as_bytes`)
        except (TypeError, UnicodeEncodeError):
            packed = pack_command(tuple(map(_packable, words)))
        future: asyncio.Future[Any] = asyncio.Future(loop=self._loop)
        if not self.is_live:
            future.set_result(ConnectionLost(is_sent=False))
            return future
        self._waiting.append(future)
        self._outgoing.append(packed)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        if len(self._waiting) >= _MOST_WAITING:
            self.is_full = True
        return future

    @property
    def is_awaited(self) -> bool:
        """True while a caller waits for a reply.

        Futures of cancelled callers stay in the queue, and don't count.
        """
        return any(not future.done() for future in self._waiting)

    async def room(self) -> None:
        """Wait until there is room for more commands, or the connection is gone."""
        while self.is_full and self.is_live:
            if self._room is None:
                self._room = self._loop.create_future()
            await asyncio.shield(self._room)

    def retire(self) -> None:
        """Close the connection once every pending command has its reply."""
        self._is_retired = True
        if not self._waiting:
            self.shut()

    def drop(self) -> None:
        """Close the connection at once; the callers in flight get `ConnectionLost`."""
        self._end(_lost_after_sending, _lost_before_sending)
        self._transport.abort()

    def shut(self) -> None:
        """Close the connection; pending callers get `ConnectionClosed`."""
        self._end(ConnectionClosed, ConnectionClosed)
        self._transport.abort()

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the connection, whose callers are gone with their event loop.

        In a forked child, leave the parent's connection untouched.
        """
        self.is_live = False
        if is_inherited:
            disconnect([self._transport.get_extra_info("socket")])
        else:
            release_transport(self._transport)

    # Callbacks of the transport

    def data_received(self, data: bytes) -> None:
        """Set each reply as the result of the oldest pending command."""
        reader, waiting, incoming = self._reader, self._waiting, self._incoming
        reader.feed(data)
        if incoming.is_partial and not can_complete(incoming, data):
            self._more(data)
            return
        answered, half = 0, len(waiting) // 2 if len(waiting) in _HALVED else 0
        try:
            while (answer := reader.gets()) is not NOTHING:
                if not waiting:  # an unsolicited reply: the replies no longer match the commands
                    self._transport.abort()
                    return
                answered += 1
                future = waiting.popleft()
                if not future.done():
                    future.set_result(answer)
                if answered == half:
                    self._loop.call_soon(self._flush)
        # hiredis raises errors of many classes for bytes that aren't RESP
        except Exception:  # noqa: BLE001
            self._answered += answered
            self._break(MalformedReply())
            return
        if answered:
            self._done(answered)
        else:
            self._more(data)

    def pause_writing(self) -> None:
        """Called when the transport's buffer is full."""
        self._is_paused = self.is_full = True

    def resume_writing(self) -> None:
        """Called when the transport's buffer has room again."""
        self._is_paused = False
        self._look_for_room(_MOST_WAITING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every pending command."""
        del exc
        self._end(_lost_after_sending, _lost_before_sending)

    # Internals

    def _done(self, answered: int) -> None:
        """Do what is due after `answered` replies."""
        self._answered += answered
        self._answered_at = self._loop.time()
        is_partial = self._reader.has_data()
        if is_partial or self._incoming.is_partial:
            self._incoming.completed(is_partial=is_partial)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        if self.is_full:
            self._look_for_room(_MOST_WAITING // 2)
        if self._is_retired and not self._waiting:
            self.shut()

    def _more(self, data: bytes) -> None:
        """Count a piece of a reply that isn't complete yet."""
        reply_error = self._incoming.more(data)
        if reply_error is not None:
            self._break(reply_error)
        elif self._incoming.size > _LARGE:
            self.is_full = True

    def _break(self, reply_error: ReplyError) -> None:
        """Close the connection because a reply is invalid.

        The caller whose reply was arriving gets `reply_error`; the others get `ConnectionLost`.
        """
        if self._waiting:
            self._answered += 1
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(reply_error)
        self.drop()

    def _beat(self) -> None:
        """Send PING on an idle connection; `_watch` closes it when no reply arrives."""
        now = self._loop.time()
        if not self._waiting and self._answered_at + self._idle <= now:
            self.send(("PING",))
        self._beating = self._loop.call_at(now + self._idle, self._beat)

    def _flush(self) -> None:
        self._flush_is_due = False
        outgoing = self._outgoing
        if not self.is_live or not outgoing:
            return
        self._transport.write(b"".join(outgoing) if len(outgoing) > 1 else outgoing[0])
        now = self._loop.time()
        if self._sent == self._answered:
            self._asked_at = now
        self._sent += len(outgoing)
        outgoing.clear()
        self._flushes.append((self._sent, now))
        if self._watching is None:
            self._watching = self._loop.call_at(now + self._timeout, self._watch)

    def _watch(self) -> None:
        """Time out overdue commands, and close the connection if the server has stopped replying.

        Schedules itself for the next time at which a command may be overdue.
        """
        if self._watching is not None and (rest := oversleep(self._loop, self._watching)):
            # Wait until the loop has read what arrived while it was blocked
            self._watching = self._loop.call_later(rest, self._watch)
            return
        flushes, now = self._flushes, self._loop.time()
        while flushes and (flushes[0][0] <= self._answered or flushes[0][1] + self._timeout <= now):
            until, _ = flushes.popleft()
            for future in islice(self._waiting, max(0, until - self._answered)):
                if not future.done():
                    future.set_result(ReplyTimeout())
        dues = [flushes[0][1] + self._timeout] if flushes else []
        if self._sent > self._answered:  # a reply is due, even if its caller was cancelled
            dues.append(max(self._answered_at, self._asked_at) + self._timeout)
            if dues[-1] <= now:  # the server has stopped replying
                self._watching = None
                self._transport.abort()
                return
        self._watching = self._loop.call_at(min(dues), self._watch) if dues else None

    def _end(self, sent: Callable[[], ReplyError], unsent: Callable[[], ReplyError]) -> None:
        if not self.is_live:
            return
        self.is_live = False
        self._beating.cancel()
        if self._watching is not None:
            self._watching.cancel()
        self._reader = reader()  # the old one may hold a large partial reply
        still_here = len(self._outgoing)
        self._outgoing.clear()
        on_their_way = len(self._waiting) - still_here
        for place, future in enumerate(self._waiting):
            if not future.done():
                future.set_result(sent() if place < on_their_way else unsent())
        self._waiting.clear()
        self._make_room()
        self._on_lost(self)

    def _look_for_room(self, most: int) -> None:
        if not self._is_paused and self._incoming.size <= _LARGE and len(self._waiting) < most:
            self._make_room()

    def _make_room(self) -> None:
        self.is_full = False
        if self._room is not None:
            self._room.set_result(None)
            self._room = None


def _packable(word: Any) -> Any:
    return as_bytes(word) if isinstance(word, (str, bytearray, memoryview)) else word


def _lost_after_sending() -> ReplyError:
    return ConnectionLost(is_sent=True)


def _lost_before_sending() -> ReplyError:
    return ConnectionLost(is_sent=False)
