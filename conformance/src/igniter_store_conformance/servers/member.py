"""Shared by sets of servers: start many at once, wait until they agree, end them all."""

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
    """Return the target, which must be a program: a set consists of several processes."""
    if isinstance(target, str):
        target = find(target)
    if target.binary is None or target.kind == "dragonfly":
        raise NotControllable(
            f"A set of servers is started from a program of Redis or Valkey; {target} is none."
        )
    return target


def start_all(makers: Sequence[Callable[[], _Server]], owner: ExitStack) -> list[_Server]:
    """Start servers concurrently, each to be closed by `owner`.

    If a server doesn't start, its error is raised after all others have been tried.
    """
    with ThreadPoolExecutor(len(makers)) as pool:
        starting = [pool.submit(maker) for maker in makers]
    for future in starting:
        if future.exception() is None:
            owner.callback(future.result().close)
    return [future.result() for future in starting]


class Member(ServerProcess):
    """A server of a set. It announces the port of its proxy, if it has one.

    Args:
        target: the server to start.
        option: the setting with which it announces its port to other servers.
        proxied: whether a `Proxy` is in front of it.
        arguments: further arguments of the server's command line.
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
        """The port at which other servers reach it."""
        return self.address.port if self.proxy is None else self.proxy.port

    def command(self) -> list[str]:
        told = [] if self.proxy is None else [f"--{self._option}", str(self.port)]
        return [*super().command(), *told]


def network_of(servers: Sequence[ServerProcess]) -> ProxyGroup | None:
    """Return the network in front of the servers, if there is one."""
    proxies = [server.proxy for server in servers if server.proxy is not None]
    return ProxyGroup(proxies) if proxies else None


async def at_all(servers: Sequence[Member], work: Callable[[Member], Awaitable[None]]) -> None:
    """Call `work` with all servers concurrently."""
    await asyncio.gather(*(work(server) for server in servers))


def until(what: str, is_so: Callable[[], bool], servers: Sequence[ServerProcess]) -> None:
    """Return once `is_so()` is true; an unreachable or refusing server counts as false.

    Raises:
        ServerFailed: the wait timed out. The message has the end of every log.
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
