"""Each fault of the proxy, between real sockets.

The tests check the data that arrives on both sides, and whether the connection stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from igniter_store_conformance.network.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path


class Echo:
    """A server that sends all data back, and records it."""

    def __init__(self) -> None:
        self.is_mute = False
        self.received = b""
        self.ends = 0
        self.arrived = asyncio.Condition()
        self.connections: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                async with self.arrived:
                    self.received += data
                    self.arrived.notify_all()
                if not self.is_mute:
                    writer.write(data)
                    await writer.drain()
        async with self.arrived:
            self.ends += 1
            self.arrived.notify_all()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def until(self, received: bytes) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.received == received)

    async def until_an_end(self) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.ends > 0)


@contextlib.asynccontextmanager
async def proxied(path: Path | None = None) -> AsyncGenerator[tuple[Echo, Proxy]]:
    echo = Echo()
    start = (
        asyncio.start_server(echo.serve, "127.0.0.1", 0)
        if path is None
        else asyncio.start_unix_server(echo.serve, path)
    )
    async with await start as server, asyncio.timeout(30):
        with Proxy(*server.sockets[0].getsockname()) if path is None else Proxy(path=path) as proxy:
            yield echo, proxy
        await asyncio.gather(*filter(None, echo.connections))


class Client:
    """A connection to the proxy that sends and reads whole chunks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.reader.readexactly(len(data))


@contextlib.asynccontextmanager
async def connected(proxy: Proxy) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    # the proxy counts in its own thread and has no event to wait for
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@contextlib.contextmanager
def cut_off() -> Generator[None]:
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        yield


async def test_bytes_pass_unchanged_both_ways_and_are_counted() -> None:
    data = bytes(range(256)) * 5000
    async with proxied() as (echo, proxy), connected(proxy) as client:
        answer = await client.ask(data)

        assert answer == data
        assert echo.received == data
        assert (proxy.bytes_to_server, proxy.bytes_to_client) == (len(data), len(data))
        assert (proxy.connections, proxy.accepted) == (1, 1)


async def test_a_server_on_a_unix_socket_is_reached(tmp_path: Path) -> None:
    async with proxied(tmp_path / "echo") as (_, proxy), connected(proxy) as client:
        assert await client.ask(b"hello") == b"hello"


async def test_clients_close_reaches_server_and_ends_connection() -> None:
    async with proxied() as (echo, proxy):
        async with connected(proxy) as client:
            await client.ask(b"bye")
        await echo.until_an_end()
        await until(lambda: proxy.connections == 0)

        assert echo.received == b"bye"


async def test_cut_resets_connections_and_accepts_new_ones() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as first, connected(proxy) as second:
        await first.ask(b"1")
        await second.ask(b"2")

        await proxy.cut()

        with cut_off():
            await first.ask(b"x")
        with cut_off():
            await second.ask(b"x")
        async with connected(proxy) as third:
            assert await third.ask(b"3") == b"3"
        assert echo.received == b"123"


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_cut_after_forwards_exactly_count_bytes(count: int) -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_after(count)
        with cut_off():
            await client.ask(b"0123456789")
            await client.ask(b"again")
        await proxy.fired()
        async with connected(proxy) as other:
            assert await other.ask(b"!") == b"!"

        await echo.until_an_end()
        # The data of two connections, in any order.
        assert sorted(echo.received) == sorted(b"0123456789"[:count] + b"!")
        assert proxy.cuts == 1


async def test_cut_after_counts_large_data_exactly() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        echo.is_mute = True  # noticing the reset by a write would leave the received data unread
        await proxy.cut_after(1_000_001)
        with cut_off():
            await client.ask(b"x" * 3_000_000)
        await echo.until(b"x" * 1_000_001)

        assert proxy.bytes_to_server == 1_000_001


@pytest.mark.parametrize("count", [0, 4])
async def test_cut_after_to_client_cuts_only_the_reply(
    count: int,
) -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_after(count, "to_client")
        client.writer.write(b"0123456789")
        got = b""
        with contextlib.suppress(ConnectionError):
            while more := await client.reader.read(100):
                got += more
        await proxy.fired()

        assert echo.received == b"0123456789"
        assert got == b"0123456789"[:count]


async def test_cut_before_command_keeps_it_from_server() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_at(b"SET", "before")
        await client.ask(b"GET a\n")
        with cut_off():
            await client.ask(b"SET a\n")

        assert echo.received == b"GET a\n"


async def test_cut_inside_command_sends_half_of_it() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_at(b"COMMAND!", "middle")
        with cut_off():
            await client.ask(b"a COMMAND! with more")
        await echo.until_an_end()

        assert echo.received == b"a COMM"


async def test_cut_of_reply_happens_after_whole_command() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_at(b"SET", "answered")
        await client.ask(b"GET a\n")
        with cut_off():
            await client.ask(b"SET a\n")

        assert echo.received == b"GET a\nSET a\n"
        assert proxy.bytes_to_client == len(b"GET a\n")


async def test_marker_is_found_across_chunks() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await proxy.cut_at(b"SET")
        await client.ask(b"xxSE")
        with cut_off():
            await client.ask(b"T a")

        assert echo.received == b"xxSE"


async def test_an_armed_cut_fires_once() -> None:
    async with proxied() as (_, proxy):
        await proxy.cut_at(b"SET")
        async with connected(proxy) as client:
            with cut_off():
                await client.ask(b"SET")
        await proxy.fired()

        async with connected(proxy) as client:
            assert await client.ask(b"SET") == b"SET"
        assert proxy.cuts == 1


async def test_heal_disarms_a_cut_that_was_not_fired() -> None:
    async with proxied() as (_, proxy), connected(proxy) as client:
        await proxy.cut_after(3)
        await proxy.heal()
        await proxy.fired()

        assert await client.ask(b"SET a b") == b"SET a b"


async def test_delayed_chunks_arrive_whole_and_in_order() -> None:
    async with proxied() as (_, proxy), connected(proxy) as client:
        await proxy.delay(0.02)
        for number in range(10):
            client.writer.write(b"%d" % number)
            await client.writer.drain()

        assert await client.reader.readexactly(10) == b"0123456789"


async def test_delayed_chunk_waits_for_its_time_or_heal() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        loop = asyncio.get_running_loop()
        await proxy.delay(0.05)
        began = loop.time()
        assert await client.ask(b"a") == b"a"
        assert loop.time() - began >= 0.1, "it didn't wait in both directions"
        await proxy.delay(3600)
        client.writer.write(b"b")
        await asyncio.sleep(0.05)  # long enough for the chunk to arrive without a delay
        arrived = echo.received
        await proxy.heal()

        assert arrived == b"a"
        assert await client.reader.readexactly(1) == b"b"


async def test_black_hole_accepts_everything_and_forwards_nothing() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as old:
        await old.ask(b"before")
        await proxy.black_hole()
        old.writer.write(b"x" * 10_000_000)
        await old.writer.drain()
        async with connected(proxy) as new:
            new.writer.write(b"y" * 10_000_000)
            await new.writer.drain()

            assert echo.received == b"before"
            assert proxy.connections == 2


async def test_heal_cuts_connections_damaged_by_black_hole() -> None:
    """It keeps connections that were idle in the meantime."""
    async with proxied() as (echo, proxy), connected(proxy) as silent, connected(proxy) as old:
        await silent.ask(b"1")
        await old.ask(b"2")
        await proxy.black_hole()
        old.writer.write(b"lost")
        async with connected(proxy) as new:
            await until(lambda: proxy.accepted == 3)
            # Let the proxy discard the bytes, which can't be observed.
            await asyncio.sleep(0.05)
            await proxy.heal()

            with cut_off():
                await new.ask(b"x")
            with cut_off():
                await old.reader.readexactly(1)
            assert await silent.ask(b"3") == b"3"
            assert echo.received == b"123"


async def test_half_close_to_server_ends_only_its_input() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await client.ask(b"a")
        await proxy.half_close("to_server")
        await echo.until_an_end()

        assert await client.reader.read() == b""  # this server closes when its input ends
        assert echo.received == b"a"


async def test_half_close_to_client_keeps_server_receiving() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as client:
        await client.ask(b"a")
        await proxy.half_close("to_client")

        assert await client.reader.read() == b""
        client.writer.write(b"b")
        await echo.until(b"ab")
        assert proxy.bytes_to_client == 1


async def test_refuse_rejects_connections_until_healed() -> None:
    """`refuse` also cuts open connections. After `heal` the port is the same."""
    async with proxied() as (_, proxy), connected(proxy) as client:
        await client.ask(b"a")
        await proxy.refuse()
        await proxy.refuse()

        with cut_off():
            await client.ask(b"b")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, proxy.port)
        await proxy.heal()
        async with connected(proxy) as again:
            assert await again.ask(b"c") == b"c"


async def test_missing_server_looks_like_a_reset() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Proxy(*unused.getsockname()) as proxy:
            with pytest.raises(ConnectionResetError):
                async with connected(proxy) as client:
                    await client.ask(b"a")

            assert proxy.accepted == 1, "the proxy refused the connection instead of resetting it"


async def test_proxy_works_while_event_loop_is_blocked() -> None:
    """A fault can also be triggered from another event loop."""

    def ask() -> bytes:
        with socket.create_connection((proxy.host, proxy.port), timeout=10) as client:
            client.sendall(b"a")
            return client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: _echo_once(server), daemon=True).start()
        with Proxy(*server.getsockname()) as proxy:
            assert ask() == b"a"  # blocks the event loop of this thread
            await asyncio.to_thread(asyncio.run, proxy.refuse())
            with pytest.raises(ConnectionRefusedError):
                ask()


async def test_close_leaves_no_thread_and_no_socket() -> None:
    threads = threading.active_count()
    async with proxied() as (_, proxy), connected(proxy) as client:
        await client.ask(b"a")
        proxy.close()
        proxy.close()

        assert threading.active_count() == threads
        assert proxy.connections == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, proxy.port)
        with pytest.raises(RuntimeError, match="make a new one"):
            proxy.start()
        with pytest.raises(RuntimeError, match="isn't running"):
            await proxy.cut()


def _echo_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.recv(100))


async def test_half_open_connection_passes_nothing_and_stays_open() -> None:
    async with proxied() as (echo, proxy), connected(proxy) as old:
        await old.ask(b"1")
        await proxy.half_open()
        old.writer.write(b"lost")
        await old.writer.drain()
        async with connected(proxy) as new:
            assert await new.ask(b"2") == b"2"
            assert proxy.connections == 2
            await proxy.heal()

            with cut_off():
                await old.reader.readexactly(1)
            assert await new.ask(b"3") == b"3"
        assert echo.received == b"123"
