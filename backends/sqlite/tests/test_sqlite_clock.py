"""The wall clock is set: listeners aren't forgotten, and a TTL stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import Entry
from igniter_store_sqlite import SQLiteAdapter, pubsub, sweeper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from igniter_store_sqlite.session import Session

HOUR = 3_600.0
STEPS = [59.0, 61.0, HOUR, 400 * 24 * HOUR, -59.0, -61.0, -HOUR, -400 * 24 * HOUR]
LIMIT = 60.0


class WallClock:
    """The wall clock of this process, as `time.time_ns` shows it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._shift = 0
        real = time.time_ns
        patch.setattr(time, "time_ns", lambda: real() + self._shift)

    def step(self, seconds: float) -> None:
        self._shift += int(seconds * 1e9)


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SQLiteAdapter]:
    adapter = SQLiteAdapter.from_url(f"sqlite:///{path}/state.db")
    await adapter.open()
    await private(adapter)._sweeper.close()  # each test sweeps when it needs to
    try:
        yield adapter
    finally:
        await adapter.close()


def private(adapter: Any) -> Any:
    """Return the adapter as Any, for attributes that aren't public."""
    return adapter


async def swept(adapter: SQLiteAdapter, times: int = 3) -> None:
    for _ in range(times):
        await private(adapter)._sweeper.sweep()


async def deadline_left(adapter: SQLiteAdapter, key: str) -> float:
    """Return the seconds until the stored deadline, on the wall clock."""

    def ask(session: Session) -> float:
        [deadline] = session.execute(
            "SELECT deadline FROM igniter_keys WHERE key = ?", [key.encode()]
        ).fetchone()
        return float(deadline - session.now) / 1e6

    left: float = await private(adapter)._reads.call(ask)
    return left


@pytest.mark.clause("PUB-13")
@pytest.mark.parametrize("seconds", STEPS)
async def test_live_listener_stays_when_clock_steps(
    tmp_path: Path, wall_clock: WallClock, seconds: float
) -> None:
    async with opened(tmp_path) as publisher, opened(tmp_path) as listener:
        heard: list[bytes | str] = []
        inbox = asyncio.Event()

        def receive(_: str, payload: bytes) -> None:
            heard.append(payload)
            inbox.set()

        await listener.subscribe("news", receive, on_gap=lambda: heard.append("gap"))
        wall_clock.step(seconds)
        await swept(publisher)

        assert await publisher.publish("news", b"1") == 1
        async with asyncio.timeout(LIMIT):
            await inbox.wait()
        assert heard == [b"1"]


@pytest.mark.clause("PUB-13")
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_doubted_listener_answers_at_once(
    tmp_path: Path, wall_clock: WallClock, seconds: float
) -> None:
    async with opened(tmp_path) as publisher, opened(tmp_path) as listener:
        await listener.subscribe("news", lambda _, payload: None)
        wall_clock.step(seconds)
        await swept(publisher, 1)

        async with asyncio.timeout(LIMIT):
            while await doubts(publisher):  # noqa: ASYNC110 - another adapter answers the doubt
                await asyncio.sleep(0.01)
        await private(publisher)._writes.call(make_doubts_older)
        await swept(publisher)
        assert await publisher.publish("news", b"1") == 1


async def doubts(adapter: SQLiteAdapter) -> list[int]:
    def ask(session: Session) -> list[int]:
        return [
            number
            for (number,) in session.execute(
                "SELECT number FROM igniter_listeners WHERE doubted IS NOT NULL"
            )
        ]

    found: list[int] = await private(adapter)._reads.call(ask)
    return found


def make_doubts_older(session: Session) -> None:
    session.execute("UPDATE igniter_listeners SET doubted = doubted - 3600000000")


def be_silent(session: Session) -> None:
    session.execute("UPDATE igniter_listeners SET seen_at = 0")


async def test_killed_listener_is_forgotten_after_two_checks(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await private(adapter)._writes.call(add_dead_listener)
        assert await adapter.publish("news", b"1") == 1

        await swept(adapter, 1)
        assert await adapter.publish("news", b"2") == 1, "one check isn't enough"
        await private(adapter)._writes.call(make_doubts_older)
        await swept(adapter, 1)
        assert await adapter.publish("news", b"3") == 1, (
            "the doubt isn't the one that this process has seen before"
        )
        await swept(adapter, 1)
        assert await adapter.publish("news", b"4") == 0
        await swept(adapter, 1)
        assert await private(adapter)._reads.call(messages) <= 1, "no messages are kept for it"


async def test_listener_of_former_boot_is_forgotten(tmp_path: Path) -> None:
    def after_a_boot(session: Session) -> None:  # the monotonic clock has restarted
        session.execute("UPDATE igniter_listeners SET doubted = doubted + 3600000000")

    async with opened(tmp_path) as adapter:
        await private(adapter)._writes.call(add_dead_listener)
        await swept(adapter, 1)
        await private(adapter)._writes.call(after_a_boot)
        await swept(adapter, 2)
        assert await adapter.publish("news", b"1") == 0


async def test_doubts_write_nothing_while_they_age(tmp_path: Path) -> None:
    async with opened(tmp_path) as adapter:
        await private(adapter)._writes.call(add_dead_listener)
        await swept(adapter, 1)
        before = await private(adapter)._writes.run(changes_of)
        await swept(adapter, 5)
        assert await private(adapter)._writes.run(changes_of) == before


def changes_of(connection: Any) -> int:
    return int(connection.total_changes)


def add_dead_listener(session: Session) -> None:
    """Add the listener of a process that was killed an hour ago."""
    session.execute(
        "INSERT INTO igniter_listeners (number, position, seen_at) VALUES (1, 0, ?)",
        [session.now - 3_600_000_000],
    )
    session.execute("INSERT INTO igniter_subscriptions VALUES (1, ?, 0)", [b"news"])


def messages(session: Session) -> int:
    [number] = session.execute("SELECT count(*) FROM igniter_messages").fetchone()
    return int(number)


@pytest.mark.clause("KV-7")
@pytest.mark.parametrize(
    "how", ["set", "set_nx", "acquire", "expire", "mset", "counter", "compare_expire"]
)
async def test_ttl_stays_bounded_when_clock_goes_back(
    tmp_path: Path, wall_clock: WallClock, how: str
) -> None:
    async with opened(tmp_path) as adapter:
        if how == "set":
            await adapter.set("key", b"v", ttl=2.0)
        elif how == "set_nx":
            await adapter.set_nx("key", b"me", ttl=2.0)
        elif how == "acquire":
            await adapter.acquire("key", b"me", 2.0, token_key="token")
        elif how == "expire":
            await adapter.xadd("key", {"a": b"b"})
            await adapter.expire("key", 2.0)
        elif how == "mset":
            await adapter.mset([Entry("key", b"v", 2.0)])
        elif how == "counter":
            await adapter.increment("key", ttl=2.0)
        else:
            await adapter.set_nx("key", b"me", ttl=100.0)
            await adapter.compare_expire("key", b"me", 2.0)
        wall_clock.step(-2 * HOUR)

        left = await adapter.ttl("key")
        assert left is not None
        assert left <= 2.0
        await swept(adapter, 1)
        assert await deadline_left(adapter, "key") <= 2.0
        assert await adapter.exists("key"), "it exists for at least its TTL"
        wall_clock.step(2.0)
        assert not await adapter.exists("key")


@pytest.mark.clause("KV-7")
async def test_counter_stays_bounded_before_the_sweep(
    tmp_path: Path, wall_clock: WallClock
) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.increment("key", ttl=2.0)
        wall_clock.step(-2 * HOUR)
        await adapter.increment("key", ttl=2.0)

        assert await deadline_left(adapter, "key") <= 2.0


@pytest.mark.clause("KV-7")
async def test_ttl_stays_bounded_among_many_keys(
    tmp_path: Path, wall_clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_LOOKED_AT_KEYS", 100)
    async with opened(tmp_path) as adapter:
        await adapter.mset([Entry(f"same-{number}", b"v", 50.0) for number in range(250)])
        await adapter.mset([Entry(f"key-{number}", b"v", 2.0 + number) for number in range(250)])
        await adapter.set("forever", b"v")
        wall_clock.step(-2 * HOUR)
        await adapter.set("later", b"v", ttl=5 * HOUR)
        await swept(adapter, 8)

        for number in range(250):
            assert await deadline_left(adapter, f"same-{number}") <= 50.0
            assert await deadline_left(adapter, f"key-{number}") <= 2.0 + number
        assert 4 * HOUR < await deadline_left(adapter, "later") <= 5 * HOUR
        assert await adapter.ttl("forever") == math.inf


@pytest.mark.clause("KV-7")
async def test_step_back_bounds_all_keys_at_once(
    tmp_path: Path, wall_clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_LOOKED_AT_KEYS", 100)
    async with opened(tmp_path) as adapter:
        await adapter.mset([Entry(f"key-{number}", b"v", 2.0 + number) for number in range(1_000)])
        await swept(adapter, 1)
        wall_clock.step(-2 * HOUR)
        await swept(adapter, 1)

        assert await deadline_left(adapter, "key-999") <= 1_001.0
        assert await deadline_left(adapter, "key-0") <= 2.0


@pytest.mark.clause("STR-10")
async def test_pending_entry_is_claimable_when_clock_went_back(
    tmp_path: Path, wall_clock: WallClock
) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.xgroup_create("stream", "group")
        sent = await adapter.xadd("stream", {"a": b"b"})
        await adapter.xreadgroup("stream", "group", "dead")
        wall_clock.step(-2 * HOUR)

        assert await adapter.xautoclaim("stream", "group", "alive", 30.0) == [], (
            "its consumer may still handle it"
        )
        wall_clock.step(31.0)
        assert [
            entry.id for entry in await adapter.xautoclaim("stream", "group", "alive", 30.0)
        ] == [sent]


@pytest.mark.clause("STR-1")
async def test_stream_ids_grow_when_clock_steps(tmp_path: Path, wall_clock: WallClock) -> None:
    async with opened(tmp_path) as adapter:
        ids: list[tuple[int, ...]] = []
        for seconds in (0.0, 24 * HOUR, -48 * HOUR, 0.0, 24 * HOUR):
            wall_clock.step(seconds)
            ids.append(tuple(map(int, (await adapter.xadd("stream", {"a": b"b"})).split("-"))))
        assert ids == sorted(set(ids))


@pytest.mark.clause("STR-7")
async def test_blocked_read_ends_in_time_when_clock_steps(
    tmp_path: Path, wall_clock: WallClock
) -> None:
    async with opened(tmp_path) as adapter:
        await adapter.xgroup_create("stream", "group")
        reading = asyncio.create_task(adapter.xreadgroup("stream", "group", "consumer", block=0.3))
        await asyncio.sleep(0)
        wall_clock.step(-2 * HOUR)
        async with asyncio.timeout(LIMIT):
            assert await reading == []


OTHER_PROCESS = """
import asyncio, sys, time
real, shift = time.time_ns, int(sys.argv[2]) * 10**9
time.time_ns = lambda: real() + shift
from igniter_store_sqlite import SQLiteAdapter

async def main():
    adapter = SQLiteAdapter.from_url(f"sqlite:///{sys.argv[1]}/state.db")
    await adapter.open()
    counts = []
    for number in range(5):
        await adapter._sweeper.sweep()
        counts.append(await adapter.publish("news", b"%d" % number))
    await adapter.close()
    print(counts)

asyncio.run(main())
"""


@pytest.mark.clause("PUB-9", "PUB-13")
@pytest.mark.parametrize("seconds", [3_600, -3_600])
async def test_process_with_another_clock_reaches_listeners(tmp_path: Path, seconds: int) -> None:
    async with opened(tmp_path) as listener:
        heard: list[bytes | str] = []
        await listener.subscribe(
            "news", lambda _, payload: heard.append(payload), on_gap=lambda: heard.append("gap")
        )
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OTHER_PROCESS,
            str(tmp_path),
            str(seconds),
            stdout=asyncio.subprocess.PIPE,
        )
        counts, _ = await other.communicate()
        await swept(listener)
        async with asyncio.timeout(LIMIT):
            while len(heard) < 5:  # noqa: ASYNC110 - nothing signals this change
                await asyncio.sleep(0.01)

    assert counts.decode().strip() == "[1, 1, 1, 1, 1]"
    assert heard == [b"0", b"1", b"2", b"3", b"4"]


async def test_heartbeats_keep_a_listener_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "_HEARTBEAT", 0.01)
    async with opened(tmp_path) as publisher, opened(tmp_path) as listener:
        await listener.subscribe("news", lambda _, payload: None)
        await private(publisher)._writes.call(be_silent)
        end = asyncio.get_running_loop().time() + LIMIT
        while await private(publisher)._reads.call(is_silent):  # the listener's adapter ends this
            assert asyncio.get_running_loop().time() < end, "the listener has sent no heartbeat"
            await asyncio.sleep(0.01)


def is_silent(session: Session) -> bool:
    return (
        session.execute("SELECT 1 FROM igniter_listeners WHERE seen_at = 0").fetchone() is not None
    )
