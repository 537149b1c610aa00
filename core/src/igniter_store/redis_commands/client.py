"""What the operations ask, whether one server answers it or the nodes of a cluster.

Rule: an operation names the command, its arguments and the reader of its reply, and nothing else:
    where it goes, how often it is tried and
what becomes of a refusal is decided behind this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from igniter_store.contract.errors import ErrorCode, StoreError
from igniter_store.redis_commands.needs import script
from igniter_store.redis_commands.replies import data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.subscriptions import CommandSubscription

T = TypeVar("T")

_Send: TypeAlias = Callable[..., Awaitable[Any]]


class Unknown:
    """What `try_telling` returns when the server doesn't know the command.

    Attributes:
        is_lost: whether the server, or a proxy before it, hung up instead of refusing: then it may
            also have done it, and been lost.
    """

    def __init__(self, *, is_lost: bool) -> None:
        self.is_lost: Final = is_lost


_REFUSED: Final = Unknown(is_lost=False)
_HUNG_UP: Final = Unknown(is_lost=True)
_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class CommandClient(ABC):
    """CommandClient to where the keys are.

    Attributes:
        changes_values: True for a client that writes other bytes than SET was given, and reads them
            back as they were: what is compared at the server has to be written by a script then.
        is_inherited: True in a forked child, when the parent had opened what was here before.
    """

    changes_values: bool = False
    is_inherited: bool = False

    def __init__(self) -> None:
        self._unknown: set[str] = set()
        self._known: set[str] = set()

    def forget_server(self) -> None:
        """Find out again what the server knows; it may be another one now."""
        self._unknown.clear()
        self._known.clear()

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; callers get `STORE_CLOSED`."""

    @abstractmethod
    def abandon(self, *, is_inherited: bool) -> None:
        """Release all connections without awaiting anything, for good: their event loop is closed.

        Args:
            is_inherited: they belong to the parent process, and so they stay open, and out of
                reach.
        """

    @abstractmethod
    def require_open(self) -> None:
        """Refuse to go on, unless it is open."""

    # These two are no `async def`, so that one may hand on a coroutine of its own: it is awaited
    # once less.
    @abstractmethod
    def read(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        """The answer to a command that changes nothing: it is asked again when the connection was
        lost.

        Args:
            words: the command and its arguments.
            read: the reader of its reply, see `replies`. What it refuses is an error, and the
                connection isn't used any more.
            code: for a refusal that has no code of its own.
        """

    @abstractmethod
    def write(
        self, *words: Any, read: Reader[T], code: ErrorCode = _FAILED
    ) -> Coroutine[Any, Any, T]:
        """The answer to a command that changes something: it is asked again only when it had not
        left yet; arguments as `ask`.
        """

    async def write_if_supported(self, form: str, *words: Any, read: Reader[T]) -> T | Unknown:
        """As `tell`, for what only newer servers have: `Unknown` where this one hasn't, and from
        then on it isn't asked.

        Args:
            form: a name for the command or its option.
            words: the command and its arguments.
            read: the reader of its reply.
        """
        if form in self._unknown:
            return _REFUSED
        # A server that doesn't know a command repeats its words in the refusal, and glide drops a
        # connection on which one isn't UTF-8.
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
            # No such command or option; access rules that are older than it; a proxy that hangs up
            # on what it doesn't know.
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
        """The answer to a command that waits at the server, for `waiting.LONGEST_WAIT` at most;
        arguments as `ask`.

        A lost connection ends the wait: what was on its way is pending then, and only its
        consumer's history gives it again.
        """

    @abstractmethod
    def group_by_slot(self, keys: Sequence[str | bytes]) -> Sequence[Sequence[int]]:
        """The places of keys, in groups that one command can have."""

    @abstractmethod
    async def scan(
        self, cursor: str, pattern: str, count: int, code: ErrorCode
    ) -> tuple[str, list[bytes]]:
        """A page of the keys that match, and the cursor of the next one."""

    @abstractmethod
    async def subscribe(self, subscription: CommandSubscription) -> None:
        """Listen for it, from when this returns."""

    @abstractmethod
    async def ping(self) -> None:
        """Ask for a sign of life."""

    async def information(self) -> bytes:
        """What the server says of itself; in a cluster, what one of the nodes says."""
        return await self.read("INFO", read=data)

    async def run_write_script(
        self,
        name: str,
        keys: Sequence[str],
        *arguments: Any,
        read: Reader[T],
        code: ErrorCode = _FAILED,
    ) -> T:
        """The answer of the script of this name, which changes something; other arguments as `ask`."""
        return await _script(self.write, name, keys, arguments, read, code)

    async def run_read_script(
        self,
        name: str,
        keys: Sequence[str],
        *arguments: Any,
        read: Reader[T],
        code: ErrorCode = _FAILED,
    ) -> T:
        """The answer of the script of this name, which changes nothing; other arguments as `ask`."""
        return await _script(self.read, name, keys, arguments, read, code)


def _is_utf8(word: Any) -> bool:
    try:
        if isinstance(word, str):
            word.encode()
        elif isinstance(word, bytes | bytearray | memoryview):
            bytes(word).decode()  # pyright: ignore[reportUnknownArgumentType]  # of whatever
    except UnicodeError:
        return False
    return True


async def _script(  # noqa: PLR0913, PLR0917 - what a script is
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
    # The server doesn't know the script, or not any more; or it doesn't know EVALSHA.
    answer = await send("EVAL", text, *rest, read=read, code=code)
    return answer
