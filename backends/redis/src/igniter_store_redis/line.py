"""The line on which commands go: one multiplexed connection that comes back by itself.

Rule: a read is asked a second time when the connection was lost; a write only when it had not left yet.
Rule: there is one attempt to connect at a time, for all who wait for it, and they share what it comes to. After a failure the next
attempt waits, longer each time, so that a thousand callers don't storm a server that is coming up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract import ErrorCode, StoreError
from redis.exceptions import RedisError

from igniter_store_redis.errors import closed, failure, not_connected, not_reached
from igniter_store_redis.multiplexer import Lost, Multiplexer, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_redis.connecting import Connector

_Send: TypeAlias = Callable[..., Awaitable[Any]]

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25  # callers wait for it


class Line:
    """Commands to one server.

    Args:
        connector: makes connections.
        timeout: seconds that an answer may take.
    """

    def __init__(self, connector: Connector, timeout: float) -> None:
        self.timeout: Final = timeout
        self._connector: Final = connector
        self._multiplexer: Multiplexer | None = None
        self._attempt: asyncio.Task[Multiplexer] | None = None
        self._pause = 0.0
        self._is_open = False
        self._was_closed = False

    async def open(self) -> None:
        """Connect."""
        self._is_open, self._was_closed, self._pause = True, False, 0.0
        try:
            await self._ready()
        except BaseException:
            self._is_open = False
            raise

    async def close(self) -> None:
        """Close the connection; callers get `STORE_CLOSED`."""
        self._is_open, self._was_closed = False, True
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        multiplexer, self._multiplexer = self._multiplexer, None
        if multiplexer is not None:
            multiplexer.shut()
            await asyncio.sleep(0)  # the transport's last word

    def require_open(self) -> None:
        """Refuse to go on, unless the line is open."""
        if not self._is_open:
            raise closed() if self._was_closed else not_connected()

    async def ask(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer to a command that changes nothing.

        Args:
            words: the command and its arguments.
            code: for a refusal that has no code of its own.
        """
        multiplexer = self._multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._ready()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            if isinstance(answer, Lost) and self._is_open:
                answer = await (await self._ready()).ask(words)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, writes=False) from answer
        return answer

    async def tell(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer to a command that changes something; arguments as `ask`."""
        multiplexer = self._multiplexer
        if multiplexer is None or multiplexer.is_full:
            multiplexer = await self._ready()
        answer = await multiplexer.ask(words)
        if isinstance(answer, Trouble):
            if isinstance(answer, Lost) and not answer.is_sent and self._is_open:
                answer = await (await self._ready()).ask(words)
            if isinstance(answer, Trouble):
                raise failure(answer, code, self.timeout, writes=True) from answer
        return answer

    async def run(self, name: str, keys: Sequence[str], *arguments: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer of the script of this name, which changes something."""
        return await self._script(self.tell, name, keys, arguments, code)

    async def see(self, name: str, keys: Sequence[str], *arguments: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer of the script of this name, which changes nothing."""
        return await self._script(self.ask, name, keys, arguments, code)

    async def _script(self, send: _Send, name: str, keys: Sequence[str], arguments: Sequence[Any], code: ErrorCode) -> Any:
        text, digest = script(name)
        rest = (len(keys), *keys, *arguments)
        try:
            return await send("EVALSHA", digest, *rest, code=code)
        except StoreError as error:
            if error.details.get("word") != "NOSCRIPT":
                raise
        return await send("EVAL", text, *rest, code=code)  # the server doesn't know it, or not any more

    async def _ready(self) -> Multiplexer:
        while True:
            self.require_open()
            if self._multiplexer is not None:
                if not self._multiplexer.is_full:
                    return self._multiplexer
                await self._multiplexer.room()
                continue
            if self._attempt is None:
                self._attempt = asyncio.create_task(self._connect())
                self._attempt.add_done_callback(_heard)
            attempt = self._attempt
            try:
                await asyncio.shield(attempt)
            except asyncio.CancelledError:
                if attempt.cancelled():  # by `close`, not by our caller
                    raise closed() from None
                raise
            except (RedisError, OSError) as error:
                raise not_reached(error) from error

    async def _connect(self) -> Multiplexer:
        try:
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at once
            multiplexer = await self._connector.multiplexed(self.timeout, self._forget)
        except BaseException:
            self._attempt = None
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause or _FIRST_PAUSE)
            raise
        self._attempt, self._pause, self._multiplexer = None, 0.0, multiplexer
        return multiplexer

    def _forget(self) -> None:
        self._multiplexer = None


@cache
def script(name: str) -> tuple[str, str]:
    """The text of a script, and the digest by which the server knows it."""
    text = (resources.files("igniter_store_redis") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


def _heard(attempt: asyncio.Task[Multiplexer]) -> None:
    # Those who waited for it may all have gone.
    if not attempt.cancelled():
        attempt.exception()
