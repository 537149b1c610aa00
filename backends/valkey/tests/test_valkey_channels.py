"""Subscriptions through glide.

Many of them, with unusual names, and their state after a call or a connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_conformance.servers.resp import ask
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from igniter_store_conformance.network.proxy import Proxy
    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full

LIMIT = 30.0


def url_of(server: Server) -> str:
    return server.url.replace("redis://", "valkey://")


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[ValkeyAdapter]:
    adapter = ValkeyAdapter.from_url(url, **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


@contextlib.asynccontextmanager
async def distant(place: str, **options: Any) -> AsyncGenerator[tuple[ValkeyAdapter, list[Proxy]]]:
    """An adapter, and a proxy in front of each of its servers."""
    target = servers.find_or_skip("valkey")
    if place == "server":
        with servers.start(target, proxied=True) as server:
            assert server.proxy is not None
            async with opened(url_of(server), **options) as adapter:
                yield adapter, [server.proxy]
        return
    with servers.start_cluster(target, proxied=True) as cluster:
        proxies = [node.proxy for node in cluster.nodes if node.proxy is not None]
        hosts = ",".join(f"{proxy.host}:{proxy.port}" for proxy in proxies)
        async with opened(f"valkey+cluster://{hosts}", **options) as adapter:
            yield adapter, proxies


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.005)


async def asked_twice(proxy: Proxy) -> None:
    """Wait until the adapter has asked glide for its subscriptions twice.

    It does so after each CLIENT ID.
    """
    assert not isinstance(proxy.target, str)
    address = servers.Address(*proxy.target)

    def requests() -> int:
        statistics = str(ask(address, "INFO", "commandstats"))
        return int(statistics.partition("cmdstat_client|id:calls=")[2].partition(",")[0])

    before = requests()
    await until(lambda: requests() >= before + 3, "the adapter doesn't watch its subscriptions")


def ignore(channel: str, payload: bytes) -> None:
    del channel, payload


def channels_of(server: Server) -> list[bytes]:
    with server.exchange() as exchange:
        found = exchange.ask("PUBSUB", "CHANNELS", "test:channels:*")
    assert isinstance(found, list)
    return sorted(name for name in found if isinstance(name, bytes))


@pytest.mark.clause("PUB-10")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_subscribe_timeout_restarts_with_each_confirmation(place: str) -> None:
    """The replies arrive in about eleven parts, 0.6 seconds apart, so the last ones take longer
    than the timeout.
    """
    names = [f"test:channels:{number}" for number in range(1300)]
    heard: list[str] = []
    gaps: set[str] = set()
    async with distant(place, timeout=4.0, connect_timeout=10.0) as (adapter, proxies):
        await asyncio.gather(
            *(
                adapter.subscribe(
                    name, lambda channel, _: heard.append(channel), on_gap=partial(gaps.add, name)
                )
                for name in names
            )
        )
        for proxy in proxies:
            await proxy.delay(0.3)
            await proxy.cut()

        await until(lambda: gaps == set(names))
        for proxy in proxies:
            await proxy.delay(0.0)
        assert [await adapter.publish(name, b"payload") for name in names] == [1] * len(names)
        await until(lambda: len(heard) == len(names))

    assert sorted(heard) == sorted(names)


async def test_concurrent_subscribes_share_round_trips() -> None:
    async with distant("server", timeout=1.0, connect_timeout=10.0) as (adapter, [proxy]):
        await adapter.subscribe("test:channels:first", ignore)
        await proxy.delay(0.02)

        subscribing = [
            adapter.subscribe(f"test:channels:{number}", ignore) for number in range(200)
        ]
        results = await asyncio.gather(*subscribing, return_exceptions=True)
        await proxy.delay(0.0)

        assert [error for error in results if isinstance(error, BaseException)] == []
        assert [
            await adapter.publish(f"test:channels:{number}", b"payload") for number in range(200)
        ] == [1] * 200


@pytest.mark.clause("PUB-1", "PUB-4")
async def test_last_command_for_a_channel_wins() -> None:
    """More commands in an iteration than one batch holds, some of them for the same name."""
    with servers.start("valkey") as server:
        async with opened(url_of(server)) as adapter:
            heard: list[str] = []
            subscriptions = await asyncio.gather(
                *(adapter.subscribe(f"test:channels:{number}", ignore) for number in range(300))
            )
            ending = [asyncio.create_task(subscription.cancel()) for subscription in subscriptions]
            await asyncio.sleep(0)  # the commands are in flight
            await asyncio.gather(
                *(
                    adapter.subscribe(
                        f"test:channels:{number}", lambda channel, _: heard.append(channel)
                    )
                    for number in range(0, 300, 2)
                )
            )
            await asyncio.gather(*ending)

            kept = [f"test:channels:{number}" for number in range(0, 300, 2)]
            assert channels_of(server) == sorted(name.encode() for name in kept)
            assert [await adapter.publish(name, b"payload") for name in kept] == [1] * 150
            await until(lambda: heard == kept)


@pytest.mark.clause("PUB-3")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_channel_outside_utf_8_works_beside_others(place: str) -> None:
    heard: list[tuple[str, bytes]] = []
    gaps: list[int] = []
    async with distant(place) as (adapter, proxies):
        await adapter.subscribe(
            "steady",
            lambda channel, payload: heard.append((channel, payload)),
            on_gap=lambda: gaps.append(1),
        )
        subscription = await adapter.subscribe(
            "ch\udcff", lambda channel, payload: heard.append((channel, payload))
        )
        await asked_twice(proxies[0])
        assert [await adapter.publish(name, b"1") for name in ("ch\udcff", "steady")] == [1, 1]
        await until(lambda: len(heard) == 2)
        await subscription.cancel()
        assert await adapter.publish("ch\udcff", b"2") == 0

    assert sorted(heard) == [("ch\udcff", b"1"), ("steady", b"1")]
    assert gaps == []


async def test_two_spellings_of_same_bytes_are_one_channel() -> None:
    heard: list[str] = []
    async with opened(url_of(servers.or_skip("valkey"))) as adapter:
        subscriptions = [
            await adapter.subscribe(name, lambda channel, _: heard.append(channel))
            for name in ("test:\udcc3\udca9", "test:\u00e9")
        ]
        assert await adapter.publish("test:\u00e9", b"payload") == 1
        await until(lambda: len(heard) == 2)
        for subscription in subscriptions:
            await subscription.cancel()

    assert heard == ["test:\u00e9", "test:\u00e9"]


LONE = "test:\ud800"  # half of a surrogate pair of UTF-16, which can't be encoded as bytes
CALLS: dict[str, Callable[[ValkeyAdapter], Coroutine[Any, Any, object]]] = {
    "get": lambda adapter: adapter.get(LONE),
    "mget": lambda adapter: adapter.mget(["key", LONE]),
    "set": lambda adapter: adapter.set(LONE, b"value"),
    "xreadgroup": lambda adapter: adapter.xreadgroup(LONE, "group", "consumer", block=1.0),
    "publish": lambda adapter: adapter.publish(LONE, b"payload"),
    "subscribe": lambda adapter: adapter.subscribe(LONE, ignore),
    "psubscribe": lambda adapter: adapter.psubscribe(LONE, ignore),
}


@pytest.mark.parametrize("call", CALLS)
async def test_unencodable_name_is_refused_without_side_effects(call: str) -> None:
    """Another subscription keeps its messages and reports no gap."""
    heard: list[bytes] = []
    gaps: list[int] = []
    async with opened(url_of(servers.or_skip("valkey"))) as adapter:
        subscription = await adapter.subscribe(
            "test:steady", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append(1)
        )
        with pytest.raises(StoreError) as caught:
            await CALLS[call](adapter)
        assert await adapter.publish("test:steady", b"payload") == 1
        await until(lambda: heard == [b"payload"])
        await subscription.cancel()

    assert caught.value.code == ErrorCode.STORE_KEY_INVALID
    assert LONE not in str(caught.value)
    assert gaps == []


async def test_changed_password_fails_blocking_reads_and_subscribes() -> None:
    with servers.start("valkey") as server:
        with server.exchange() as exchange:
            exchange.ask("ACL", "SETUSER", "bob", "on", ">before", "~*", "&*", "+@all")
        async with opened(url_of(server).replace("://", "://bob:before@")) as adapter:
            await adapter.xgroup_create("stream", "group")
            with server.exchange() as exchange:
                exchange.ask("ACL", "SETUSER", "bob", "resetpass", ">after")

            errors = await asyncio.gather(
                adapter.xreadgroup("stream", "group", "consumer", block=0.2),
                adapter.subscribe("channel", ignore),
                adapter.subscribe("channel", ignore),
                return_exceptions=True,
            )

    for error in errors:
        assert isinstance(error, StoreError)
        assert (error.code, error.retryable, error.details) == (
            ErrorCode.STORE_CONNECTION_FAILED,
            False,
            {"word": "WRONGPASS"},
        )
        assert "rejected the user name or password" in error.message
        assert error.__cause__ is not None
        assert not isinstance(error.__cause__, StoreError)
    assert len({id(error) for error in errors}) == len(errors)


@pytest.mark.clause("LIF-4")
async def test_cancelled_caller_is_cancelled_during_probe_and_close() -> None:
    """In every loop iteration: a task that a caller cancels must end as cancelled."""
    ends: list[bool] = []
    with servers.start("valkey", proxied=True) as server:
        assert server.proxy is not None
        for turns in range(10):
            async with opened(url_of(server), timeout=0.2) as adapter:
                await server.proxy.black_hole()
                reading = asyncio.create_task(adapter.get("key"))
                # Time has to pass: the read's timeout, after which the adapter probes the server.
                await asyncio.sleep(0.35)
                closing = asyncio.create_task(adapter.close())
                for _ in range(turns):
                    await asyncio.sleep(0)
                if reading.cancel():
                    await asyncio.wait([reading])
                    ends.append(reading.cancelled())
                await closing
            await server.proxy.heal()

    assert all(ends)
    assert len(ends) > 1
