"""An adapter warns once, when it opens, if its server evicts keys.

It does so for every server that reports its policy.
"""

# no clause: the contract doesn't cover log messages.

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.backends import adapter_from_url
from igniter_store.contract import StoreError
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.full

PASSWORD = "hush-hush"  # noqa: S105 - of a server that exists only for a test


@asynccontextmanager
async def opened(url: str, times: int = 1) -> AsyncGenerator[Any]:
    """Yield an open adapter, after opening it that many times."""
    adapter = adapter_from_url(url, timeout=5, connect_timeout=5)
    try:
        for turn in range(times):
            if turn:
                await adapter.close()
            await adapter.open()
        yield adapter
    finally:
        await adapter.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "evicts keys" in record.getMessage()
    ]


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
@pytest.mark.parametrize(
    "policy",
    ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl", "noeviction"],
)
async def test_eviction_logs_one_warning(
    caplog: pytest.LogCaptureFixture, scheme: str, policy: str
) -> None:
    with servers.start("valkey") as server:
        with server.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "maxmemory-policy", policy)
        async with opened(
            server.url.replace("valkey://", f"{scheme}://").replace("redis://", f"{scheme}://"),
            times=2,
        ):
            found = warnings(caplog)

    assert len(found) == (policy != "noeviction")
    for message in found:
        assert policy in message
        assert "noeviction" in message
        assert ("with a TTL" in message) is policy.startswith("volatile")


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
@pytest.mark.parametrize(("denied", "is_warned"), [("-info", False), ("-config", True)])
async def test_policy_is_read_from_info_if_allowed(
    caplog: pytest.LogCaptureFixture, scheme: str, denied: str, *, is_warned: bool
) -> None:
    """Without the right to call INFO, the adapter opens and logs nothing."""
    with servers.start("valkey") as server:
        with server.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            exchange.ask("ACL", "SETUSER", "api", "on", f">{PASSWORD}", "~*", "&*", "+@all", denied)
        place = server.url.partition("://")[2]
        async with opened(f"{scheme}://api:{PASSWORD}@{place}") as adapter:
            assert await adapter.set("key", b"1")

    assert len(warnings(caplog)) == is_warned
    assert len(caplog.records) == is_warned


@pytest.mark.parametrize("scheme", ["redis+cluster", "valkey+cluster"])
async def test_eviction_on_a_cluster_logs_one_warning(
    caplog: pytest.LogCaptureFixture, scheme: str
) -> None:
    with servers.start_cluster(servers.find_or_skip("valkey")) as cluster:
        for node in cluster.nodes:
            with node.exchange() as exchange:
                exchange.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        async with opened(
            f"{scheme}://"
            + ",".join(f"{node.address.host}:{node.port}" for node in cluster.primaries)
        ):
            found = warnings(caplog)

    assert len(found) == 1


async def test_eviction_behind_sentinel_logs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with servers.start_sentinel(servers.find_or_skip("valkey")) as behind:
        with behind.primary().exchange() as exchange:
            exchange.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        sentinels = ",".join(f"{host}:{port}" for host, port in behind.addresses)
        async with opened(f"redis+sentinel://{sentinels}/{behind.name}"):
            found = warnings(caplog)

        for scheme in ("redis", "valkey"):
            [(host, port), *_] = behind.addresses
            with pytest.raises(StoreError) as caught:
                async with opened(f"{scheme}://{host}:{port}"):
                    pass
            assert caught.value.retryable is (
                scheme == "valkey"
            )  # glide can't distinguish it from a replica that is becoming the primary
            assert "redis+sentinel://" in caught.value.message

    assert len(found) == 1


async def test_server_that_never_answers_info_is_opened(caplog: pytest.LogCaptureFixture) -> None:
    """Some proxies drop commands that they don't support."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while words := await reader.readline():
                parts: list[bytes] = []
                for _ in range(int(words[1:])):
                    await reader.readline()
                    parts.append((await reader.readline()).strip().upper())
                if parts[0] != b"INFO":
                    writer.write(b"+OK\r\n")
        finally:
            writer.close()

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = front.sockets[0].getsockname()[1]
    async with opened(f"redis://127.0.0.1:{port}") as adapter:
        assert adapter.is_open
    front.close()

    assert warnings(caplog) == []
