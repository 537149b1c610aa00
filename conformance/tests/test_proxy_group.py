"""Several proxies that fail together: a fault affects all of them, a cut only one."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

import pytest
from igniter_store_conformance.network.proxy import Proxy
from igniter_store_conformance.network.proxy_group import ProxyGroup

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def grouped(count: int) -> AsyncGenerator[tuple[ProxyGroup, list[Ends]]]:
    """Yield proxies in front of echo servers, and a client of each."""
    async with AsyncExitStack() as listeners, asyncio.timeout(30):
        with ExitStack() as owner:
            proxies: list[Proxy] = []
            for _ in range(count):
                server = await listeners.enter_async_context(
                    await asyncio.start_server(echo, "127.0.0.1", 0)
                )
                proxies.append(owner.enter_context(Proxy(*server.sockets[0].getsockname())))
            clients = [await asyncio.open_connection(proxy.host, proxy.port) for proxy in proxies]
            for client in clients:
                assert await echoed(client, b"hello") == b"hello"
            yield ProxyGroup(proxies), clients
            for _, writer in clients:
                writer.close()


async def echoed(client: Ends, data: bytes) -> bytes:
    reader, writer = client
    writer.write(data)
    return await reader.readexactly(len(data))


async def test_a_cut_resets_the_connections_of_all() -> None:
    async with grouped(3) as (group, clients):
        await group.cut()

        for reader, _ in clients:
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        assert group.cuts == 0


async def test_only_first_marker_in_group_is_cut() -> None:
    """The proxy that receives the marker first cuts its connection."""
    async with grouped(3) as (group, clients):
        await group.cut_at(b"marker", "before")

        with pytest.raises(ConnectionResetError):
            await echoed(clients[1], b"a marker")
        assert await echoed(clients[0], b"a marker") == b"a marker"
        assert await echoed(clients[2], b"a marker") == b"a marker"
        assert group.cuts == 1


async def test_one_of_concurrent_markers_is_cut() -> None:
    async with grouped(3) as (group, clients):
        await group.cut_at(b"marker", "answered")
        answers = await asyncio.gather(
            *(echoed(client, b"a marker") for client in clients), return_exceptions=True
        )

        assert sum(isinstance(answer, ConnectionResetError) for answer in answers) == 1
        assert sum(answer == b"a marker" for answer in answers) == 2


async def test_black_hole_affects_every_proxy_until_healed() -> None:
    async with grouped(2) as (group, clients):
        await group.black_hole()
        for reader, writer in clients:
            writer.write(b"lost")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), 0.05)
        await group.heal()

        for reader, _ in clients:
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)


async def test_heal_disarms_cuts_and_forwards_delayed_data() -> None:
    async with grouped(2) as (group, clients):
        await group.cut_at(b"marker")
        await group.delay(3_600)
        answers = [asyncio.create_task(echoed(client, b"late")) for client in clients]
        await asyncio.sleep(0.05)  # time has to pass, in which data without a delay would arrive
        assert not any(answer.done() for answer in answers)
        await group.heal()

        assert await asyncio.gather(*answers) == [b"late", b"late"]
        assert await echoed(clients[0], b"a marker") == b"a marker"
