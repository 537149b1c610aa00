"""One command, one connection, one answer: how everything but subscriptions talks to the server.

Rule: a connection carries one command at a time. One whose answer was not read to its end, whatever the reason, is closed.
Rule: a read is tried a second time when the connection was lost; a write never, and says that it may have been applied.
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

from igniter_store_conformance.redis_py.errors import NAME, closed, elsewhere, not_open, timed_out, translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from redis.asyncio import Redis

_CROWD: Final = 32  # connections for commands; more callers wait for one
_GRACE: Final = 1.0  # seconds that callers get to let go when the adapter closes


class Calls:
    """The connections of one adapter.

    Args:
        connect: makes the client, which connects when it is used.
        timeout: seconds that a command may take.
        affinity: the event loop that the adapter was opened in.
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
        """Whether `close` has begun and `open` hasn't since."""
        return self._is_closed

    async def open(self) -> None:
        """Make the client, and see whether the server answers."""
        self._is_closed = False
        self._crowd = asyncio.Semaphore(_CROWD)  # belongs to the loop that the adapter was opened in
        self._client, self._loop = self._connect(), asyncio.get_running_loop()
        try:
            await self.ask("PING")
        except BaseException:
            client, self._client = self._client, None
            await client.aclose()
            raise

    def shut(self) -> None:
        """Let no more calls in, and end those that wait."""
        self._is_closed = True
        for limit in self._under_way:
            limit.expire()

    async def close(self) -> None:
        """Close all connections, once every call has let go of its own."""
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()), timeout=_GRACE)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def bind(self) -> None:
        """Belong to the running event loop; see `Affinity.enter`."""
        self.affinity.enter(NAME, is_in_use=self._client is not None)

    def abandon(self) -> None:
        """Release all connections, whose event loop is closed; in a forked child, keep out of the parent's."""
        client, self._client = self._client, None
        self._is_closed = False
        self._under_way.clear()
        if client is None:
            return
        pool: Any = client.connection_pool
        for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001 - redis-py can do it in their loop only
            writer = connection._writer  # noqa: SLF001 - the same
            if writer is not None and self.affinity.is_inherited:
                disconnect([writer.transport.get_extra_info("socket")])
            elif writer is not None:
                release_transport(writer.transport)
                connection._reader = connection._writer = None  # noqa: SLF001 - the same
        if self.affinity.is_inherited:
            keep(client)

    async def ask(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer to a command that changes nothing.

        Args:
            words: the command and its arguments.
            code: for a refusal that has no code of its own.
        """
        try:
            return await self._once(words, code, 0, self._crowd, writes=False)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_CONNECTION_FAILED or not error.retryable:
                raise
            return await self._once(words, code, 0, self._crowd, writes=False)

    async def see(self, name: str, keys: Sequence[str], *arguments: Any) -> Any:
        """The answer to the script of this name, which changes nothing."""
        return await self.ask("EVAL", script(name), len(keys), *keys, *arguments)

    async def tell(self, *words: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer to a command that changes something; arguments as `ask`."""
        return await self._once(words, code, 0, self._crowd, writes=True)

    async def run(self, name: str, keys: Sequence[str], *arguments: Any, code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> Any:
        """The answer to the script of this name, which changes something."""
        return await self.tell("EVAL", script(name), len(keys), *keys, *arguments, code=code)

    async def wait(self, seconds: float, *words: Any) -> Any:
        """The answer to a command that may wait for so many seconds at the server, on a connection that keeps nobody else waiting."""
        return await self._once(words, ErrorCode.STORE_OPERATION_FAILED, seconds, contextlib.nullcontext(), writes=True)

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
                raise RedisConnectionError("Every connection was closed before it could be written to.")
        except StoreError:  # some are TimeoutErrors and ConnectionErrors, too
            raise
        except TimeoutError as error:
            raise (closed() if self._is_closed else timed_out(self.timeout, maybe_applied=has_left)) from error
        except (RedisError, OSError) as error:
            failed = translated(error, code, maybe_applied=has_left)
        raise failed  # outside of the block, where it would have redis-py's words as its context

    def require_open(self) -> None:
        """Refuse to go on, unless the adapter is open."""
        if self._client is None or self._is_closed:
            raise not_open(is_inherited=self.affinity.is_inherited, was_closed=self._is_closed)
        if asyncio.get_running_loop() is not self._loop:
            raise elsewhere()

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[None]:
        """Within the block, raise `TimeoutError` after so many seconds, or when the adapter closes."""
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
        """Close the idle connections, since a fault that ended one connection has probably ended them all."""
        if self._client is not None:
            await self._client.connection_pool.disconnect(inuse_connections=False)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Any]:
        """A connection of the pool, for one command. Whoever is interrupted in reading leaves it closed: redis-py sees to that."""
        if self._client is None:
            raise not_open(is_inherited=self.affinity.is_inherited, was_closed=self._is_closed)
        pool: Any = self._client.connection_pool
        # One turn of the loop, in which it hears of connections that were closed while they were idle: the pool then replaces them.
        await asyncio.sleep(0)
        connection = await pool.get_connection()
        try:
            yield connection
        finally:
            await pool.release(connection)


async def is_sent(connection: Any, words: Sequence[Any]) -> bool:
    """False when the connection was reset while it was idle, which redis-py doesn't notice before it writes.

    Not all of the command has left us then, so the server can't have done it, and another connection may take it.
    """
    # asyncio of Python 3.12 and 3.13.0 doesn't look whether the transport is closed: it raises AttributeError, or waits for the descriptor
    # that the transport had, which may be another connection's by now.
    writer = getattr(connection, "_writer", None)  # redis-py has no other way to ask, and fakeredis has no sockets
    if isinstance(writer, asyncio.StreamWriter) and writer.is_closing():
        return False
    try:
        await connection.send_command(*words)
    except (RedisConnectionError, OSError, AttributeError):
        return False
    return True


@cache
def script(name: str) -> str:
    """The text of a script."""
    return (resources.files("igniter_store_conformance.redis_py") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
