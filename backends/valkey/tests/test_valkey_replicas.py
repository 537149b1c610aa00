"""A server with replicas: which server gets which command, also after a failover."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full


def calls_of(server: Server, command: str) -> int:
    """The number of times that a server has executed a command."""
    with server.exchange() as exchange:
        stats = str(exchange.ask("INFO", "commandstats"))
    _, found, rest = stats.partition(f"cmdstat_{command}:calls=")
    return int(rest.partition(",")[0]) if found else 0


@contextlib.asynccontextmanager
async def replicated(replicas: int) -> AsyncGenerator[tuple[Server, list[Server]]]:
    """A server, and its replicas that are in sync."""
    target = servers.find_or_skip("valkey")
    with contextlib.ExitStack() as starting:
        primary, *others = [
            starting.enter_context(servers.start(target)) for _ in range(1 + replicas)
        ]
        for other in others:
            with other.exchange() as exchange:
                exchange.ask("REPLICAOF", primary.address.host, str(primary.address.port))
        async with asyncio.timeout(30):
            for other in others:
                with other.exchange() as exchange:
                    # it sends no event
                    while "master_link_status:up" not in str(exchange.ask("INFO", "replication")):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
        yield primary, others


def url_of(*of_all: Server) -> str:
    return "valkey://" + ",".join(
        f"{server.address.host}:{server.address.port}" for server in of_all
    )


@pytest.mark.clause("SCN-1")
async def test_reads_use_replicas_and_scans_stay_complete() -> None:
    """The pages of a scan come from one server, because a cursor is valid only there."""
    async with replicated(2) as (primary, replicas):
        adapter = ValkeyAdapter.from_url(url_of(primary, *replicas), read_from="prefer_replica")
        await adapter.open()
        try:
            await adapter.mset([Entry(f"many:{number}", b"1") for number in range(2_000)])
            await adapter.get("many:0")
            await asyncio.gather(*(adapter.get(f"many:{number}") for number in range(20)))
            page = await adapter.scan("many:*")
            found, pages = [*page.keys], 1
            while page.cursor != "0":
                page = await adapter.scan("many:*", cursor=page.cursor)
                found, pages = found + page.keys, pages + 1
            calls = {
                command: [calls_of(server, command) for server in (primary, *replicas)]
                for command in ("get", "scan")
            }
            deleted = await adapter.delete_prefix("many:")
        finally:
            await adapter.close()

    assert (calls["get"][0], sum(calls["get"])) == (0, 21)
    assert calls["scan"] == [pages, 0, 0]
    assert pages > 1
    assert len(set(found)) == 2_000
    assert deleted == 2_000


@pytest.mark.clause("FLT-6")
async def test_blocked_read_raises_when_server_becomes_replica() -> None:
    async with replicated(1) as (primary, [replica]):
        adapter = ValkeyAdapter.from_url(url_of(primary))
        await adapter.open()
        await adapter.xgroup_create("stream", "group")
        reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "me", block=20))
        with primary.exchange() as exchange:
            async with asyncio.timeout(30):
                # the server has no event
                while exchange.info("clients")["blocked_clients"] != "1":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            exchange.ask("REPLICAOF", replica.address.host, str(replica.address.port))
        with pytest.raises(StoreError) as caught:
            await reading
        await adapter.close()

    assert caught.value.details["word"] == "READONLY"
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)


@pytest.mark.parametrize("how", ["demoted", "killed", "restarted as a replica"])
async def test_calls_reach_new_primary_after_failover(how: str) -> None:
    async with replicated(1) as (primary, [replica]):
        adapter = ValkeyAdapter.from_url(url_of(primary, replica), timeout=1.0)
        await adapter.open()
        await adapter.set("key", b"before")
        if how != "demoted":
            await primary.kill()
        with replica.exchange() as exchange:
            exchange.ask("REPLICAOF", "NO", "ONE")
        if how == "restarted as a replica":
            await primary.restart()
        if how != "killed":
            with primary.exchange() as exchange:
                exchange.ask("REPLICAOF", replica.address.host, str(replica.address.port))

        codes: set[ErrorCode] = set()
        async with asyncio.timeout(30):
            while True:
                try:
                    await adapter.set("key", b"after")
                    break
                except StoreError as error:
                    codes.add(error.code)
        value = await adapter.get("key")
        await adapter.close()
        with replica.exchange() as exchange:
            stored = exchange.ask("GET", "key")

    assert value == stored == b"after"
    assert codes <= {ErrorCode.STORE_TIMEOUT, ErrorCode.STORE_CONNECTION_FAILED}
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.clause("LIF-5")
async def test_close_during_client_replacement_leaves_no_client() -> None:
    name = "moving"
    async with replicated(1) as (primary, [replica]):
        now, then = primary, replica

        def are_there() -> bool:
            for server in (primary, replica):
                with server.exchange() as exchange:
                    if f"name={name}" in str(exchange.ask("CLIENT", "LIST")):
                        return True
            return False

        for turn in range(12):
            adapter = ValkeyAdapter.from_url(
                url_of(primary, replica), client_name=name, timeout=1.0
            )
            await adapter.open()
            with then.exchange() as exchange:
                exchange.ask("REPLICAOF", "NO", "ONE")
            with now.exchange() as exchange:
                exchange.ask("REPLICAOF", then.address.host, str(then.address.port))
            now, then = then, now
            asking = asyncio.create_task(adapter.set("key", b"value"))
            await asyncio.sleep(0.004 * turn)  # before the other client is made, and after
            closing = asyncio.create_task(adapter.close())
            for _ in range(turn % 4):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(asking, closing, return_exceptions=True)
            await adapter.close()

        async with asyncio.timeout(30):
            while are_there():  # noqa: ASYNC110 - nothing signals this change
                await asyncio.sleep(0.02)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
