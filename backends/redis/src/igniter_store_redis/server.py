"""One server: commands of all callers on one connection, more of them when that one is busy; those that wait, and messages, on others.

Rule: a read is asked a second time when the connection was lost; a write only when it had not left yet.
Rule: calls share the first connection, so that those of one turn are one write. Only while that is full - too many commands on it, or a
value of megabytes on its way - does a call take the next one: small calls don't wait behind a large one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode, StoreError
from igniter_store.contract.commands.commands import Commands
from igniter_store.contract.commands.listener import Listener
from igniter_store.contract.commands.troubles import Lost, Refused, Shut, Trouble, failure, shown, word_of
from igniter_store.contract.commands.waiting import Waiters

from igniter_store_redis.errors import NAME, closed, elsewhere, not_connected
from igniter_store_redis.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store.contract.commands.listener import CommandSubscription

    from igniter_store_redis.connecting import Connector
    from igniter_store_redis.multiplexer import Multiplexer

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

    def start(self) -> None:
        """Let callers in; the first of them connects."""
        self._is_open, self._was_closed = True, False
        self._loop = asyncio.get_running_loop()
        self._unknown.clear()  # it may be another server now
        self._waiters.open()
        self.listener.open()
        for line in self._lines:
            line.start()

    async def open(self) -> None:
        """Connect."""
        self.start()
        try:
            await self._first.connected()
        except BaseException:
            self._is_open = False
            await self.listener.close()
            raise

    async def close(self) -> None:
        """Close all connections; callers get `STORE_CLOSED`."""
        self._is_open, self._was_closed = False, True
        await self.listener.close()
        await self._waiters.close()
        for line in self._lines:
            await line.close()

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
            raise closed() if self._was_closed else not_connected()
        if asyncio.get_running_loop() is not self._loop:
            raise elsewhere()

    async def ask(self, *words: Any, code: ErrorCode = _FAILED) -> Any:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            answer = await self._after(answer, words, multiplexer, writes=False)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, backend=NAME, writes=False) from shown(answer)
        return answer

    async def tell(self, *words: Any, code: ErrorCode = _FAILED) -> Any:
        multiplexer = self._first.multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._free()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            answer = await self._after(answer, words, multiplexer, writes=True)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, backend=NAME, writes=True) from shown(answer)
        return answer

    async def wait(self, *words: Any) -> Any:
        answer = await self.attempt_to_wait(words)
        if isinstance(answer, Trouble):
            raise failure(answer, _FAILED, self.timeout, backend=NAME, writes=True) from shown(answer)
        return answer

    async def attempt(self, words: tuple[Any, ...], *, writes: bool, is_asking: bool = False) -> Any:
        """The answer, or what came instead of it, for a caller who knows what to do about it.

        Args:
            words: the command and its arguments.
            writes: whether it changes something.
            is_asking: whether a node of a cluster is to answer for a slot that is on its way to it.
        """
        multiplexer = await self._free()
        if is_asking:
            multiplexer.ask(("ASKING",))  # it counts for the next command on this connection, which is ours
            return await multiplexer.ask(words)
        answer = await multiplexer.ask(words)
        return await self._after(answer, words, multiplexer, writes=writes) if isinstance(answer, Trouble) else answer

    async def attempt_to_wait(self, words: tuple[Any, ...], *, is_asking: bool = False) -> Any:
        """As `attempt`, for a command that waits at the server."""
        self.require_open()
        answer = await self._waiters.ask(words, is_asking=is_asking)
        return answer if self._is_open else Shut()

    async def attempt_to_subscribe(self, subscription: CommandSubscription, *, is_asking: bool = False) -> Trouble | None:
        """As `attempt`, for a subscription."""
        del is_asking  # no node answers so
        return await self.listener.add(subscription)

    async def subscribe(self, subscription: CommandSubscription) -> None:
        self.require_open()
        trouble = await self.listener.add(subscription)
        if trouble is not None:
            raise failure(trouble, ErrorCode.STORE_SUBSCRIBE_FAILED, self.timeout, backend=NAME, writes=False) from shown(trouble)

    def together(self, keys: Sequence[str | bytes]) -> list[range]:
        return [range(len(keys))] if keys else []

    async def scan(self, cursor: str, pattern: str, count: int, code: ErrorCode) -> tuple[str, list[bytes]]:
        following, keys = await self.ask("SCAN", cursor, "MATCH", pattern, "COUNT", count, code=code)
        return following.decode(), keys

    async def ping(self) -> None:
        await self.ask("PING")

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
