"""The interface through which operations send commands, to one server or to a cluster.

Rule: an operation specifies only the command, its arguments and the reader of its reply. The client
    decides where to send the command, how often to retry it, and how to handle an error reply.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar

from igniter_store.contract.errors import ErrorCode, StoreError
from igniter_store.redis_commands.needs import script
from igniter_store.redis_commands.replies import data, page, pong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract.errors import BackendErrors
    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription

T = TypeVar("T")

_Send: TypeAlias = Callable[..., Awaitable[Any]]


class Unknown:
    """The result of `write_if_supported` if the server doesn't support the command.

    Attributes:
        is_lost: True if the server, or a proxy in front of it, closed the connection instead of
            rejecting the command. The server may then have executed the command before the
            connection was lost.
    """

    def __init__(self, *, is_lost: bool) -> None:
        self.is_lost: Final = is_lost


_REFUSED: Final = Unknown(is_lost=False)
_HUNG_UP: Final = Unknown(is_lost=True)
_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class CommandClient(ABC):
    """Sends commands to the server or the nodes that hold the keys.

    Attributes:
        errors: the errors that all backends share, with the name of this one.
        changes_values: True if the client stores other bytes than the caller passes to SET, and
            restores them when reading. Values that the server compares must then be written by a
            script.
        is_inherited: True in a forked child, if the parent had opened the previous client.
    """

    errors: ClassVar[BackendErrors]
    changes_values: bool = False
    is_inherited: bool = False

    def __init__(self) -> None:
        self._is_open = False
        self._was_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unknown: set[str] = set()
        self._known: set[str] = set()

    def forget_server(self) -> None:
        """Forget which commands the server supports, because it may be a different server now."""
        self._unknown.clear()
        self._known.clear()

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; pending calls raise `STORE_CLOSED`."""

    @abstractmethod
    def abandon(self, *, is_inherited: bool) -> None:
        """Release all connections permanently and without awaiting: their event loop is closed.

        Args:
            is_inherited: whether the connections belong to the parent process. They then stay open,
                and become unreachable in this process.
        """

    def accept_calls(self) -> None:
        """Accept calls from the running event loop, for `open`."""
        self._is_open, self._was_closed, self.is_inherited = True, False, False
        self._loop = asyncio.get_running_loop()
        self.forget_server()

    def refuse_calls(self) -> None:
        """Refuse calls from now on, for `close`."""
        self._is_open, self._was_closed, self.is_inherited = False, True, False

    def require_open(self) -> None:
        """Raise an error unless the client is open, in the running event loop."""
        if not self._is_open:
            raise self.errors.not_open(is_inherited=self.is_inherited, was_closed=self._was_closed)
        if asyncio.get_running_loop() is not self._loop:
            raise self.errors.elsewhere()

    # These two aren't `async def`, so that an implementation can return a coroutine of its own.
    # This saves one await.
    @abstractmethod
    def read(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        """Send a command that changes nothing; retry it if the connection was lost.

        Args:
            words: the command and its arguments.
            read: the reader of the reply, see `replies`. If it rejects the reply, the call raises
                an error, and the connection isn't used again.
            code: the error code for an error reply that has no code of its own.
        """

    @abstractmethod
    def write(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        """Send a command that changes data; retry it only if it had not been sent.

        The arguments are those of `read`.
        """

    async def write_if_supported(self, form: str, *words: Any, read: Reader[T]) -> T | Unknown:
        """Like `write`, for commands or options that only newer servers support.

        If the server doesn't support the command, the method returns `Unknown` and doesn't send the
        command again.

        Args:
            form: a name for the command or its option.
            words: the command and its arguments.
            read: the reader of the reply.
        """
        if form in self._unknown:
            return _REFUSED
        # A server repeats the arguments of an unknown command in its error reply, and glide closes
        # the connection if an argument isn't valid UTF-8.
        if form not in self._known and not all(map(_is_utf8, words)):
            return _REFUSED
        try:
            answer = await self.write(*words, read=read)
        except StoreError as error:
            unknown = (
                _HUNG_UP
                if error.code is ErrorCode.STORE_CONNECTION_FAILED and error.maybe_applied
                else _REFUSED
            )
            # The server may not have the command or option, its access rules may be older than the
            # command, or a proxy may close the connection on an unknown command.
            if error.details.get("word") not in {"ERR", "NOPERM"} and (
                unknown is _REFUSED or form in self._known
            ):
                raise
        else:
            self._known.add(form)
            return answer
        self._unknown.add(form)
        return unknown

    @abstractmethod
    async def block(self, *words: Any, read: Reader[T]) -> T:
        """Send a command that blocks at the server for at most `blocking.LONGEST_WAIT`.

        The arguments are those of `read`. If the connection is lost, the wait ends: entries that
        were in transit are pending then, and only the history of their consumer returns them again.
        """

    # The next three methods are for one server; a client of a cluster overrides them.

    def group_by_slot(self, keys: Sequence[str | bytes]) -> Sequence[Sequence[int]]:
        """Return indices of `keys`, grouped so that each group fits in one command."""
        return [range(len(keys))] if keys else []

    async def scan(
        self, cursor: str, pattern: str, count: int, code: ErrorCode
    ) -> tuple[str, list[bytes]]:
        """Return the cursor of the next page, and the matching keys of this page."""
        return await self.read(
            "SCAN", cursor, "MATCH", pattern, "COUNT", count, read=page, code=code
        )

    async def ping(self) -> None:
        """Check that the server responds."""
        await self.read("PING", read=pong)

    @abstractmethod
    async def subscribe(self, subscription: CommandSubscription) -> None:
        """Activate a subscription, before this method returns."""

    async def information(self) -> bytes:
        """Return the server's INFO; on a cluster, the INFO of one of the nodes."""
        return await self.read("INFO", read=data)

    async def run_write_script(
        self,
        name: str,
        keys: Sequence[str],
        *arguments: Any,
        read: Reader[T],
        code: ErrorCode = _FAILED,
    ) -> T:
        """Run the script `name`, which changes data; the other arguments are those of `read`."""
        return await _script(self.write, name, keys, arguments, read, code)

    async def run_read_script(
        self,
        name: str,
        keys: Sequence[str],
        *arguments: Any,
        read: Reader[T],
        code: ErrorCode = _FAILED,
    ) -> T:
        """Run the script `name`, which changes nothing; the other arguments are those of `read`."""
        return await _script(self.read, name, keys, arguments, read, code)


def _is_utf8(word: Any) -> bool:
    try:
        if isinstance(word, str):
            word.encode()
        elif isinstance(word, bytes | bytearray | memoryview):
            # the element type is unknown
            bytes(word).decode()  # pyright: ignore[reportUnknownArgumentType]
    except UnicodeError:
        return False
    return True


async def _script(  # noqa: PLR0913, PLR0917 - what a call of a script consists of
    send: _Send,
    name: str,
    keys: Sequence[str],
    arguments: Sequence[Any],
    read: Reader[T],
    code: ErrorCode,
) -> T:
    text, digest = script(name)
    rest = (len(keys), *keys, *arguments)
    answer: T
    try:
        answer = await send("EVALSHA", digest, *rest, read=read, code=code)
    except StoreError as error:
        if error.details.get("word") != "NOSCRIPT" and not error.details.get("is_unknown"):
            raise
    else:
        return answer
    # The server doesn't have the script, or has dropped it; or it doesn't support EVALSHA.
    answer = await send("EVAL", text, *rest, read=read, code=code)
    return answer
