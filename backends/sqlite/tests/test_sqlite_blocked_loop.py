"""An event loop that was blocked for longer than a call's timeout (FLT-10).

The tests run on asyncio and on uvloop, which calls timers first.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import BackendTimeout
from igniter_store_sqlite import SQLiteAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

pytestmark = pytest.mark.full

TIMEOUT, BLOCKED = 0.8, 1.0


def sleep() -> None:
    time.sleep(BLOCKED)


def compute() -> None:
    until = time.monotonic() + BLOCKED
    while time.monotonic() < until:
        pass


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.thorough)])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Any = asyncio if request.param == "asyncio" else pytest.importorskip("uvloop")
    return factory.new_event_loop  # type: ignore[no-any-return]  # of an optional module


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Any]:
    """Yield an adapter with a short timeout for calls.

    It was opened with the usual timeout, because only calls are tested.
    """
    adapter: Any = SQLiteAdapter.from_url(url)
    await adapter.open()
    try:
        adapter._reads._timeout = adapter._writes._timeout = TIMEOUT
        yield adapter
    finally:
        await adapter.close()


@pytest.mark.clause("FLT-10")
@pytest.mark.parametrize(
    ("turns", "block", "place"),
    [
        pytest.param(0, sleep, "/{}/state.db", id="before a transaction"),
        pytest.param(2, sleep, "/{}/state.db", id="during a transaction"),
        pytest.param(2, sleep, "", id="in memory"),
        pytest.param(2, compute, "/{}/state.db", id="by computing"),
    ],
)
def test_calls_in_blocked_loop_get_answers(
    tmp_path: Path,
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    turns: int,
    block: Callable[[], None],
    place: str,
) -> None:
    async def use() -> list[object]:
        answers: list[object] = []
        async with opened(f"sqlite://{place.format(tmp_path)}") as adapter:
            for _ in range(2):
                calls = [
                    asyncio.create_task(adapter.set("key", b"value")),
                    asyncio.create_task(adapter.exists("other")),
                ]
                for _ in range(turns):
                    await asyncio.sleep(0)
                block()
                answers = [*await asyncio.gather(*calls)]
        return answers

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) == [True, False]


@pytest.mark.clause("FLT-10")
def test_opening_in_blocked_loop_succeeds(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def use() -> bool:
        adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db", timeout=3.0)
        opening = asyncio.create_task(adapter.open())
        for _ in range(2):
            await asyncio.sleep(0)
        time.sleep(4.0)  # noqa: ASYNC251 - it blocks the event loop on purpose
        await opening
        try:
            return await adapter.set("key", b"value")
        finally:
            await adapter.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) is True


@pytest.mark.clause("FLT-10")
def test_call_after_blocking_code_has_its_whole_time(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """uvloop's clock stands still within an iteration.

    So a call after blocking code seems to have been made before that code.
    """

    async def use() -> bool:
        async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
            first = asyncio.create_task(adapter.get("key"))
            await asyncio.sleep(0)
            sleep()
            written: bool = await adapter.set("key", b"value")
            await first
            return written

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) is True


@pytest.mark.clause("FLT-10")
def test_lock_released_in_blocked_loop_causes_no_timeout(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def use() -> int:
        async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
            locker = sqlite3.connect(
                tmp_path / "state.db", isolation_level=None, check_same_thread=False
            )
            locker.execute("BEGIN IMMEDIATE")
            counting: asyncio.Task[int] = asyncio.create_task(adapter.increment("counter"))
            await asyncio.sleep(0.01)  # time has to pass: nothing shows that the call met the lock
            release = threading.Timer(BLOCKED / 2, locker.close)
            release.start()
            sleep()
            release.join()
            return await counting

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) == 1


@pytest.mark.clause("FLT-4")
async def test_stalled_database_times_out_in_often_blocked_loop(
    tmp_path: Path,
) -> None:
    release = threading.Event()

    def stand_still(session: object) -> None:
        del session
        release.wait()

    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        standing = asyncio.ensure_future(adapter._writes.call(stand_still))
        try:
            async with asyncio.timeout(30):
                while not standing.done():
                    # The test needs a blocked loop.
                    time.sleep(0.04)  # noqa: ASYNC251
                    await asyncio.sleep(0.01)
            with pytest.raises(BackendTimeout):
                await standing
        finally:
            release.set()
