"""A server that has just been started and still reads its data: it answers everything with LOADING.

Rule: it really loads, from a file that is long enough and at a pace that is slow enough; then it is
    started again as it was.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from igniter_store.contract import ErrorCode

from igniter_store_conformance.servers.refusals import Refusal
from igniter_store_conformance.servers.resp import Queryable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Restartable(Queryable, Protocol):
    """A server process that can be stopped and started again."""

    def launch(self, *options: str, is_loaded: bool = True) -> None:
        """Start the process."""
        ...

    async def stop(self) -> None:
        """Shut it down in order."""
        ...

    async def kill(self) -> None:
        """Kill the process."""
        ...

    async def restart(self) -> None:
        """Start it at the same address."""
        ...


LOADING: Final = Refusal(ErrorCode.STORE_CONNECTION_FAILED, retryable=True, refuses_reads=True)
"""Started again, and still reading its data: half a minute at most, since then it has read all."""

# The server looks at its clients after every 1,024 commands that it has read: so five times a
# second, for thirty seconds.
_MICROSECONDS: Final = 200
_COMMANDS: Final = 150_000
_KEY: Final = "igniter-conformance-loading"
_FILL: Final = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1], i) end"


@asynccontextmanager
async def loading(server: Restartable) -> AsyncGenerator[None]:
    """Restart `server`, and let it load within the block.

    What connections it had are cut, as by any restart.
    """
    await asyncio.to_thread(_fill, server)
    await server.stop()
    try:
        await asyncio.to_thread(
            server.launch, "--key-load-delay", str(_MICROSECONDS), is_loaded=False
        )
        yield
    finally:
        # It takes no commands, so nothing is lost; and a shutdown in order would wait until all is
        # loaded
        await server.kill()
        await server.restart()
        await asyncio.to_thread(_empty, server)


def _fill(server: Restartable) -> None:
    with server.exchange(timeout=30) as exchange:
        exchange.ask("EVAL", _FILL, 1, _KEY, _COMMANDS)


def _empty(server: Restartable) -> None:
    with server.exchange(timeout=30) as exchange:
        exchange.ask("DEL", _KEY)
        exchange.ask("BGREWRITEAOF")  # else every later restart would read these commands again
