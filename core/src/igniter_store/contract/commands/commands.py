"""What the operations ask, whether one server answers it or the nodes of a cluster.

Rule: an operation names the command and its arguments, and nothing else: where it goes, how often it is tried and what becomes of a refusal
is decided behind this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from igniter_store.contract.errors import ErrorCode, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract.commands.listener import CommandSubscription

_Send: TypeAlias = Callable[..., Awaitable[Any]]
UNKNOWN: Final = object()
"""What `try_telling` says when the server doesn't know what it was told."""

_FAILED: Final = ErrorCode.STORE_OPERATION_FAILED


class Commands(ABC):
    """Commands to where the keys are.

    Attributes:
        changes_values: True for a client that writes other bytes than SET was given, and reads them back as they were: what is compared
            at the server has to be written by a script then.
    """

    changes_values: bool = False

    def __init__(self) -> None:
        self._unknown: set[str] = set()

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; callers get `STORE_CLOSED`."""

    @abstractmethod
    def require_open(self) -> None:
        """Refuse to go on, unless it is open."""

    # These two are no `async def`, so that one may hand on a coroutine of its own: it is awaited once less.
    @abstractmethod
    def ask(self, *words: Any, code: ErrorCode = _FAILED) -> Coroutine[Any, Any, Any]:
        """The answer to a command that changes nothing: it is asked again when the connection was lost.

        Args:
            words: the command and its arguments.
            code: for a refusal that has no code of its own.
        """

    @abstractmethod
    def tell(self, *words: Any, code: ErrorCode = _FAILED) -> Coroutine[Any, Any, Any]:
        """The answer to a command that changes something: it is asked again only when it had not left yet; arguments as `ask`."""

    async def try_telling(self, form: str, *words: Any) -> Any:
        """As `tell`, for what only newer servers have: `UNKNOWN` where this one hasn't, and from then on it isn't asked.

        Args:
            form: a name for the command or its option.
            words: the command and its arguments.
        """
        if form in self._unknown:
            return UNKNOWN
        try:
            return await self.tell(*words)
        except StoreError as error:
            if error.details.get("word") not in {"ERR", "NOPERM"}:  # no such command or option; access rules that are older than it
                raise
        self._unknown.add(form)
        return UNKNOWN

    @abstractmethod
    async def wait(self, *words: Any) -> Any:
        """The answer to a command that waits at the server, for `waiting.LONGEST_WAIT` at most.

        A lost connection ends the wait: what was on its way is pending then, and only its consumer's history gives it again.
        """

    @abstractmethod
    def together(self, keys: Sequence[str | bytes]) -> Sequence[Sequence[int]]:
        """The places of keys, in groups that one command can have."""

    @abstractmethod
    async def scan(self, cursor: str, pattern: str, count: int, code: ErrorCode) -> tuple[str, list[bytes]]:
        """A page of the keys that match, and the cursor of the next one."""

    @abstractmethod
    async def subscribe(self, subscription: CommandSubscription) -> None:
        """Listen for it, from when this returns."""

    @abstractmethod
    async def ping(self) -> None:
        """Ask for a sign of life."""

    async def information(self) -> Any:
        """What the server says of itself; in a cluster, what one of the nodes says."""
        return await self.ask("INFO")

    async def run(self, name: str, keys: Sequence[str], *arguments: Any, code: ErrorCode = _FAILED) -> Any:
        """The answer of the script of this name, which changes something."""
        return await _script(self.tell, name, keys, arguments, code)

    async def see(self, name: str, keys: Sequence[str], *arguments: Any, code: ErrorCode = _FAILED) -> Any:
        """The answer of the script of this name, which changes nothing."""
        return await _script(self.ask, name, keys, arguments, code)


async def _script(send: _Send, name: str, keys: Sequence[str], arguments: Sequence[Any], code: ErrorCode) -> Any:
    text, digest = script(name)
    rest = (len(keys), *keys, *arguments)
    try:
        return await send("EVALSHA", digest, *rest, code=code)
    except StoreError as error:
        if error.details.get("word") != "NOSCRIPT":
            raise
    return await send("EVAL", text, *rest, code=code)  # the server doesn't know it, or not any more


@cache
def script(name: str) -> tuple[str, str]:
    """The text of a script, and the digest by which the server knows it."""
    text = (resources.files("igniter_store.contract.commands") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()
