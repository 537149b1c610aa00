"""Reachable servers that reject commands; the error message names the cause and the cure.

The server is full, a replica, still loading, without a disk, or in protected mode.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from igniter_store_conformance.servers import Server, ServerProcess
    from igniter_store_conformance.servers.resp import Exchange

PASSWORD = "hush-hush"  # noqa: S105 - of a server that lives for a test


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server for one test, because the test's changes would disturb others."""
    target = servers.or_skip(request.param).target
    with servers.start(target) as started:
        if not isinstance(started, servers.ServerProcess):
            pytest.skip("the server wasn't started here, so its files can't be reached")
        yield started


async def refused(url: str) -> StoreError:
    """The error that opening the adapter raises, or a write if it opens."""
    adapter = RedisAdapter.from_url(url, timeout=2.0, connect_timeout=2.0)

    async def used() -> None:
        await adapter.open()
        await adapter.set("key", b"a value")

    try:
        with pytest.raises(StoreError) as caught:
            await used()
    finally:
        await adapter.close()
    shown = f"{caught.value!r} {caught.value} {caught.value.to_dict()}"
    assert PASSWORD not in shown
    assert "a value" not in shown
    return caught.value


@pytest.mark.clause("FLT-6")
@pytest.mark.parametrize(
    ("word", "code", "cure"),
    [
        ("OOM", ErrorCode.STORE_OPERATION_FAILED, "Raise maxmemory"),
        ("READONLY", ErrorCode.STORE_CONNECTION_FAILED, "Retry"),
        ("LOADING", ErrorCode.STORE_CONNECTION_FAILED, "Retry"),
        ("BUSY", ErrorCode.STORE_TIMEOUT, "SCRIPT KILL"),
    ],
)
async def test_refused_write_names_cause_and_cure(
    server: ServerProcess, word: str, code: ErrorCode, cure: str
) -> None:
    async with server.refusing(word):
        error = await refused(server.url)

    assert (error.code, error.retryable, error.details) == (code, True, {"word": word})
    assert cure in error.message


async def test_server_that_cannot_save_refuses_writes(server: ServerProcess) -> None:
    # a directory that isn't empty, at the path of the dump file
    in_the_way = server.folder / "dump.rdb"
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    with server.exchange() as exchange:
        exchange.ask("CONFIG", "SET", "save", "3600 1")
        exchange.ask("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
        exchange.ask("BGSAVE")
        await _until_saving_has_failed(exchange)

        error = await refused(server.url)

    assert (error.code, error.retryable, error.maybe_applied) == (
        ErrorCode.STORE_OPERATION_FAILED,
        True,
        False,
    )
    assert error.details == {"word": "MISCONF"}
    assert "disk" in error.message
    assert "log" in error.message


async def _until_saving_has_failed(exchange: Exchange) -> None:
    async with asyncio.timeout(20):
        while (  # noqa: ASYNC110 - depends on the server, which sends no event
            b"rdb_last_bgsave_status:err" not in str(exchange.ask("INFO", "persistence")).encode()
        ):
            await asyncio.sleep(0.01)


def _outer_address() -> str:
    """This machine's address for other machines. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has only its loopback address")
        return str(asking.getsockname()[0])


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_protected_mode_refuses_clients_from_outside(kind: str) -> None:
    address = _outer_address()
    with servers.ServerProcess(
        # protected mode rejects clients from outside
        servers.or_skip(kind).target,
        arguments=("--bind", "0.0.0.0", "--protected-mode", "yes"),  # noqa: S104
    ) as server:
        error = await refused(f"redis://{address}:{server.address.port}")
        with_password = await refused(f"redis://:{PASSWORD}@{address}:{server.address.port}")

    for one in (error, with_password):
        assert (one.code, one.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, False)
        assert one.details == {"word": "DENIED"}
        assert "protected mode" in one.message


async def test_client_limit_is_named_in_the_error(server: ServerProcess) -> None:
    with server.exchange() as exchange:
        exchange.ask("CONFIG", "SET", "maxclients", 1)

        error = await refused(server.url)

    assert (error.code, error.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)
    assert error.details == {"word": "MAXCLIENTS"}
    assert "maxclients" in error.message
    assert "max number of clients" in str(error.__cause__)


async def test_demoted_primary_error_hides_the_password(
    server: Server,
) -> None:
    with server.exchange() as exchange:
        exchange.ask("CONFIG", "SET", "requirepass", PASSWORD)
    where = server.url.partition("://")[2]
    with server.exchange() as exchange:
        exchange.ask("AUTH", PASSWORD)
        exchange.ask("REPLICAOF", "127.0.0.1", 1)
        error = await refused(f"redis://:{PASSWORD}@{where}")
    assert error.details["word"] == "READONLY"


@pytest.mark.clause("FLT-6")
async def test_blocked_read_raises_when_server_becomes_replica(
    server: ServerProcess,
) -> None:
    adapter = RedisAdapter.from_url(server.url)
    await adapter.open()
    await adapter.xgroup_create("stream", "group")
    reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "me", block=20))
    with server.exchange() as exchange:
        async with asyncio.timeout(20):
            # the server has no event
            while exchange.info("clients")["blocked_clients"] != "1":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        exchange.ask("REPLICAOF", "127.0.0.1", "1")  # no server listens there
    with pytest.raises(StoreError) as caught:
        await reading
    await adapter.close()

    assert caught.value.details["word"] in {"READONLY", "MASTERDOWN"}
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)
