"""Managed servers and proxies that reject commands, or close the connection on them.

The adapter works without these commands, or its error names the command.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full

LIMIT: Final = 30.0
UNKNOWN: Final = b"*1\r\n$8\r\nMISSING!\r\n"  # the server rejects it, in the order of the commands


@pytest.fixture
def server() -> Server:
    return servers.or_skip("valkey")


class ManagedProxy:
    """A proxy that blocks some commands.

    The server gets an unknown command instead, which it rejects, or the proxy closes the
    connection.

    Args:
        server: the server behind the proxy.
        forbidden: names of commands, such as "CLIENT" or "CLIENT ID".
        hangs_up: whether the proxy closes the connection on them.
    """

    def __init__(self, server: Server, forbidden: set[str], *, hangs_up: bool) -> None:
        self._server = server
        self._forbidden = forbidden
        self._hangs_up = hangs_up
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        """Run the proxy, and yield its address."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1")
        host, port = listener.sockets[0].getsockname()
        try:
            yield f"{host}:{port}"
        finally:
            listener.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Close every connection."""
        for writer in self._connections.values():
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._connections[task] = writer
        to_reader, to_writer = await asyncio.open_connection(
            self._server.address.host, self._server.address.port
        )
        answering = asyncio.create_task(self._answer(to_reader, writer))
        with (
            contextlib.closing(writer),
            contextlib.closing(to_writer),
            contextlib.suppress(OSError, asyncio.IncompleteReadError),
        ):
            while header := await reader.readline():
                sent, words = header, list[str]()
                for _ in range(int(header[1:])):
                    length = await reader.readline()
                    word = await reader.readexactly(int(length[1:]) + 2)
                    sent += length + word
                    words.append(word[:-2].decode("latin-1").upper())
                if not self._forbidden.isdisjoint((words[0], " ".join(words[:2]))):
                    if self._hangs_up:
                        break
                    sent = UNKNOWN
                to_writer.write(sent)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)

    @staticmethod
    async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
        writer.close()


@contextlib.asynccontextmanager
async def managed(
    server: Server, *forbidden: str, hangs_up: bool
) -> AsyncGenerator[tuple[ValkeyAdapter, ManagedProxy]]:
    """An open adapter behind a `ManagedProxy`."""
    proxy = ManagedProxy(server, {*forbidden}, hangs_up=hangs_up)
    async with proxy.running() as address:
        adapter = ValkeyAdapter.from_url(f"valkey://{address}", timeout=2.0, connect_timeout=2.0)
        try:
            await adapter.open()
            yield adapter, proxy
        finally:
            await adapter.close()


async def use(adapter: ValkeyAdapter) -> None:
    """Make calls of several kinds."""
    assert await adapter.set("managed:key", b"value", ttl=60) is True
    assert await adapter.get("managed:key") == b"value"
    assert await adapter.increment("managed:counter", ttl=60) >= 1
    token = await adapter.acquire("managed:claim", b"owner", 60, token_key="managed:tokens")
    assert token is not None
    assert await adapter.compare_delete("managed:claim", b"owner") is True
    assert "managed:key" in (await adapter.scan("managed:*", count=10_000)).keys
    await adapter.xgroup_create("managed:stream", "group")
    await adapter.xadd("managed:stream", {"field": b"value"})
    [entry] = await adapter.xreadgroup("managed:stream", "group", "me", block=5.0)
    assert entry.fields == {"field": b"value"}
    assert [found.id for found in await adapter.xrange("managed:stream")] == [entry.id]
    await adapter.delete(["managed:key", "managed:counter", "managed:tokens", "managed:stream"])


async def listen(adapter: ValkeyAdapter, proxy: ManagedProxy) -> None:
    """Subscribe, lose the connection, and receive messages again."""
    heard: list[bytes] = []
    has_gap = asyncio.Event()
    subscription = await adapter.subscribe(
        "managed:channel", lambda _, payload: heard.append(payload), on_gap=has_gap.set
    )
    await adapter.publish("managed:channel", b"1")
    await until(lambda: heard == [b"1"], "the message isn't delivered")
    proxy.cut()
    await until(has_gap.is_set, "no gap is reported")
    end = asyncio.get_running_loop().time() + LIMIT
    while await failed(adapter):
        assert asyncio.get_running_loop().time() < end, "calls still fail after the cut"
    await adapter.publish("managed:channel", b"2")
    await until(lambda: heard == [b"1", b"2"], "the message after the cut isn't delivered")
    await subscription.cancel()


async def until(holds: Callable[[], bool], failure: str) -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.01)


async def failed(adapter: ValkeyAdapter) -> bool:
    """Whether a call still fails, because the connection isn't back yet."""
    with contextlib.suppress(StoreError):
        await adapter.exists("managed:key")
        return False
    return True


@pytest.mark.clause("PUB-10")
@pytest.mark.parametrize("hangs_up", [False, True])
@pytest.mark.parametrize("forbidden", ["INFO", "CLIENT ID", "INFO,CLIENT ID"])
async def test_adapter_works_without_these_commands(
    server: Server, forbidden: str, *, hangs_up: bool
) -> None:
    async with managed(server, *forbidden.split(","), hangs_up=hangs_up) as (adapter, proxy):
        await use(adapter)
        assert await adapter.ping() >= 0
        await listen(adapter, proxy)


@pytest.mark.clause("PUB-10")
async def test_adapter_works_where_all_of_client_is_refused(server: Server) -> None:
    async with managed(server, "CLIENT", "INFO", hangs_up=False) as (adapter, proxy):
        await use(adapter)
        await listen(adapter, proxy)


@pytest.mark.parametrize("hangs_up", [False, True])
@pytest.mark.parametrize("forbidden", ["HELLO", "HELLO,INFO"])
async def test_only_subscriptions_need_hello(
    server: Server, forbidden: str, *, hangs_up: bool
) -> None:
    async with managed(server, *forbidden.split(","), hangs_up=hangs_up) as (adapter, _):
        await use(adapter)
        with pytest.raises(StoreError) as caught:
            await adapter.subscribe("managed:channel", lambda _, payload: None)

    assert caught.value.code == ErrorCode.STORE_SUBSCRIBE_FAILED
    assert "rejects HELLO" in caught.value.message


@pytest.mark.parametrize("command", ["CLIENT", "CLIENT SETINFO"])
async def test_hang_up_on_handshake_names_the_command(server: Server, command: str) -> None:
    with pytest.raises(StoreError) as caught:
        async with managed(server, command, hangs_up=True):
            pass

    assert (caught.value.code, caught.value.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, False)
    assert "closed the connection on CLIENT SETINFO, which" in caught.value.message


async def test_hang_up_on_ping_is_a_retryable_error(server: Server) -> None:
    """A proxy also closes the connection when its server is missing."""
    with pytest.raises(StoreError) as caught:
        async with managed(server, "PING", hangs_up=True):
            pass

    assert (caught.value.code, caught.value.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)
    assert "closes the connection on HELLO, CLIENT SETINFO, INFO or PING" in caught.value.message


async def test_adapter_opens_when_ping_is_refused(server: Server) -> None:
    async with managed(server, "PING", hangs_up=False) as (adapter, _):
        await use(adapter)


async def test_user_without_admin_commands_is_served(server: Server) -> None:
    rules = ("on", ">hush-hush", "~*", "&*", "+@all", "-hello", "-info", "-client", "-config")
    with server.exchange() as exchange:
        exchange.ask("ACL", "SETUSER", "managed", *rules)
        adapter = ValkeyAdapter.from_url(
            f"valkey://managed:hush-hush@{server.address.host}:{server.address.port}",
            connect_timeout=2.0,
        )
        try:
            await adapter.open()
            await use(adapter)
        finally:
            await adapter.close()
            exchange.ask("ACL", "DELUSER", "managed")
