"""One server: commands of all callers on one connection, more of them when that one is busy; those that wait, and messages, on others.

Rule: a read is asked a second time when the connection was lost; a write only when it had not left yet.
Rule: a connection on which a reply comes that can't be one is closed: the next ones may be answers to other commands.
Rule: calls share the first connection, so that those of one turn are one write. Only while that is full - too many commands on it, or a
value of megabytes on its way - does a call take the next one: small calls don't wait behind a large one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.contract import ErrorCode, StoreError
from igniter_store.contract.affinity import LoopEnd
from igniter_store.contract.commands.commands import Commands
from igniter_store.contract.commands.listener import Listener
from igniter_store.contract.commands.replies import MALFORMED, page, pong, unexpected
from igniter_store.contract.commands.troubles import Lost, Refused, Shut, Trouble, failure, shown, word_of
from igniter_store.contract.commands.waiting import Waiters

from igniter_store_redis.errors import NAME, elsewhere, refusal
from igniter_store_redis.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store.contract.commands.listener import CommandSubscription
    from igniter_store.contract.commands.replies import Reader

    from igniter_store_redis.connecting import Connector
    from igniter_store_redis.multiplexer import Multiplexer

T = TypeVar("T")

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class Server(Commands):
    """Commands to one server.

    Args:
        connector: makes connections.
        timeout: seconds that an answer may take.
        connections: how many may be open for commands that don't wait.
        on_astray: see `Listener`.

    Attributes:
        listener: the subscriptions.
    """

    def __init__(self, connector: Connector, timeout: float, connections: int, on_astray: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.timeout: Final = timeout
        self._lines: Final = [Line(connector, timeout) for _ in range(connections)]
        self._first: Final = self._lines[0]
        self._waiters: Final = Waiters(connector, timeout)
        self.listener: Final = Listener(connector, timeout, on_astray)
        self._is_open = False
        self._was_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_end: LoopEnd | None = None

    def start(self) -> None:
        """Let callers in; the first of them connects."""
        self._is_open, self._was_closed, self.is_inherited = True, False, False
        self._loop = asyncio.get_running_loop()
        self._watch_loop_end(LoopEnd(self._release_connections))
        self.forget_server()
        self._waiters.open()
        self.listener.open()
        for line in self._lines:
            line.start()

    async def open(self) -> None:
        """Connect."""
        self.start()
        try:
            await self._first.connected()
        except GeneratorExit:  # the event loop was closed meanwhile, and nothing can be awaited any more
            raise
        except BaseException:  # cancelled, above all: the attempt to connect is shared, and would go on
            await self.close()
            self._was_closed = False
            raise

    async def close(self) -> None:
        """Close all connections; callers get `STORE_CLOSED`."""
        self._is_open, self._was_closed, self.is_inherited = False, True, False
        self._watch_loop_end(None)
        await self.listener.close()
        await self._waiters.close()
        for line in self._lines:
            await line.close()

    def abandon(self, *, is_inherited: bool) -> None:
        self._is_open = False
        self._watch_loop_end(None)
        self.listener.abandon(is_inherited=is_inherited)
        self._waiters.abandon(is_inherited=is_inherited)
        for line in self._lines:
            line.abandon(is_inherited=is_inherited)

    def _watch_loop_end(self, loop_end: LoopEnd | None) -> None:
        if self._loop_end is not None:
            self._loop_end.cancel()
        self._loop_end = loop_end

    def _release_connections(self) -> None:
        # The next caller opens a new one.
        self._waiters.retire()
        for line in self._lines:
            multiplexer = line.multiplexer
            line.retire(multiplexer)
            if multiplexer is not None and not multiplexer.is_awaited:
                multiplexer.shut()

    def retire(self) -> None:
        """Let what was asked be answered; the connections close after that. Subscriptions are heard no more."""
        self.listener.retire()
        self._waiters.retire()
        for line in self._lines:
            line.retire(line.multiplexer)

    @property
    def is_idle(self) -> bool:
        """True when no connection is open."""
        return self.listener.is_idle and self._waiters.is_idle and all(line.is_idle for line in self._lines)

    def require_open(self) -> None:
        if not self._is_open:
            raise refusal(is_inherited=self.is_inherited, was_closed=self._was_closed)
        if asyncio.get_running_loop() is not self._loop:
            raise elsewhere()

    async def ask(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            answer = await self._after(answer, words, multiplexer, writes=False)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, backend=NAME, writes=False, words=words) from shown(answer)
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=False)

    async def tell(self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED) -> T:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            answer = await self._after(answer, words, multiplexer, writes=True)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, backend=NAME, writes=True, words=words) from shown(answer)
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=True)

    async def wait(self, *words: Any, read: Reader[T]) -> T:
        answer: Any = await self.attempt_to_wait(words, read)
        if isinstance(answer, Trouble):
            raise failure(answer, _FAILED, self.timeout, backend=NAME, writes=True, words=words) from shown(answer)
        return answer  # type: ignore[no-any-return]  # the reader has made it

    async def attempt(self, words: tuple[Any, ...], read: Reader[Any], code: ErrorCode, *, writes: bool, is_asking: bool = False) -> Any:
        """The answer, or what came instead of it, for a caller who knows what to do about it.

        Args:
            words: the command and its arguments.
            read: the reader of its reply.
            code: for a reply that the reader refuses.
            writes: whether it changes something.
            is_asking: whether a node of a cluster is to answer for a slot that is on its way to it.

        Raises:
            StoreError: for such a reply, or when no connection can be made.
        """
        multiplexer = await self._free()
        if is_asking:
            multiplexer.ask(("ASKING",))  # it counts for the next command on this connection, which is ours
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble) and not is_asking:
            answer = await self._after(answer, words, multiplexer, writes=writes)
        if isinstance(answer, Trouble):
            return answer
        try:
            return read(answer)
        except MALFORMED:
            multiplexer.drop()
        raise unexpected(words, answer, code, backend=NAME, writes=writes)

    async def attempt_to_wait(self, words: tuple[Any, ...], read: Reader[Any], *, is_asking: bool = False) -> Any:
        """As `attempt`, for a command that waits at the server."""
        self.require_open()
        answer = await self._waiters.ask(words, read, is_asking=is_asking)
        return answer if self._is_open else Shut()

    async def attempt_to_subscribe(self, subscription: CommandSubscription, *, is_asking: bool = False) -> Trouble | None:
        """As `attempt`, for a subscription."""
        del is_asking  # no node answers so
        return await self.listener.add(subscription)

    async def subscribe(self, subscription: CommandSubscription) -> None:
        self.require_open()
        trouble = await self.listener.add(subscription)
        if trouble is not None:
            code = ErrorCode.STORE_SUBSCRIBE_FAILED
            raise failure(trouble, code, self.timeout, backend=NAME, writes=False, words=subscription.name) from shown(trouble)

    def together(self, keys: Sequence[str | bytes]) -> list[range]:
        return [range(len(keys))] if keys else []

    async def scan(self, cursor: str, pattern: str, count: int, code: ErrorCode) -> tuple[str, list[bytes]]:
        return await self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", count, read=page, code=code)

    async def ping(self) -> None:
        await self.ask("PING", read=pong)

    async def _after(self, trouble: Trouble, words: tuple[Any, ...], multiplexer: Multiplexer, *, writes: bool) -> Any:
        """What becomes of a command that had no answer: a second attempt, where that can't do it twice."""
        if isinstance(trouble, Refused):
            if word_of(str(trouble)) == "READONLY":  # it was the primary once; whoever connects now finds the one that is
                for line in self._lines:
                    line.retire(multiplexer)
        elif isinstance(trouble, Lost) and self._is_open and not (writes and trouble.is_sent):
            return await (await self._free()).ask(words)
        return trouble

    async def _free(self) -> Multiplexer:
        """A connection that has room."""
        while True:
            self.require_open()
            for line in self._lines:
                try:
                    multiplexer = line.multiplexer or await line.connected()
                except StoreError:
                    if line is self._first:
                        raise
                    break  # the server may want no more of us
                if not multiplexer.is_full:
                    return multiplexer
            await self._room()

    async def _room(self) -> None:
        waiting = [asyncio.ensure_future(line.multiplexer.room()) for line in self._lines if line.multiplexer is not None]
        try:
            if waiting:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for room in waiting:
                room.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
