"""Clusters and Sentinel sets start, fail, refuse, work behind proxies, and leave nothing behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from igniter_store.redis_commands.slots import slot_of
from igniter_store_conformance import servers

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Cluster, SentinelSet, ServerProcess

pytestmark = pytest.mark.full


async def execute(server: ServerProcess, *words: str | int) -> object:
    """Send a command, and return the reply."""

    def ask() -> object:
        with server.exchange() as exchange:
            return exchange.ask(*words)

    return await asyncio.to_thread(ask)


async def is_silent(server: ServerProcess) -> bool:
    def ask() -> None:
        with server.exchange(timeout=0.2) as exchange:
            exchange.ask("PING")

    with pytest.raises(TimeoutError):
        await asyncio.to_thread(ask)
    return server.is_running


async def owner_of(place: Cluster | SentinelSet, key: str) -> ServerProcess:
    if isinstance(place, servers.SentinelSet):
        return await asyncio.to_thread(place.primary)
    return await asyncio.to_thread(place.owner, key)


async def break_and_mend(place: Cluster | SentinelSet, parts: list[ServerProcess]) -> None:
    for end in (place.kill, place.stop):
        assert await execute(await owner_of(place, "a"), "SET", "a", "value") == b"OK"
        await end()
        assert not any(part.is_running for part in parts)
        await place.restart()
        assert await execute(await owner_of(place, "a"), "GET", "a") == b"value"
    await place.pause()
    assert all([await is_silent(part) for part in parts])
    await place.resume()
    assert await execute(await owner_of(place, "a"), "SET", "a", "value") == b"OK"


async def test_a_sentinel_set_makes_its_replica_the_primary() -> None:
    target = servers.find_or_skip("valkey")
    with await asyncio.to_thread(servers.start_sentinel, target) as group:
        primary, replica = (
            await asyncio.to_thread(group.primary),
            await asyncio.to_thread(group.replica),
        )
        await execute(primary, "SET", "key", "value")
        await execute(primary, "WAIT", 1, 10_000)
        await primary.kill()
        await group.promoted(replica)

        assert await asyncio.to_thread(group.primary) is replica
        assert await execute(replica, "GET", "key") == b"value"
        assert await execute(replica, "SET", "key", "new") == b"OK"
        folders = [server.folder for server in [*group.servers, *group.sentinels]]
        assert len(group.addresses) == 3
        assert (group.kind, group.version) == ("valkey behind sentinel", target.version)
    assert not any(folder.exists() for folder in folders)


async def test_sentinel_set_stops_and_pauses_as_a_whole() -> None:
    """The primary stays the same."""
    target = servers.find_or_skip("valkey")
    with await asyncio.to_thread(servers.start_sentinel, target, down_after=60.0) as group:
        primary = await asyncio.to_thread(group.primary)
        await break_and_mend(group, [*group.servers])

        assert await asyncio.to_thread(group.primary) is primary
        async with group.refusing("OOM"):
            with pytest.raises(servers.Refused, match="OOM"):
                await execute(primary, "SET", "a", "value")
        assert await execute(primary, "SET", "a", "value") == b"OK"


async def test_sentinel_announces_proxy_addresses() -> None:
    target = servers.find_or_skip("valkey")
    with await asyncio.to_thread(
        servers.start_sentinel, target, proxied=True, down_after=60.0
    ) as group:
        primary, replica = group.servers
        assert primary.proxy is not None
        assert replica.proxy is not None
        assert await execute(
            group.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.name
        ) == [
            b"127.0.0.1",
            b"%d" % primary.proxy.port,
        ]
        assert await asyncio.to_thread(group.primary) is primary
        await group.failover()
        assert await asyncio.to_thread(group.primary) is replica
        await replica.restart()
        assert await execute(
            group.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.name
        ) == [
            b"127.0.0.1",
            b"%d" % replica.proxy.port,
        ]


async def test_cluster_node_serves_its_keys_and_redirects_others() -> None:
    """A node that doesn't own the slot replies with MOVED."""
    target = servers.find_or_skip("redis")
    with await asyncio.to_thread(servers.start_cluster, target) as cluster:
        for key in ["a", "b", "c", "{tag}1"]:
            owner, stranger = (
                await asyncio.to_thread(cluster.owner, key),
                await asyncio.to_thread(cluster.stranger, key),
            )
            assert await execute(owner, "SET", key, "value") == b"OK"
            with pytest.raises(
                servers.Refused, match=f"MOVED {slot_of(key)} 127.0.0.1:{owner.address.port}"
            ):
                await execute(stranger, "SET", key, "value")

        assert len({slot_of("{tag}1"), slot_of("{tag}2"), slot_of("tag")}) == 1
        assert len(cluster.urls) == 6
        assert (cluster.kind, cluster.version) == ("redis cluster", target.version)
        assert cluster.proxy is None
        folders = [node.folder for node in cluster.nodes]
        await break_and_mend(cluster, [*cluster.nodes])
        owners = {key: await owner_of(cluster, key) for key in ["a", "b", "c"]}
        for word in cluster.refusals:
            async with cluster.refusing(word):
                for key in ["a", "b", "c"]:
                    with pytest.raises(servers.Refused, match=word):
                        await execute(owners[key], "SET", key, "value")
            assert await execute(await owner_of(cluster, "a"), "SET", "a", "value") == b"OK"
    assert not any(folder.exists() for folder in folders)


async def test_cluster_redirects_clients_to_its_proxies() -> None:
    """A redirect names the address of a proxy."""
    target = servers.find_or_skip("valkey")
    with await asyncio.to_thread(servers.start_cluster, target, proxied=True) as cluster:
        owner, stranger = (
            await asyncio.to_thread(cluster.owner, "a"),
            await asyncio.to_thread(cluster.stranger, "a"),
        )
        assert owner.proxy is not None
        assert cluster.proxy is not None
        for _ in range(2):
            with pytest.raises(
                servers.Refused, match=f"MOVED {slot_of('a')} 127.0.0.1:{owner.proxy.port}"
            ):
                await execute(stranger, "GET", "a")
            await cluster.restart()
        reader, writer = await asyncio.open_connection(owner.proxy.host, owner.proxy.port)
        await cluster.proxy.cut_at(b"marker")
        writer.write(b"GET marker\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        assert cluster.proxy.cuts == 1
        writer.close()
