"""What sets of servers share: starting many at once, waiting until they agree, ending them all."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from igniter_store_conformance.network.proxy_group import ProxyGroup
from igniter_store_conformance.servers.discovery import find
from igniter_store_conformance.servers.process import ServerProcess
from igniter_store_conformance.servers.resp import Refused
from igniter_store_conformance.servers.server import NotControllable, ServerFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import ExitStack

    from igniter_store_conformance.servers.target import Target

_PATIENCE: Final = 60.0  # seconds for servers to agree, on a machine that is busy with tests
_Server = TypeVar("_Server", bound=ServerProcess)


def startable(target: Target | str) -> Target:
    """The target, which has to be a program: a set is made of several processes."""
    if isinstance(target, str):
        target = find(target)
    if target.binary is None or target.kind == "dragonfly":
        raise NotControllable(
            f"A set of servers is started from a program of Redis or Valkey; {target} is none."
        )
    return target


def start_all(makers: Sequence[Callable[[], _Server]], owner: ExitStack) -> list[_Server]:
    """Start servers side by side, each to be closed by `owner`; when one doesn't come up, its error
    is raised after all have tried.
    """
    with ThreadPoolExecutor(len(makers)) as pool:
        starting = [pool.submit(maker) for maker in makers]
    for future in starting:
        if future.exception() is None:
            owner.callback(future.result().close)
    return [future.result() for future in starting]


class Member(ServerProcess):
    """A server of a set. What the others and clients are told is the port of its proxy, where it
    has one.

    Args:
        target: what to start.
        option: the setting by which it tells others its port.
        proxied: whether a `Proxy` stands before it.
        arguments: more of the server's own command line.
    """

    def __init__(
        self, target: Target, option: str, *, proxied: bool, arguments: Sequence[str] = ()
    ) -> None:
        self._option = option
        super().__init__(target, proxied=proxied, arguments=arguments)
        if self.proxy is not None:
            with self.exchange() as exchange:
                exchange.ask("CONFIG", "SET", option, self.port)

    @property
    def port(self) -> int:
        """Where others find it."""
        return self.address.port if self.proxy is None else self.proxy.port

    def command(self) -> list[str]:
        told = [] if self.proxy is None else [f"--{self._option}", str(self.port)]
        return [*super().command(), *told]


def network_of(servers: Sequence[ServerProcess]) -> ProxyGroup | None:
    """What stands before the servers, if anything does."""
    proxies = [server.proxy for server in servers if server.proxy is not None]
    return ProxyGroup(proxies) if proxies else None


async def at_all(servers: Sequence[Member], work: Callable[[Member], Awaitable[None]]) -> None:
    """Do something to all servers at once."""
    await asyncio.gather(*(work(server) for server in servers))


def until(what: str, is_so: Callable[[], bool], servers: Sequence[ServerProcess]) -> None:
    """Return once `is_so()`; a server that isn't there or refuses counts as no.

    Raises:
        ServerFailed: it takes too long; the message has the end of every log.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            if is_so():
                return
        except (OSError, Refused):
            pass
        if time.monotonic() > end:
            logs = "\n".join(server.log() for server in servers)
            raise ServerFailed(f"After {_PATIENCE:g} seconds still not: {what}.\n{logs}")
        time.sleep(0.02)
