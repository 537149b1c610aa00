"""A network that can be broken on purpose: a TCP proxy between an adapter and its server.

Rule: it knows bytes, not protocols, so every server can stand behind it.
Rule: it listens on the loopback interface alone, at an address that is known before it starts and
    stays its own until `close`.
Rule: a fault holds until `heal`; asked for twice, it is there once.
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

from igniter_store_conformance.network.cuts import AfterBytes, AtMarker, Cut, Direction, Moment

if TYPE_CHECKING:
    import os
    from collections.abc import Coroutine
    from typing import Self

_T = TypeVar("_T")
_CHUNK: Final = 64 * 1024
# Chunks that wait for their time in one direction; beyond, the sender has to wait, as TCP would
# make it
_QUEUED: Final = 64
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST and no FIN


class Proxy:
    """A TCP proxy with faults: `with Proxy("127.0.0.1", 6379) as proxy:` and let clients talk to
    `proxy.host` and `proxy.port`.

    Its event loop runs in a thread of its own. The methods that make faults are coroutines for
    whatever loop the caller has; they return when the fault is there. Where the server can't be
    reached, a connection is accepted and reset.

    Args:
        host: the server's host name or IPv4 address.
        port: the server's port.
        path: the server's Unix socket, instead of `host` and `port`.

    Attributes:
        host: where clients connect to, always 127.0.0.1.
        port: the port that clients connect to.
        accepted: how many connections there ever were.
        cuts: how many connections `cut_after` and `cut_at` have cut.
        bytes_to_server: how many bytes were passed on to the server.
        bytes_to_client: how many bytes were passed on to clients.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, path: str | os.PathLike[str] | None = None
    ) -> None:
        self._target: str | tuple[str, int] = (host, port) if path is None else str(path)
        # Bound for as long as the proxy lives, never listening: the port refuses, and nobody else
        # gets it, while there is no listener.
        self._reservation = _bound(0)
        self.host: str = "127.0.0.1"
        self.port: int = self._reservation.getsockname()[1]
        self.accepted = 0
        self.cuts = 0
        self.bytes_to_server = 0
        self.bytes_to_client = 0
        self._links: set[_Link] = set()
        self._trigger: Cut | None = None
        self._cutting: _Link | None = None
        self._fired = asyncio.Event()
        self._fired.set()
        self._delay = 0.0
        self._healed = asyncio.Event()
        self._swallows = False
        self._listener: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def connections(self) -> int:
        """How many connections of clients are open now."""
        return len(self._links)

    def start(self) -> None:
        """Listen; returns when connections are accepted. A running proxy goes on.

        Raises:
            RuntimeError: the proxy was closed, so its port is no longer its own.
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
        """Cut every connection, give the port back and end the thread; twice, or before `start`, is
        fine.
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
        """Reset every open connection now, on both sides. New ones are welcome."""
        await self._on_loop(self._cut())

    async def cut_after(self, count: int, direction: Direction = "to_server") -> None:
        """Cut one connection after exactly `count` more bytes in `direction`: the first that gets
        there; then no more.

        0 to the server: before a command reaches it. 0 to the client: the server did its work, and
        no byte of its answer arrives. Replaces what `cut_after` or `cut_at` had armed and was not
        fired.
        """
        await self.arm(AfterBytes(count, direction))

    async def cut_at(self, marker: bytes, when: Moment = "before") -> None:
        """Cut the first connection whose client sends `marker`, at a chosen moment; then no more.

        "before": nothing of what the client sent together with the marker reaches the server.
        "middle": the server gets everything up to the middle of the marker. "answered": the server
        gets all of it, and nothing of what it answers arrives; the first bytes from the server
        count as the answer, so a connection that has several commands under way is cut at the first
        answer to any.
        """
        await self.arm(AtMarker(marker, when))

    async def arm(self, cut: Cut) -> None:
        """Cut the first connection for which `cut` says so; then no more. Replaces what was armed
        and was not fired.
        """
        await self._on_loop(self._arm(cut))

    async def fired(self) -> None:
        """Return when the cut that was armed last has happened; at once when none was armed since
        `heal`, or it has happened.
        """
        await self._on_loop(self._fired.wait())

    async def delay(self, seconds: float) -> None:
        """Let everything, in both directions, arrive later by `seconds`; the order stays. `heal`
        passes on at once what is on its way.
        """
        await self._on_loop(self._set_delay(seconds))

    async def black_hole(self) -> None:
        """Take what clients and server send and pass nothing on; new connections are accepted, and
        the server never hears of them.

        What was swallowed is lost. `heal` cuts the connections that lost something, since TCP never
        goes on behind a hole.
        """
        await self._on_loop(self._swallow())

    async def half_open(self) -> None:
        """Pass nothing more on over the present connections, and close none of them; new
        connections work.

        A firewall or an address translator that has forgotten its connections behaves so: neither
        end gets an error. `heal` cuts these connections.
        """
        await self._on_loop(self._strand())

    async def half_close(self, direction: Direction) -> None:
        """On every open connection end this direction (its receiver reads the end of the stream),
        while the other goes on.

        What the sender sends further is dropped. `heal` cuts what is left of these connections.
        """
        await self._on_loop(self._half_close(direction))

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones, as a host does where no server listens."""
        await self._on_loop(self._refuse())

    async def heal(self) -> None:
        """Undo every fault. Connections that a fault has damaged are cut; the others live on."""
        await self._on_loop(self._heal())

    async def _on_loop(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise RuntimeError("The proxy isn't running; start() it first.")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    # What follows runs on the proxy's own loop.

    async def _listen(self) -> None:
        if self._listener is None:
            listener = _bound(self.port)
            listener.listen(1024)
            self._listener = asyncio.create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = await asyncio.get_running_loop().sock_accept(listener)
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
            await _end([listener])
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

    # What a link asks of its proxy.

    @property
    def target(self) -> str | tuple[str, int]:
        """Where the server is: a path, or host and port."""
        return self._target

    @property
    def swallows(self) -> bool:
        """Whether `black_hole` holds."""
        return self._swallows

    @property
    def lateness(self) -> float:
        """The seconds by which what comes in now has to go out later."""
        return self._delay

    async def until(self, due: float) -> None:
        """Wait for this time of the loop, or for `heal`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._healed.wait()

    def allowed(self, link: _Link, direction: Direction, chunk: bytes) -> int | None:
        """How many bytes of `chunk` still pass before the armed cut; `None`: all, and no cut."""
        return None if self._trigger is None else self._trigger.allowed(link, direction, chunk)

    def passed(self, direction: Direction, count: int) -> None:
        """Count what went through."""
        if direction == "to_server":
            self.bytes_to_server += count
        else:
            self.bytes_to_client += count

    def disarm(self, link: _Link) -> None:
        """The armed cut happens to `link` now."""
        self._trigger = None
        self._cutting = link
        self.cuts += 1

    def forget(self, link: _Link) -> None:
        """`link` is closed, on both sides."""
        self._links.discard(link)
        if link is self._cutting:
            self._cutting = None
            self._fired.set()


class _CutNow(Exception):  # noqa: N818 - no error but the fault that was asked for
    """Raised within a link when its armed cut is due."""


class _Link:
    """One connection of a client, and the one to the server that it is joined to."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._flows: dict[Direction, _Flow] = {}
        self.is_damaged = False
        self.is_stranded = False
        self.task: asyncio.Task[None]

    @property
    def swallows(self) -> bool:
        """Whether this connection passes nothing on, and not even its end."""
        return self.is_stranded or self._proxy.swallows

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())
        # A task that is cancelled before its first step never gets to its own `finally`.
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
            pass  # either side went away, was never there, or the cut is due: both sides are reset
        finally:
            for side in (self._client, server):
                if not is_orderly and side.family == socket.AF_INET:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.close()

    async def _starve(self) -> None:
        # A connection that began in a black hole. It ends with the client, or with the hole.
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
        while chunk:  # the empty one, which is the stream's end, is passed on as well
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
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEPORT, 1
    )  # the listener shares its port with the reservation
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


async def _delivered(sock: socket.socket) -> None:
    # A reset throws away what the kernel has not sent yet, and then fewer bytes would have passed
    # than were promised.
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
