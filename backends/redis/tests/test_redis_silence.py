"""Connections that turn silent, with Sentinel and clusters.

The conformance kit tests the same for a single server (FLT-12, PUB-10).
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from igniter_store_conformance.engine.harness import Network

pytestmark = pytest.mark.full

LIMIT: Final = 60.0


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[RedisAdapter]:
    adapter = RedisAdapter.from_url(url, timeout=1.0, connect_timeout=4.0, **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.02)


async def soon(call: Callable[[], Awaitable[Any]]) -> Any:
    """Retry a call, which may fail once on each old connection, and return its result."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await call()
            except StoreError as error:
                if not error.retryable:
                    raise


@contextlib.contextmanager
def place(kind: str) -> Generator[tuple[str, Network]]:
    """The URL of a deployment, and the proxied network in front of it."""
    if kind == "sentinel":
        # The sentinels' own connections are half-open too; they must not conclude that the primary
        # is down.
        with servers.start_sentinel(
            servers.find("valkey"), proxied=True, down_after=120.0
        ) as sentinels:
            assert sentinels.proxy is not None
            where = ",".join(f"{host}:{port}" for host, port in sentinels.addresses)
            yield f"redis+sentinel://{where}/{sentinels.name}", sentinels.proxy
    elif kind == "cluster":
        with servers.start_cluster(servers.find("valkey"), proxied=True) as cluster:
            assert cluster.proxy is not None
            where = ",".join(
                f"{node.proxy.host}:{node.proxy.port}"
                for node in cluster.primaries
                if node.proxy is not None
            )
            yield f"redis+cluster://{where}", cluster.proxy
    else:
        with servers.start(servers.find("valkey"), proxied=True) as server:
            assert server.proxy is not None
            yield server.url, server.proxy


@pytest.mark.clause("FLT-12", "PUB-10")
@pytest.mark.parametrize(
    ("kind", "is_sharded"),
    [("server", True), ("cluster", False), ("cluster", True), ("sentinel", False)],
    ids=str,
)
async def test_subscriptions_come_back_after_half_open_connection(
    kind: str, *, is_sharded: bool
) -> None:
    names = [f"channel:{number}" for number in range(12)]  # some on each node of a cluster
    heard: set[str] = set()
    gaps: set[str] = set()
    with place(kind) as (url, network):
        async with opened(url, sharded_pubsub=is_sharded) as adapter:
            for name in names:
                await adapter.subscribe(
                    name, lambda channel, _: heard.add(channel), on_gap=partial(gaps.add, name)
                )
            await network.half_open()

            await until(lambda: gaps == set(names), "a subscription has reported no gap")
            for name in names:
                await soon(partial(adapter.publish, name, b"payload"))
            await until(lambda: heard == set(names), "a subscription has got no message")
            assert await soon(lambda: adapter.set("key", b"value")) is True, "a call isn't answered"
            await network.heal()


@pytest.mark.clause("PUB-1")
@pytest.mark.parametrize(
    "target", servers.available(), ids=lambda target: f"{target.kind} {target.version}"
)
async def test_ping_disturbs_no_subscription(target: Any) -> None:
    """Servers differ in their reply to a PING amid subscriptions; it never counts as a message."""
    heard: list[bytes] = []
    gaps: list[int] = []
    with servers.start(target) as server:
        async with opened(server.url) as adapter:
            subscription = await adapter.subscribe(
                "channel", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append(1)
            )
            await until(lambda: pings(server) >= 4)
            await adapter.publish("channel", b"1")
            await until(lambda: heard == [b"1"])
            await subscription.cancel()
            # without any subscription, the reply to PING is another one
            await until(lambda: pings(server) >= 8)
            await adapter.subscribe(
                "channel", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append(1)
            )
            await adapter.publish("channel", b"2")
            await until(lambda: heard == [b"1", b"2"])

            assert gaps == []


def pings(server: Any) -> int:
    """The number of PINGs that the server has executed."""
    with server.exchange() as exchange:
        statistics = exchange.info("commandstats").get("cmdstat_ping", "calls=0,")
    return int(statistics.partition("calls=")[2].partition(",")[0])


@pytest.mark.clause("FLT-12")
async def test_unused_connection_is_replaced_before_its_next_use() -> None:
    with place("server") as (url, network):
        async with opened(url) as adapter:
            await adapter.set("key", b"value")
            await network.half_open()
            untyped: Any = adapter
            await until(lambda: untyped._commands._first.multiplexer is None)

            assert await adapter.get("key") == b"value"


@pytest.mark.clause("FLT-12")
async def test_subscribe_that_timed_out_leaves_nothing_behind() -> None:
    heard: list[bytes] = []
    with place("server") as (url, network):
        async with opened(url) as adapter:
            await adapter.subscribe("first", lambda _, payload: heard.append(payload))
            await network.half_open()
            try:
                await adapter.subscribe("second", lambda _, payload: heard.append(payload))
            except StoreError:
                expected = [b"3"]
            else:  # the machine was busy, and the adapter detected the silence first
                expected = [b"2", b"3"]

            await soon(lambda: adapter.subscribe("third", lambda _, payload: heard.append(payload)))
            assert await soon(lambda: adapter.publish("second", b"2")) == len(expected) - 1
            assert await adapter.publish("third", b"3") == 1
            await until(lambda: heard == expected)
