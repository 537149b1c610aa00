"""Failures before the first command: invalid URLs and options, unreachable servers, bad logins.

No message contains a password.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from igniter_store import BatchEntry, Store
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from igniter_store_conformance.servers import Server

PASSWORD = "hush-hush"  # noqa: S105 - of a server that lives for a test


@pytest.fixture
def server() -> Server:
    return servers.or_skip("valkey")


def address(server: Server) -> str:
    return server.url.partition("://")[2]


async def failure(url: str, *, connect_timeout: float = 2.0, **options: Any) -> StoreError:
    """The error that opening an adapter for this URL raises."""
    with pytest.raises(StoreError) as caught:
        await RedisAdapter.from_url(url, connect_timeout=connect_timeout, **options).open()
    assert PASSWORD not in f"{caught.value!r} {caught.value} {caught.value.to_dict()}"
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:port/0",
        "redis://localhost/zero",
        "unix://",
        f"redis://me:{PASSWORD}@localhost/0?tiemout=3",
        f"redis://me:1234?{PASSWORD}@localhost",
        f"redis://me:1234#{PASSWORD}@localhost",
        f"redis+cluster://me:1234#{PASSWORD}@localhost",
        f"redis://me:1234/{PASSWORD}@localhost",
        "http://localhost",
        "redis",
    ],
)
def test_invalid_url_is_refused_before_connecting(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter.from_url(url)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"timeout": True}, {"connect_timeout": "soon"}, {"tiemout": 3}]
)
def test_an_option_with_a_mistake_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter.from_url("redis://localhost", **options)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert next(iter(options)) in caught.value.message


@pytest.mark.parametrize("client", ["redis://localhost", redis.asyncio.Redis, None])
def test_client_of_wrong_type_is_refused(client: Any) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter(client=client)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "from_url" in caught.value.message


@pytest.mark.clause("LIF-3")
async def test_unreachable_host_raises_retryable_error() -> None:
    error = await failure(f"redis://me:{PASSWORD}@127.0.0.1:1/0")

    assert (error.code, error.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)


@pytest.mark.clause("LIF-3")
@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://localhost:1", " at localhost:1 (connection refused)."),
        ("redis://[::1]:1", " at [::1]:1 ("),
        ("unix:///no/such/socket", "The socket /no/such/socket doesn't exist."),
        ("redis+cluster://127.0.0.1:1,127.0.0.1:2", " at 127.0.0.1:1, 127.0.0.1:2, "),
        ("redis://missing.invalid", "Can't resolve the host name (missing.invalid:6379)"),
        ("redis+cluster://missing.invalid", "Can't resolve the host name (missing.invalid:6379)"),
    ],
)
async def test_unreachable_server_error_names_the_address(url: str, place: str) -> None:
    error = await failure(url)

    assert (error.code, error.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, True)
    assert place in error.message


@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster", "rediss+sentinel"])
@pytest.mark.parametrize(
    "option",
    [f"ssl_ca_certs={__file__}", "ssl_ca_certs=/no/such/file", "ssl_certfile=/no/such/file"],
)
def test_unusable_tls_file_is_refused_before_connecting(scheme: str, option: str) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter.from_url(
            f"{scheme}://localhost/{'service' if 'sentinel' in scheme else ''}?{option}"
        )

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert option.partition("=")[0] in caught.value.message


async def test_missing_database_raises_connection_failed(server: Server) -> None:
    error = await failure(f"redis://{address(server).partition('/')[0]}/4711")

    assert error.code == ErrorCode.STORE_CONNECTION_FAILED


async def test_tls_to_plain_port_mentions_the_scheme(server: Server) -> None:
    error = await failure(f"rediss://me:{PASSWORD}@{address(server)}")

    assert error.code == ErrorCode.STORE_CONNECTION_FAILED
    assert "rediss://" in error.message


@pytest.mark.clause("FLT-6")
async def test_wrong_password_is_reported_without_its_value() -> None:
    with servers.start("valkey") as guarded:
        with guarded.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "requirepass", "another")

        wrong = await failure(f"redis://:{PASSWORD}@{address(guarded)}")
        none = await failure(f"redis://{address(guarded)}")

    for error in (wrong, none):
        assert (error.code, error.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, False)
        assert "password" in error.message


@pytest.mark.clause("KV-2")
async def test_adapter_returns_bytes_with_a_decoding_client(server: Server) -> None:
    untyped: Any = redis.asyncio.Redis
    client: Any = untyped.from_url(server.url, decode_responses=True)
    adapter = RedisAdapter(client=client)
    try:
        await adapter.open()
        await adapter.set("decoding", b"\xff\x00")
        assert await adapter.get("decoding") == b"\xff\x00"
        await adapter.delete(["decoding"])
    finally:
        await adapter.close()
        await client.aclose()


def minimal_rights() -> list[str]:
    """The README's command for a user with minimal rights."""
    lines = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").splitlines()
    return (
        next(line for line in lines if line.startswith("ACL SETUSER api "))
        .replace(">password", f">{PASSWORD}")
        .split()
    )


async def test_user_with_minimal_rights_can_do_everything(server: Server) -> None:
    """The README's rights allow access only to the store's keys."""
    with server.exchange() as exchange:
        exchange.ask(*minimal_rights())
    try:
        async with Store.from_url(
            f"redis://api:{PASSWORD}@{address(server)}", service="api"
        ) as store:
            await store.kv.set("key", 1, ttl=60)
            assert await store.batch.get(["key", "none"]) == [1, None]
            assert await store.counter.increment("counter", ttl=60) == 1
            assert await store.claim.once("claim", "me", ttl=60)
            assert await store.claim.release("claim", "me")
            assert await store.claim.once("claim", "me", ttl=60)
            assert await store.claim.renew("claim", "me", 60)
            await store.batch.set([BatchEntry("a", 1, ttl=60), BatchEntry("b", 2)])
            assert await store.batch.remove(["a", "b"]) == 2
            heard: list[Any] = []
            async with await store.events.subscribe("order:*", heard.append):
                assert await store.events.publish("order:placed", 1) == 1
            group = store.streams.group("group", "consumer")
            await group.ensure("stream")
            await store.streams.append("stream", 1)
            assert [message.message for message in await group.read("stream", block=1)] == [1]
            assert [message.deliveries for message in await group.pending("stream")] == [1]
            assert [message.message for message in await group.claim("stream", min_idle=0)] == [1]
            assert await store.streams.trim("stream", 0, approximate=False) == 1
            assert [facts.name for facts in await store.streams.groups("stream")] == ["group"]
            assert [key async for key in store.dev.iterate("*")] == ["key"]
            with pytest.raises(StoreError) as caught:
                # adds no prefix
                await store.adapter.get("another service's")  # type: ignore[attr-defined]
            assert caught.value.details == {"word": "NOPERM"}
    finally:
        with server.exchange() as exchange:
            exchange.ask("ACL", "DELUSER", "api")


async def test_subscribe_raises_when_acl_forbids_the_channel(server: Server) -> None:
    with server.exchange() as exchange:
        exchange.ask("ACL", "SETUSER", "deaf", "on", f">{PASSWORD}", "~*", "+@all", "resetchannels")
    adapter = RedisAdapter.from_url(f"redis://deaf:{PASSWORD}@{address(server)}")
    try:
        await adapter.open()
        for subscribe in (adapter.subscribe, adapter.psubscribe):
            with pytest.raises(StoreError) as caught:
                await subscribe("secret", lambda _, payload: None)
            assert (caught.value.code, caught.value.details) == (
                ErrorCode.STORE_OPERATION_FAILED,
                {"word": "NOPERM"},
            )
    finally:
        await adapter.close()
        with server.exchange() as exchange:
            exchange.ask("ACL", "DELUSER", "deaf")


async def test_tls_works_with_a_new_certificate(tmp_path: Path, server: Server) -> None:
    async with servers.tls_before(server.address, tmp_path) as port:
        adapter = RedisAdapter.from_url(
            f"rediss://{port.address}/0?ssl_ca_certs={port.certificate}"
        )
        try:
            await adapter.open()
            await adapter.set("over tls", b"x" * 300_000)
            assert await adapter.get("over tls") == b"x" * 300_000
            assert await adapter.delete(["over tls"]) == 1
        finally:
            await adapter.close()

        for url in (f"rediss://{port.address}/0", f"rediss+cluster://{port.address}"):
            error = await failure(url, connect_timeout=30.0)
            assert (error.code, error.retryable) == (ErrorCode.STORE_CONNECTION_FAILED, False)
            assert "ssl_ca_certs" in error.message
