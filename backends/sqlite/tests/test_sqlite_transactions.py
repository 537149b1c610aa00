"""One event-loop iteration, one transaction.

The tests cover which calls share a transaction, and the effect on the others if one call fails, is
cancelled or times out.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import BackendTimeout, Entry, ErrorCode, StoreError
from igniter_store_sqlite import SQLiteAdapter
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from igniter_store_sqlite.session import Session
    from igniter_store_sqlite.worker import Worker

LIMIT = 30.0


@contextlib.asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(url, **options)
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


def writes_of(adapter: Any) -> Worker:
    worker: Worker = adapter._writes
    return worker


async def statements_of(adapter: Any, *, reads: bool) -> list[str]:
    """Return a list that collects every statement executed from now on."""
    statements: list[str] = []
    worker: Worker = adapter._reads if reads else adapter._writes
    await worker.run(lambda connection: connection.set_trace_callback(statements.append))
    return statements


async def test_calls_of_one_iteration_share_a_transaction(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        statements = await statements_of(adapter, reads=False)
        await asyncio.gather(
            *(adapter.set(f"key-{number}", b"value") for number in range(50)),
            adapter.increment("counter"),
        )

        assert [
            statement for statement in statements if statement.startswith(("BEGIN", "COMMIT"))
        ] == [
            "BEGIN IMMEDIATE",
            "COMMIT",
        ]
        await adapter.increment("counter")
        assert statements.count("COMMIT") == 2


async def test_reads_of_one_iteration_are_one_query(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        await adapter.mset([Entry(f"key-{number}", b"%d" % number) for number in range(50)])
        statements = await statements_of(adapter, reads=True)
        answers = await asyncio.gather(*(adapter.get(f"key-{number}") for number in range(60)))

        assert answers == [*(b"%d" % number for number in range(50)), *[None] * 10]
        assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1


@pytest.mark.parametrize("place", ["{}/state.db", ""])
async def test_refused_call_leaves_its_transaction_intact(tmp_path: Path, place: str) -> None:
    async with opened(f"sqlite://{'/' if place else ''}{place.format(tmp_path)}") as adapter:
        await adapter.set("text", b"no number")
        answers = await asyncio.gather(
            adapter.increment("counter"),
            adapter.increment("text"),
            adapter.set("key", b"value"),
            return_exceptions=True,
        )

        assert [*answers[::2]] == [1, True]
        assert isinstance(answers[1], StoreError)
        assert answers[1].code == ErrorCode.STORE_INCREMENT_FAILED
        assert await adapter.get("key") == b"value"


async def test_only_the_call_that_breaks_transaction_fails(tmp_path: Path) -> None:
    def breaks(session: Session) -> None:
        session.execute("INSERT INTO igniter_keys (key) VALUES (x'00')")
        session.execute("INSERT INTO no_such_table VALUES (1)")

    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        answers = await asyncio.gather(
            adapter.increment("counter"),
            writes_of(adapter).call(breaks),
            adapter.increment("counter"),
            return_exceptions=True,
        )

        assert [*answers[::2]] == [1, 2]
        assert isinstance(answers[1], StoreError)
        assert isinstance(answers[1].__cause__, sqlite3.OperationalError)
        assert await adapter.exists("\0") is False, "a part of the failed call was applied"
        assert await adapter.increment("counter") == 3


async def test_call_cancelled_before_its_transaction_never_runs(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        going, gone = (
            asyncio.create_task(adapter.increment("counter")),
            asyncio.create_task(adapter.increment("other")),
        )
        await asyncio.sleep(0)
        gone.cancel()

        assert await going == 1
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await adapter.get("other") is None


@pytest.mark.clause("FLT-4")
async def test_stalled_disk_times_out_without_mixing_replies(
    tmp_path: Path,
) -> None:
    """The next call gets its own reply."""
    began, release = threading.Event(), threading.Event()

    def stands_still(session: Session) -> int:
        began.set()
        release.wait()
        return session.execute(
            "INSERT INTO igniter_keys (key, value) VALUES (CAST('late' AS BLOB), x'31')"
        ).rowcount

    async with opened(f"sqlite:///{tmp_path}/state.db", timeout=1.5) as adapter:
        standing = asyncio.ensure_future(writes_of(adapter).call(stands_still))
        assert await asyncio.to_thread(began.wait, LIMIT)
        behind = asyncio.create_task(adapter.increment("counter"))
        with pytest.raises(BackendTimeout) as during:
            await standing
        with pytest.raises(BackendTimeout) as before:
            await behind
        release.set()

        assert (during.value.maybe_applied, before.value.maybe_applied) == (True, False)
        assert await adapter.increment("counter") == 1
        assert await adapter.get("late") == b"1"


@pytest.mark.clause("LIF-5")
async def test_close_during_failing_transaction_retries_no_call(tmp_path: Path) -> None:
    began, release = threading.Event(), threading.Event()

    def breaks(session: Session) -> None:
        began.set()
        release.wait()
        session.execute("INSERT INTO no_such_table VALUES (1)")

    adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")
    await adapter.open()
    worker: Any = writes_of(adapter)
    calls: list[asyncio.Future[Any]] = [
        asyncio.create_task(adapter.increment("counter")),
        asyncio.ensure_future(worker.call(breaks)),
    ]
    assert await asyncio.to_thread(began.wait, LIMIT)
    closing = asyncio.create_task(adapter.close())
    async with asyncio.timeout(LIMIT):
        while not worker._is_closed:  # noqa: ASYNC110 - closing sets no event
            await asyncio.sleep(0)
    release.set()
    await closing

    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {answer.code for answer in answers if isinstance(answer, StoreError)} == {
        ErrorCode.STORE_CLOSED
    }
    async with opened(f"sqlite:///{tmp_path}/state.db") as again:
        assert await again.get("counter") is None


async def test_many_calls_are_split_into_several_transactions(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path}/state.db") as adapter:
        statements = await statements_of(adapter, reads=False)
        counted = await asyncio.gather(*(adapter.increment("counter") for _ in range(1_200)))

        assert sorted(counted) == list(range(1, 1_201))
        assert statements.count("COMMIT") == 3


@pytest.mark.clause("LIF-6")
async def test_users_in_memory_database_is_shared() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine)
    await adapter.open()
    assert adapter.in_process is True
    await adapter.set("key", b"value")
    async with engine.begin() as connection:
        assert (
            await connection.exec_driver_sql("SELECT count(*) FROM igniter_keys")
        ).scalar_one() == 1
    await adapter.close()

    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE songs (name)")
    again = SQLiteAdapter(engine)
    await again.open()
    assert await again.get("key") == b"value"
    await again.close()
    await engine.dispose()


async def test_call_waits_for_users_in_memory_transaction() -> None:
    """The user's rollback or commit doesn't affect the adapter's writes."""
    engine = create_async_engine("sqlite+aiosqlite://")
    adapter = SQLiteAdapter(engine)
    await adapter.open()
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE songs (name)")
    for end in ("rollback", "commit"):
        async with engine.connect() as connection:
            await connection.exec_driver_sql("INSERT INTO songs VALUES ('one')")
            writing = asyncio.create_task(adapter.increment("counter"))
            await asyncio.sleep(0.05)  # time has to pass, in which a call that doesn't wait ends
            assert not writing.done()
            await (connection.rollback() if end == "rollback" else connection.commit())
            assert await writing == (1 if end == "rollback" else 2)
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM songs")).scalar_one() == 1
    await adapter.close()
    await engine.dispose()


@pytest.mark.clause("CTR-2")
async def test_two_adapters_writing_constantly_both_complete(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    async with opened(url, timeout=30.0) as one, opened(url, timeout=30.0) as other:

        async def count(adapter: SQLiteAdapter) -> None:
            for _ in range(200):
                await adapter.increment("counter")

        await asyncio.gather(*(count(adapter) for adapter in (one, other) for _ in range(3)))
        assert await one.get("counter") == b"1200"
