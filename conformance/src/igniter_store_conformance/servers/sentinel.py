"""A Sentinel set: one primary, one replica, and three sentinels.

The sentinels watch the two servers and can promote the replica.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.servers.member import (
    Member,
    at_all,
    network_of,
    start_all,
    startable,
    until,
)
from igniter_store_conformance.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from typing import Self

    from igniter_store_conformance.network.proxy_group import ProxyGroup
    from igniter_store_conformance.servers.refusals import Refusal
    from igniter_store_conformance.servers.target import Target

_QUORUM: Final = 2
_SENTINELS: Final = 3


class SentinelSet:
    """A primary, its replica and its sentinels; `with servers.start_sentinel("valkey") as set:`.

    The class satisfies `harness.RefusingServer`: each method acts on the two data servers at once,
    and the primary refuses. `restart` and `resume` return when the sentinels consider the primary
    healthy and the replica follows it.

    Attributes:
        kind: the name in reports, "valkey behind sentinel".
        version: the version of the servers, "9.1.2".
        name: the sentinels' name for the primary ("igniter").
        servers: the two data servers; a failover changes which of them is the primary.
        sentinels: the three sentinels.
        proxy: the network in front of the two servers, if the set was started with `proxied=True`,
            else `None`. The sentinels and the replica connect through it, too.
    """

    name: str = "igniter"

    def __init__(
        self, target: Target | str, *, proxied: bool = False, down_after: float = 1.0
    ) -> None:
        program = startable(target)
        self.kind: str = f"{program.kind} behind sentinel"
        self.version: str = program.version
        with ExitStack() as owner:
            self.servers: list[Member] = start_all(
                [partial(Member, program, "replica-announce-port", proxied=proxied)] * 2, owner
            )
            self.proxy: ProxyGroup | None = network_of(self.servers)
            primary, replica = self.servers
            self._follow(replica, primary)
            self.sentinels: list[ServerProcess] = []
            orders = [
                f"monitor {self.name} 127.0.0.1 {primary.port} {_QUORUM}",
                f"down-after-milliseconds {self.name} {down_after * 1000:.0f}",
                f"failover-timeout {self.name} 5000",
            ]
            self.sentinels += start_all([partial(_Sentinel, program, orders)] * _SENTINELS, owner)
            until(
                "the sentinels know each other and the replica",
                lambda: all(map(self._knows_all, self.sentinels)),
                self.sentinels,
            )
            self._owner = owner.pop_all()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Hosts and ports of the sentinels, in the form that clients accept."""
        return [(sentinel.address.host, sentinel.address.port) for sentinel in self.sentinels]

    def primary(self) -> Member:
        """The server that the sentinels report as the primary now. This call blocks."""
        port = self._primary_port(
            next(sentinel for sentinel in self.sentinels if sentinel.is_running)
        )
        return next(server for server in self.servers if server.port == port)

    def replica(self) -> Member:
        """The other server. This call blocks."""
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    async def failover(self) -> None:
        """Promote the replica, and return when all sentinels report the new primary.

        The sentinels make the former primary a replica some seconds later.
        """
        await asyncio.to_thread(self._failover)

    async def promoted(self, server: Member) -> None:
        """Return when all sentinels report `server` as the primary.

        They do so some time after the other one was killed.
        """
        await asyncio.to_thread(self._until_promoted, server)

    async def stop(self) -> None:
        """Shut both servers down gracefully."""
        await at_all(self.servers, Member.stop)

    async def kill(self) -> None:
        """Kill both servers at once, without a graceful shutdown."""
        await at_all(self.servers, Member.kill)

    async def restart(self) -> None:
        """Start both servers at their addresses; running ones are restarted.

        The primary stays the primary.
        """
        primary, replica = await asyncio.to_thread(lambda: (self.primary(), self.replica()))
        await at_all(self.servers, Member.restart)
        await asyncio.to_thread(self._follow, replica, primary)
        await asyncio.to_thread(self._until_well)

    async def pause(self) -> None:
        """Pause both servers, and keep every connection open."""
        await at_all(self.servers, Member.pause)

    async def resume(self) -> None:
        """Continue after `pause`."""
        await at_all(self.servers, Member.resume)
        await asyncio.to_thread(self._until_well)

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The refusals that the primary can produce."""
        return self.servers[0].refusals

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Within the block, the primary refuses with this error prefix.

        If the block takes longer than the sentinels tolerate, the replica takes over.

        Raises:
            KeyError: `refusals` doesn't have this prefix.
        """
        async with (await asyncio.to_thread(self.primary)).refusing(word):
            yield
        await asyncio.to_thread(self._until_well)

    def close(self) -> None:
        """End all five servers; may be called twice."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self, replica: Member, primary: Member) -> None:
        with replica.exchange() as exchange:
            exchange.ask("REPLICAOF", primary.address.host, primary.port)
        until("the replica follows", lambda: _follows(replica), self.servers)

    def _until_well(self) -> None:
        until(
            "the sentinels see the primary",
            lambda: all(map(self._sees_primary, self.sentinels)),
            [*self.servers, *self.sentinels],
        )
        until("the replica follows", lambda: _follows(self.replica()), self.servers)

    def _sees_primary(self, sentinel: ServerProcess) -> bool:
        with sentinel.exchange() as exchange:
            answer = exchange.ask("SENTINEL", "MASTER", self.name)
        if not isinstance(answer, list):
            return False
        flags = answer[answer.index(b"flags") + 1]
        return isinstance(flags, bytes) and b"down" not in flags and not _is_replica(self.primary())

    def _failover(self) -> None:
        chosen = self.replica()
        with self.sentinels[0].exchange() as exchange:
            exchange.ask("SENTINEL", "FAILOVER", self.name)
        self._until_promoted(chosen)

    def _until_promoted(self, server: Member) -> None:
        until(
            "the sentinels agree on the new primary",
            lambda: (
                all(self._primary_port(sentinel) == server.port for sentinel in self.sentinels)
                and not _is_replica(server)
            ),
            [*self.servers, *self.sentinels],
        )

    def _primary_port(self, sentinel: ServerProcess) -> int:
        with sentinel.exchange() as exchange:
            answer = exchange.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        match answer:
            case [bytes(), bytes(port)]:
                return int(port)
            case _:
                return 0

    def _knows_all(self, sentinel: ServerProcess) -> bool:
        with sentinel.exchange() as exchange:
            # The counts of SENTINEL MASTER aren't enough: CKQUORUM also reports whether the others
            # are reachable.
            exchange.ask("SENTINEL", "CKQUORUM", self.name)
            replicas = exchange.ask("SENTINEL", "REPLICAS", self.name)
            others = exchange.ask("SENTINEL", "SENTINELS", self.name)
        return (
            isinstance(replicas, list)
            and len(replicas) == 1
            and isinstance(others, list)
            and len(others) == _SENTINELS - 1
        )


class _Sentinel(ServerProcess):
    def __init__(self, target: Target, orders: Sequence[str]) -> None:
        self._orders = tuple(orders)
        super().__init__(target)

    def command(self) -> list[str]:
        settings = self.folder / "sentinel.conf"
        # After the first start the file belongs to the sentinel, which keeps its state there.
        if not settings.exists():
            settings.write_text("".join(f"sentinel {order}\n" for order in self._orders))
        place = ["--bind", "127.0.0.1", "--port", str(self.address.port), "--dir", str(self.folder)]
        return [str(self.target.binary), str(settings), "--sentinel", *place]


def _follows(server: Member) -> bool:
    with server.exchange() as exchange:
        facts = exchange.info("replication")
    return facts["role"] == "slave" and facts["master_link_status"] == "up"


def _is_replica(server: Member) -> bool:
    with server.exchange() as exchange:
        return exchange.info("replication")["role"] == "slave"


def start_sentinel(
    target: Target | str, *, proxied: bool = False, down_after: float = 1.0
) -> SentinelSet:
    """Start a primary, a replica and three sentinels, and wait until they know each other.

    This call blocks for some seconds.

    Args:
        target: a result of `find`, or a kind to find. It must be a program, not a URL or a
            container.
        proxied: put a `Proxy` in front of the primary and the replica, so that tests can break the
            network. The sentinels send clients to the proxies.
        down_after: seconds that a primary may be silent before the sentinels promote the replica.
            Make it longer than the tests keep the primary from answering, if it is to stay the
            primary.

    Raises:
        ServerMissing: there is no server of that kind.
        ServerFailed: a server doesn't start, or the set doesn't form.
        NotControllable: the target isn't a program.
    """
    return SentinelSet(target, proxied=proxied, down_after=down_after)
