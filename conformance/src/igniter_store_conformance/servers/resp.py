"""Just enough of Redis's wire protocol to ask a server something, so that no client library has to
be installed.

Rule: it blocks. Whoever has an event loop calls it from another thread.
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
    """Raised when the server answers with an error; `word` is its first word ("OOM"), the text is
    the whole of it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.word = text.split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket if there is a `path`, else `host` and `port`; and whom
    to log in as.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    username: str | None = None
    password: str | None = None

    @classmethod
    def of_url(cls, url: str) -> Self:
        """The address in `redis://[user:password@]host[:port]` (or valkey://, dragonfly://), or
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
    """One connection: a command, then its answer.

    Args:
        address: where the server is.
        timeout: seconds to wait for the connection, and for every answer.

    Raises:
        OSError: there is no server, or it is silent for too long (`TimeoutError`).
        Refused: the server doesn't let us in.
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
        """Send a command, and leave its answer for later."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._socket.sendall(
            b"*%d\r\n" % len(encoded)
            + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        )

    def receive(self) -> Answer:
        """The next answer; one that is an error is raised as `Refused`."""
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
        """Send a command and return its answer: bulk and simple strings as `bytes`."""
        self.send(*words)
        return self.receive()

    def info(self, section: str) -> dict[str, str]:
        """The lines of INFO, or of CLUSTER INFO for the section "cluster state", as a mapping."""
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
    """A server that takes commands on a connection of the caller's own."""

    def exchange(self, *, timeout: float = 5.0) -> Exchange:
        """Connect; `timeout` in seconds."""
        ...


def ask(address: Address, *words: str | bytes | int, timeout: float = 5.0) -> Answer:
    """One command over a connection of its own; see `Exchange` for what it raises."""
    with Exchange(address, timeout=timeout) as exchange:
        return exchange.ask(*words)
