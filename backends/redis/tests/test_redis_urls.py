"""The arguments that redis-py gets for a URL: every part of the URL has an effect."""

# no clause: the contract doesn't cover the options of a URL.

from __future__ import annotations

from typing import Any

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter
from redis.asyncio.connection import SSLConnection


def connection(url: str, **options: Any) -> Any:
    """A connection of redis-py that the adapter for this URL makes; it isn't connected."""
    made: Any = RedisAdapter.from_url(url, **options)
    return made._client.connection_pool.make_connection()


@pytest.mark.parametrize(
    ("url", "host", "port", "db"),
    [
        ("redis://localhost", "localhost", 6379, 0),
        ("redis://localhost/", "localhost", 6379, 0),
        ("redis://localhost:7000/3/", "localhost", 7000, 3),
        ("redis://localhost?db=3", "localhost", 6379, 3),
        ("redis://localhost/?db=3", "localhost", 6379, 3),
        ("redis://[::1]:7000/1", "::1", 7000, 1),
        ("redis://[0:0::1]", "::1", 6379, 0),
        ("redis://[fe80::1%25eth0]", "fe80::1%eth0", 6379, 0),
        ("redis://bücher.example/1", "xn--bcher-kva.example", 6379, 1),
        ("redis://b%C3%BCcher.example", "xn--bcher-kva.example", 6379, 0),
        ("redis://my_redis.internal.", "my_redis.internal.", 6379, 0),
        ("redis://10.0.0.1:1", "10.0.0.1", 1, 0),
    ],
)
def test_place_is_taken_from_the_url(url: str, host: str, port: int, db: int) -> None:
    made = connection(url)

    assert (made.host, made.port, int(made.db)) == (host, port, db)


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("redis://localhost", None, None),
        ("redis://me:secret@localhost", "me", "secret"),
        ("redis://me@localhost", "me", None),
        ("redis://:secret@localhost", "default", "secret"),
        ("redis://:@localhost", None, None),
        ("redis://m%40e:%2F%3F%23%40%3A%25%20@localhost", "m@e", "/?#@:% "),
        ("redis://me:p@ss@localhost", "me", "p@ss"),
        ("redis://me:a+b@localhost", "me", "a+b"),
        ("redis://me:%C3%BC@localhost", "me", "ü"),
        ("redis://localhost?username=me&password=s%26t", "me", "s&t"),
        ("redis://me@localhost?password=secret", "me", "secret"),
        ("unix://me:secret@/run/redis.sock", "me", "secret"),
        ("unix:///run/redis.sock?password=secret", "default", "secret"),
    ],
)
def test_login_is_taken_from_the_url(url: str, username: str | None, password: str | None) -> None:
    made = connection(url)

    assert (made.username, made.password) == (username, password)


def test_arguments_override_the_url() -> None:
    made = connection(
        "redis://me:secret@localhost/1?client_name=a",
        username="you",
        password="other",
        db=2,
        client_name="b",
    )

    assert (made.username, made.password, made.db, made.client_name) == ("you", "other", 2, "b")


def test_options_of_redis_py_reach_it() -> None:
    made = connection("redis://localhost?client_name=api&socket_keepalive=false")

    assert (made.client_name, made.socket_keepalive) == ("api", False)


def test_socket_has_its_path_and_database() -> None:
    made = connection("unix:///run/a%20b.sock?db=4&socket_timeout=2")

    assert (made.path, made.db) == ("/run/a b.sock", 4)


def test_redis_py_timeouts_are_the_adapters() -> None:
    adapter: Any = RedisAdapter.from_url(
        "redis://localhost?socket_timeout=1.5&socket_connect_timeout=2&connections=7&sharded_pubsub=true"
    )

    assert adapter._commands.timeout == 1.5
    assert len(adapter._commands._connections) == 7
    assert adapter._is_sharded is True
    assert adapter._commands._first._connector._timeout == 2


@pytest.mark.parametrize("scheme", ["rediss", "rediss+sentinel", "rediss+cluster"])
def test_options_of_tls_reach_redis_py(scheme: str) -> None:
    url = (
        f"{scheme}://localhost/{'service' if 'sentinel' in scheme else ''}"
        "?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_min_version=1.3"
    )
    adapter: Any = RedisAdapter.from_url(url)
    client = adapter._client
    nodes = getattr(client, "nodes_manager", None)
    made = client.connection_pool.make_connection() if nodes is None else None
    if nodes is not None:
        [node] = nodes.startup_nodes.values()
        made = node.connection_class(**node.connection_kwargs)

    assert isinstance(made, SSLConnection)
    context: Any = made.ssl_context
    assert context.min_version == 772
    assert made.check_hostname is False


@pytest.mark.parametrize(
    "option",
    [
        "sentinel_password",
        "sentinel_username",
        "require_full_coverage",
        "lib_name",
        "read_from_replicas",
    ],
)
def test_option_of_another_kind_of_servers_is_refused(option: str) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter.from_url(f"redis://localhost?{option}=true")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert option in caught.value.message


def test_sentinels_have_a_login_of_their_own() -> None:
    adapter: Any = RedisAdapter.from_url(
        "redis+sentinel://me:secret@a:1,[::1]/the%20service/2?sentinel_password=other"
    )
    pool = adapter._client.connection_pool

    assert (pool.service_name, pool.connection_kwargs["db"]) == ("the service", 2)
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == (
        "me",
        "secret",
    )
    sentinels = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in sentinels] == [("a", 1), ("::1", 26379)]
    assert {(one["username"], one["password"]) for one in sentinels} == {("default", "other")}


async def test_every_spelling_of_the_database_is_equal() -> None:
    server = servers.or_skip("valkey").address
    urls = [
        f"redis://{server.host}:{server.port}/5",
        f"REDIS://{server.host}:{server.port}?db=5",
        f"redis://{server.host}:{server.port}/5/",
    ]
    adapters = [RedisAdapter.from_url(url) for url in urls]
    try:
        for adapter in adapters:
            await adapter.open()
        await adapters[0].set("one-database", b"1")
        assert [await adapter.get("one-database") for adapter in adapters] == [b"1"] * 3
        await adapters[0].delete(["one-database"])
    finally:
        for adapter in adapters:
            await adapter.close()
