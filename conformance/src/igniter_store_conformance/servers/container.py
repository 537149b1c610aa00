"""A server in a container, for kinds that have no wheel.

Rule: the kit chooses the port on this machine, and the port stays the same. Docker would assign a
    new one at each restart.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store_conformance.servers.ports import ReservedPort
from igniter_store_conformance.servers.resp import Address
from igniter_store_conformance.servers.server import Server, until_it_answers

if TYPE_CHECKING:
    from igniter_store_conformance.network.proxy import Proxy
    from igniter_store_conformance.servers.target import Target


def engine_answers() -> bool:
    """Return whether a Docker engine answers."""
    docker: Any = importlib.import_module("docker")  # comes with testcontainers, which is optional
    try:
        return bool(docker.from_env(timeout=5).ping())
    except Exception:  # noqa: BLE001 - whatever keeps Docker from answering, it doesn't
        return False


class ContainerServer(Server):
    """A server whose container the kit started; `close` removes it."""

    controllable: ClassVar[bool] = True

    def __init__(self, target: Target, *, proxied: bool) -> None:
        containers: Any = importlib.import_module("testcontainers.core.container")
        self._container: Any = None
        self.proxy: Proxy | None = None
        self._port = ReservedPort()
        try:
            port = self._port.number
            self._container = containers.DockerContainer(target.image).with_bind_ports(6379, port)
            atexit.register(self.close)
            self._container.start()
            super().__init__(target, Address(port=port), proxied=proxied)
            self.answering()
        except BaseException:
            self.close()
            raise

    def answering(self) -> None:
        """Return once the server answers."""
        until_it_answers(self.address, lambda: None)
        self.learn_version()

    def close(self) -> None:
        atexit.unregister(self.close)
        super().close()
        try:
            if self._container is not None:
                self._container.stop()
        finally:
            self._port.release()

    async def stop(self) -> None:
        await asyncio.to_thread(self._engine().stop)

    async def kill(self) -> None:
        await asyncio.to_thread(self._engine().kill)

    async def restart(self) -> None:
        await asyncio.to_thread(self._engine().restart)
        await asyncio.to_thread(self.answering)

    async def pause(self) -> None:
        await asyncio.to_thread(self._engine().pause)

    async def resume(self) -> None:
        engine = self._engine()
        await asyncio.to_thread(engine.reload)
        if engine.status == "paused":
            await asyncio.to_thread(engine.unpause)

    def _engine(self) -> Any:
        return self._container.get_wrapped_container()
