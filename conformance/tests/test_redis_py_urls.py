"""The URLs of the adapter over redis-py: only the scheme decides which client it makes."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store.contract import ConfigurationError
from igniter_store_conformance.redis_py import RedisOracle, RedisPyAdapter
from igniter_store_conformance.redis_py.urls import client
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import SSLConnection


def arguments(url: str) -> dict[str, Any]:
    """Return what the client of a URL passes to its connections."""
    made: Any = client(url)
    assert isinstance(made, Redis)
    pool: Any = made.connection_pool
    kept = ("host", "port", "path", "username", "password", "db")
    return {name: value for name, value in pool.connection_kwargs.items() if name in kept and value}


@pytest.mark.parametrize("scheme", ["redis", "valkey", "dragonfly", "VALKEY"])
def test_client_keeps_host_and_password_that_contain_valkey(scheme: str) -> None:
    assert arguments(f"{scheme}://valkey:valkey+cluster@my-valkey.example:7000/2") == {
        "host": "my-valkey.example",
        "port": 7000,
        "username": "valkey",
        "password": "valkey+cluster",
        "db": 2,
    }


def test_client_keeps_socket_path_that_contains_valkey() -> None:
    assert arguments("unix:///run/valkey/valkey+cluster.sock?db=3") == {
        "path": "/run/valkey/valkey+cluster.sock",
        "db": 3,
    }


@pytest.mark.parametrize("scheme", ["redis+cluster", "valkey+cluster", "valkeys+cluster"])
def test_cluster_scheme_makes_cluster_client(scheme: str) -> None:
    made: Any = client(f"{scheme}://me:secret@valkey:7000,other:7001")

    assert isinstance(made, RedisCluster)
    assert list(made.nodes_manager.startup_nodes) == ["valkey:7000", "other:7001"]
    assert made.connection_kwargs["password"] == "secret"  # noqa: S105 - a made-up one


@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "dragonflys"])
def test_secure_scheme_uses_tls_with_its_options(scheme: str) -> None:
    pool: Any = client(f"{scheme}://host?tls_ca_certs=/ca.pem").connection_pool

    assert pool.connection_class is SSLConnection
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"


@pytest.mark.parametrize(
    "query", ["foo=secret", "decode_responses=secret", "timeout=secret", "ssl_ca_certs=secret"]
)
def test_unusable_query_is_refused_and_not_shown(query: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisPyAdapter.from_url(f"redis://localhost?{query}")

    assert query.partition("=")[0] in caught.value.message
    assert "secret" not in caught.value.message


async def test_oracle_refuses_an_unusable_query() -> None:
    with pytest.raises(ConfigurationError, match="doesn't have an option 'foo'"):
        await RedisOracle("redis://localhost?foo=1").peek("key")


def test_query_of_common_options_is_accepted() -> None:
    RedisPyAdapter.from_url("redis://localhost?timeout=3&connect_timeout=1&connections=2")


def test_adapter_refuses_clusters() -> None:
    with pytest.raises(ConfigurationError, match="doesn't begin with redis://"):
        RedisPyAdapter.from_url("redis+cluster://localhost")
