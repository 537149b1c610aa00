"""A cluster: three primaries that share the keys, each with a replica."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from igniter_store.redis_commands.slots import SLOTS, slot_of

from igniter_store_conformance.servers.member import (
    Member,
    at_all,
    network_of,
    start_all,
    startable,
    until,
)
from igniter_store_conformance.servers.refusals import REFUSALS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import Self

    from igniter_store_conformance.network.proxy_group import ProxyGroup
    from igniter_store_conformance.servers.refusals import Refusal
    from igniter_store_conformance.servers.target import Target

_PRIMARIES: Final = 3
_BUS: Final = 10_000  # added to a node's port: the port of the cluster bus
# A cluster node can't be made the replica of a server that doesn't exist.
_REFUSALS: Final = MappingProxyType(
    {word: refusal for word, refusal in REFUSALS.items() if word != "READONLY"}
)
_ARGUMENTS: Final = (
    "--cluster-enabled",
    "yes",
    "--cluster-config-file",
    "nodes.conf",
    "--cluster-node-timeout",
    "2000",
)


class Cluster:
    """A cluster of six nodes; `with servers.start_cluster("valkey") as cluster:`.

    A node answers MOVED for a key of another node. The class satisfies `harness.RefusingServer`:
    each method acts on all six nodes at once, and the nodes that own slots refuse. `restart` and
    `resume` return when the cluster is complete again.

    Attributes:
        kind: the name in reports, "valkey cluster".
        version: the version of the servers, "9.1.2".
        primaries: the three nodes that owned the slots at the start, in the order of the slots.
        replicas: the three nodes that replicated them, in the same order.
        proxy: the network in front of all six, if the cluster was started with `proxied=True`, else
            `None`. Replicas follow through it, too.
        refusals: the refusals that the nodes with slots can produce.
    """

    refusals: Mapping[str, Refusal] = _REFUSALS

    def __init__(self, target: Target | str, *, proxied: bool = False) -> None:
        program = startable(target)
        self.kind: str = f"{program.kind} cluster"
        self.version: str = program.version
        with ExitStack() as owner:
            make = partial(
                Member, program, "cluster-announce-port", proxied=proxied, arguments=_ARGUMENTS
            )
            nodes = start_all([make] * (2 * _PRIMARIES), owner)
            self.primaries: list[Member] = nodes[:_PRIMARIES]
            self.replicas: list[Member] = nodes[_PRIMARIES:]
            self.proxy: ProxyGroup | None = network_of(nodes)
            self._join()
            self._owner = owner.pop_all()

    @property
    def nodes(self) -> list[Member]:
        """All six nodes."""
        return [*self.primaries, *self.replicas]

    @property
    def urls(self) -> list[str]:
        """The URLs of all nodes; a client discovers the others from any of them."""
        return [node.url for node in self.nodes]

    def owner(self, key: str) -> Member:
        """Return the node that owns `key` now. This call blocks."""
        slot = slot_of(key)
        for slots, node in self._slots():
            if slot in slots:
                return node
        message = f"No node of the cluster has the slot {slot}."
        raise LookupError(message)

    def stranger(self, key: str) -> Member:
        """Return a primary that doesn't own `key` and answers MOVED for it. This call blocks."""
        owner = self.owner(key)
        return next(node for node in self.primaries if node is not owner)

    async def stop(self) -> None:
        """Shut all six nodes down gracefully."""
        await at_all(self.nodes, Member.stop)

    async def kill(self) -> None:
        """Kill all six nodes at once, without a graceful shutdown."""
        await at_all(self.nodes, Member.kill)

    async def restart(self) -> None:
        """Start all six nodes at their addresses; running ones are restarted."""
        await at_all(self.nodes, Member.restart)
        await asyncio.to_thread(self._until_whole)

    async def pause(self) -> None:
        """Pause all six nodes, and keep every connection open."""
        await at_all(self.nodes, Member.pause)

    async def resume(self) -> None:
        """Continue after `pause`."""
        await at_all(self.nodes, Member.resume)
        await asyncio.to_thread(self._until_whole)

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Within the block, all nodes that own slots refuse with this error prefix.

        Raises:
            KeyError: `refusals` doesn't have this prefix.
        """
        self.refusals[word]
        async with AsyncExitStack() as blocks:
            for node in {
                id(node): node for _, node in await asyncio.to_thread(self._slots)
            }.values():
                await blocks.enter_async_context(node.refusing(word))
            yield
        await asyncio.to_thread(self._until_whole)

    def close(self) -> None:
        """End all six nodes; may be called twice."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self) -> None:
        nodes = self.nodes
        for number, primary in enumerate(self.primaries):
            first, last = SLOTS * number // _PRIMARIES, SLOTS * (number + 1) // _PRIMARIES
            with primary.exchange() as exchange:
                exchange.ask("CLUSTER", "ADDSLOTS", *range(first, last))
                # Equal epochs would need a vote to resolve.
                exchange.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        with nodes[0].exchange() as exchange:
            for node in nodes[1:]:
                exchange.ask(
                    "CLUSTER", "MEET", node.address.host, node.port, node.address.port + _BUS
                )
        until(
            "the nodes know each other",
            lambda: all(_state(node, "cluster_known_nodes") == str(len(nodes)) for node in nodes),
            nodes,
        )
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            until("a replica has its primary", partial(_replicate, replica, primary), nodes)
        self._until_whole()
        until("the replicas follow", lambda: all(map(_follows, self.replicas)), nodes)

    def _slots(self) -> list[tuple[range, Member]]:
        asked = next(node for node in self.nodes if node.is_running)
        with asked.exchange() as exchange:
            answer = exchange.ask("CLUSTER", "SLOTS")
        slots: list[tuple[range, Member]] = []
        for one in answer if isinstance(answer, list) else []:
            match one:
                case [int(first), int(last), [_, int(port), *_], *_]:
                    slots.append(
                        (
                            range(first, last + 1),
                            next(node for node in self.nodes if node.port == port),
                        )
                    )
                case _:
                    pass
        return slots

    def _until_whole(self) -> None:
        until(
            "the cluster is whole",
            lambda: all(_state(node, "cluster_state") == "ok" for node in self.nodes),
            self.nodes,
        )


def _state(node: Member, name: str) -> str:
    with node.exchange() as exchange:
        return exchange.info("cluster state")[name]


def _replicate(replica: Member, primary: Member) -> bool:
    # The node refuses, and the call is retried, until the replica knows this primary well enough.
    with primary.exchange() as exchange:
        name = exchange.ask("CLUSTER", "MYID")
    assert isinstance(name, bytes)
    with replica.exchange() as exchange:
        exchange.ask("CLUSTER", "REPLICATE", name)
    return True


def _follows(node: Member) -> bool:
    with node.exchange() as exchange:
        return exchange.info("replication").get("master_link_status") == "up"


def start_cluster(target: Target | str, *, proxied: bool = False) -> Cluster:
    """Start three primaries and three replicas, and wait until they know each other.

    This call blocks for some seconds.

    Args:
        target: a result of `find`, or a kind to find. It must be a program, not a URL or a
            container.
        proxied: put a `Proxy` in front of each node, so that tests can break the network. Nodes
            then redirect clients to each other's proxies.

    Raises:
        ServerMissing: there is no server of that kind.
        ServerFailed: a node doesn't start, or the cluster doesn't form.
        NotControllable: the target isn't a program.
    """
    return Cluster(target, proxied=proxied)
