"""The adapter whose operations are commands: what each client of such a server begins from."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from igniter_store.contract.commands.claims import CommandClaims
from igniter_store.contract.commands.counters import CommandCounters
from igniter_store.contract.commands.keyvalue import CommandKeyValue
from igniter_store.contract.commands.pubsub import CommandPubSub
from igniter_store.contract.commands.scan import CommandScan
from igniter_store.contract.commands.streams import CommandStreams

if TYPE_CHECKING:
    from igniter_store.contract.commands.commands import Commands


class CommandAdapter(CommandKeyValue, CommandCounters, CommandClaims, CommandPubSub, CommandStreams, CommandScan):
    """Every capability, on whatever carries commands to the keys.

    Args:
        commands: that.
        sharded_pubsub: whether to publish and subscribe by SPUBLISH and SSUBSCRIBE.
    """

    def __init__(self, commands: Commands, *, sharded_pubsub: bool = False) -> None:
        self._commands = commands
        self._is_sharded = sharded_pubsub
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        async with self._changing:
            if self.is_open:
                return
            try:
                await self._commands.open()
            except BaseException:
                await self._ended()
                raise
            self.is_open = True

    async def close(self) -> None:
        async with self._changing:
            self.is_open = False
            await self._commands.close()
            await self._ended()

    async def ping(self) -> float:
        began = time.perf_counter()
        await self._commands.ping()
        return time.perf_counter() - began

    async def _ended(self) -> None:
        """Release what stands behind the commands; a hook for what a client has opened besides."""
