"""A server that was just started and still loads its data: it answers every command with LOADING.

Rule: the server really loads a file, which is long enough, at a pace that is slow enough.
    Afterwards it is restarted with its former settings.
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
        """Shut it down gracefully."""
        ...

    async def kill(self) -> None:
        """Kill the process."""
        ...

    async def restart(self) -> None:
        """Start it at the same address."""
        ...


LOADING: Final = Refusal(ErrorCode.STORE_CONNECTION_FAILED, retryable=True, refuses_reads=True)
"""A restarted server that still loads its data, which takes at most half a minute."""

# The server serves its clients after every 1,024 commands that it has loaded: five times a second,
# for thirty seconds.
_MICROSECONDS: Final = 200
_COMMANDS: Final = 150_000
_KEY: Final = "igniter-conformance-loading"
_FILL: Final = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1], i) end"


@asynccontextmanager
async def loading(server: Restartable) -> AsyncGenerator[None]:
    """Restart `server`, and keep it loading within the block.

    Its connections are cut, as by any restart.
    """
    await asyncio.to_thread(_fill, server)
    await server.stop()
    try:
        await asyncio.to_thread(
            server.launch, "--key-load-delay", str(_MICROSECONDS), is_loaded=False
        )
        yield
    finally:
        # It accepts no commands, so nothing is lost. A graceful shutdown would wait until all data
        # is loaded.
        await server.kill()
        await server.restart()
        await asyncio.to_thread(_empty, server)


def _fill(server: Restartable) -> None:
    with server.exchange(timeout=30) as exchange:
        exchange.ask("EVAL", _FILL, 1, _KEY, _COMMANDS)


def _empty(server: Restartable) -> None:
    with server.exchange(timeout=30) as exchange:
        exchange.ask("DEL", _KEY)
        # Otherwise every later restart would load these commands again.
        exchange.ask("BGREWRITEAOF")
