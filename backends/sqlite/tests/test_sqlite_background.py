"""Work in the background: sweeping, listening, and forgetting silent listeners."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import Entry
from igniter_store_sqlite import SQLiteAdapter, pubsub, sweeper

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from igniter_store.contract import StreamEntry
    from igniter_store_sqlite.session import Session

pytestmark = pytest.mark.full

LIMIT = 30.0


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}/state.db")
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


def private(adapter: Any) -> Any:
    """Return the adapter as Any, for attributes that aren't public."""
    return adapter


async def count(adapter: SQLiteAdapter, table: str) -> int:
    def ask(session: Session) -> int:
        # our own table names
        [number] = session.execute(f"SELECT count(*) FROM igniter_{table}").fetchone()  # noqa: S608
        return int(number)

    found: int = await private(adapter)._reads.call(ask)
    return found


def is_full(heard: list[str]) -> bool:
    return len(heard) == 4


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.005)


@pytest.fixture
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "_PAUSE", 0.01)


@pytest.mark.clause("KV-6")
async def test_expired_keys_are_not_seen_and_then_swept(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.mset([Entry(f"key-{number}", b"value", 0.01) for number in range(1_300)])
        await adapter.set("stays", b"value")
        await asyncio.sleep(0.02)  # the TTL has to pass
        assert await adapter.mget(["key-0", "key-1299", "stays"]) == [None, None, b"value"]
        await private(adapter)._sweeper.sweep()
        assert await count(adapter, "keys") == 1


@pytest.mark.usefixtures("quick_sweeps")
async def test_sweeper_runs_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.set("key", b"value", ttl=0.05)
        end = asyncio.get_running_loop().time() + LIMIT
        while await count(adapter, "keys"):
            assert asyncio.get_running_loop().time() < end, "the expired key is still in the file"
            await asyncio.sleep(0.01)


async def test_sweep_removes_all_rows_of_removed_streams_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        for stream in ("deleted", "replaced", "expired", "stays"):
            await adapter.xgroup_create(stream, "group")
            await asyncio.gather(
                *(adapter.xadd(stream, {"n": b"%d" % number}) for number in range(600))
            )
            await adapter.xreadgroup(stream, "group", "consumer", count=550)
        await adapter.delete(["deleted"])
        await adapter.set("replaced", b"value")
        await adapter.expire("expired", 0.01)
        await asyncio.sleep(0.02)  # the TTL has to pass
        new = await adapter.xadd("deleted", {"n": b"new"})
        await private(adapter)._sweeper.sweep()

        counted = {
            name: await count(adapter, name)
            for name in ("streams", "entries", "groups", "consumers", "pending")
        }
        assert counted == {
            "streams": 2,
            "entries": 601,
            "groups": 1,
            "consumers": 1,
            "pending": 550,
        }
        assert [entry.id for entry in await adapter.xrange("deleted")] == [new]
        assert await adapter.xlen("stays") == 600
        assert len(await adapter.xpending("stays", "group")) == 550


async def test_sweep_returns_free_pages_to_file_system(tmp_path: Path) -> None:
    def pages(session: Session) -> int:
        [number] = session.execute("PRAGMA page_count").fetchone()
        return int(number)

    async with opened(tmp_path) as adapter:
        await adapter.mset([Entry(f"key-{number}", b"x" * 4_000) for number in range(3_000)])
        before = await private(adapter)._reads.call(pages)
        assert await adapter.delete_prefix("key-") == 3_000
        await private(adapter)._sweeper.sweep()
        assert await private(adapter)._reads.call(pages) < before / 2


@pytest.mark.clause("PUB-4", "PUB-11")
async def test_messages_are_kept_until_their_listener_reads_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as publisher, opened(tmp_path) as listener:
        assert await publisher.publish("news", b"unheard") == 0
        assert await count(publisher, "messages") == 0
        heard: list[bytes] = []
        subscription = await listener.subscribe("news", lambda _, payload: heard.append(payload))
        for number in range(20):
            assert await publisher.publish("news", b"%d" % number) == 1
        await until(lambda: len(heard) == 20)
        await private(publisher)._sweeper.sweep()
        assert await count(publisher, "messages") == 20, (
            "the listener hasn't recorded yet that it has read them"
        )
        await private(listener)._listener._written()
        await private(publisher)._sweeper.sweep()
        assert await count(publisher, "messages") == 1, (
            "the newest message marks where a new listener begins"
        )
        await subscription.cancel()
        assert (await count(publisher, "listeners"), await count(publisher, "subscriptions")) == (
            0,
            0,
        )
        assert await publisher.publish("news", b"gone") == 0


@pytest.mark.clause("PUB-10")
async def test_long_silent_listener_is_forgotten_and_reports_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "_HEARTBEAT", 3_600.0)
    async with opened(tmp_path) as publisher, opened(tmp_path) as listener:
        heard: list[bytes | str] = []
        await listener.subscribe(
            "news", lambda _, payload: heard.append(payload), on_gap=lambda: heard.append("gap")
        )
        await publisher.publish("news", b"1")
        await until(lambda: heard == [b"1"])

        private(listener)._changes._watching.cancel()  # as if its process were stopped
        await private(publisher)._writes.call(be_silent)
        await private(publisher)._sweeper.sweep()
        await private(publisher)._writes.call(make_doubts_older)
        for _ in range(2):
            await private(publisher)._sweeper.sweep()
        assert await publisher.publish("news", b"lost") == 0
        private(listener)._changes.tell()
        async with asyncio.timeout(LIMIT):
            # the sweeper has no event
            while not await publisher.publish("news", b"2"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        private(listener)._changes.tell()
        await until(lambda: b"2" in heard)
    assert heard == [b"1", "gap", b"2"]


@pytest.mark.clause("LIF-4")
async def test_cancelled_subscribe_leaves_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter, opened(tmp_path) as other:
        for turns in range(6):
            subscribing = asyncio.create_task(adapter.subscribe("news", lambda _, payload: None))
            for _ in range(turns):
                await asyncio.sleep(0)
            subscribing.cancel()
            await asyncio.wait({subscribing})
            if not subscribing.cancelled():
                await subscribing.result().cancel()
            await adapter.ping()
            await adapter.set("key", b"behind all that was under way")
            assert await other.publish("news", b"unheard") == 0


@pytest.mark.clause("LIF-4")
@pytest.mark.parametrize("is_last", [False, True])
async def test_cancelled_subscriber_leaves_others_of_batch_live(
    tmp_path: Path, *, is_last: bool
) -> None:
    async with opened(tmp_path) as adapter, opened(tmp_path) as other:
        for turns in range(8):
            heard: list[str] = []

            def receive(channel: str, payload: bytes, heard: list[str] = heard) -> None:
                del payload
                heard.append(channel)

            subscribing = [
                asyncio.create_task(adapter.subscribe(f"{turns} {number}", receive))
                for number in range(5)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            cancelled = subscribing.pop(-1 if is_last else 1)
            cancelled.cancel()
            await asyncio.wait({cancelled})
            subscriptions = await asyncio.gather(*subscribing)
            if not cancelled.cancelled():
                await cancelled.result().cancel()
            await adapter.set("key", b"behind all that was under way")

            reached = [
                await other.publish(f"{turns} {number}", b"%d" % number) for number in range(5)
            ]

            assert sorted(reached) == [0, 1, 1, 1, 1]
            assert reached[4 if is_last else 1] == 0
            await until(partial(is_full, heard))
            for subscription in subscriptions:
                await subscription.cancel()
        assert await count(other, "listeners") == 0


@pytest.mark.clause("LIF-5")
async def test_closed_adapter_leaves_no_listener(tmp_path: Path) -> None:
    async with opened(tmp_path) as other:
        adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")
        await adapter.open()
        await adapter.subscribe("news", lambda _, payload: None)
        assert await other.publish("news", b"1") == 1
        await adapter.close()
        assert await other.publish("news", b"2") == 0
        assert await count(other, "listeners") == 0


@pytest.mark.clause("PUB-11")
async def test_new_subscription_gets_no_earlier_messages(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter, opened(tmp_path) as other:
        early: list[bytes] = []
        late: list[bytes] = []
        await adapter.subscribe("one", lambda _, payload: early.append(payload))
        publishing = [
            asyncio.create_task(other.publish(channel, b"before")) for channel in ("one", "two")
        ]
        await asyncio.gather(*publishing)
        await adapter.psubscribe("*", lambda _, payload: late.append(payload))
        await other.publish("one", b"after")
        await until(lambda: early == [b"before", b"after"])
        assert late == [b"after"]


async def test_idle_adapter_does_not_poll(tmp_path: Path) -> None:
    """Without a waiting read or a subscription, the adapter doesn't query `data_version`."""
    async with opened(tmp_path) as adapter:
        statements: list[str] = []

        def trace(connection: sqlite3.Connection) -> None:
            connection.set_trace_callback(statements.append)

        await private(adapter)._reads.run(trace)
        await asyncio.sleep(0.1)  # time has to pass, in which an adapter that polls would query
        assert [statement for statement in statements if "data_version" in statement] == []
        reading = asyncio.create_task(wait_for_news(adapter))
        await until(lambda: any("data_version" in statement for statement in statements))
        async with opened(tmp_path) as other:
            await other.xadd("stream", {"n": b"1"})
        assert len(await reading) == 1
        statements.clear()
        await asyncio.sleep(0.15)  # as above; the last poll may still be under way
        assert len([statement for statement in statements if "data_version" in statement]) <= 1


async def wait_for_news(adapter: SQLiteAdapter) -> list[StreamEntry]:
    await adapter.xgroup_create("stream", "group")
    return await adapter.xreadgroup("stream", "group", "consumer", block=LIMIT)


def be_silent(session: Session) -> None:
    session.execute("UPDATE igniter_listeners SET seen_at = 0")


def make_doubts_older(session: Session) -> None:
    session.execute("UPDATE igniter_listeners SET doubted = doubted - 3600000000")


@pytest.mark.clause("LIF-5")
async def test_next_close_completes_a_cancelled_close(
    tmp_path: Path,
) -> None:
    """The first close is cancelled after 0 to 29 event-loop iterations."""
    for turns in range(30):
        adapter = SQLiteAdapter.from_url(f"sqlite:///{tmp_path}/state.db")
        await adapter.open()
        await adapter.subscribe("news", lambda _, payload: None)
        closing = asyncio.create_task(adapter.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        if turns % 2:
            await adapter.open()
            assert await adapter.set("key", b"value")
        await adapter.close()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    await until(
        lambda: not any("connection_worker" in thread.name for thread in threading.enumerate())
    )
