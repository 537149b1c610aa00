"""A network that can be broken on purpose: a TCP proxy between an adapter and its server.

Rule: the proxy handles bytes, not protocols, so it works with every server.
Rule: it listens only on the loopback interface, at an address that is fixed before it starts and
    stays reserved until `close`.
Rule: a fault lasts until `heal`. Requesting it twice has the effect of requesting it once.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store_conformance.network.cuts import AfterBytes, AtMarker, Cut, CutMoment, Direction

if TYPE_CHECKING:
    import os
    from collections.abc import Coroutine
    from typing import Self

_T = TypeVar("_T")
_CHUNK: Final = 64 * 1024
# Chunks that may wait for their time in one direction. At the limit the sender has to wait, as with
# TCP.
_QUEUED: Final = 64
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST and no FIN


class Proxy:
    """A TCP proxy with faults: `with Proxy("127.0.0.1", 6379) as proxy:`.

    Clients connect to `proxy.host` and `proxy.port`. The proxy's event loop runs in a thread of its
    own. The methods that cause faults are coroutines for the caller's loop, and return when the
    fault is in effect. If the server is unreachable, the proxy accepts a connection and resets it.

    Args:
        host: the server's host name or IPv4 address.
        port: the server's port.
        path: the server's Unix socket, instead of `host` and `port`.

    Attributes:
        host: the host that clients connect to, always 127.0.0.1.
        port: the port that clients connect to.
        accepted: the number of connections so far.
        cuts: the number of connections that `cut_after` and `cut_at` have cut.
        bytes_to_server: the number of bytes forwarded to the server.
        bytes_to_client: the number of bytes forwarded to clients.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        self._target: str | tuple[str, int] = (host, port) if path is None else str(path)
        # Bound for the proxy's lifetime, and never listening. While there is no listener, the port
        # refuses connections and no other process can take it.
        self._reservation = _bound(0)
        self.host: str = "127.0.0.1"
        self.port: int = self._reservation.getsockname()[1]
        self.accepted: int = 0
        self.cuts: int = 0
        self.bytes_to_server: int = 0
        self.bytes_to_client: int = 0
        self._links: set[_Link] = set()
        self._trigger: Cut | None = None
        self._cutting: _Link | None = None
        self._fired = asyncio.Event()
        self._fired.set()
        self._delay = 0.0
        self._healed = asyncio.Event()
        self._swallows = False
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def connections(self) -> int:
        """The number of client connections that are open now."""
        return len(self._links)

    def start(self) -> None:
        """Start to listen, and return when connections are accepted.

        A running proxy isn't affected.

        Raises:
            RuntimeError: the proxy was closed, so its port is no longer reserved.
        """
        if self._thread is not None:
            return
        if self._reservation.fileno() < 0:
            raise RuntimeError("A closed proxy has given its port away; make a new one.")
        # A thread and a loop of its own: a test that blocks its loop, or lets it fail, must not
        # stop the network.
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=loop.run_forever, name=f"proxy:{self.port}", daemon=True
        )
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), loop).result()

    def close(self) -> None:
        """Cut every connection, release the port and end the thread.

        It may be called twice, or before `start`.
        """
        thread, loop = self._thread, self._loop
        self._thread = self._loop = None
        if thread is not None and loop is not None:
            asyncio.run_coroutine_threadsafe(self._refuse(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        self._reservation.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def cut(self) -> None:
        """Reset every open connection now, on both sides. New connections work."""
        await self._on_loop(self._cut())

    async def cut_after(self, count: int, direction: Direction = "to_server") -> None:
        """Cut one connection after exactly `count` more bytes in `direction`.

        It is the first connection that reaches the count; no further one is cut. 0 to the server
        cuts before a command reaches it. 0 to the client cuts when the server has executed the
        command, before a byte of its reply arrives. This replaces a cut of `cut_after` or `cut_at`
        that hasn't fired yet.
        """
        await self.arm(AfterBytes(count, direction))

    async def cut_at(self, marker: bytes, when: CutMoment = "before") -> None:
        """Cut the first connection whose client sends `marker`, at the given moment.

        No further connection is cut.

        - "before": the server gets nothing that the client sent together with the marker.
        - "middle": the server gets everything up to the middle of the marker.
        - "answered": the server gets all of it, and nothing of its reply arrives. The first bytes
          from the server count as the reply, so a connection with several commands in flight is cut
          at the first reply to any of them.
        """
        await self.arm(AtMarker(marker, when))

    async def arm(self, cut: Cut) -> None:
        """Cut the first connection for which `cut` decides so, and no further one.

        This replaces a cut that hasn't fired yet.
        """
        await self._on_loop(self._arm(cut))

    async def fired(self) -> None:
        """Return when the cut that was armed last has happened.

        Returns at once when it has happened already, or none was armed since `heal`.
        """
        await self._on_loop(self._fired.wait())

    async def delay(self, seconds: float) -> None:
        """Delay all data by `seconds`, in both directions; the order stays.

        `heal` delivers delayed data at once.
        """
        await self._on_loop(self._set_delay(seconds))

    async def black_hole(self) -> None:
        """Accept data from clients and servers, and forward none of it.

        New connections are accepted, but the server doesn't see them. The data is lost. `heal` cuts
        the connections that lost data, because TCP never continues after a gap.
        """
        await self._on_loop(self._swallow())

    async def half_open(self) -> None:
        """Stop forwarding data on existing connections without closing them.

        New connections work. A firewall or an address translator that has lost its state behaves
        this way: neither end gets an error. `heal` cuts these connections.
        """
        await self._on_loop(self._strand())

    async def half_close(self, direction: Direction) -> None:
        """Close this direction of every open connection, while the other one continues.

        The receiver reads the end of the stream. Data that the sender sends later is dropped.
        `heal` cuts these connections.
        """
        await self._on_loop(self._half_close(direction))

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones, like a host without a server."""
        await self._on_loop(self._refuse())

    async def heal(self) -> None:
        """Undo every fault, and cut the connections that a fault has damaged.

        The other connections stay open.
        """
        await self._on_loop(self._heal())

    async def _on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise RuntimeError("The proxy isn't running; start() it first.")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    # Everything below runs on the proxy's own loop.

    async def _listen(self) -> None:
        if self._listener is None:
            listener = self._listener = _bound(self.port)
            listener.listen(1024)
            # Not `sock_accept`: a cancellation may lose the connection that it has just accepted.
            asyncio.get_running_loop().add_reader(listener, self._accept_one, listener)

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # the client has left again
            return
        self.accepted += 1
        link = _Link(self, client)
        self._links.add(link)
        link.start()

    async def _cut(self) -> None:
        await _end([link.task for link in self._links])

    async def _arm(self, cut: Cut) -> None:
        self._trigger = cut
        self._fired.clear()

    async def _set_delay(self, seconds: float) -> None:
        self._delay = seconds

    async def _swallow(self) -> None:
        self._swallows = True

    async def _strand(self) -> None:
        for link in self._links:
            link.is_damaged = link.is_stranded = True

    async def _half_close(self, direction: Direction) -> None:
        for link in self._links:
            link.half_close(direction)

    async def _refuse(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        await self._cut()

    async def _heal(self) -> None:
        self._swallows = False
        self._delay = 0.0
        self._healed.set()
        self._healed = asyncio.Event()
        self._trigger = None
        self._fired.set()
        await _end([link.task for link in self._links if link.is_damaged])
        await self._listen()

    # Used by the links of the proxy.

    @property
    def target(self) -> str | tuple[str, int]:
        """The server's address: a path, or host and port."""
        return self._target

    @property
    def swallows(self) -> bool:
        """Whether `black_hole` is in effect."""
        return self._swallows

    @property
    def lateness(self) -> float:
        """The delay in seconds for data that arrives now."""
        return self._delay

    async def until(self, due: float) -> None:
        """Wait until this time of the loop, or until `heal`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._healed.wait()

    def allowed(self, link: _Link, direction: Direction, chunk: bytes) -> int | None:
        """Return how many bytes of `chunk` still pass before the armed cut.

        `None` means that all of them pass, without a cut.
        """
        return None if self._trigger is None else self._trigger.allowed(link, direction, chunk)

    def passed(self, direction: Direction, count: int) -> None:
        """Count bytes that were forwarded."""
        if direction == "to_server":
            self.bytes_to_server += count
        else:
            self.bytes_to_client += count

    def disarm(self, link: _Link) -> None:
        """Record that the armed cut is happening to `link` now."""
        self._trigger = None
        self._cutting = link
        self.cuts += 1

    def forget(self, link: _Link) -> None:
        """Remove `link`, which is closed on both sides."""
        self._links.discard(link)
        if link is self._cutting:
            self._cutting = None
            self._fired.set()


class _CutNow(Exception):  # noqa: N818 - no error but the fault that was asked for
    """Raised within a link when its armed cut is due."""


class _Link:
    """A client's connection, and the connection to the server that it is joined to."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._flows: dict[Direction, _Flow] = {}
        self.is_damaged: bool = False
        self.is_stranded = False
        self.task: asyncio.Task[None]

    @property
    def swallows(self) -> bool:
        """Whether this connection forwards nothing, not even its end."""
        return self.is_stranded or self._proxy.swallows

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())
        # A task that is cancelled before its first step never runs its own `finally`.
        self.task.add_done_callback(lambda _: self._forget())

    def half_close(self, direction: Direction) -> None:
        if direction in self._flows:
            self.is_damaged = True
            with contextlib.suppress(OSError):  # the receiver has just gone
                self._flows[direction].end()

    async def _run(self) -> None:
        self._client.setblocking(False)
        server = socket.socket(
            socket.AF_UNIX if isinstance(self._proxy.target, str) else socket.AF_INET
        )
        server.setblocking(False)
        is_orderly = False
        try:
            if self._proxy.swallows:
                await self._starve()
            await asyncio.get_running_loop().sock_connect(server, self._proxy.target)
            self._flows = {
                "to_server": _Flow(self._proxy, self, "to_server", self._client, server),
                "to_client": _Flow(self._proxy, self, "to_client", server, self._client),
            }
            async with asyncio.TaskGroup() as group:
                for flow in self._flows.values():
                    group.create_task(flow.receive())
                    group.create_task(flow.send())
            is_orderly = True
        except* (OSError, _CutNow):
            pass  # either side closed or was unreachable, or the cut is due: reset both sides
        finally:
            for side in (self._client, server):
                if not is_orderly and side.family == socket.AF_INET:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.close()

    async def _starve(self) -> None:
        # The connection began in a black hole. It ends with the client, or with `heal`.
        self.is_damaged = True
        while await asyncio.get_running_loop().sock_recv(self._client, _CHUNK):
            pass
        raise _CutNow

    def _forget(self) -> None:
        self._client.close()
        self._proxy.forget(self)


class _Flow:
    """One direction of a link."""

    def __init__(
        self,
        proxy: Proxy,
        link: _Link,
        direction: Direction,
        source: socket.socket,
        sink: socket.socket,
    ) -> None:
        self._proxy = proxy
        self._link = link
        self._direction: Direction = direction
        self._source = source
        self._sink = sink
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
        self._has_ended = False

    async def receive(self) -> None:
        loop = asyncio.get_running_loop()
        chunk = b"-"
        while chunk:  # the empty chunk, which is the end of the stream, is forwarded as well
            chunk = await loop.sock_recv(self._source, _CHUNK)
            await self._chunks.put((loop.time() + self._proxy.lateness, chunk))

    async def send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await self._chunks.get()
            if due > loop.time():
                await self._proxy.until(due)
            if self._link.swallows:
                self._link.is_damaged = True
            if not chunk:
                break
            if not (self._link.swallows or self._has_ended):
                await self._pass_on(chunk)
        if not self._link.swallows:
            self.end()

    async def _pass_on(self, chunk: bytes) -> None:
        loop = asyncio.get_running_loop()
        allowed = self._proxy.allowed(self._link, self._direction, chunk)
        if allowed is not None:
            self._proxy.disarm(self._link)
            chunk = chunk[:allowed]
        await loop.sock_sendall(self._sink, chunk)
        self._proxy.passed(self._direction, len(chunk))
        if allowed is not None:
            await _delivered(self._sink)
            raise _CutNow

    def end(self) -> None:
        """Let the receiver read the end of the stream."""
        if not self._has_ended:
            self._has_ended = True
            self._sink.shutdown(socket.SHUT_WR)


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The listener shares its port with the reservation.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


async def _delivered(sock: socket.socket) -> None:
    # A reset discards data that the kernel hasn't sent yet. Fewer bytes than promised would then
    # pass.
    unsent = array.array("i", [0])
    for _ in range(1000):
        fcntl.ioctl(sock, termios.TIOCOUTQ, unsent)
        if not unsent[0]:
            return
        await asyncio.sleep(0.001)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
