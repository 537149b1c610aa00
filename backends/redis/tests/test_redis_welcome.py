"""Servers that reject a connection: each error names the cause, the address and the cure.

These tests use real servers, and plain sockets for everything else.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from pathlib import Path

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full

Serve: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"

SECRET = "hush"  # noqa: S105 - the password and the user of servers that live for a test
PASSWORD = f"{SECRET}-1"


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server without a password for the default user."""
    with servers.start(servers.or_skip(request.param).target) as started:
        with started.exchange() as exchange:
            exchange.ask(
                "ACL",
                "SETUSER",
                f"{SECRET}-select",
                "on",
                f">{PASSWORD}",
                "~*",
                "&*",
                "+@all",
                "-select",
            )
            exchange.ask(
                "ACL",
                "SETUSER",
                f"{SECRET}-client",
                "on",
                f">{PASSWORD}",
                "~*",
                "&*",
                "+@all",
                "-client",
            )
            exchange.ask(
                "ACL",
                "SETUSER",
                f"{SECRET}-cluster",
                "on",
                f">{PASSWORD}",
                "~*",
                "&*",
                "+@all",
                "-cluster",
            )
            exchange.ask(
                "ACL", "SETUSER", f"{SECRET}-off", "off", f">{PASSWORD}", "~*", "&*", "+@all"
            )
        yield started


@pytest.fixture(scope="module", params=["redis", "valkey"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with a password."""
    with servers.start(servers.or_skip(request.param).target) as started:
        with started.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "requirepass", PASSWORD)
        yield started


def place(server: Server) -> str:
    return f"{server.address.host}:{server.address.port}"


async def refusal(url: str, connect_timeout: float = 1.0) -> StoreError:
    """The error that opening an adapter for this URL raises.

    Checks that the error and its cause show neither user nor password, and that no task is left.
    """
    adapter = RedisAdapter.from_url(url, connect_timeout=connect_timeout)
    with pytest.raises(StoreError) as caught:
        await adapter.open()
    error = caught.value
    assert error.code == ErrorCode.STORE_CONNECTION_FAILED
    behind: list[BaseException] = [error]
    for one in behind:
        assert SECRET not in f"{one} {one!r} {one.args}"
        behind += [
            more
            for more in (one.__cause__, one.__context__)
            if more is not None and more not in behind
        ]
    assert [
        task
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task() and "serve" not in str(task)
    ] == []
    return error


@pytest.mark.parametrize("login", [f":{PASSWORD}", f"default:{PASSWORD}"])
@pytest.mark.parametrize("end", ["", "/1"])
async def test_password_works_where_the_server_has_none(
    server: Server, login: str, end: str
) -> None:
    adapter = RedisAdapter.from_url(f"redis://{login}@{place(server)}{end}")
    try:
        await adapter.open()
        assert await adapter.get("missing") is None
    finally:
        await adapter.close()


@pytest.mark.parametrize(
    ("login", "end", "word", "message"),
    [
        (f"{SECRET}-missing:{PASSWORD}@", "", "WRONGPASS", "rejected the user name or password"),
        (f"{SECRET}-off:{PASSWORD}@", "", "WRONGPASS", "rejected the user name or password"),
        (f"{SECRET}-select:{PASSWORD}@", "/1", "NOPERM", "Allow it with ACL SETUSER"),
        (f"{SECRET}-client:{PASSWORD}@", "?client_name=api", "NOPERM", "Allow it with ACL SETUSER"),
        (
            "",
            "/99",
            "ERR",
            "doesn't have a database with this number. Correct the number in the URL",
        ),
        (
            "",
            "?db=2147483647",
            "ERR",
            "doesn't have a database with this number. Correct the number in the URL",
        ),
    ],
)
async def test_rejected_login_or_database_names_the_cure(
    server: Server, login: str, end: str, word: str, message: str
) -> None:
    error = await refusal(f"redis://{login}{place(server)}{end}")

    assert (error.retryable, error.details) == (False, {"word": word})
    assert message in error.message
    assert place(server) in error.message
    assert str(error.__cause__).startswith(word)


@pytest.mark.clause("FLT-6")
@pytest.mark.parametrize("login", [f":{SECRET}@", f"default:{SECRET}@", f"{SECRET}@", ""])
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_wrong_or_missing_password_names_the_address(
    guarded: Server, scheme: str, login: str
) -> None:
    error = await refusal(f"{scheme}://{login}{place(guarded)}")

    assert (error.retryable, error.details["word"]) == (False, "WRONGPASS" if login else "NOAUTH")
    assert place(guarded) in error.message


async def test_database_behind_a_password_is_named(guarded: Server) -> None:
    assert (
        "doesn't have a database with this number"
        in (await refusal(f"redis://:{PASSWORD}@{place(guarded)}/99")).message
    )


async def test_single_server_given_as_a_cluster_is_named(server: Server) -> None:
    for login in ("", f":{PASSWORD}@"):
        error = await refusal(f"redis+cluster://{login}{place(server)}")
        assert error.retryable is False
        assert "begins with redis://" in error.message

    error = await refusal(f"redis+cluster://{SECRET}-cluster:{PASSWORD}@{place(server)}")
    assert error.details == {"word": "NOPERM"}


async def test_single_server_given_as_a_sentinel_is_named(server: Server) -> None:
    error = await refusal(f"redis+sentinel://{place(server)}/service")

    assert error.retryable is False
    assert "isn't a Sentinel. Use a URL that begins with redis://" in error.message
    assert place(server) in error.message


async def test_sentinel_errors_name_the_cause_and_cure() -> None:
    with servers.start_sentinel(servers.find_or_skip("valkey")) as behind:
        places = ",".join(f"{host}:{port}" for host, port in behind.addresses)
        unknown = await refusal(f"redis+sentinel://{places}/{SECRET}-service")
        as_server = await refusal(f"redis://{places.partition(',')[0]}")
        as_server_with_database = await refusal(f"redis://{places.partition(',')[0]}/1")
        as_cluster = await refusal(f"redis+cluster://{places}")
        for sentinel in behind.sentinels:
            with sentinel.exchange() as exchange:
                exchange.ask("ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}")
        locked = await refusal(f"redis+sentinel://{places}/{behind.name}")
        adapter = RedisAdapter.from_url(
            f"redis+sentinel://{places}/{behind.name}?sentinel_password={PASSWORD}"
        )
        await adapter.open()
        await adapter.close()

    assert "don't know a running primary with this name" in unknown.message
    assert "Correct the service in the URL" in unknown.message
    assert "The server is a Sentinel, which has no data" in as_server.message
    assert "doesn't support SELECT" in as_server_with_database.message
    assert "is a Sentinel, or another server without data commands" in as_cluster.message
    for one in (as_server, as_server_with_database, as_cluster):
        assert "redis+sentinel:// and names the service" in one.message
    assert "Pass sentinel_password" in locked.message
    for one in (unknown, locked, as_cluster):
        assert places.replace(",", ", ") in one.message


@pytest.mark.clause("LIF-3")
async def test_unreachable_sentinels_are_named() -> None:
    error = await refusal("redis+sentinel://127.0.0.1:1,127.0.0.1:2/service")

    assert error.retryable is True
    assert "Can't reach any sentinel at 127.0.0.1:1, 127.0.0.1:2" in error.message


async def test_cluster_node_given_as_server_is_named() -> None:
    with servers.start_cluster(servers.find_or_skip("valkey")) as cluster:
        where = f"{cluster.primaries[0].address.host}:{cluster.primaries[0].port}"
        error = await refusal(f"redis://{where}/1")
        assert "only database 0" in error.message or "a database with this number" in error.message

        adapter = RedisAdapter.from_url(f"redis://{where}")
        await adapter.open()
        key = next(
            f"key-{number}"
            for number in range(100)
            if cluster.owner(f"key-{number}") is not cluster.primaries[0]
        )
        with pytest.raises(StoreError) as caught:
            await adapter.get(key)
        await adapter.close()
    assert "redis+cluster://" in caught.value.message


@asynccontextmanager
async def listening(serve: Serve) -> AsyncGenerator[str]:
    """The address of a listening port that isn't Redis."""
    running: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.create_task(served(reader, writer), name="serve"))

    front = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{front.sockets[0].getsockname()[1]}"
    finally:
        front.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await reader.read()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(100):
        pass


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)


async def goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)


NO_REDIS = "is neither Redis nor Valkey. Correct the host and the port"
NO_CLUSTER = "or some of its slots have no node ("


@pytest.mark.parametrize(
    ("serve", "cure", "cluster_cure"),
    [
        (http, NO_REDIS, NO_REDIS),
        (ssh, NO_REDIS, NO_REDIS),
        (echo, NO_REDIS, NO_REDIS),
        (silence, "didn't reply within 1 seconds. Check that it is Redis or Valkey", NO_CLUSTER),
        (
            goodbye,
            "closed the connection before it replied. Check whether it requires TLS (rediss://)",
            NO_CLUSTER,
        ),
    ],
)
async def test_port_of_something_else_is_named(serve: Serve, cure: str, cluster_cure: str) -> None:
    async with listening(serve) as where:
        error = await refusal(f"redis://{SECRET}:{PASSWORD}@{where}")
        on_cluster = await refusal(f"redis+cluster://{SECRET}:{PASSWORD}@{where}")

    assert cure in error.message
    assert cluster_cure in on_cluster.message
    for one in (error, on_cluster):
        assert where in one.message


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        (http, "doesn't support TLS, or not an allowed version"),
        (ssh, "doesn't support TLS, or not an allowed version"),
        (echo, "doesn't support TLS, or not an allowed version"),
        (goodbye, "doesn't support TLS, or not an allowed version"),
        (silence, "didn't complete the TLS handshake within 1 seconds"),
    ],
)
async def test_tls_to_a_plain_port_is_named(serve: Serve, failure: str) -> None:
    async with listening(serve) as where:
        error = await refusal(f"rediss://{SECRET}:{PASSWORD}@{where}")

    assert f"The server at {where} {failure}" in error.message
    assert "se a URL that begins with redis://" in error.message


async def test_tls_accepts_only_a_trusted_certificate(server: Server, tmp_path: Path) -> None:
    async with servers.tls_before(server.address, tmp_path) as port:
        number = port.address.partition(":")[2]
        plain = await refusal(f"redis://{port.address}")
        untrusted = await refusal(f"rediss://{port.address}")
        adapter = RedisAdapter.from_url(
            f"rediss://localhost:{number}?ssl_ca_certs={port.certificate}"
        )
        await adapter.open()
        await adapter.close()

    assert "Check whether it requires TLS (rediss://)" in plain.message
    assert (
        untrusted.retryable,
        "isn't trusted" in untrusted.message,
        "ssl_ca_certs" in untrusted.message,
    ) == (False, True, True)


async def test_certificate_of_another_host_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with servers.tls_before(server.address, tmp_path) as port:
        loop = asyncio.get_running_loop()
        resolve = loop.getaddrinfo

        async def resolved(host: str, *arguments: object, **options: object) -> object:
            known = "127.0.0.1" if host == "other.example" else host
            # passed on
            return await resolve(known, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "getaddrinfo", resolved)
        error = await refusal(
            f"rediss://other.example:{port.address.partition(':')[2]}?ssl_ca_certs={port.certificate}"
        )

    assert error.retryable is False
    assert "isn't valid for this host" in error.message
    assert "other.example" in error.message


@pytest.mark.clause("LIF-3")
async def test_unusable_sockets_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead"))
    cures = {
        "missing": "The socket",
        "file": "or it isn't a socket",
        "dead": "No server listens on",
        "x" * 200: "too long for a socket",
    }
    try:
        for name, cure in cures.items():
            error = await refusal(f"unix://{SECRET}:{PASSWORD}@{tmp_path}/{name}")
            assert cure in error.message
            assert str(tmp_path / name) in error.message
    finally:
        dead.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
async def test_socket_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o000)

    assert (
        "isn't allowed to use the socket"
        in (await refusal(f"unix://{tmp_path}/folder/socket")).message
    )


@pytest.mark.clause("LIF-3")
@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+cluster", "rediss+cluster"])
async def test_closed_port_and_unknown_host_are_named(scheme: str) -> None:
    closed = await refusal(f"{scheme}://{SECRET}:{PASSWORD}@127.0.0.1:1", 30.0)
    unknown = await refusal(f"{scheme}://{SECRET}:{PASSWORD}@missing.invalid", 30.0)

    assert "127.0.0.1:1" in closed.message
    assert "(connection refused). Check that" in closed.message
    assert "Can't resolve the host name (missing.invalid:6379). Check the URL" in unknown.message
    assert (closed.retryable, unknown.retryable) == (True, True)
