"""What a client of a server has to give, so that commands can wait and messages be heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from igniter_store.contract.errors import StoreError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from igniter_store.contract.errors import StoreError


_SHORTEST_IDLE: Final = 1.0  # seconds
_LONGEST_IDLE: Final = 15.0


def idle_limit(timeout: float) -> float:
    """The seconds for which a connection may be silent before its server is asked for a sign of
    life.

    As long as an answer may take, so that a dead connection is noticed within twice that time;
    within limits, so that a short timeout makes no traffic, and after a long one a firewall hasn't
    forgotten the connection yet.
    """
    return min(max(timeout, _SHORTEST_IDLE), _LONGEST_IDLE)


def address(host: str, port: int) -> str:
    """A place as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Connection(Protocol):
    """A connection that one caller has for a while.

    Attributes:
        is_live: False once it is gone.
    """

    is_live: bool

    def send(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The future answer to a command, or a `Trouble`; never an exception."""
        ...

    def shut(self) -> None:
        """Close it; whoever waits for an answer gets `Shut`."""
        ...

    def abandon(self, *, is_inherited: bool) -> None:
        """Release it; see `CommandClient.abandon`."""
        ...


class PubSubConnection(Protocol):
    """A connection that hears messages."""

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when it is gone."""
        ...

    @property
    def heard_at(self) -> float | None:
        """When something came last, in the loop's time; `None` for a connection that notices
        silence by itself.
        """
        ...

    def send(self, *words: Any) -> None:
        """Send a command; its answer comes as messages do, in the order of the commands."""
        ...

    def end(self) -> None:
        """Close it."""
        ...

    def abandon(self, *, is_inherited: bool) -> None:
        """Release it; see `CommandClient.abandon`."""
        ...


class Connector(Protocol):
    """Makes connections to one server, or wherever it leads."""

    @property
    def backend(self) -> str:
        """The backend's name."""
        ...

    @property
    def unreachable(self) -> tuple[type[Exception], ...]:
        """What it raises when it can't connect, and doesn't say it by a `StoreError`."""
        ...

    def not_reached(self, error: Exception) -> StoreError:
        """The error for one of those, with a cause that may be shown (LIF-22)."""
        ...

    async def connect(self, patience: float) -> Connection:
        """A connection for commands, whose answers may take `patience` seconds."""
        ...

    async def open_pubsub(self, handle: Callable[[Any], None]) -> PubSubConnection:
        """A connection for messages; `handle` gets what comes on it, as RESP 2 has it, and a
        `Refused` for a command that was refused.
        """
        ...


Name: TypeAlias = tuple[bytes, str]
"""The command that subscribes, and a channel or a pattern."""
