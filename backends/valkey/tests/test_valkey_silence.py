"""A connection that turns silent, as when a middlebox drops its state.

Calls, blocking reads and subscriptions recover on a new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import glide
import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full

LIMIT: Final = 30.0
TIMEOUT: Final = 1.0


class Middlebox:
    """A TCP relay that can forget its connections.

    Both ends of a forgotten connection stay open, but no more bytes pass.

    Attributes:
        port: the port for clients, on 127.0.0.1.
        is_silent: whether new connections are accepted and forgotten at once.
        accepted: the number of connections so far.
    """

    def __init__(self) -> None:
        self.port = 0
        self.is_silent = False
        self.accepted = 0
        self._relays: dict[asyncio.Task[None], asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def before(self, server: Server) -> AsyncGenerator[None]:
        """Relay to this server until the end of the block."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            is_forgotten = asyncio.Event()
            if self.is_silent:
                is_forgotten.set()
            task: Any = asyncio.current_task()
            self._relays[task] = is_forgotten
            with contextlib.suppress(OSError):
                to_reader, to_writer = await asyncio.open_connection(
                    server.address.host, server.address.port
                )
                with contextlib.closing(writer), contextlib.closing(to_writer):
                    await asyncio.gather(
                        copied(reader, to_writer, is_forgotten),
                        copied(to_reader, writer, is_forgotten),
                    )

        async def copied(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_forgotten: asyncio.Event
        ) -> None:
            while chunk := await reader.read(65_536):
                if not is_forgotten.is_set():
                    writer.write(chunk)
            writer.close()

        listener = await asyncio.start_server(accept, "127.0.0.1", self.port)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            listener.close()
            for task in self._relays:
                task.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)

    def forget(self) -> None:
        """Stop relaying all current connections."""
        for is_forgotten in self._relays.values():
            is_forgotten.set()


@contextlib.asynccontextmanager
async def behind_middlebox(
    place: str = "server", **options: Any
) -> AsyncGenerator[tuple[ValkeyAdapter, Middlebox, Server]]:
    """An open adapter, the middlebox between it and its server, and the server.

    The server may be a cluster of one node.
    """
    middlebox = Middlebox()
    target = servers.find_or_skip("valkey")
    async with contextlib.AsyncExitStack() as stack:
        if place == "server":
            server = stack.enter_context(servers.start(target))
            await stack.enter_async_context(middlebox.before(server))
        else:
            with contextlib.closing(await asyncio.start_server(ignore, "127.0.0.1")) as reserved:
                middlebox.port = reserved.sockets[0].getsockname()[1]
            announced = (
                "--cluster-announce-ip",
                "127.0.0.1",
                "--cluster-announce-port",
                str(middlebox.port),
            )
            arguments = (
                "--cluster-enabled",
                "yes",
                "--cluster-config-file",
                "nodes.conf",
                *announced,
            )
            server = stack.enter_context(servers.start(target, arguments=arguments))
            await stack.enter_async_context(middlebox.before(server))
            with server.exchange() as exchange:
                exchange.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
                await until(lambda: "cluster_state:ok" in str(exchange.ask("CLUSTER", "INFO")))
        scheme = "valkey+cluster" if place == "cluster" else "valkey"
        settings: dict[str, Any] = {"timeout": TIMEOUT, "connect_timeout": TIMEOUT, **options}
        adapter = ValkeyAdapter.from_url(f"{scheme}://127.0.0.1:{middlebox.port}", **settings)
        await adapter.open()
        try:
            yield adapter, middlebox, server
        finally:
            await adapter.close()
            await until(lambda: clients_of(server) == 0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


def ignore(*_: object) -> None:
    """Do nothing."""


def clients_of(server: Server) -> int:
    """The number of connected clients, without the one of this query."""
    with server.exchange() as exchange:
        return len(str(exchange.ask("CLIENT", "LIST")).rstrip("\\n'").split("id=")) - 2


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.01)


async def failures_before_answer(call: Callable[[], Awaitable[Any]]) -> list[StoreError]:
    """Retry a call until it succeeds, and return the errors until then."""
    errors: list[StoreError] = []
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await call()
            except StoreError as error:
                errors.append(error)
            else:
                return errors


@pytest.mark.clause("FLT-4", "FLT-12")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_calls_recover_after_connection_turns_silent(place: str) -> None:
    async with behind_middlebox(place) as (adapter, middlebox, _):
        await adapter.set("key", b"value")
        for _ in range(2):
            middlebox.forget()
            errors = await failures_before_answer(lambda: adapter.set("key", b"other"))
            assert await adapter.get("key") == b"other"
            assert 1 <= len(errors) <= 3
            assert {(error.code, error.maybe_applied) for error in errors} == {
                (ErrorCode.STORE_TIMEOUT, True)
            }


@pytest.mark.clause("FLT-2", "FLT-4", "FLT-12")
async def test_calls_in_flight_end_with_silent_connection() -> None:
    async with behind_middlebox(timeout=3.0) as (adapter, middlebox, _):
        await adapter.set("key", b"value")
        middlebox.forget()
        first = asyncio.create_task(adapter.get("key"))
        # Time has to pass: the other calls' own timeouts must end after the first call's.
        await asyncio.sleep(1.5)
        reading, writing = (
            asyncio.create_task(adapter.get("key")),
            asyncio.create_task(adapter.set("other", b"value")),
        )
        results = await asyncio.gather(first, reading, writing, return_exceptions=True)

    assert isinstance(results[0], StoreError)
    assert results[0].code == ErrorCode.STORE_TIMEOUT
    assert results[1] == b"value"  # read again on the new connection
    assert isinstance(results[2], StoreError)
    assert (results[2].code, results[2].maybe_applied) == (ErrorCode.STORE_CONNECTION_FAILED, True)


@pytest.mark.clause("FLT-12", "PUB-10")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_subscription_reports_gap_after_connection_turns_silent(place: str) -> None:
    async with behind_middlebox(place) as (adapter, middlebox, server):
        heard: list[bytes] = []
        gaps: list[int] = []
        await adapter.subscribe(
            "channel",
            lambda _, payload: heard.append(payload),
            on_gap=lambda: gaps.append(len(heard)),
        )
        with server.exchange() as exchange:
            assert exchange.ask("PUBLISH", "channel", "before") == 1
            await until(lambda: heard == [b"before"])
            middlebox.forget()
            exchange.ask("PUBLISH", "channel", "lost")
            await until(lambda: gaps == [1])
            exchange.ask("PUBLISH", "channel", "after")
            await until(lambda: heard == [b"before", b"after"])

    assert gaps == [1]


@pytest.mark.clause("FLT-12")
async def test_blocking_read_recovers_after_connection_turns_silent() -> None:
    async with behind_middlebox() as (adapter, middlebox, server):
        await adapter.xgroup_create("stream", "group")
        reading = [
            adapter.xreadgroup("stream", "group", str(number), block=0.05) for number in range(4)
        ]
        # each on a connection that is kept for the next
        assert await asyncio.gather(*reading) == [[]] * 4
        middlebox.forget()
        errors = await failures_before_answer(
            lambda: adapter.xreadgroup("stream", "group", "me", block=0.05)
        )
        with server.exchange() as exchange:
            exchange.ask("XADD", "stream", "*", "field", "value")
        [entry] = await adapter.xreadgroup("stream", "group", "me", block=5.0)

    assert len(errors) <= 1
    assert entry.fields == {"field": b"value"}


async def test_cached_value_is_refreshed_after_connection_turns_silent() -> None:
    async with behind_middlebox(cache_kb=1024, cache_ttl=600) as (adapter, middlebox, server):
        await adapter.set("key", b"old")
        async with asyncio.timeout(LIMIT):
            # glide caches in the background
            while await adapter.get("key") != b"old":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        middlebox.forget()
        with server.exchange() as exchange:
            exchange.ask("SET", "key", "new")
        end = asyncio.get_running_loop().time() + LIMIT
        while (value := await read(adapter)) != b"new":  # the adapter recovers by itself
            assert asyncio.get_running_loop().time() < end, f"the cached value is still {value!r}"
            await asyncio.sleep(0.05)


async def read(adapter: ValkeyAdapter) -> bytes | None:
    """The value of "key", or None if it can't be read."""
    with contextlib.suppress(StoreError):
        return await adapter.get("key")
    return None


@pytest.mark.clause("LIF-5")
@pytest.mark.parametrize("later", [0.0, 0.1, 0.2, 0.4, 0.8])
async def test_close_during_replacement_leaves_nothing(later: float) -> None:
    async with behind_middlebox(timeout=0.2, connect_timeout=1.0) as (adapter, middlebox, _):
        await adapter.set("key", b"value")
        await adapter.subscribe("channel", ignore)
        middlebox.forget()
        reading = [asyncio.create_task(adapter.get("key")) for _ in range(3)]
        await asyncio.sleep(0.2 + later)  # at different moments of the replacement
        await adapter.close()
        left = [
            task
            for task in asyncio.all_tasks()
            if "igniter_store_valkey" in repr(task) and task not in reading
        ]
        results = await asyncio.gather(*reading, return_exceptions=True)

    assert left == []
    assert all(isinstance(answer, StoreError) or answer == b"value" for answer in results)


@pytest.mark.clause("FLT-4")
async def test_silent_server_is_used_once_it_answers_again() -> None:
    async with behind_middlebox() as (adapter, middlebox, _):
        await adapter.set("key", b"value")
        middlebox.is_silent = True
        middlebox.forget()
        for _ in range(4):
            with pytest.raises(StoreError) as caught:
                await adapter.get("key")
            assert caught.value.code == ErrorCode.STORE_TIMEOUT
        middlebox.is_silent = False
        errors = await failures_before_answer(lambda: adapter.get("key"))

    assert len(errors) <= 2


@pytest.mark.clause("FLT-4")
async def test_slow_server_keeps_its_connection() -> None:
    with servers.start(servers.find_or_skip("valkey")) as server:
        address = server.address
        adapter = ValkeyAdapter.from_url(
            f"valkey://{address.host}:{address.port}?client_name=slow", timeout=0.5
        )
        await adapter.open()
        before = named(server, "slow")
        with server.exchange() as exchange:
            exchange.ask("CLIENT", "PAUSE", "1200", "ALL")
        late = await asyncio.gather(
            adapter.set("key", b"value"), adapter.get("key"), return_exceptions=True
        )
        await failures_before_answer(lambda: adapter.get("key"))
        await until(lambda: named(server, "slow") == before)
        await adapter.close()

    assert [error.code for error in late if isinstance(error, StoreError)] == [
        ErrorCode.STORE_TIMEOUT
    ] * 2
    assert len(before) == 1


def named(server: Server, name: str) -> set[str]:
    """The ids of the clients with this name."""
    with server.exchange() as exchange:
        lines = str(exchange.ask("CLIENT", "LIST")).split("id=")[1:]
    return {line.split(" ", 1)[0] for line in lines if f"name={name} " in line}


async def test_lent_client_is_not_replaced() -> None:
    async with behind_middlebox() as (_, middlebox, server):
        settings = glide.GlideClientConfiguration(
            [glide.NodeAddress("127.0.0.1", middlebox.port)], request_timeout=500, lazy_connect=True
        )
        client = await glide.GlideClient.create(settings)
        adapter = ValkeyAdapter(client=client)
        await adapter.open()
        middlebox.forget()
        errors: list[StoreError] = []
        for _ in range(3):
            with pytest.raises(StoreError) as caught:
                await adapter.get("key")
            errors.append(caught.value)
        await adapter.close()
        await client.close()
        await until(lambda: clients_of(server) <= 1)

    assert [error.code for error in errors] == [ErrorCode.STORE_TIMEOUT] * 3
