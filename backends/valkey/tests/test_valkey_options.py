"""Features of glide that an option of the adapter or the URL enables, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any, cast

import glide
import pytest
from igniter_store.contract import Entry, ErrorCode, StoreError
from igniter_store_conformance import servers
from igniter_store_conformance.servers.resp import Refused
from igniter_store_valkey import ValkeyAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from igniter_store.contract import Subscription
    from igniter_store_conformance.servers import Exchange, Server

pytestmark = pytest.mark.full

LIMIT = 30.0
LONG = b"long and always the same, " * 200


@pytest.fixture
def server() -> Server:
    return servers.or_skip("valkey")


def url_of(server: Server) -> str:
    return server.url.replace("redis://", "valkey://")


@pytest.fixture
async def plain(server: Server) -> AsyncGenerator[ValkeyAdapter]:
    """An adapter without options."""
    adapter = ValkeyAdapter.from_url(url_of(server))
    await adapter.open()
    yield adapter
    await adapter.close()


def gets(connecting: AbstractContextManager[Exchange]) -> int:
    """The number of GETs that a server has executed."""
    with connecting as exchange:
        stats = str(exchange.ask("INFO", "commandstats"))
    _, found, rest = stats.partition("cmdstat_get:calls=")
    return int(rest.partition(",")[0]) if found else 0


def listed(answer: object) -> list[list[object]]:
    """A reply that is a list of lists."""
    return cast("list[list[object]]", answer)


@pytest.mark.clause("KV-2")
@pytest.mark.parametrize("kind", ["zstd", "lz4"])
async def test_long_values_are_compressed_and_read_unchanged(
    kind: str, server: Server, plain: ValkeyAdapter
) -> None:
    adapter = ValkeyAdapter.from_url(f"{url_of(server)}?compression={kind}")
    await adapter.open()
    keys = [f"compressed:{kind}:{number}" for number in range(3)]
    try:
        await adapter.set(keys[0], LONG)
        await asyncio.gather(*(adapter.set(key, LONG, ttl=60) for key in keys[1:]))
        stored = await plain.mget(keys)
        assert [value is not None and len(value) < len(LONG) / 10 for value in stored] == [True] * 3
        assert await adapter.get(keys[0]) == LONG
        assert await adapter.mget(keys) == [LONG] * 3
        assert await asyncio.gather(*(adapter.get(key) for key in keys)) == [LONG] * 3
        await plain.set(keys[0], LONG)
        assert await adapter.getdel(keys[0]) == LONG
    finally:
        await adapter.delete(keys)
        await adapter.close()


@pytest.mark.clause("CLM-3", "CLM-4", "CLM-8")
async def test_long_owner_keeps_claim_when_values_are_compressed(
    server: Server, plain: ValkeyAdapter
) -> None:
    adapter = ValkeyAdapter.from_url(url_of(server), compression="zstd")
    await adapter.open()
    key, token_key = f"claims:{secrets.token_hex(4)}", f"tokens:{secrets.token_hex(4)}"
    try:
        assert await adapter.set_nx(key, LONG, ttl=60) is True
        assert await adapter.set_nx(key, LONG, ttl=60) is False
        assert await plain.compare_expire(key, LONG, 90) is True
        assert await adapter.compare_expire(key, LONG, 120) is True
        assert await adapter.compare_delete(key, LONG) is True
        assert await adapter.set_nx(key, b"me") is True
        assert await adapter.ttl(key) == float("inf")
        assert await adapter.compare_delete(key, b"me") is True
        assert await adapter.acquire(key, LONG, 60, token_key=token_key) is not None
        assert await adapter.compare_delete(key, LONG) is True
    finally:
        await adapter.delete([key, token_key])
        await adapter.close()


@pytest.mark.clause("CTR-1", "CTR-4", "CTR-6")
async def test_counters_work_beside_compressed_values(server: Server, plain: ValkeyAdapter) -> None:
    adapter = ValkeyAdapter.from_url(url_of(server), compression="zstd")
    await adapter.open()
    counter, value = f"counted:{secrets.token_hex(4)}", f"beside:{secrets.token_hex(4)}"
    try:
        assert await adapter.increment(counter, 2**60) == 2**60
        counted, is_written = await asyncio.gather(
            adapter.increment(counter, -1), adapter.set(value, LONG)
        )
        assert (counted, is_written) == (2**60 - 1, True)
        assert await adapter.ttl(counter) == float("inf")
        assert await plain.get(counter) == str(2**60 - 1).encode()
        assert await adapter.get(value) == LONG
        with pytest.raises(StoreError) as caught:
            await adapter.increment(value)
        assert caught.value.code == ErrorCode.STORE_INCREMENT_FAILED
    finally:
        await adapter.delete([counter, value])
        await adapter.close()


@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_corrupt_value_leaves_other_replies_unchanged(place: str) -> None:
    with started(place) as (_, url):
        async with (
            opened(ValkeyAdapter.from_url(url)) as plain,
            opened(ValkeyAdapter.from_url(url, compression="zstd")) as adapter,
        ):
            await adapter.mset([Entry("{here}value", LONG), Entry("{here}text", LONG)])
            stored = await plain.get("{here}value")
            assert stored is not None
            broken = stored[:10] + b"broken" * 4
            await plain.set("{here}broken", broken)

            answers: Any = await asyncio.gather(
                adapter.get("{here}broken"),
                adapter.get("{here}value"),
                adapter.mget(["{here}broken", "{here}value"]),
                adapter.exists("{here}value"),
                adapter.set("{here}written", LONG),
            )
            written = await adapter.get("{here}written")

    assert [*answers] == [broken, LONG, [broken, LONG], True, True]
    assert written == LONG


async def test_value_too_large_to_decompress_names_its_cure(server: Server) -> None:
    compression = glide.CompressionConfiguration(enabled=True, max_decompressed_size=len(LONG))
    settings = glide.GlideClientConfiguration(
        [glide.NodeAddress(server.address.host, server.address.port)], compression=compression
    )
    keys = [f"large:{secrets.token_hex(4)}" for _ in range(3)]
    large, value, written = keys
    async with opened(ValkeyAdapter(settings)) as adapter:
        await adapter.mset([Entry(large, LONG * 2), Entry(value, LONG)])
        reading: list[Any] = [
            adapter.exists(value),
            adapter.get(large),
            adapter.get(value),
            adapter.mget([value]),
        ]
        _, *read = await asyncio.gather(*reading, return_exceptions=True)
        writing: list[Any] = [adapter.exists(value), adapter.get(large), adapter.set(written, LONG)]
        _, *wrote = await asyncio.gather(*writing, return_exceptions=True)
        is_written = await adapter.get(written)
        await adapter.delete(keys)

    assert read[1:] == [LONG, [LONG]]
    for error, maybe_applied in ((read[0], False), (wrote[0], False), (wrote[1], True)):
        assert isinstance(error, StoreError)
        assert (error.code, error.maybe_applied, error.retryable) == (
            ErrorCode.STORE_OPERATION_FAILED,
            maybe_applied,
            False,
        )
        assert "max_decompressed_size" in error.message
    assert is_written == LONG


@contextlib.asynccontextmanager
async def opened(adapter: ValkeyAdapter) -> AsyncGenerator[ValkeyAdapter]:
    """Open the adapter, and close it at the end."""
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.005)


@contextlib.contextmanager
def started(place: str) -> Generator[tuple[Sequence[Server], str]]:
    """A server, or the primaries of a cluster, and their URL."""
    target = servers.find_or_skip("valkey")
    with contextlib.ExitStack() as starting:
        if place == "cluster":
            nodes: Sequence[Server] = starting.enter_context(
                servers.start_cluster(target)
            ).primaries
        else:
            nodes = [starting.enter_context(servers.start(target))]
        hosts = ",".join(f"{node.address.host}:{node.address.port}" for node in nodes)
        yield nodes, f"{'valkey+cluster' if place == 'cluster' else 'valkey'}://{hosts}"


@contextlib.asynccontextmanager
async def sharded(place: str) -> AsyncGenerator[tuple[ValkeyAdapter, Sequence[Server]]]:
    """The backend with sharded channels, and the servers that may have them."""
    with started(place) as (nodes, url):
        adapter = ValkeyAdapter.from_url(url, sharded_pubsub=True)
        await adapter.open()
        try:
            yield adapter, nodes
        finally:
            await adapter.close()


async def client_id_requested(node: Server, times: int) -> None:
    """Wait until the adapter has requested the CLIENT ID this often.

    It compares the reply with the last one, and then asks glide for its subscriptions.
    """

    def requests() -> int:
        with node.exchange() as exchange:
            statistics = exchange.info("commandstats").get("cmdstat_client|id", "calls=0,")
        return int(statistics.partition("calls=")[2].partition(",")[0])

    before = requests()
    await until(lambda: requests() >= before + times, "the adapter doesn't request the CLIENT ID")


def channels_of(nodes: Sequence[Server]) -> set[bytes]:
    """The sharded channels that have a subscriber."""
    found: set[bytes] = set()
    for node in nodes:
        with node.exchange() as exchange:
            found.update(cast("list[bytes]", exchange.ask("PUBSUB", "SHARDCHANNELS")))
    return found


@pytest.mark.clause("PUB-4")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_cancelled_sharded_subscription_leaves_the_others_intact(place: str) -> None:
    async with sharded(place) as (adapter, nodes):
        heard: list[tuple[str, bytes]] = []
        gaps: list[str] = []

        async def subscribed(name: str) -> Subscription:
            return await adapter.subscribe(
                name,
                lambda channel, payload: heard.append((channel, payload)),
                on_gap=lambda: gaps.append(name),
            )

        one, two, _ = [await subscribed(name) for name in ("one", "two", "three")]
        assert channels_of(nodes) == {b"one", b"two", b"three"}
        await client_id_requested(nodes[0], 3)
        assert [await adapter.publish(name, b"1") for name in ("one", "two", "three")] == [1, 1, 1]
        await until(lambda: len(heard) == 3)

        await one.cancel()
        assert channels_of(nodes) == {b"two", b"three"}
        await two.cancel()
        one = await subscribed("one")
        assert channels_of(nodes) == {b"one", b"three"}
        await client_id_requested(nodes[0], 3)
        assert [await adapter.publish(name, b"2") for name in ("one", "two", "three")] == [1, 0, 1]
        await until(lambda: len(heard) == 5)

    assert sorted(heard[3:]) == [("one", b"2"), ("three", b"2")]
    assert gaps == []


@pytest.mark.clause("PUB-4", "PUB-10")
@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_sharded_subscription_recovers_after_a_lost_connection(place: str) -> None:
    async with sharded(place) as (adapter, nodes):
        heard: list[bytes] = []
        gaps: list[int] = []
        subscription = await adapter.subscribe(
            "one", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append(1)
        )
        await adapter.publish("one", b"1")
        await until(lambda: heard == [b"1"])

        for node in nodes:
            with node.exchange() as exchange:
                for kind in ("normal", "pubsub"):
                    exchange.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

        await until(lambda: gaps == [1])
        await until(lambda: channels_of(nodes) == {b"one"})
        assert await adapter.publish("one", b"2") == 1
        await until(lambda: heard == [b"1", b"2"])
        await subscription.cancel()

        assert channels_of(nodes) == set()


async def test_cached_value_is_not_fetched_until_it_changes() -> None:
    with servers.start("valkey") as server:  # its own server, whose GETs are counted
        plain = ValkeyAdapter.from_url(url_of(server))
        adapter = ValkeyAdapter.from_url(f"{url_of(server)}?cache_kb=1024&cache_ttl=600")
        await plain.open()
        await adapter.open()
        try:
            await plain.set("cached", b"1")
            async with asyncio.timeout(LIMIT):
                before = -1
                # a value is cached a moment after its caller gets the reply
                while gets(server.exchange()) != before:
                    before = gets(server.exchange())
                    assert await adapter.get("cached") == b"1"
            assert await asyncio.gather(*(adapter.get("cached") for _ in range(20))) == [b"1"] * 20
            assert gets(server.exchange()) == before
            await plain.set("cached", b"2")
            async with asyncio.timeout(LIMIT):
                # glide reports no invalidation
                while await adapter.get("cached") != b"2":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            await adapter.close()
            await plain.close()


async def test_reads_use_replicas_when_option_is_set() -> None:
    with servers.start_cluster(servers.find_or_skip("valkey")) as cluster:
        async with asyncio.timeout(LIMIT):
            for primary in cluster.primaries:
                with primary.exchange() as exchange:
                    while not all(  # noqa: ASYNC110 - the same
                        len(of_slots) == 4 for of_slots in listed(exchange.ask("CLUSTER", "SLOTS"))
                    ):
                        await asyncio.sleep(0.1)
        hosts = ",".join(f"{node.address.host}:{node.address.port}" for node in cluster.primaries)
        adapter = ValkeyAdapter.from_url(f"valkey+cluster://{hosts}?read_from=prefer_replica")
        await adapter.open()
        try:
            await adapter.set("replicated", b"1")
            async with asyncio.timeout(LIMIT):
                # a replica applies a write some time later, without an event
                while await adapter.get("replicated") != b"1":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.gather(*(adapter.get("replicated") for _ in range(20)))
        finally:
            await adapter.close()

        assert sum(gets(replica.exchange()) for replica in cluster.replicas) >= 21
        assert [gets(primary.exchange()) for primary in cluster.primaries] == [0, 0, 0]


@pytest.mark.parametrize("place", ["server", "cluster"])
async def test_value_changed_during_lost_connection_is_read_again(
    place: str,
) -> None:
    with started(place) as (nodes, url):
        plain = ValkeyAdapter.from_url(url)
        adapter = ValkeyAdapter.from_url(url, cache_kb=1024, cache_ttl=600)
        await plain.open()
        await adapter.open()
        for turn in range(3):
            await plain.set("key", b"old %d" % turn)
            async with asyncio.timeout(LIMIT):
                # the server notifies glide, which sends no event
                while await adapter.get("key") != b"old %d" % turn:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await client_id_requested(nodes[0], 2)
            for node in nodes:
                with node.exchange() as exchange, contextlib.suppress(Refused):
                    exchange.ask("GET", "key")  # rejected by nodes that don't have the key
                    exchange.ask("MULTI")  # so that the key changes before glide can reconnect
                    exchange.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    exchange.ask("SET", "key", f"new {turn}")
                    exchange.ask("EXEC")
            async with asyncio.timeout(LIMIT):
                while await read(adapter, "key") != b"new %d" % turn:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.01)
        await adapter.close()
        await plain.close()

    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def read(adapter: ValkeyAdapter, key: str) -> bytes | None:
    """The value, or None if it is missing or can't be read."""
    with contextlib.suppress(StoreError):
        return await adapter.get(key)
    return None


def test_url_option_sets_the_span_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "spans.json"
    script = """
        import asyncio, os, sys
        from igniter_store_valkey import ValkeyAdapter

        async def main():
            adapter = ValkeyAdapter.from_url(sys.argv[1])
            await adapter.open()
            await adapter.get("traced")
            await adapter.close()
            async with asyncio.timeout(30):
                while not os.path.exists(sys.argv[2]) or "traced" not in open(sys.argv[2]).read():
                    await asyncio.sleep(0.1)

        asyncio.run(main())
        """
    arguments = [f"{url_of(server)}?otel_traces=file://{file}&otel_sample=100", str(file)]
    # glide sets up its telemetry only once per process.
    subprocess.run(  # noqa: S603 - the test's own script
        [sys.executable, "-c", textwrap.dedent(script), *arguments], check=True, timeout=60
    )

    names = {json.loads(line)["name"] for line in file.read_text(encoding="utf-8").splitlines()}
    assert names
