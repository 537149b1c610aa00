"""Callers share connections.

Large values beside small ones, more callers than fit in flight, other event loops, and clients that
a user passes in.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from igniter_store import Store
from igniter_store.contract import StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from igniter_store_conformance.servers import Server

LIMIT = 30.0
LARGE = b"x" * 33_554_432  # larger than the buffers of a socket


@pytest.fixture
def server() -> Iterator[Server]:
    with servers.start(servers.find("valkey")) as server:
        yield server


@contextlib.asynccontextmanager
async def opened(adapter: RedisAdapter) -> AsyncGenerator[RedisAdapter]:
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def until(holds: Callable[[], bool], failure: str) -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.002)


async def until_blocked(server: Server) -> None:
    """Wait until a read is blocked at the server."""
    with server.exchange() as exchange:
        await until(
            lambda: exchange.info("clients")["blocked_clients"] == "1", "the read isn't blocked"
        )


def connections(server: Server) -> int:
    """The number of the server's clients, without the one of this query."""
    with server.exchange() as exchange:
        return int(exchange.info("clients")["connected_clients"]) - 1


async def test_calls_of_one_iteration_share_a_connection(server: Server) -> None:
    async with opened(RedisAdapter.from_url(server.url)) as adapter:
        await asyncio.gather(
            *(adapter.set(f"key:{number}", b"%d" % number) for number in range(1_000))
        )
        found = await asyncio.gather(*(adapter.get(f"key:{number}") for number in range(1_000)))
        assert found == [b"%d" % number for number in range(1_000)]
        assert connections(server) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_small_calls_get_replies_beside_large_values(server: Server, most: int) -> None:
    async with opened(RedisAdapter.from_url(server.url, connections=most)) as adapter:
        await adapter.set("small", b"value")
        writing = [
            asyncio.create_task(adapter.set(f"large:{number}", LARGE)) for number in range(2)
        ]
        await asyncio.sleep(0)  # the calls are sent now
        await asyncio.sleep(0)

        assert await asyncio.gather(*(adapter.get("small") for _ in range(100))) == [b"value"] * 100
        assert await asyncio.gather(*writing) == [True, True]
        reading = [asyncio.create_task(adapter.get(f"large:{number}")) for number in range(2)]
        while not all(read.done() for read in reading):
            assert await adapter.get("small") == b"value"
        assert [await read == LARGE for read in reading] == [True, True]
        assert (1 if most == 1 else 2) <= connections(server) <= most


@pytest.mark.full
async def test_callers_beyond_the_waiting_limit_get_own_replies(server: Server) -> None:
    async with opened(RedisAdapter.from_url(server.url, connections=1)) as adapter:
        callers = 60_000
        await asyncio.gather(
            *(adapter.set(f"key:{number}", b"%d" % number) for number in range(callers))
        )
        found = await asyncio.gather(*(adapter.get(f"key:{number}") for number in range(callers)))
        assert found == [b"%d" % number for number in range(callers)]


@pytest.mark.clause("LIF-6", "STR-7")
async def test_users_client_with_resp3_and_timeouts_works(
    server: Server,
) -> None:
    untyped: Any = redis.asyncio.Redis
    client: Any = untyped.from_url(
        server.url, protocol=3, socket_timeout=0.5, health_check_interval=1
    )
    async with opened(RedisAdapter(client=client)) as adapter:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        await adapter.subscribe("channel", lambda _, payload: heard.put_nowait(payload))
        await adapter.publish("channel", b"message")
        assert await heard.get() == b"message"
        await adapter.xgroup_create("stream", "group")
        reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=60.0))
        await until_blocked(server)
        added = await adapter.xadd("stream", {"field": b"1"})
        assert [(entry.id, entry.fields) for entry in await reading] == [(added, {"field": b"1"})]
        assert [group.name for group in await adapter.xgroups("stream")] == ["group"]
        assert await adapter.ttl("stream") == float("inf")
        waiting = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=60.0))
        await until_blocked(server)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=LIMIT)
        assert waiting.cancelled()
    assert await client.ping() is True
    await client.aclose()


@pytest.mark.clause("LIF-5", "STR-7")
def test_store_works_on_uvloop(server: Server) -> None:
    uvloop: Any = pytest.importorskip("uvloop")

    async def use() -> None:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        async with Store.from_url(server.url, service="api") as store:
            await asyncio.gather(
                *(store.kv.set(f"key:{number}", number, ttl=60) for number in range(1_000))
            )
            assert await asyncio.gather(
                *(store.kv.get(f"key:{number}") for number in range(1_000))
            ) == list(range(1_000))
            heard: asyncio.Queue[Any] = asyncio.Queue()

            async def receive(context: Any) -> None:
                await heard.put(context.data)

            async with await store.events.subscribe("order:*", receive):
                await store.events.publish("order:placed", 1)
                assert await heard.get() == 1
            group = store.streams.group("group", "consumer")
            await group.ensure("stream")
            reading = asyncio.create_task(group.read("stream", block=30))
            await until_blocked(server)
            await store.streams.append("stream", "message")
            assert [message.message for message in await reading] == ["message"]
            waiting = asyncio.create_task(group.read("stream", block=30))
            await until_blocked(server)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert await store.kv.get("key:1") == 1
            await store.kv.set("large", "x" * 5_000_000)
            assert len(await store.kv.get("large")) == 5_000_000
        assert connections(server) == 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use())


@pytest.mark.clause("FLT-12")
async def test_connection_is_replaced_when_large_reply_stalls() -> None:
    """Otherwise, the other callers would wait forever for room behind that reply."""
    with servers.start(servers.find("valkey"), proxied=True) as proxied:
        proxy: Any = proxied.proxy
        async with opened(
            RedisAdapter.from_url(proxied.url, timeout=0.5, connect_timeout=2.0, connections=1)
        ) as adapter:
            with proxied.exchange() as exchange:
                exchange.ask("SET", "large", LARGE)
            await proxy.delay(0.05)
            before = proxy.bytes_to_client
            reading = asyncio.create_task(adapter.get("large"))
            await until(lambda: proxy.bytes_to_client > before, "the reply doesn't arrive")
            await proxy.black_hole()
            assert proxy.bytes_to_client < before + len(LARGE), "the whole reply has arrived"
            waiting = [asyncio.create_task(adapter.get("small")) for _ in range(10)]
            with pytest.raises(StoreError):
                await asyncio.wait_for(reading, 30)
            await proxy.heal()
            for outcome in await asyncio.wait_for(
                asyncio.gather(*waiting, return_exceptions=True), 30
            ):
                assert outcome is None or isinstance(outcome, StoreError)
            assert await adapter.get("small") is None


async def test_retired_connection_still_answers_pending_calls(server: Server) -> None:
    """READONLY retires a connection, but not the pending calls of others on it."""
    async with opened(RedisAdapter.from_url(server.url)) as adapter:
        await adapter.set("key", b"value")
        with server.exchange() as exchange:
            exchange.ask("REPLICAOF", "127.0.0.1", 1)
            calls = [
                adapter.set("key", b"refused") if number % 2 else adapter.get("key")
                for number in range(200)
            ]
            answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
            exchange.ask("REPLICAOF", "NO", "ONE")
        assert answers[::2] == [b"value"] * 100
        assert {error.details["word"] for error in answers[1::2]} == {"READONLY"}
        assert await adapter.set("key", b"after") is True
        assert connections(server) == 1


@pytest.mark.clause("STR-7")
async def test_blocking_read_outlasts_a_shorter_timeout(server: Server) -> None:
    async with opened(RedisAdapter.from_url(server.url, timeout=0.5)) as adapter:
        await adapter.xgroup_create("stream", "group")
        assert await adapter.xreadgroup("stream", "group", "consumer", block=1.2) == []
