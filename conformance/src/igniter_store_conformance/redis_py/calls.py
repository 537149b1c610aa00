"""One command, one connection, one reply: all communication except subscriptions.

Rule: a connection carries one command at a time. It is closed if its reply was not read completely,
    for any reason.
Rule: a read is retried once when the connection was lost. A write never is: its error reports that
    it may have been applied.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Affinity, ErrorCode, StoreError
from igniter_store.contract.affinity import disconnect, keep, release_transport
from igniter_store.contract.timeouts import FairTimeout
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from igniter_store_conformance.redis_py.errors import (
    NAME,
    closed,
    elsewhere,
    not_open,
    timed_out,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from redis.asyncio import Redis

_CROWD: Final = 32  # connections for commands; further callers wait for one
_GRACE: Final = 1.0  # seconds that calls get to release their connections when the adapter closes


class Calls:
    """The connections of one adapter.

    Args:
        connect: creates the client, which connects when it is used.
        timeout: seconds that a command may take.
        affinity: the event loop in which the adapter was opened.
    """

    def __init__(self, connect: Callable[[], Redis], timeout: float, affinity: Affinity) -> None:
        self.timeout: Final = timeout
        self.affinity: Final = affinity
        self._connect = connect
        self._client: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._crowd = asyncio.Semaphore(_CROWD)
        self._under_way: dict[FairTimeout, asyncio.Future[None]] = {}

    @property
    def is_closed(self) -> bool:
        """Whether `close` has begun, without a later `open`."""
        return self._is_closed

    async def open(self) -> None:
        """Create the client, and check that the server answers."""
        self._is_closed = False
        # It belongs to the loop in which the adapter was opened.
        self._crowd = asyncio.Semaphore(_CROWD)
        self._client, self._loop = self._connect(), asyncio.get_running_loop()
        try:
            await self.ask("PING")
        except BaseException:
            client, self._client = self._client, None
            await client.aclose()
            raise

    def shut(self) -> None:
        """Refuse new calls, and end the pending ones."""
        self._is_closed = True
        for limit in self._under_way:
            limit.expire()

    async def close(self) -> None:
        """Close all connections, once every call has released its own."""
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()), timeout=_GRACE)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def bind(self) -> None:
        """Bind to the running event loop; see `Affinity.enter`."""
        self.affinity.enter(NAME, is_in_use=self._client is not None)

    def abandon(self) -> None:
        """Release all connections after their event loop was closed.

        In a forked child, don't touch the parent's connections.
        """
        client, self._client = self._client, None
        self._is_closed = False
        self._under_way.clear()
        if client is None:
            return
        pool: Any = client.connection_pool
        # redis-py can do it in their loop only
        for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001
            writer = connection._writer  # noqa: SLF001 - the same
            if writer is not None and self.affinity.is_inherited:
                disconnect([writer.transport.get_extra_info("socket")])
            elif writer is not None:
                release_transport(writer.transport)
                connection._reader = connection._writer = None  # noqa: SLF001 - the same
        if self.affinity.is_inherited:
            keep(client)

    async def ask(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """Return the reply to a command that changes nothing.

        Args:
            words: the command and its arguments.
            code: the code for a refusal that has none of its own.
        """
        try:
            return await self._once(words, code, 0, self._crowd, writes=False)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_CONNECTION_FAILED or not error.retryable:
                raise
            return await self._once(words, code, 0, self._crowd, writes=False)

    async def see(self, name: str, keys: Sequence[str], *arguments: Any) -> Any:
        """Return the reply to the script of this name, which changes nothing."""
        return await self.ask("EVAL", script(name), len(keys), *keys, *arguments)

    async def tell(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """Return the reply to a command that changes data; arguments as for `ask`."""
        return await self._once(words, code, 0, self._crowd, writes=True)

    async def run(
        self,
        name: str,
        keys: Sequence[str],
        *arguments: Any,
        code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED,
    ) -> Any:
        """Return the reply to the script of this name, which changes data."""
        return await self.tell("EVAL", script(name), len(keys), *keys, *arguments, code=code)

    async def wait(self, seconds: float, *words: Any) -> Any:
        """Return the reply to a command that may block at the server for `seconds`.

        It uses a connection of its own, so other calls don't wait.
        """
        return await self._once(
            words, ErrorCode.STORE_OPERATION_FAILED, seconds, contextlib.nullcontext(), writes=True
        )

    async def _once(
        self,
        words: Sequence[Any],
        code: ErrorCode,
        wait: float,
        crowd: contextlib.AbstractAsyncContextManager[Any],
        *,
        writes: bool,
    ) -> Any:
        has_left = False
        try:
            async with self.limit(self.timeout + wait), crowd:
                for _ in range(_CROWD):
                    async with self.connection() as connection:
                        has_left = writes
                        if await is_sent(connection, words):
                            return await connection.read_response()
                        has_left = False
                raise RedisConnectionError(
                    "Every connection was closed before it could be written to."
                )
        except StoreError:  # some are TimeoutErrors and ConnectionErrors, too
            raise
        except TimeoutError as error:
            raise (
                closed() if self._is_closed else timed_out(self.timeout, maybe_applied=has_left)
            ) from error
        except (RedisError, OSError) as error:
            failed = translated(error, code, maybe_applied=has_left)
        raise failed  # outside of the block, where it would have redis-py's words as its context

    def require_open(self) -> None:
        """Raise an error unless the adapter is open."""
        if self._client is None or self._is_closed:
            raise not_open(is_inherited=self.affinity.is_inherited, was_closed=self._is_closed)
        if asyncio.get_running_loop() is not self._loop:
            raise elsewhere()

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[None]:
        """Within the block, raise `TimeoutError` after `seconds`, or when the adapter closes."""
        self.require_open()
        done = asyncio.get_running_loop().create_future()
        async with FairTimeout(seconds) as limit:
            self._under_way[limit] = done
            try:
                yield
            finally:
                del self._under_way[limit]
                done.set_result(None)

    async def drop_idle(self) -> None:
        """Close the idle connections.

        The cause that ended one connection has most likely ended all of them.
        """
        if self._client is not None:
            await self._client.connection_pool.disconnect(inuse_connections=False)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Any]:
        """A connection of the pool, for one command.

        redis-py closes the connection when a caller is interrupted while reading.
        """
        if self._client is None:
            raise not_open(is_inherited=self.affinity.is_inherited, was_closed=self._is_closed)
        pool: Any = self._client.connection_pool
        # One iteration of the loop, in which it notices connections that were closed while they
        # were idle: the pool then replaces them.
        await asyncio.sleep(0)
        connection = await pool.get_connection()
        try:
            yield connection
        finally:
            await pool.release(connection)


async def is_sent(connection: Any, words: Sequence[Any]) -> bool:
    """Send a command, and return False when the connection was reset while it was idle.

    redis-py only notices such a reset when it writes. The command hasn't been sent completely then,
    so the server can't have executed it, and another connection may send it.
    """
    # asyncio of Python 3.12 and 3.13.0 doesn't check whether the transport is closed. It raises
    # AttributeError, or waits for the transport's former descriptor, which may belong to another
    # connection by now.
    # redis-py has no public way to get the writer, and fakeredis has no sockets.
    writer = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter) and writer.is_closing():
        return False
    try:
        await connection.send_command(*words)
    except (RedisConnectionError, OSError, AttributeError):
        return False
    return True


@cache
def script(name: str) -> str:
    """Return the text of a script."""
    return (
        resources.files("igniter_store_conformance.redis_py") / "scripts" / f"{name}.lua"
    ).read_text(encoding="utf-8")
