"""Just enough of Redis's wire protocol to query a server without a client library.

Rule: all calls block. A caller with an event loop uses another thread.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from typing import Self

Answer: TypeAlias = "bytes | int | list[Answer] | None"


class Refused(Exception):  # noqa: N818 - named for what the server did
    """Raised when the server answers with an error.

    `word` is the error prefix ("OOM"), the text is the whole error.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.word: str = text.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and the user to log in as.

    It is a Unix socket if there is a `path`, else `host` and `port`.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = None

    @classmethod
    def of_url(cls, url: str) -> Self:
        """Return the address in a URL.

        The URL is `redis://[user:password@]host[:port]` (or valkey://, dragonfly://), or
        `unix:///path`.
        """
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 6379,
            path=unquote(parts.path) if parts.scheme == "unix" else None,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


class Exchange:
    """One connection: a command, then its reply.

    Args:
        address: where the server listens.
        timeout: seconds to wait for the connection, and for every reply.

    Raises:
        OSError: the server is unreachable, or doesn't reply in time (`TimeoutError`).
        Refused: the server rejects the client.
    """

    def __init__(self, address: Address, *, timeout: float = 5.0) -> None:
        if address.path is None:
            self._socket = socket.create_connection((address.host, address.port), timeout)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout)
            try:
                self._socket.connect(address.path)
            except BaseException:
                self._socket.close()
                raise
        self._file = self._socket.makefile("rb")
        if address.password is not None:
            try:
                self.ask(
                    "AUTH", *([address.username] if address.username else []), address.password
                )
            except BaseException:
                self.close()
                raise

    def send(self, *words: str | bytes | int) -> None:
        """Send a command, and leave its reply for later."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._socket.sendall(
            b"*%d\r\n" % len(encoded)
            + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        )

    def receive(self) -> Answer:
        """Return the next reply, or raise it as `Refused` if it is an error."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("The server closed the connection.")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Refused(rest.decode("utf-8", "replace"))
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"*":
            return [self.receive() for _ in range(length)]
        return self._file.read(length + 2)[:-2]

    def ask(self, *words: str | bytes | int) -> Answer:
        """Send a command and return its reply; bulk and simple strings are `bytes`."""
        self.send(*words)
        return self.receive()

    def info(self, section: str) -> dict[str, str]:
        """Return INFO as a mapping, or CLUSTER INFO for the section "cluster state"."""
        answer = (
            self.ask("CLUSTER", "INFO") if section == "cluster state" else self.ask("INFO", section)
        )
        lines = (answer if isinstance(answer, bytes) else b"").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Queryable(Protocol):
    """A server that accepts commands on a connection of the caller's own."""

    def exchange(self, *, timeout: float = 5.0) -> Exchange:
        """Connect; `timeout` in seconds."""
        ...


def ask(address: Address, *words: str | bytes | int, timeout: float = 5.0) -> Answer:
    """Send one command over a new connection; see `Exchange` for the exceptions."""
    with Exchange(address, timeout=timeout) as exchange:
        return exchange.ask(*words)
