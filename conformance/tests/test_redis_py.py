"""The adapter over redis-py, method by method, on every available server and on fakeredis.

The conformance suite tests it in more depth.
"""

from __future__ import annotations

import asyncio
import math
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import Entry, ErrorCode, GroupInfo, StoreError, StreamEntry
from igniter_store_conformance import servers
from igniter_store_conformance.network.proxy import Proxy
from igniter_store_conformance.redis_py import RedisOracle, RedisPyAdapter, RedisTime, redis_harness

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from igniter_store_conformance.servers import Server, Target

pytestmark = pytest.mark.full

TARGETS = servers.available()


async def refused(call: Awaitable[Any]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


def ignored(channel: str, payload: bytes) -> None:
    """A callback for tests that only need a subscription."""


LIMIT = 30.0


async def until(holds: Callable[[], Any], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.002)


@pytest.fixture(params=[*TARGETS, *([] if TARGETS else [None])], ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    chosen: Target | None = request.param
    return servers.find_or_skip("redis") if chosen is None else chosen


@pytest.fixture
async def server(target: Target) -> Server:
    return await asyncio.to_thread(servers.shared, target)


@pytest.fixture
async def adapter(server: Server) -> AsyncGenerator[RedisPyAdapter]:
    adapter = RedisPyAdapter.from_url(server.url)
    await adapter.open()
    await adapter.delete_prefix("t:")
    yield adapter
    await adapter.delete_prefix("t:")
    await adapter.close()


async def test_values_live_as_long_as_they_were_given(adapter: RedisPyAdapter) -> None:
    assert await adapter.set("t:a", b"\0\xff", ttl=100) is True
    assert await adapter.get("t:a") == b"\0\xff"
    assert 50 < (await adapter.ttl("t:a") or 0) <= 100
    assert await adapter.persist("t:a") is True
    assert await adapter.persist("t:a") is False
    assert await adapter.ttl("t:a") == math.inf
    assert await adapter.ttl("t:none") is None
    assert await adapter.expire("t:a", 0.05) is True
    assert await adapter.expire("t:none", 1) is False
    await asyncio.sleep(0.1)  # the TTL has to pass
    assert await adapter.exists("t:a") is False


async def test_set_writes_only_if_the_condition_holds(adapter: RedisPyAdapter) -> None:
    assert await adapter.set("t:a", b"1", only_if="present") is False
    assert await adapter.set("t:a", b"1", only_if="absent") is True
    assert await adapter.set("t:a", b"2", only_if="absent") is False
    assert await adapter.set("t:a", b"3", only_if="present") is True
    assert await adapter.getdel("t:a") == b"3"
    assert await adapter.getdel("t:a") is None


async def test_batches_set_get_and_delete_many_keys(adapter: RedisPyAdapter) -> None:
    await adapter.mset([])
    await adapter.mset([Entry("t:a", b"0"), Entry("t:b", b"", 100), Entry("t:a", b"1")])

    assert await adapter.mget(["t:b", "t:none", "t:a", "t:b"]) == [b"", None, b"1", b""]
    assert await adapter.mget([]) == []
    assert await adapter.ttl("t:a") == math.inf
    assert await adapter.ttl("t:b") != math.inf
    assert await adapter.delete(["t:a", "t:a", "t:b", "t:none"]) == 2
    assert await adapter.delete([]) == 0
    many = [f"t:{number}" for number in range(10_000)]
    await adapter.mset([Entry(key, b"x") for key in many])
    assert await adapter.mget(many) == [b"x"] * 10_000


async def test_counters_keep_64_bit_range_and_ttl(adapter: RedisPyAdapter) -> None:
    assert await adapter.increment("t:n", 5, ttl=100) == 5
    assert await adapter.increment("t:n", -7, ttl=1000) == -2
    assert (await adapter.ttl("t:n") or 0) <= 100
    await adapter.set("t:big", b"9223372036854775806")
    assert await adapter.increment("t:big") == 2**63 - 1
    assert (await refused(adapter.increment("t:big"))).code == ErrorCode.STORE_INCREMENT_FAILED
    assert await adapter.get("t:big") == b"9223372036854775807"
    await adapter.set("t:text", b"01")
    assert (await refused(adapter.increment("t:text"))).code == ErrorCode.STORE_INCREMENT_FAILED
    await adapter.xadd("t:stream", {"f": b""})
    assert (await refused(adapter.increment("t:stream"))).code == ErrorCode.STORE_INCREMENT_FAILED


async def test_claims_belong_to_their_owner(adapter: RedisPyAdapter) -> None:
    assert await adapter.set_nx("t:c", b"me", ttl=100) is True
    assert await adapter.set_nx("t:c", b"me") is False
    assert await adapter.compare_expire("t:c", b"you", 500) is False
    assert await adapter.compare_expire("t:c", b"me", 500) is True
    assert (await adapter.ttl("t:c") or 0) > 400
    assert await adapter.compare_delete("t:c", b"you") is False
    assert await adapter.compare_delete("t:c", b"me") is True
    assert await adapter.compare_delete("t:c", b"me") is False
    first = await adapter.acquire("t:c", b"me", 10, token_key="t:token")
    assert await adapter.acquire("t:c", b"you", 10, token_key="t:token") is None
    await adapter.delete(["t:c"])
    second = await adapter.acquire("t:c", b"you", 10, token_key="t:token")
    assert first is not None
    assert second is not None
    assert second > first > 1_700_000_000_000
    await adapter.xadd("t:stream", {"f": b""})
    assert (
        await refused(adapter.compare_delete("t:stream", b"me"))
    ).code == ErrorCode.STORE_OPERATION_FAILED


async def test_scan_and_delete_prefix_find_all_keys(adapter: RedisPyAdapter) -> None:
    names = {f"t:*:{number}" for number in range(2500)}
    await adapter.mset([Entry(name, b"") for name in [*names, "t:x:1"]])
    found: set[str] = set()
    cursor = "0"
    while True:
        page = await adapter.scan("t:\\*:*", cursor=cursor)
        found.update(page.keys)
        cursor = page.cursor
        if cursor == "0":
            break

    assert found == names
    assert (await refused(adapter.scan("*", cursor="17"))).code == ErrorCode.STORE_SCAN_FAILED
    assert await adapter.delete_prefix("t:*:") == 2500
    assert await adapter.exists("t:x:1")


async def test_streams_keep_their_order(adapter: RedisPyAdapter) -> None:
    ids = [await adapter.xadd("t:s", {"b": b"%d" % number, "a": b"\0"}) for number in range(5)]

    assert await adapter.xlen("t:s") == 5
    assert await adapter.xrange("t:s", f"({ids[0]}", ids[2]) == [
        StreamEntry(ids[n], {"b": b"%d" % n, "a": b"\0"}) for n in (1, 2)
    ]
    assert [entry.id for entry in await adapter.xrevrange("t:s", count=2)] == [ids[4], ids[3]]
    assert await adapter.xdel("t:s", [ids[0], "1-1"]) == 1
    assert await adapter.xtrim("t:s", 1, approximate=False) == 3
    await adapter.xadd("t:s", {"f": b""}, max_len=1, approximate=False)
    await adapter.xadd("t:s", {"f": b""}, max_len=1)
    assert await adapter.xlen("t:s") == 2
    assert await adapter.xrange("t:none") == []
    assert (await refused(adapter.xrange("t:s", "x"))).code == ErrorCode.STORE_STREAM_READ_FAILED
    assert (await refused(adapter.xdel("t:none", ["x"]))).code == ErrorCode.STORE_OPERATION_FAILED
    assert (await refused(adapter.get("t:s"))).code == ErrorCode.STORE_OPERATION_FAILED


async def test_group_reads_deliver_once_and_stay_pending(adapter: RedisPyAdapter) -> None:
    assert await adapter.xgroup_create("t:s", "g") is True
    assert await adapter.xgroup_create("t:s", "g", "$") is False
    ids = [await adapter.xadd("t:s", {"f": b"%d" % number}) for number in range(6)]
    assert [entry.id for entry in await adapter.xreadgroup("t:s", "g", "one", count=4)] == ids[:4]
    assert [entry.id for entry in await adapter.xreadgroup("t:s", "g", "two")] == ids[4:]
    assert await adapter.xreadgroup("t:s", "g", "two") == []
    await adapter.xdel("t:s", [ids[1]])

    assert [
        entry.id for entry in await adapter.xreadgroup("t:s", "g", "one", count=2, history=True)
    ] == [ids[0], ids[2]]
    pending = await adapter.xpending("t:s", "g", consumer="one", count=3)
    assert [(entry.id, entry.consumer) for entry in pending] == [(id, "one") for id in ids[:3]]
    assert pending[0].deliveries == 2
    assert await adapter.xpending("t:s", "g", min_idle=100) == []
    claimed = await adapter.xautoclaim("t:s", "g", "two", 0, count=2)
    assert [entry.id for entry in claimed] == [ids[0], ids[2]]
    assert [entry.id for entry in await adapter.xpending("t:s", "g")] == [ids[0], *ids[2:]]
    assert await adapter.xautoclaim("t:s", "g", "two", 100) == []
    assert await adapter.xack("t:s", "g", [ids[0], ids[0], "1-1"]) == 1
    assert await adapter.xack("t:s", "none", ids) == 0
    [group] = await adapter.xgroups("t:s")
    assert group in [GroupInfo("g", 2, 4, ids[5], lag) for lag in (0, None)]
    assert await adapter.xgroups("t:none") == []
    assert await adapter.xgroup_destroy("t:s", "g") is True
    assert await adapter.xgroup_destroy("t:s", "g") is False
    assert await adapter.xgroup_destroy("t:none", "g") is False


async def test_group_errors_have_their_codes(adapter: RedisPyAdapter) -> None:
    missing = [
        adapter.xreadgroup("t:s", "g", "c"),
        adapter.xpending("t:s", "g"),
        adapter.xautoclaim("t:s", "g", "c", 0),
    ]

    assert {(await refused(call)).code for call in missing} == {
        ErrorCode.STORE_STREAM_GROUP_MISSING
    }
    assert (
        await refused(adapter.xreadgroup("t:s", "g", "c", block=1))
    ).code == ErrorCode.STORE_STREAM_GROUP_MISSING
    assert (
        await refused(adapter.xgroup_create("t:s", "g", "x"))
    ).code == ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED
    assert (
        await refused(adapter.xack("t:s", "g", ["x"]))
    ).code == ErrorCode.STORE_STREAM_ACK_FAILED


async def test_blocked_reader_wakes_for_entry_or_deleted_stream(
    adapter: RedisPyAdapter, server: Server
) -> None:
    await adapter.xgroup_create("t:s", "g")
    reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
    await until(lambda: blocked_readers(server) == 1)
    added = await adapter.xadd("t:s", {"f": b""})
    assert [entry.id for entry in await reading] == [added]

    assert await adapter.xreadgroup("t:s", "g", "c", block=0.02) == []
    assert await adapter.xreadgroup("t:s", "g", "c", block=0) == []
    reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
    await until(lambda: blocked_readers(server) == 1)
    await adapter.delete(["t:s"])
    assert (await refused(reading)).code == ErrorCode.STORE_STREAM_GROUP_MISSING


async def test_cancelled_reader_leaves_entries_undelivered(
    adapter: RedisPyAdapter, server: Server
) -> None:
    await adapter.xgroup_create("t:s", "g")
    reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
    await until(lambda: blocked_readers(server) == 1)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await until(lambda: blocked_readers(server) == 0)
    added = await adapter.xadd("t:s", {"f": b""})

    assert [entry.id for entry in await adapter.xreadgroup("t:s", "g", "other")] == [added]


async def test_subscriptions_get_every_message_until_cancelled(
    adapter: RedisPyAdapter,
) -> None:
    got: list[tuple[str, str, bytes]] = []
    first = await adapter.subscribe(
        "t:a", lambda channel, payload: got.append(("first", channel, payload))
    )
    await adapter.subscribe(
        "t:a", lambda channel, payload: got.append(("second", channel, payload))
    )
    pattern = await adapter.psubscribe(
        "t:*", lambda channel, payload: got.append(("pattern", channel, payload))
    )

    assert await adapter.publish("t:a", b"\0") == 2
    await until(lambda: len(got) == 3)
    assert sorted(got) == [(name, "t:a", b"\0") for name in ("first", "pattern", "second")]
    await first.cancel()
    await first.cancel()
    await pattern.cancel()
    assert await adapter.publish("t:a", b"1") == 1
    await until(lambda: len(got) == 4)
    assert got[3] == ("second", "t:a", b"1")
    assert await adapter.publish("t:none", b"") == 0


async def test_raising_callback_is_reported_and_called_again(
    adapter: RedisPyAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[bytes] = []

    def broken(_: str, payload: bytes) -> None:
        calls.append(payload)
        raise ZeroDivisionError

    await adapter.subscribe("t:a", broken)
    await adapter.publish("t:a", b"1")
    await adapter.publish("t:a", b"2")
    await until(lambda: len(calls) == 2)

    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ZeroDivisionError
    ] * 2


async def test_cancelled_subscribers_leave_nothing_at_the_server(
    adapter: RedisPyAdapter, server: Server
) -> None:
    await adapter.subscribe("t:other", ignored)
    for delay in range(20):
        subscribing = asyncio.create_task(adapter.subscribe("t:a", ignored))
        for _ in range(delay):
            await asyncio.sleep(0)
        subscribing.cancel()
        [result] = await asyncio.gather(subscribing, return_exceptions=True)
        if not isinstance(result, BaseException):
            await result.cancel()
    got: list[bytes] = []
    subscription = await adapter.subscribe("t:a", lambda _, payload: got.append(payload))

    assert await adapter.publish("t:a", b"1") == 1
    await until(lambda: got == [b"1"])
    await subscription.cancel()
    assert await asyncio.to_thread(_subscribers, server, "t:a") == 0


async def test_close_wakes_waiting_readers_and_refuses_calls(server: Server) -> None:
    adapter = RedisPyAdapter.from_url(server.url)
    assert (await refused(adapter.get("t:a"))).code == ErrorCode.STORE_NOT_CONNECTED
    assert (await refused(adapter.subscribe("t:a", ignored))).code == ErrorCode.STORE_NOT_CONNECTED
    await adapter.close()
    await adapter.open()
    await adapter.open()
    await adapter.delete(["t:s"])
    await adapter.xgroup_create("t:s", "g")
    reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
    await adapter.subscribe("t:a", ignored)
    await until(lambda: blocked_readers(server) == 1)
    await adapter.close()
    await adapter.close()

    assert (await refused(reading)).code == ErrorCode.STORE_CLOSED
    assert (await refused(adapter.get("t:a"))).code == ErrorCode.STORE_CLOSED
    assert (await refused(adapter.subscribe("t:a", ignored))).code == ErrorCode.STORE_CLOSED
    assert len(asyncio.all_tasks()) == 1
    await adapter.open()
    assert await adapter.delete(["t:s"]) == 1
    await adapter.close()


async def test_time_passes_only_inside_the_namespace(
    adapter: RedisPyAdapter, server: Server
) -> None:
    """It passes for keys and pending entries. A key outside of the namespace keeps its TTL."""
    await adapter.set("t:in:short", b"", ttl=100)
    await adapter.set("t:in:long", b"", ttl=1000)
    await adapter.set("t:in:always", b"")
    await adapter.set("t:out", b"", ttl=100)
    await adapter.xgroup_create("t:in:s", "g")
    deleted, added = [await adapter.xadd("t:in:s", {"f": b""}) for _ in range(2)]
    await adapter.xreadgroup("t:in:s", "g", "one")
    await adapter.xdel("t:in:s", [deleted])
    await RedisTime(server.direct_url, "t:in:").advance(500)

    assert await adapter.mget(["t:in:short", "t:in:long", "t:in:always", "t:out"]) == [
        None,
        b"",
        b"",
        b"",
    ]
    assert 490 < (await adapter.ttl("t:in:long") or 0) <= 500
    assert await adapter.ttl("t:in:always") == math.inf
    [pending] = await adapter.xpending("t:in:s", "g", min_idle=499)
    assert (pending.id, pending.consumer, pending.deliveries) == (added, "one", 1)
    assert len(await adapter.xpending("t:in:s", "g")) == 2


async def test_oracle_bypasses_the_adapter(adapter: RedisPyAdapter, server: Server) -> None:
    oracle = RedisOracle(server.direct_url)
    await adapter.set("t:a", b"\xff", ttl=10)

    assert await oracle.peek("t:a") == b"\xff"
    await oracle.poke("t:a", b"new")
    assert await adapter.get("t:a") == b"new"
    assert await adapter.ttl("t:a") == math.inf
    assert await oracle.peek("t:none") is None


async def test_redis_harness_connects_advances_time_and_has_server(server: Server) -> None:
    harness = redis_harness(server)
    adapter = pickle.loads(pickle.dumps(harness.connect))()  # noqa: S301 - this test has just pickled it
    await adapter.open()
    await adapter.set(f"{harness.namespace}a", b"1", ttl=10)
    assert harness.advance is not None
    passed = harness.advance(11)
    assert passed is not None
    await passed

    assert await adapter.get(f"{harness.namespace}a") is None
    assert harness.server is server
    await adapter.close()


async def test_read_is_retried_and_write_reports_maybe_applied(server: Server) -> None:
    with Proxy(server.address.host, server.address.port) as proxy:
        adapter = RedisPyAdapter.from_url(f"redis://{proxy.host}:{proxy.port}")
        await adapter.open()
        await adapter.set("t:n", b"1")
        await proxy.cut_at(b"t:n", "answered")
        assert await adapter.get("t:n") == b"1"
        await proxy.cut_at(b"t:n", "answered")
        applied = await refused(adapter.increment("t:n"))
        assert await adapter.getdel("t:n") == b"2"
        await proxy.refuse()
        unsent = await refused(adapter.increment("t:n"))
        await adapter.close()

    assert (applied.code, applied.retryable, applied.maybe_applied) == (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        True,
    )
    assert (unsent.code, unsent.retryable, unsent.maybe_applied) == (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        False,
    )


async def test_command_times_out_without_shifting_later_replies(
    server: Server,
) -> None:
    with Proxy(server.address.host, server.address.port) as proxy:
        adapter = RedisPyAdapter.from_url(f"redis://{proxy.host}:{proxy.port}", timeout=0.2)
        await adapter.open()
        await proxy.black_hole()
        late = await refused(adapter.set("t:a", b"1"))
        await proxy.heal()
        assert await adapter.publish("t:none", b"") == 0
        await adapter.close()

    assert (late.code, late.maybe_applied) == (ErrorCode.STORE_TIMEOUT, True)


@pytest.mark.parametrize("end", ["timeout", "cancel"])
async def test_timed_out_or_cancelled_write_is_not_applied_later(target: Target, end: str) -> None:
    """The value is longer than what the operating system buffers for a paused server."""
    with await asyncio.to_thread(partial(servers.start, target)) as server:
        if not server.controllable:
            pytest.skip(f"{target} can't be paused")
        adapter = RedisPyAdapter.from_url(server.url, timeout=1.0 if end == "timeout" else 30.0)
        await adapter.open()
        await server.pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0 if end == "cancel" else None):
                await adapter.set("t:a", bytes(32_000_000))
        await adapter.close()
        await server.resume()
        await until(lambda: connected_clients(server) == 1)

        assert await RedisOracle(server.url).peek("t:a") is None


async def test_many_blocked_readers_leave_connections_for_calls(
    adapter: RedisPyAdapter, server: Server
) -> None:
    """There are more of them than redis-py's pool has connections by default."""
    await adapter.xgroup_create("t:s", "g")
    reading = [
        asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30)) for _ in range(130)
    ]
    await until(
        lambda: any(reader.done() for reader in reading) or blocked_readers(server) == len(reading)
    )
    value = await adapter.get("t:none")
    finished = [reader for reader in reading if reader.done()]
    for reader in reading:
        reader.cancel()
    await asyncio.gather(*reading, return_exceptions=True)

    assert (finished, value) == ([], None)


async def test_lost_subscription_comes_back_and_reports_gap(server: Server) -> None:
    with Proxy(server.address.host, server.address.port) as proxy:
        adapter = RedisPyAdapter.from_url(f"redis://{proxy.host}:{proxy.port}")
        await adapter.open()
        got: list[bytes] = []
        gaps: list[str] = []
        await adapter.subscribe(
            "t:a", lambda _, payload: got.append(payload), on_gap=lambda: gaps.append("a")
        )
        await adapter.psubscribe(
            "t:b*", lambda _, payload: got.append(payload), on_gap=lambda: gaps.append("b")
        )
        await proxy.cut()
        await until(lambda: sorted(gaps) == ["a", "b"])
        await adapter.publish("t:a", b"1")
        await adapter.publish("t:b1", b"2")
        await until(lambda: len(got) == 2)
        await proxy.cut()
        await adapter.subscribe(
            "t:c", lambda _, payload: got.append(payload), on_gap=lambda: gaps.append("c")
        )
        await adapter.publish("t:c", b"3")
        await until(lambda: len(got) == 3)
        await adapter.close()

    assert got == [b"1", b"2", b"3"]
    assert "c" not in gaps


async def test_readers_raise_and_subscribers_return_after_restart(
    target: Target,
) -> None:
    with await asyncio.to_thread(partial(servers.start, target, proxied=True)) as server:
        if not server.controllable:
            pytest.skip(f"{target} can't be restarted")
        adapter = RedisPyAdapter.from_url(server.url)
        await adapter.open()
        await adapter.xgroup_create("t:s", "g")
        gaps: list[int] = []
        await adapter.subscribe("t:a", ignored, on_gap=lambda: gaps.append(1))
        reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
        await until(lambda: blocked_readers(server) == 1)
        await server.kill()
        down = await refused(adapter.get("t:a"))
        await server.restart()
        added = await adapter.xadd("t:s", {"f": b""})

        assert down.code == ErrorCode.STORE_CONNECTION_FAILED
        assert (await refused(reading)).code == ErrorCode.STORE_CONNECTION_FAILED
        assert [entry.id for entry in await adapter.xreadgroup("t:s", "g", "c", block=30)] == [
            added
        ]
        await until(lambda: gaps)
        assert await adapter.publish("t:a", b"") == 1
        await adapter.close()


async def test_server_refusals_have_their_codes(target: Target) -> None:
    with await asyncio.to_thread(partial(servers.start, target)) as server:
        adapter = RedisPyAdapter.from_url(server.url)
        await adapter.open()
        for word, refusal in server.refusals.items():
            async with server.refusing(word):
                for call in [
                    adapter.set("t:a", b"1"),
                    adapter.increment("t:n"),
                    adapter.xadd("t:s", {"f": b""}),
                    adapter.mset([Entry("t:a", b"1")]),
                    adapter.acquire("t:c", b"me", 10, token_key="t:token"),
                ]:
                    error = await refused(call)
                    assert (error.code, error.retryable, error.maybe_applied) == (
                        refusal.code,
                        refusal.retryable,
                        False,
                    ), word
            assert await adapter.set("t:a", b"1") is True
        await adapter.close()


async def test_unreachable_server_raises_and_leaves_no_task() -> None:
    with Proxy() as proxy:
        await proxy.refuse()
        adapter = RedisPyAdapter.from_url(f"redis://{proxy.host}:{proxy.port}")
        unreachable = await refused(adapter.open())
        await proxy.heal()
        await proxy.black_hole()
        adapter = RedisPyAdapter.from_url(f"redis://{proxy.host}:{proxy.port}", timeout=0.1)
        silent = await refused(adapter.open())

    assert (unreachable.code, silent.code) == (
        ErrorCode.STORE_CONNECTION_FAILED,
        ErrorCode.STORE_CONNECTION_FAILED,
    )
    assert len(asyncio.all_tasks()) == 1


def test_bad_url_or_option_is_refused() -> None:
    with pytest.raises(StoreError, match="doesn't have an option 'pool'") as bad_option:
        RedisPyAdapter.from_url("redis://host", pool=1)
    with pytest.raises(StoreError, match="doesn't begin with redis://") as bad_url:
        RedisPyAdapter.from_url("http://user:secret@host")

    assert bad_option.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert bad_url.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert "secret" not in str(bad_url.value)


async def test_cancelled_callers_leave_other_replies_unchanged(
    adapter: RedisPyAdapter,
) -> None:
    """Every third call is cancelled, after more or fewer iterations of the event loop."""
    keys = [f"t:{number}" for number in range(500)]
    await adapter.mset([Entry(key, key.encode()) for key in keys])
    calls = [asyncio.create_task(adapter.get(key)) for key in keys]
    for turn, call in enumerate(calls):
        if turn % 3 == 0:
            call.cancel()
        if turn % 50 == 0:
            await asyncio.sleep(0)
    answers = await asyncio.gather(*calls, return_exceptions=True)

    wrong = {
        key: answer
        for turn, (key, answer) in enumerate(zip(keys, answers, strict=True))
        if answer != key.encode()
        and not (turn % 3 == 0 and isinstance(answer, asyncio.CancelledError))
    }
    assert wrong == {}
    assert any(isinstance(answer, asyncio.CancelledError) for answer in answers)
    assert [key.encode() for key in keys] == await asyncio.gather(*map(adapter.get, keys))


async def test_fakeredis_can_stand_in_for_a_server() -> None:
    fake: Any = pytest.importorskip(
        "fakeredis", reason="fakeredis isn't installed; pip install fakeredis[lua]"
    )
    data = fake.FakeServer()
    adapter = RedisPyAdapter(
        lambda: fake.FakeAsyncRedis(server=data, protocol=2, socket_timeout=None)
    )
    await adapter.open()
    got: list[bytes] = []
    await adapter.set("t:a", b"\0", ttl=100)
    await adapter.xgroup_create("t:s", "g")
    reading = asyncio.create_task(adapter.xreadgroup("t:s", "g", "c", block=30))
    await asyncio.sleep(0.05)  # time has to pass: fakeredis doesn't show that a reader is blocked
    added = await adapter.xadd("t:s", {"f": b"1"})
    await adapter.subscribe("t:c", lambda _, payload: got.append(payload))
    await adapter.publish("t:c", b"1")

    assert await adapter.get("t:a") == b"\0"
    assert await adapter.increment("t:n", 2, ttl=10) == 2
    assert await adapter.acquire("t:claim", b"me", 10, token_key="t:token") is not None
    assert [entry.id for entry in await reading] == [added]
    assert [entry.id for entry in await adapter.xautoclaim("t:s", "g", "d", 0)] == [added]
    await until(lambda: got == [b"1"])
    await adapter.close()


def blocked_readers(server: Server) -> int:
    with server.exchange() as exchange:
        return int(exchange.info("clients")["blocked_clients"])


def connected_clients(server: Server) -> int:
    """Return the number of connections, with the one that asks."""
    with server.exchange() as exchange:
        return int(exchange.info("clients")["connected_clients"])


def _subscribers(server: Server, channel: str) -> int:
    with server.exchange() as exchange:
        answer = exchange.ask("PUBSUB", "NUMSUB", channel)
    assert isinstance(answer, list)
    assert isinstance(answer[1], int)
    return answer[1]
