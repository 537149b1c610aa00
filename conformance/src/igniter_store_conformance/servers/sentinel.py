"""A Sentinel set: one primary, one replica, and three sentinels that watch them and can make the replica the primary."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.servers.gathering import start_all, startable, until
from igniter_store_conformance.servers.process import ServerProcess

if TYPE_CHECKING:
    from typing import Self

    from igniter_store_conformance.servers.finding import Target

_QUORUM: Final = 2
_SENTINELS: Final = 3


class SentinelSet:
    """A primary with its replica and its sentinels; `with servers.start_sentinel("valkey") as set:`.

    Attributes:
        name: what the sentinels call the primary ("igniter").
        servers: the two servers with data; which of them is the primary changes with a failover.
        sentinels: the three sentinels.
    """

    name: str = "igniter"

    def __init__(self, target: Target | str) -> None:
        program = startable(target)
        with ExitStack() as owner:
            self.servers = start_all([partial(ServerProcess, program)] * 2, owner)
            primary, replica = self.servers
            with replica.exchange() as exchange:
                exchange.ask("REPLICAOF", primary.address.host, primary.address.port)
            until("the replica follows", lambda: _follows(replica), self.servers)
            self.sentinels: list[ServerProcess] = []
            self.sentinels += start_all([partial(_Sentinel, program, self.name, primary.address.port)] * _SENTINELS, owner)
            until("the sentinels know each other and the replica", lambda: all(map(self._knows_all, self.sentinels)), self.sentinels)
            self._owner = owner.pop_all()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Hosts and ports of the sentinels, as clients want them."""
        return [(sentinel.address.host, sentinel.address.port) for sentinel in self.sentinels]

    def primary(self) -> ServerProcess:
        """The server that the sentinels call the primary now. It blocks."""
        port = self._primary_port(next(sentinel for sentinel in self.sentinels if sentinel.is_running))
        return next(server for server in self.servers if server.address.port == port)

    def replica(self) -> ServerProcess:
        """The other one. It blocks."""
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    async def failover(self) -> None:
        """Make the replica the primary; returns when all sentinels say so. That the former one follows they see to some seconds later."""
        await asyncio.to_thread(self._failover)

    async def promoted(self, server: ServerProcess) -> None:
        """Return when all sentinels call `server` the primary, as they will some time after the other one was killed."""
        await asyncio.to_thread(self._until_promoted, server)

    def close(self) -> None:
        """End all five; twice is fine."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _failover(self) -> None:
        chosen = self.replica()
        with self.sentinels[0].exchange() as exchange:
            exchange.ask("SENTINEL", "FAILOVER", self.name)
        self._until_promoted(chosen)

    def _until_promoted(self, server: ServerProcess) -> None:
        until(
            "the sentinels agree on the new primary",
            lambda: all(self._primary_port(sentinel) == server.address.port for sentinel in self.sentinels) and not _is_replica(server),
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
            # Not the counts of SENTINEL MASTER alone: CKQUORUM also says that the others can be reached.
            exchange.ask("SENTINEL", "CKQUORUM", self.name)
            replicas = exchange.ask("SENTINEL", "REPLICAS", self.name)
            others = exchange.ask("SENTINEL", "SENTINELS", self.name)
        return isinstance(replicas, list) and len(replicas) == 1 and isinstance(others, list) and len(others) == _SENTINELS - 1


class _Sentinel(ServerProcess):
    def __init__(self, target: Target, name: str, primary_port: int) -> None:
        self._watched = (name, primary_port)
        super().__init__(target)

    def command(self) -> list[str]:
        name, primary_port = self._watched
        settings = self.folder / "sentinel.conf"
        if not settings.exists():  # later on it is the sentinel's own, where it keeps what it knows
            settings.write_text(
                f"sentinel monitor {name} 127.0.0.1 {primary_port} {_QUORUM}\n"
                f"sentinel down-after-milliseconds {name} 1000\n"
                f"sentinel failover-timeout {name} 5000\n",
            )
        place = ["--bind", "127.0.0.1", "--port", str(self.address.port), "--dir", str(self.folder)]
        return [str(self.target.binary), str(settings), "--sentinel", *place]


def _follows(server: ServerProcess) -> bool:
    with server.exchange() as exchange:
        facts = exchange.info("replication")
    return facts["role"] == "slave" and facts["master_link_status"] == "up"


def _is_replica(server: ServerProcess) -> bool:
    with server.exchange() as exchange:
        return exchange.info("replication")["role"] == "slave"


def start_sentinel(target: Target | str) -> SentinelSet:
    """Start a primary, a replica and three sentinels; some seconds, until they know each other. It blocks.

    Args:
        target: what `find` gave, or a kind to find; a program, neither URL nor container.

    Raises:
        ServerMissing, ServerFailed, NotControllable: it can't be had, doesn't come together, or is no program.
    """
    return SentinelSet(target)
