"""Data that moves between servers: failovers with Sentinel, moved slots, and nodes that die."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store.contract import BackendUnavailable, Entry, ErrorCode, StoreError
from igniter_store.redis_commands.slots import slot_of
from igniter_store_conformance import servers
from igniter_store_redis import RedisAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from igniter_store_conformance.servers import Cluster, SentinelSet, ServerProcess

pytestmark = pytest.mark.full

LIMIT = 30.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with servers.start_cluster(servers.find("valkey")) as cluster:
        yield cluster


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    with servers.start_cluster(servers.find("valkey")) as cluster:
        yield cluster


@pytest.fixture
def sentinels() -> Iterator[SentinelSet]:
    with servers.start_sentinel(servers.find("valkey")) as chosen:
        yield chosen


@contextlib.asynccontextmanager
async def adapter_of(
    place: Cluster | SentinelSet, *, sharded_pubsub: bool = False
) -> AsyncGenerator[RedisAdapter]:
    if isinstance(place, servers.SentinelSet):
        url = (
            "redis+sentinel://"
            + ",".join(f"{host}:{port}" for host, port in place.addresses)
            + f"/{place.name}"
        )
    else:
        url = "redis+cluster://" + ",".join(
            f"{node.address.host}:{node.address.port}" for node in place.primaries
        )
    adapter = RedisAdapter.from_url(
        url, timeout=2.0, connect_timeout=4.0, sharded_pubsub=sharded_pubsub
    )
    await adapter.open()
    try:
        yield adapter
    finally:
        await adapter.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def eventually(call: Callable[[], Awaitable[Any]]) -> Any:
    """Retry a call until it succeeds, and return its result.

    Every error until then must be retryable.
    """
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await call()
            except StoreError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(0.05)


@pytest.mark.clause("PUB-10")
async def test_adapter_follows_a_failover(sentinels: SentinelSet) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    async with adapter_of(sentinels) as adapter:
        await adapter.subscribe("news", lambda _, payload: heard.put_nowait(payload))
        await adapter.set("key", b"before")
        former = sentinels.primary()

        await sentinels.failover()

        # For some seconds the former primary doesn't notice, and accepts writes that are lost; then
        # Sentinel closes its connections.
        assert sentinels.primary() is not former
        with sentinels.primary().exchange() as exchange:
            async with asyncio.timeout(LIMIT):
                while exchange.ask("GET", "key") != b"after":
                    await eventually(lambda: adapter.set("key", b"after"))
                    await asyncio.sleep(0.05)
        assert await adapter.get("key") == b"after"
        assert await eventually(lambda: adapter.publish("news", b"now")) >= 0
        await wait_for_message(heard, adapter)


async def until(holds: Callable[[], bool], failure: str = "the condition doesn't hold") -> None:
    """Wait until the condition holds; fail with this message if that takes too long."""
    end = asyncio.get_running_loop().time() + LIMIT
    while not holds():
        assert asyncio.get_running_loop().time() < end, f"{failure} after {LIMIT:g} seconds"
        await asyncio.sleep(0.01)


def move(cluster: Cluster, key: str) -> None:
    """Move the slot of `key`, which is empty, to another primary."""
    give(cluster.owner(key), cluster.stranger(key), key)


def give(source: ServerProcess, target: ServerProcess, key: str) -> None:
    """Move the slot of `key`, which is empty, from the source to the target.

    The target has to import it. Otherwise a ping of the source that is still in flight could
    override the target's claim to the slot.
    """
    slot, here, there = slot_of(key), id_of(source), id_of(target)
    with source.exchange() as old, target.exchange() as new:
        new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        for exchange in (new, old):
            exchange.ask("CLUSTER", "SETSLOT", slot, "NODE", there)


async def wait_for_message(heard: asyncio.Queue[bytes], adapter: RedisAdapter) -> None:
    """Publish until the subscription, which recovers by itself, receives a message."""
    async with asyncio.timeout(LIMIT):
        while heard.empty():
            with contextlib.suppress(BackendUnavailable):
                await adapter.publish("news", b"again")
            await asyncio.sleep(0.05)


async def test_a_killed_primary_is_replaced(sentinels: SentinelSet) -> None:
    async with adapter_of(sentinels) as adapter:
        await adapter.set("key", b"before")
        former, replica = sentinels.primary(), sentinels.replica()
        with replica.exchange() as exchange:
            await until(lambda: exchange.ask("GET", "key") == b"before", "the key isn't replicated")

        await former.kill()

        assert await eventually(lambda: adapter.get("key")) == b"before"
        await eventually(lambda: adapter.set("key", b"after"))
        with replica.exchange() as exchange:
            assert exchange.ask("GET", "key") == b"after"


@pytest.mark.clause("FLT-6")
async def test_adapter_leaves_primary_that_became_a_replica(sentinels: SentinelSet) -> None:
    """The connection stays open.

    Only the error for a write shows that the server isn't a primary any more.
    """
    async with adapter_of(sentinels) as adapter:
        await adapter.set("key", b"before")
        former, other = sentinels.primary(), sentinels.replica()
        with former.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "min-replicas-to-write", 0)
            exchange.ask("REPLICAOF", other.address.host, other.address.port)
            with pytest.raises(BackendUnavailable) as caught:
                await adapter.set("key", b"refused")
            assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
            assert caught.value.details == {"word": "READONLY"}
            assert caught.value.retryable
            assert caught.value.maybe_applied is False
            exchange.ask("REPLICAOF", "NO", "ONE")

        assert await eventually(lambda: adapter.set("key", b"after")) is True


async def test_unknown_sentinel_service_raises_unavailable(sentinels: SentinelSet) -> None:
    host, port = sentinels.addresses[0]
    with pytest.raises(BackendUnavailable) as caught:
        await RedisAdapter.from_url(
            f"redis+sentinel://{host}:{port}/other", connect_timeout=2.0
        ).open()
    assert caught.value.message == (
        f"The sentinels at {host}:{port} don't know a running primary with this name. Correct the "
        "service in the URL: it is the name in `sentinel monitor`."
    )


@pytest.mark.clause("KV-10", "KV-11")
async def test_multi_key_results_keep_the_key_order(cluster: Cluster) -> None:
    keys = [f"many:{number}" for number in range(200)]
    assert len({cluster.owner(key) for key in keys[:20]}) == 3
    async with adapter_of(cluster) as adapter:
        await adapter.mset(
            [
                Entry(key, key.encode(), 60.0 if number % 2 else None)
                for number, key in enumerate(keys)
            ]
        )
        asked = [keys[7], "many:missing", *reversed(keys), keys[7]]
        assert await adapter.mget(asked) == [
            None if key == "many:missing" else key.encode() for key in asked
        ]
        assert await adapter.delete(keys[:150]) == 150
        assert await adapter.delete_prefix("many:") == 50


async def test_acquire_across_two_slots_is_refused(cluster: Cluster) -> None:
    """A claim and its token counter must be in the same slot."""
    async with adapter_of(cluster) as adapter:
        with pytest.raises(StoreError) as caught:
            await adapter.acquire("claim", b"me", 10, token_key="elsewhere")
        assert caught.value.code == ErrorCode.STORE_OPERATION_FAILED
        assert "slot" in caught.value.message
        assert await adapter.get("claim") is None


async def test_adapter_follows_a_moving_slot(own_cluster: Cluster) -> None:
    """Follows the steps of a resharding, with a blocked reader all the time.

    The target begins to import the slot, and then the keys are moved.
    """
    source, target = own_cluster.owner("moving"), own_cluster.stranger("moving")
    slot = slot_of("moving")
    async with adapter_of(own_cluster) as adapter:
        await adapter.set("moving", b"before")
        await adapter.xgroup_create("{moving}stream", "group")
        reading = asyncio.create_task(
            adapter.xreadgroup("{moving}stream", "group", "consumer", block=LIMIT)
        )
        with source.exchange() as old, target.exchange() as new:
            await until(
                lambda: old.info("clients")["blocked_clients"] == "1", "the reader isn't blocked"
            )
            names = [id_of(source), id_of(target)]
            new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
            old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
            old.ask(
                "MIGRATE", target.address.host, target.address.port, "", 0, 5000, "KEYS", "moving"
            )

            assert await adapter.get("moving") == b"before", "ASK"
            await adapter.set("moving", b"between")
            await adapter.set("{moving}new", b"made on the way")
            assert new.ask("DBSIZE") == 2
            # one key is at the source, and one at the target: TRYAGAIN, until both are moved
            with pytest.raises(BackendUnavailable) as caught:
                await adapter.mget(["moving", "{moving}stream"])
            assert caught.value.retryable

            old.ask(
                "MIGRATE",
                target.address.host,
                target.address.port,
                "",
                0,
                5000,
                "KEYS",
                "{moving}stream",
            )
            for exchange in (new, old):
                exchange.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])

        assert await adapter.get("moving") == b"between", "MOVED"
        added = await adapter.xadd("{moving}stream", {"field": b"1"})
        assert [entry.id for entry in await asyncio.wait_for(reading, LIMIT)] == [added]
        assert await adapter.mget(["moving", "{moving}new", "elsewhere"]) == [
            b"between",
            b"made on the way",
            None,
        ]


@pytest.mark.clause("PUB-10", "SCN-1")
async def test_dead_node_is_replaced_by_its_replica(own_cluster: Cluster) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    keys = [f"key:{number}" for number in range(60)]
    async with adapter_of(own_cluster) as adapter:
        await adapter.mset([Entry(key, b"before") for key in keys])
        await adapter.subscribe("news", lambda _, payload: heard.put_nowait(payload))
        page = await adapter.scan("key:*", count=1)
        while "/" not in page.cursor or page.cursor.startswith("0/"):
            page = await adapter.scan("key:*", cursor=page.cursor, count=1)
        dying = own_cluster.owner(keys[0])
        replica = own_cluster.replicas[own_cluster.primaries.index(dying)]
        await until(lambda: size_of(replica) == size_of(dying), "the keys aren't replicated")
        safe = next(key for key in keys if own_cluster.owner(key) is not dying)

        await dying.kill()

        assert await adapter.get(safe) == b"before"
        assert await eventually(lambda: adapter.get(keys[0])) == b"before"
        assert await eventually(lambda: adapter.mget(keys)) == [b"before"] * len(keys)
        await eventually(lambda: adapter.mset([Entry(key, b"after") for key in keys]))
        await wait_for_message(heard, adapter)
        found: set[str] = set()
        cursor = "0"
        while True:
            page = await adapter.scan("key:*", cursor=cursor)
            found.update(page.keys)
            cursor = page.cursor
            if cursor == "0":
                break
        assert found == set(keys)


@pytest.mark.clause("SCN-1")
def size_of(node: ServerProcess) -> object:
    """The number of keys on a node."""
    with node.exchange() as exchange:
        return exchange.ask("DBSIZE")


async def test_scan_finds_keys_moved_to_a_new_node(own_cluster: Cluster) -> None:
    """No command has been redirected to the node: a scan has no key, so it never gets MOVED."""
    async with adapter_of(own_cluster) as adapter:
        await adapter.set("moving", b"value")
        source, newcomer = own_cluster.owner("moving"), own_cluster.replicas[0]
        await becomes_empty_primary(newcomer, own_cluster)
        with source.exchange() as old, newcomer.exchange() as new:
            name, source_name = id_of(newcomer), id_of(source)
            new.ask("CLUSTER", "SETSLOT", slot_of("moving"), "IMPORTING", source_name)
            old.ask("CLUSTER", "SETSLOT", slot_of("moving"), "MIGRATING", name)
            old.ask("MIGRATE", newcomer.address.host, newcomer.address.port, "moving", 0, 5000)
            for exchange in (new, old):
                exchange.ask("CLUSTER", "SETSLOT", slot_of("moving"), "NODE", name)
            assert new.ask("DBSIZE") == 1

        async def found() -> list[str]:
            keys: list[str] = []
            cursor = "0"
            while True:
                page = await adapter.scan("mov*", cursor=cursor)
                keys += page.keys
                cursor = page.cursor
                if cursor == "0":
                    return keys

        async with asyncio.timeout(LIMIT):  # the nodes gossip
            # depends on the servers, which send no event
            while await found() != ["moving"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def becomes_empty_primary(replica: ServerProcess, cluster: Cluster) -> None:
    """Promote a replica to a primary without slots, and wait until all nodes list it."""
    source = cluster.primaries[0]
    with replica.exchange() as exchange:
        exchange.ask("CLUSTER", "RESET", "SOFT")
        exchange.ask("CLUSTER", "MEET", source.address.host, source.address.port)
        await until(
            lambda: all(
                is_empty_primary(id_of(replica), nodes_at(node)) for node in cluster.primaries
            )
        )
        await until(lambda: "cluster_state:ok" in str(exchange.ask("CLUSTER", "INFO")))


def id_of(node: ServerProcess) -> str:
    with node.exchange() as exchange:
        # bytes, but typed as any reply
        return str(exchange.ask("CLUSTER", "MYID"), "ascii")  # type: ignore[arg-type]


def line_of(name: str, nodes: str) -> str:
    return next((line for line in nodes.splitlines() if line.startswith(name)), "")


def is_empty_primary(name: str, nodes: str) -> bool:
    line = line_of(name, nodes)
    return "master" in line and line.endswith("connected")


def nodes_at(node: ServerProcess) -> str:
    """The node's CLUSTER NODES, which lists the cluster's nodes."""
    with node.exchange() as exchange:
        # bytes, but typed as any reply
        return str(exchange.ask("CLUSTER", "NODES"), "ascii")  # type: ignore[arg-type]


@pytest.mark.clause("PUB-10")
async def test_subscriptions_move_when_their_node_leaves_the_cluster(
    own_cluster: Cluster,
) -> None:
    """The connection stays open, but gets no messages that are published at the other nodes."""
    heard: list[bytes] = []
    gaps: list[str] = []
    leaver, rest = (
        own_cluster.replicas[0],
        [node for node in own_cluster.nodes if node is not own_cluster.replicas[0]],
    )
    await becomes_empty_primary(leaver, own_cluster)
    give(own_cluster.owner("moving"), leaver, "moving")
    await until(
        lambda: all(
            line_of(id_of(leaver), nodes_at(node)).endswith(f" {slot_of('moving')}")
            for node in rest
        )
    )
    async with adapter_of(own_cluster) as adapter:
        await eventually(
            lambda: adapter.subscribe(
                "moving",
                lambda _, payload: heard.append(payload),
                on_gap=lambda: gaps.append("gap"),
            )
        )
        with leaver.exchange() as exchange:
            await until(lambda: exchange.ask("PUBSUB", "NUMSUB", "moving") == [b"moving", 1])

        give(leaver, own_cluster.primaries[1], "moving")
        left = id_of(leaver)
        await until(
            lambda: all(
                f" {slot_of('moving')}" in line_of(id_of(own_cluster.primaries[1]), nodes_at(node))
                for node in rest
            )
        )
        for node in rest:
            with node.exchange() as exchange:
                exchange.ask("CLUSTER", "FORGET", left)
        with leaver.exchange() as exchange:
            exchange.ask("CLUSTER", "RESET", "HARD")

        async with asyncio.timeout(LIMIT):
            while not gaps:  # the scans refresh the topology, as other calls do now and then
                await eventually(lambda: adapter.scan("*"))
                await asyncio.sleep(0.2)
        assert gaps == ["gap"]
        await eventually(lambda: adapter.publish("moving", b"after"))
        await until(lambda: heard == [b"after"])


@pytest.mark.clause("PUB-1", "PUB-4", "PUB-11")
async def test_subscribe_uses_the_same_node_as_publish(
    cluster: Cluster,
) -> None:
    """Therefore, `publish` returns the correct number of receivers.

    No message from before the subscription arrives after it, although messages between nodes are
    slower.
    """
    channels = [f"news:{number}" for number in range(30)]
    heard: list[tuple[str, bytes]] = []
    async with adapter_of(cluster) as adapter:
        for channel in channels:
            with cluster.owner(channel).exchange() as exchange:
                assert exchange.ask("PUBLISH", channel, "before") == 0
                await adapter.subscribe(
                    channel, lambda channel, payload: heard.append((channel, payload))
                )
                await adapter.subscribe(
                    channel, lambda channel, payload: heard.append((channel, payload))
                )
                assert exchange.ask("PUBLISH", channel, "after") == 1, "one connection"
            assert await adapter.publish(channel, b"own") == 1
        await until(lambda: len(heard) == 4 * len(channels))
        assert {payload for _, payload in heard} == {b"after", b"own"}


async def test_sharded_channels_stay_at_their_nodes(cluster: Cluster) -> None:
    heard: list[bytes] = []
    async with adapter_of(cluster, sharded_pubsub=True) as adapter:
        subscription = await adapter.subscribe("news", lambda _, payload: heard.append(payload))
        other = await adapter.subscribe("elsewhere", lambda _, payload: heard.append(payload))
        with cluster.owner("news").exchange() as exchange:
            assert exchange.ask("PUBLISH", "news", "not sharded") == 0
        assert await adapter.publish("news", b"1") == 1
        assert await adapter.publish("elsewhere", b"2") == 1
        await until(lambda: sorted(heard) == [b"1", b"2"])
        for node in cluster.nodes:
            with node.exchange() as exchange:
                channels = exchange.ask("PUBSUB", "SHARDCHANNELS")
                assert channels == [
                    name.encode() for name in ("news", "elsewhere") if cluster.owner(name) is node
                ]
        await subscription.cancel()
        assert await adapter.publish("news", b"3") == 0
        with pytest.raises(StoreError) as caught:
            await adapter.psubscribe("n*", lambda _, payload: heard.append(payload))
        assert caught.value.code == ErrorCode.STORE_CAPABILITY_UNSUPPORTED
        assert "sharded_pubsub" in caught.value.message
        await other.cancel()


def rights_on_a_cluster() -> list[str]:
    """The README's command for a user with minimal rights.

    Includes the rights that the README adds for clusters and sharded channels.
    """
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if line.startswith("ACL SETUSER api "))
    more = [
        re.search(rf"{where}[^`]*`([^`]+)`", text)
        for where in ("On a cluster add", "for sharded channels")
    ]
    return [
        *command.split(),
        *(right for found in more if found is not None for right in found[1].split()),
    ]


async def test_readme_rights_allow_cluster_and_sharded_channels(
    cluster: Cluster,
) -> None:
    rights = rights_on_a_cluster()
    assert {"+asking", "+spublish"} <= {*rights}
    for node in cluster.nodes:
        with node.exchange() as exchange:
            exchange.ask(*rights)
    nodes = ",".join(f"{node.address.host}:{node.address.port}" for node in cluster.primaries)
    heard: list[bytes] = []
    adapter = RedisAdapter.from_url(f"redis+cluster://api:password@{nodes}", sharded_pubsub=True)
    await adapter.open()
    try:
        keys = [f"igniter:store:api:kv:{number}" for number in range(20)]
        await adapter.mset([Entry(key, b"value") for key in keys])
        assert await adapter.mget(keys) == [b"value"] * 20
        subscription = await adapter.subscribe(
            "igniter:store:api:events:news", lambda _, payload: heard.append(payload)
        )
        assert await adapter.publish("igniter:store:api:events:news", b"1") == 1
        await until(lambda: heard == [b"1"])
        await subscription.cancel()
        assert await adapter.delete_prefix("igniter:store:api:") == 20
        with pytest.raises(StoreError) as caught:
            await adapter.get("another service's")
        assert caught.value.details == {"word": "NOPERM"}
    finally:
        await adapter.close()


@pytest.mark.clause("PUB-4", "PUB-10")
async def test_sharded_subscription_follows_its_moved_slot(own_cluster: Cluster) -> None:
    heard: list[bytes] = []
    gaps: list[str] = []
    async with adapter_of(own_cluster, sharded_pubsub=True) as adapter:
        staying = await adapter.subscribe(
            "moving",
            lambda _, payload: heard.append(payload),
            on_gap=lambda: gaps.append("staying"),
        )
        leaving = await adapter.subscribe(
            "moving",
            lambda _, payload: heard.append(payload),
            on_gap=lambda: gaps.append("leaving"),
        )
        assert await adapter.publish("moving", b"before") == 1
        await until(lambda: heard == [b"before"] * 2)

        move(own_cluster, "moving")

        # The server has ended the subscription. No message was published, so nothing else shows
        # that the slot has moved.
        await until(lambda: sorted(gaps) == ["leaving", "staying"])
        assert await adapter.publish("moving", b"after") == 1
        await until(lambda: heard == [b"before"] * 2 + [b"after"] * 2)
        await leaving.cancel()
        assert await adapter.publish("moving", b"one") == 1
        await until(lambda: heard[4:] == [b"one"])
        await staying.cancel()
        assert await adapter.publish("moving", b"unheard") == 0

        move(own_cluster, "moving")
        newcomer = await adapter.subscribe("moving", lambda _, payload: heard.append(payload))
        assert await adapter.publish("moving", b"new") == 1
        await until(lambda: heard[5:] == [b"new"])
        await newcomer.cancel()
    assert sorted(gaps) == ["leaving", "staying"]


@pytest.mark.clause("PUB-10")
async def test_sharded_channel_refreshes_topology_until_it_succeeds(
    own_cluster: Cluster,
) -> None:
    """Without retries, nothing would trigger another refresh.

    The connection is open, but it gets no more messages of the channel.
    """
    gaps: list[str] = []
    heard: list[bytes] = []
    source, target = own_cluster.owner("moving"), own_cluster.stranger("moving")
    async with adapter_of(own_cluster, sharded_pubsub=True) as adapter:
        await adapter.subscribe(
            "moving", lambda _, payload: heard.append(payload), on_gap=lambda: gaps.append("gap")
        )
        for rule in ("-cluster|slots", "+cluster|slots"):
            for node in own_cluster.nodes:
                with node.exchange() as exchange:
                    exchange.ask("ACL", "SETUSER", "default", rule)
            if rule.startswith("-"):
                give(source, target, "moving")
                await until(
                    lambda: denied_refreshes(own_cluster) >= 2, "the topology isn't refreshed"
                )
                assert gaps == []
        await until(lambda: gaps == ["gap"])
        assert await adapter.publish("moving", b"after") == 1
        await until(lambda: heard == [b"after"])


def denied_refreshes(cluster: Cluster) -> int:
    """The number of CLUSTER SLOTS that the nodes' access rules have denied."""
    denied = 0
    for node in cluster.nodes:
        with node.exchange() as exchange:
            statistics = exchange.info("commandstats").get("cmdstat_cluster|slots", "")
        denied += int(statistics.partition("rejected_calls=")[2].partition(",")[0] or 0)
    return denied


@pytest.mark.clause("PUB-10")
@pytest.mark.parametrize("sharded_pubsub", [False, True])
async def test_subscriptions_move_when_their_node_dies(
    own_cluster: Cluster, *, sharded_pubsub: bool
) -> None:
    heard: list[tuple[str, bytes]] = []
    gaps: list[str] = []
    dying = own_cluster.owner("dying")
    async with adapter_of(own_cluster, sharded_pubsub=sharded_pubsub) as adapter:
        await adapter.subscribe(
            "dying",
            lambda _, payload: heard.append(("channel", payload)),
            on_gap=lambda: gaps.append("channel"),
        )
        if not sharded_pubsub:
            await adapter.psubscribe(
                "d?ing",
                lambda _, payload: heard.append(("pattern", payload)),
                on_gap=lambda: gaps.append("pattern"),
            )
            assert own_cluster.owner("d?ing") is not dying
            await adapter.psubscribe(
                "{dying}*",
                lambda _, payload: heard.append(("other", payload)),
                on_gap=lambda: gaps.append("other"),
            )

        await dying.kill()

        await until(lambda: "channel" in gaps)
        reached = await eventually(lambda: adapter.publish("dying", b"after"))
        assert reached == 1 or not sharded_pubsub, (
            "until the replica takes over, an unsharded subscription may stay at any other node"
        )
        await until(lambda: ("channel", b"after") in heard)
        if sharded_pubsub:
            assert gaps == ["channel"]
            return
        await until(lambda: ("pattern", b"after") in heard)
        await until(lambda: "other" in gaps)
        assert await adapter.publish("{dying}too", b"last") >= 0
        await until(lambda: ("other", b"last") in heard)
        assert sorted(gaps) == ["channel", "other"]
        assert len(heard) == 3


async def test_pattern_gets_messages_while_its_node_is_down(own_cluster: Cluster) -> None:
    """Messages from other nodes arrive at any node.

    Only a sharded channel requires the node of its slot.
    """
    heard: list[bytes] = []
    away = own_cluster.owner("{away}*")
    safe = next(
        name for number in range(100) if own_cluster.owner(name := f"safe:{number}") is not away
    )
    with own_cluster.replicas[own_cluster.primaries.index(away)].exchange() as exchange:
        exchange.ask("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    for node in own_cluster.nodes:
        with node.exchange() as exchange:
            exchange.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    async with adapter_of(own_cluster) as adapter:
        await away.kill()
        await adapter.psubscribe("*", lambda _, payload: heard.append(payload))
        await adapter.psubscribe("{away}*", lambda _, payload: heard.append(payload))
        await eventually(lambda: adapter.publish(safe, b"1"))
        await until(lambda: heard == [b"1"], "the pattern's subscriber hasn't got the message")


async def test_single_server_given_as_cluster_is_reported() -> None:
    server = servers.or_skip("valkey")
    with pytest.raises(StoreError) as caught:
        await RedisAdapter.from_url(
            f"redis+cluster://{server.address.host}:{server.address.port}", connect_timeout=2.0
        ).open()
    assert "isn't a node of a cluster" in caught.value.message
    assert "redis://" in caught.value.message


@pytest.mark.clause("LIF-4")
async def test_cancelled_caller_ends_cancelled_during_refresh_and_close(
    own_cluster: Cluster,
) -> None:
    """A topology refresh waits for nodes that don't reply, and the adapter closes meanwhile."""
    dying = own_cluster.owner("key")
    with own_cluster.replicas[own_cluster.primaries.index(dying)].exchange() as exchange:
        exchange.ask("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    async with contextlib.AsyncExitStack() as opening:
        adapters = [await opening.enter_async_context(adapter_of(own_cluster)) for _ in range(15)]
        await dying.kill()
        others = [node for node in own_cluster.nodes if node is not dying]
        for node in others:
            await node.pause()
        ends: list[bool] = []
        for turns, adapter in enumerate(adapters):
            reading = asyncio.create_task(adapter.get("key"))
            # Time has to pass: the nodes are paused, so nothing shows that the refresh waits
            await asyncio.sleep(0.1)
            closing = asyncio.create_task(adapter.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            if reading.cancel():
                await asyncio.wait([reading])
                ends.append(reading.cancelled())
            await closing
        for node in others:
            await node.resume()

    assert all(ends)
    assert len(ends) > 1
