"""The constructor accepts only clients of redis-py whose connections reach a server."""

# no clause: the contract doesn't cover the constructor's arguments.

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock

import fakeredis
import pytest
import redis
import redis.asyncio
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter


class AnsweringConnection(redis.asyncio.Connection):
    """A connection that answers commands itself, as test doubles do."""

    async def read_response(self, *_: Any, **__: Any) -> Any:
        return b"OK"


def mocked(kind: Any) -> Any:
    return MagicMock(spec=kind)


def with_connections(kind: Any) -> Any:
    pool: Any = redis.asyncio.ConnectionPool(connection_class=kind)
    return redis.asyncio.Redis(connection_pool=pool)


@pytest.mark.parametrize(
    "make",
    [
        fakeredis.FakeAsyncRedis,
        fakeredis.FakeRedis,
        lambda: AsyncMock(spec=redis.asyncio.Redis),
        lambda: mocked(redis.asyncio.Redis),
        lambda: mocked(redis.asyncio.RedisCluster),
        AsyncMock,
        lambda: with_connections(AnsweringConnection),
    ],
)
def test_client_without_transport_is_refused(make: Any) -> None:
    with pytest.raises(StoreError) as caught:
        RedisAdapter(client=make())

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "memory://" in caught.value.message


def test_blocking_client_names_asyncio_one() -> None:
    with pytest.raises(StoreError) as caught:
        # as a caller without a type checker may write
        RedisAdapter(client=redis.Redis())  # type: ignore[arg-type]

    assert "redis.asyncio" in caught.value.message


async def test_open_refuses_connections_without_a_transport() -> None:
    class Writer:
        def close(self) -> None: ...

        async def wait_closed(self) -> None: ...

        def is_closing(self) -> bool:
            return False

    class NowhereConnection(redis.asyncio.Connection):
        async def _connect(self) -> None:
            nowhere: Any = Writer()
            self._reader = self._writer = nowhere

        async def on_connect(self) -> None: ...

    adapter = RedisAdapter(client=with_connections(NowhereConnection))

    with pytest.raises(StoreError) as caught:
        await adapter.open()

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "memory://" in caught.value.message


@pytest.mark.parametrize(
    "pool", [redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool]
)
async def test_client_with_own_class_of_connection_works(pool: Any) -> None:
    server = servers.or_skip("valkey")

    class Tunnel(redis.asyncio.Connection):
        async def _connect(self) -> None:
            untyped: Any = super()
            await untyped._connect()

    address = server.address
    client = redis.asyncio.Redis(
        connection_pool=pool(connection_class=Tunnel, host=address.host, port=address.port)
    )
    adapter = RedisAdapter(client=client)
    try:
        await adapter.open()
        assert await adapter.ping() > 0
    finally:
        await adapter.close()
        await client.aclose()


async def test_client_password_works_without_server_password() -> None:
    address = servers.or_skip("valkey").address
    client = redis.asyncio.Redis(host=address.host, port=address.port, password="a-password")
    adapter = RedisAdapter(client=client)
    try:
        await adapter.open()
        assert await adapter.ping() > 0
    finally:
        await adapter.close()
        await client.aclose()
