"""An event loop that was blocked for longer than the timeout of a call (FLT-10).

Runs on asyncio, and on uvloop, which runs timers before it reads sockets.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from igniter_store_conformance.servers import Server

pytestmark = pytest.mark.full


def ignore(channel: str, payload: bytes) -> None:
    del channel, payload


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers.start(servers.find("valkey")) as server:
        yield server


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.thorough)])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Any = asyncio if request.param == "asyncio" else pytest.importorskip("uvloop")
    return factory.new_event_loop  # type: ignore[no-any-return]  # of a module that may be missing


@pytest.mark.clause("FLT-10")
@pytest.mark.parametrize("turns", [0, 2, 8])
def test_calls_in_blocked_loop_get_answers(
    server: Server, loop_factory: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    async def use() -> list[object]:
        adapter = RedisAdapter.from_url(server.url, timeout=1.0)
        await adapter.open()
        try:
            for channel in ("old", f"new {turns}"):
                calls: list[asyncio.Task[Any]] = [
                    asyncio.create_task(adapter.set("key", b"value")),
                    asyncio.create_task(adapter.get("key")),
                    asyncio.create_task(adapter.xlen("stream")),
                    asyncio.create_task(adapter.subscribe(channel, ignore)),
                ]
                for _ in range(turns):
                    await asyncio.sleep(0)
                time.sleep(1.3)  # noqa: ASYNC251 - it blocks the event loop on purpose
                answers: list[object] = [*await asyncio.gather(*calls)]
            return answers[:3]
        finally:
            await adapter.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) == [True, b"value", 0]


@pytest.mark.clause("FLT-10")
@pytest.mark.parametrize("turns", [0, 3])
def test_opening_in_blocked_loop_succeeds(
    server: Server, loop_factory: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    async def use() -> float:
        adapter = RedisAdapter.from_url(server.url, timeout=1.5, connect_timeout=1.5)
        opening = asyncio.create_task(adapter.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        time.sleep(2.0)  # noqa: ASYNC251 - see above
        await opening
        try:
            return await adapter.ping()
        finally:
            await adapter.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) >= 0
