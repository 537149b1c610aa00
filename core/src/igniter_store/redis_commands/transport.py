"""The connections that a client must provide for blocking commands and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from igniter_store.contract.errors import StoreError


_SHORTEST_IDLE: Final = 1.0  # seconds
_LONGEST_IDLE: Final = 15.0


def idle_limit(timeout: float) -> float:
    """Return the seconds that a connection may be silent before it gets a PING.

    The limit equals the timeout of a reply, so a dead connection is detected within twice that
    time. It has a minimum, so that a short timeout doesn't cause traffic, and a maximum, so that a
    firewall doesn't drop the connection during a long timeout.
    """
    return min(max(timeout, _SHORTEST_IDLE), _LONGEST_IDLE)


def address(host: str, port: int) -> str:
    """Format an address for people."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Connection(Protocol):
    """A connection that one caller uses for a while.

    Attributes:
        is_live: False once the connection is lost or closed.
    """

    is_live: bool

    def send(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Return the future reply to a command, or a `ReplyError`; it never holds an exception."""
        ...

    def shut(self) -> None:
        """Close the connection; pending commands get `ConnectionClosed`."""
        ...

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the connection; see `CommandClient.abandon`."""
        ...


class PubSubConnection(Protocol):
    """A connection that receives messages."""

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when the connection is lost."""
        ...

    @property
    def heard_at(self) -> float | None:
        """When the connection last received data, in the loop's time.

        `None` for a connection that detects silence by itself.
        """
        ...

    def send(self, *words: Any) -> None:
        """Send a command; replies arrive in the order of the commands, as messages do."""
        ...

    def end(self) -> None:
        """Close the connection."""
        ...

    def abandon(self, *, is_inherited: bool) -> None:
        """Release the connection; see `CommandClient.abandon`."""
        ...


class PubSubConnector(Protocol):
    """Creates connections for messages, to one server or to the servers behind its address."""

    @property
    def backend(self) -> str:
        """The backend's name."""
        ...

    @property
    def unreachable(self) -> tuple[type[Exception], ...]:
        """Exceptions other than `StoreError` that mean that the connector can't connect."""
        ...

    def not_reached(self, error: Exception) -> StoreError:
        """Create the error for such an exception, with a cause that may be logged (LIF-22)."""
        ...

    async def open_pubsub(self, handle: Callable[[Any], None]) -> PubSubConnection:
        """Open a connection for messages.

        `handle` receives everything that arrives on it, in the types of RESP 2, and an `ErrorReply`
        for a command that the server rejected.
        """
        ...


class Connector(PubSubConnector, Protocol):
    """Creates connections for commands, too."""

    async def connect(self, patience: float) -> Connection:
        """Open a connection for commands whose replies may take `patience` seconds."""
        ...


Name: TypeAlias = tuple[bytes, str]
"""The subscribe command, and a channel or a pattern."""
