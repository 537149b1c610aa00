"""A Sentinel set: one primary, one replica, and three sentinels that watch them and can make the
replica the primary.
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
    """A primary with its replica and its sentinels; `with servers.start_sentinel("valkey") as
    set:`.

    It satisfies `harness.RefusingServer`: what is done to it is done to the two servers with data
    at once, and the primary refuses. `restart` and `resume` return when the sentinels see it well,
    and the other one follows.

    Attributes:
        kind: as reports show it, "valkey behind sentinel".
        version: of the servers, "9.1.2".
        name: what the sentinels call the primary ("igniter").
        servers: the two servers with data; which of them is the primary changes with a failover.
        sentinels: the three sentinels.
        proxy: what stands before the two servers, when they were started with `proxied=True`, else
            `None`; the sentinels watch them, and the one follows the other, through it, too.
    """

    name: str = "igniter"

    def __init__(
        self, target: Target | str, *, proxied: bool = False, down_after: float = 1.0
    ) -> None:
        program = startable(target)
        self.kind = f"{program.kind} behind sentinel"
        self.version = program.version
        with ExitStack() as owner:
            self.servers = start_all(
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
        """Hosts and ports of the sentinels, as clients want them."""
        return [(sentinel.address.host, sentinel.address.port) for sentinel in self.sentinels]

    def primary(self) -> Member:
        """The server that the sentinels call the primary now. It blocks."""
        port = self._primary_port(
            next(sentinel for sentinel in self.sentinels if sentinel.is_running)
        )
        return next(server for server in self.servers if server.port == port)

    def replica(self) -> Member:
        """The other one. It blocks."""
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    async def failover(self) -> None:
        """Make the replica the primary; returns when all sentinels say so. That the former one
        follows they see to some seconds later.
        """
        await asyncio.to_thread(self._failover)

    async def promoted(self, server: Member) -> None:
        """Return when all sentinels call `server` the primary, as they will some time after the
        other one was killed.
        """
        await asyncio.to_thread(self._until_promoted, server)

    async def stop(self) -> None:
        """Shut both servers down in order."""
        await at_all(self.servers, Member.stop)

    async def kill(self) -> None:
        """End both servers at once, without a goodbye."""
        await at_all(self.servers, Member.kill)

    async def restart(self) -> None:
        """Start both servers at their addresses, the running ones anew; the primary stays the
        primary.
        """
        primary, replica = await asyncio.to_thread(lambda: (self.primary(), self.replica()))
        await at_all(self.servers, Member.restart)
        await asyncio.to_thread(self._follow, replica, primary)
        await asyncio.to_thread(self._until_well)

    async def pause(self) -> None:
        """Stop both servers, and keep every connection open."""
        await at_all(self.servers, Member.pause)

    async def resume(self) -> None:
        """Go on after `pause`."""
        await at_all(self.servers, Member.resume)
        await asyncio.to_thread(self._until_well)

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """What the primary can be made to answer with."""
        return self.servers[0].refusals

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Within the block, the primary refuses with this word; longer than the sentinels bear it,
        and the other one takes over.

        Raises:
            KeyError: for a word that `refusals` doesn't have.
        """
        async with (await asyncio.to_thread(self.primary)).refusing(word):
            yield
        await asyncio.to_thread(self._until_well)

    def close(self) -> None:
        """End all five; twice is fine."""
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
            # Not the counts of SENTINEL MASTER alone: CKQUORUM also says that the others can be
            # reached.
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
        if not settings.exists():  # later on it is the sentinel's own, where it keeps what it knows
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
    """Start a primary, a replica and three sentinels; some seconds, until they know each other. It
    blocks.

    Args:
        target: what `find` gave, or a kind to find; a program, neither URL nor container.
        proxied: put a `Proxy` before the primary and the replica, so that the network can be
            broken; the sentinels send clients there.
        down_after: seconds that a primary may be silent before the sentinels let the replica take
            over; longer than the tests keep it from answering, where it is to stay the primary.

    Raises:
        ServerMissing, ServerFailed, NotControllable: it can't be had, doesn't come together, or is
        no program.
    """
    return SentinelSet(target, proxied=proxied, down_after=down_after)
