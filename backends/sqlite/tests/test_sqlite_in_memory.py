"""A database in memory lives on: when loops end, calls are cancelled, and memory is short.

Its data exist only in its one connection, or in the copy that `close` keeps for the next `open`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store_sqlite import SQLiteAdapter, database
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STEPS = 60
LIMIT = 30.0
# SQLAlchemy prints an exception when such a task is collected.
CUT_OFF: list[object] = []


async def filled(adapter: SQLiteAdapter, ballast: bytes = b"") -> None:
    await adapter.open()
    await adapter.set("key", b"value")
    await adapter.set("ballast", ballast)


async def reads_again(adapter: SQLiteAdapter) -> bytes | None:
    """Open the adapter, read, and close it."""
    async with asyncio.timeout(LIMIT):
        await adapter.open()
        value = await adapter.get("key")
        await adapter.close()
    return value


def ends_at(step: int, call: Callable[[], Awaitable[None]]) -> bool:
    """Run `call` in a loop that `asyncio.run` ends at this step; return whether it completed."""

    async def begin() -> bool:
        task = asyncio.ensure_future(call())
        for _ in range(step):
            await asyncio.sleep(0)
        return task.done()

    return asyncio.run(begin())


def is_cut_at(step: int, loop: asyncio.AbstractEventLoop, call: Awaitable[None]) -> bool:
    """Do as `ends_at`, in a loop that is closed without cancelling its tasks."""
    task: Any = asyncio.ensure_future(call, loop=loop)
    for _ in range(step + 1):
        loop.call_soon(loop.stop)
        loop.run_forever()
    is_through: bool = task.done()
    task._log_destroy_pending = False
    loop.close()
    return is_through


@pytest.mark.clause("LIF-12", "LIF-16")
@pytest.mark.parametrize("call", ["open", "close"])
def test_data_survive_loop_that_ends_during(call: str) -> None:
    for step in range(STEPS):
        adapter = SQLiteAdapter.from_url("sqlite://")

        async def work(adapter: SQLiteAdapter = adapter) -> None:
            await adapter.open()
            if call == "close":
                await adapter.close()

        asyncio.run(filled(adapter))
        is_through = ends_at(step, work)
        assert asyncio.run(reads_again(adapter)) == b"value", f"step {step}"
        if is_through:
            break


@pytest.mark.clause("LIF-12", "LIF-16")
def test_data_survive_loop_that_is_closed_by_hand_during_close() -> None:
    for step in range(STEPS):
        adapter = SQLiteAdapter.from_url("sqlite://")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(filled(adapter))
        is_through = is_cut_at(step, loop, adapter.close())
        assert asyncio.run(reads_again(adapter)) == b"value", f"step {step}"
        if is_through:
            break


@pytest.mark.clause("LIF-12")
def test_data_survive_opening_that_is_cancelled_after_loop_ended() -> None:
    for step in range(STEPS):
        adapter = SQLiteAdapter.from_url("sqlite://")
        asyncio.run(filled(adapter, bytes(30_000_000)))

        async def open_and_cancel(adapter: SQLiteAdapter = adapter, step: int = step) -> bool:
            opening = asyncio.create_task(adapter.open())
            for _ in range(step):
                await asyncio.sleep(0)
            is_through = not opening.cancel()
            await asyncio.wait({opening})
            assert await reads_again(adapter) == b"value", f"step {step}"
            return is_through

        if asyncio.run(open_and_cancel()):
            break


@pytest.mark.clause("LIF-8")
async def test_data_survive_opening_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = SQLiteAdapter.from_url("sqlite://")
    await filled(adapter)
    await adapter.close()
    with monkeypatch.context() as patch:
        patch.setattr(database, "_restore", without_memory)
        with pytest.raises(MemoryError):
            await adapter.open()

    assert await reads_again(adapter) == b"value"


@pytest.mark.clause("LIF-5", "LIF-8")
@pytest.mark.parametrize("then", ["close", "open"])
async def test_closing_that_failed_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    adapter = SQLiteAdapter.from_url("sqlite://")
    await filled(adapter)
    with monkeypatch.context() as patch:
        patch.setattr(database, "_contents", without_memory)
        with pytest.raises(MemoryError):
            await adapter.close()
    await (adapter.close() if then == "close" else adapter.open())

    assert await reads_again(adapter) == b"value"


def without_memory(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.mark.clause("LIF-6")
def test_users_tables_survive_loop_that_ends_during_close() -> None:
    for step in range(STEPS):
        engine = create_async_engine("sqlite+aiosqlite://")
        adapter = SQLiteAdapter(engine)
        asyncio.run(with_users_table(engine, adapter))

        async def open_and_close(adapter: SQLiteAdapter = adapter) -> None:
            await adapter.open()
            await adapter.close()

        is_through = ends_at(step, open_and_close)
        assert asyncio.run(users_rows(engine)) == [42], f"step {step}"
        asyncio.run(engine.dispose())
        if is_through:
            break


@pytest.mark.clause("LIF-6")
async def test_close_leaves_users_transaction_alone() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine)
    await with_users_table(engine, adapter)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("INSERT INTO mine VALUES (43)")
        await adapter.close()

    assert await users_rows(engine) == [42, 43]
    await engine.dispose()


async def with_users_table(engine: AsyncEngine, adapter: SQLiteAdapter) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE mine (number)")
        await connection.exec_driver_sql("INSERT INTO mine VALUES (42)")
    await filled(adapter)


async def users_rows(engine: AsyncEngine) -> list[int]:
    async with asyncio.timeout(LIMIT), engine.connect() as connection:
        return [*(await connection.exec_driver_sql("SELECT number FROM mine")).scalars()]


@pytest.mark.clause("LIF-2", "LIF-5")
async def test_calls_and_close_end_when_user_has_disposed_the_engine() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine, timeout=LIMIT)
    await filled(adapter)
    await engine.dispose()

    async with asyncio.timeout(LIMIT / 2):
        for call in (adapter.get("key"), adapter.set("key", b"value"), adapter.backup("copy.db")):
            with pytest.raises(StoreError) as caught:
                await call
            assert caught.value.code is ErrorCode.STORE_CONNECTION_FAILED
            assert "dispose" in caught.value.message
        await adapter.close()
    assert await reads_again(adapter) is None  # the database ended with the engine's connection
    await engine.dispose()


@pytest.mark.clause("LIF-5")
async def test_result_that_came_before_the_thread_ended_is_delivered() -> None:
    adapter: Any = SQLiteAdapter.from_url("sqlite://")
    await adapter.open()
    [connection] = adapter._database._connections
    writing = asyncio.create_task(adapter.increment("counter"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the call is on its way
    connection.stop()
    connection.thread.join(LIMIT)  # blocks the event loop, so the result waits
    await adapter._database.writes.close()

    assert await writing == 1
    await adapter.close()


@pytest.mark.clause("LIF-16")
def test_statement_of_user_that_outlives_its_loop_keeps_no_call_from_working() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine)
    began, go_on = threading.Event(), threading.Event()

    def wait() -> int:
        began.set()
        go_on.wait(LIMIT)
        return 1

    async def run_statement() -> None:
        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.create_function("wait", 0, wait)
            await connection.exec_driver_sql("SELECT wait()")

    asyncio.run(with_users_table(engine, adapter))
    loop = asyncio.new_event_loop()
    task: Any = loop.create_task(run_statement())
    while not began.is_set():
        loop.call_soon(loop.stop)
        loop.run_forever()
    task._log_destroy_pending = False
    loop.close()
    CUT_OFF.append(task)
    go_on.set()

    assert asyncio.run(reads_again(adapter)) == b"value"
    asyncio.run(engine.dispose())


@pytest.mark.clause("LIF-15")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes don't fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_that_inherits_an_engine_learns_what_to_do() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine)
    asyncio.run(filled(adapter))

    async def child() -> None:
        async with asyncio.timeout(LIMIT):
            await adapter.close()
            with pytest.raises(StoreError, match=r"engine\.dispose\(\)"):
                await adapter.open()
            await adapter.close()
            await engine.dispose()
            assert await reads_again(adapter) is None

    process = os.fork()
    if process == 0:
        try:
            asyncio.run(child())
        except BaseException:  # noqa: BLE001 - the parent checks the exit status
            os._exit(1)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0
    assert asyncio.run(reads_again(adapter)) == b"value"
    asyncio.run(engine.dispose())


@pytest.mark.clause("LIF-11")
@pytest.mark.parametrize("place", ["", "/{}/state.db"])
def test_close_in_second_loop_is_refused_while_first_loop_closes(tmp_path: Any, place: str) -> None:
    adapter: Any = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")
    go_on = threading.Event()

    def hold(_: object) -> None:
        go_on.wait(LIMIT)

    async def begin_to_close() -> None:
        await filled(adapter)
        adapter._database.writes.run(hold)  # so that the closing waits
        task = asyncio.create_task(adapter.close())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    with closing(asyncio.new_event_loop()) as first:
        first.run_until_complete(begin_to_close())
        for call in (adapter.close, adapter.open):
            with pytest.raises(StoreError, match="in another event loop that is still open"):
                asyncio.run(call())
        go_on.set()

    assert asyncio.run(reads_again(adapter)) == b"value"


@pytest.mark.clause("LIF-16")
@pytest.mark.parametrize("place", ["", "/{}/state.db"])
@pytest.mark.parametrize("step", range(1, 12))
def test_close_that_is_collected_leaves_the_next_loop_alone(
    tmp_path: Any, place: str, step: int
) -> None:
    adapter: Any = SQLiteAdapter.from_url(f"sqlite://{place.format(tmp_path)}")

    async def go_on() -> bytes | None:
        await adapter.open()
        gc.collect()  # the closing of the first loop
        value: bytes | None = await adapter.get("key")
        await adapter.close()
        return value

    loop = asyncio.new_event_loop()
    loop.run_until_complete(filled(adapter))
    is_cut_at(step, loop, adapter.close())
    for task in (adapter._ending, adapter._database._closing):
        if task is not None:
            task._log_destroy_pending = False
    del loop, task

    assert asyncio.run(go_on()) == b"value"


def test_memory_is_not_copied_when_loop_has_ended() -> None:
    """Module-level stores are used in one `asyncio.run` per call."""
    adapter: Any = SQLiteAdapter.from_url("sqlite://")
    asyncio.run(filled(adapter))
    [before] = adapter._database._connections

    async def go_on() -> None:
        await adapter.open()
        assert adapter._database._connections == [before]

    asyncio.run(go_on())
    asyncio.run(adapter.close())
    assert not before.thread.is_alive()


@pytest.mark.clause("LIF-13")
def test_forgotten_adapter_ends_its_thread_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    gc.collect()
    recwarn.clear()  # drop the warnings of other tests
    adapter: Any = SQLiteAdapter.from_url("sqlite://")

    async def cancelled_opening(adapter: SQLiteAdapter) -> None:
        opening = asyncio.create_task(adapter.open())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})

    asyncio.run(filled(adapter))
    thread = adapter._database._connections[0].thread
    asyncio.run(cancelled_opening(adapter))  # abandons the state of the first loop
    assert thread.is_alive() is bool(adapter._database._connections)
    del adapter
    gc.collect()

    thread.join(LIMIT)
    assert not thread.is_alive()
    assert [str(warning.message) for warning in recwarn] == []
