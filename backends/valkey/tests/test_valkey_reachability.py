"""An unreachable server: calls fail at once, even while others are cancelled, until it is back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import glide
import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from igniter_store_conformance.servers import Server


def url_of(server: Server) -> str:
    return server.url.replace("redis://", "valkey://")


@pytest.mark.clause("FLT-1", "FLT-3")
async def test_call_fails_at_once_while_server_is_unreachable() -> None:
    with servers.start(servers.find_or_skip("valkey")) as server:
        address = glide.NodeAddress(server.address.host, server.address.port)
        client: Any = await glide.GlideClient.create(
            glide.GlideClientConfiguration([address], request_timeout=500)
        )
        asked: list[Any] = []
        ask = client.custom_command

        async def counted(words: Any) -> Any:
            asked.append(words)
            return await ask(words)

        client.custom_command = counted
        adapter = ValkeyAdapter(client=client)
        await adapter.open()
        await adapter.set("key", b"value")
        await server.kill()
        with pytest.raises(StoreError) as first:
            await adapter.get("key")
        before = len(asked)
        with pytest.raises(StoreError) as second:
            await adapter.get("key")
        with pytest.raises(StoreError) as third:
            await adapter.set("key", b"other")
        assert len(asked) == before

        await server.restart()
        value = None
        async with asyncio.timeout(30):
            while value is None:
                with contextlib.suppress(StoreError):
                    value = await adapter.get("key")
        await adapter.close()
        await client.close()

    assert {error.value.code for error in (first, second, third)} == {
        ErrorCode.STORE_CONNECTION_FAILED
    }
    assert not third.value.maybe_applied
    assert value == b"value"
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.clause("FLT-1", "FLT-3")
async def test_server_on_unix_socket_is_found_again(tmp_path: Path) -> None:
    path = str(tmp_path / "valkey.sock")
    with servers.start(servers.find_or_skip("valkey"), arguments=("--unixsocket", path)) as server:
        adapter = ValkeyAdapter(
            glide.GlideClientConfiguration([glide.NodeAddress(unix_socket_path=path)]), timeout=1.0
        )
        await adapter.open()
        await adapter.set("key", b"value")
        await server.kill()
        with pytest.raises(StoreError) as caught:
            await adapter.get("key")
        await server.restart()
        value = None
        async with asyncio.timeout(30):
            while value is None:
                with contextlib.suppress(StoreError):
                    await adapter.set("key", b"value")
                    value = await adapter.get("key")
        await adapter.close()

    assert value == b"value"
    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
    assert f" at {path}." in caught.value.message


async def test_adapter_recovers_behind_proxy_that_closes_probes() -> None:
    passing: list[asyncio.Task[None]] = []
    with servers.start(servers.find_or_skip("valkey")) as server:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            passing.append(asyncio.create_task(passed_on(reader, writer)))

        async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = await reader.read(4096)
            if not first.upper().startswith((b"PING", b"*1")):  # from glide, not the probe
                to_reader, to_writer = await asyncio.open_connection(
                    server.address.host, server.address.port
                )
                to_writer.write(first)
                await asyncio.gather(copied(reader, to_writer), copied(to_reader, writer))
            await ended(writer)

        async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65_536):
                    writer.write(chunk)
            await ended(writer)

        async def ended(writer: asyncio.StreamWriter) -> None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        proxy = await asyncio.start_server(accept, "127.0.0.1")
        host, port = proxy.sockets[0].getsockname()
        adapter = ValkeyAdapter.from_url(f"valkey://{host}:{port}", timeout=0.5)
        await adapter.open()
        with server.exchange() as exchange:
            exchange.ask("CLIENT", "PAUSE", "1500", "ALL")
        with pytest.raises(StoreError):
            await adapter.set("key", b"value")
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(StoreError):
                    await adapter.set("key", b"value")
                    break
        await adapter.close()
        proxy.close()
        await asyncio.gather(*passing)


@pytest.mark.clause("LIF-5")
async def test_close_while_server_is_unreachable_leaves_no_task() -> None:
    with servers.start(servers.find_or_skip("valkey")) as server:
        adapter = ValkeyAdapter.from_url(url_of(server), timeout=0.5)
        await adapter.open()
        await server.kill()
        with pytest.raises(StoreError):
            await adapter.get("key")
        await adapter.close()

    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.clause("FLT-1")
async def test_cancelled_caller_leaves_probe_to_others() -> None:
    with servers.start(servers.find_or_skip("valkey")) as server:
        adapter = ValkeyAdapter.from_url(url_of(server), timeout=0.2)
        await adapter.open()
        await adapter.set("key", b"value")
        await server.kill()
        asking = [asyncio.create_task(adapter.get("key")) for _ in range(60)]
        # some tasks are cancelled before the probe, some during it, and some after their error
        for task in asking[:-1]:
            await asyncio.sleep(0.01)
            task.cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        await adapter.close()

    assert isinstance(results[0], asyncio.CancelledError)
    assert {error.code for error in results if isinstance(error, StoreError)} == {
        ErrorCode.STORE_CONNECTION_FAILED
    }
    assert all(isinstance(error, (StoreError, asyncio.CancelledError)) for error in results)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
