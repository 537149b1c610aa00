"""The base adapter of every client whose operations are Redis commands."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from igniter_store.adapter_tools.options import check_seconds
from igniter_store.contract.affinity import Affinity, keep
from igniter_store.contract.errors import ErrorCode, misconfigured, store_error
from igniter_store.redis_commands.claims import CommandClaims
from igniter_store.redis_commands.counters import CommandCounters
from igniter_store.redis_commands.keyvalue import CommandKeyValue
from igniter_store.redis_commands.pubsub import CommandPubSub
from igniter_store.redis_commands.scan import CommandScan
from igniter_store.redis_commands.server_facts import facts_of, is_sentinel, warn_of_eviction
from igniter_store.redis_commands.streams import CommandStreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.redis_commands.client import CommandClient

_SENTINEL: Final = (
    "The server is a Sentinel, which has no data. Use a URL that begins with redis+sentinel:// "
    "and names the service: redis+sentinel://host:26379/service."
)


class CommandAdapter(
    CommandKeyValue, CommandCounters, CommandClaims, CommandPubSub, CommandStreams, CommandScan
):
    """Implements every capability on top of a `CommandClient`.

    Args:
        make_client: creates the client. It is called again after the client was abandoned.
        sharded_pubsub: whether to publish and subscribe with SPUBLISH and SSUBSCRIBE.
    """

    is_open: bool = False

    def __init__(
        self, make_client: Callable[[], CommandClient], *, sharded_pubsub: bool = False
    ) -> None:
        self._affinity = Affinity(self.abandon)
        self._make_command_client = make_client
        self._commands = make_client()
        self._is_sharded = sharded_pubsub
        self._changing = asyncio.Lock()
        self._has_warned = False

    @property
    def affinity(self) -> Affinity:
        """The event loop and the process that opened the adapter."""
        return self._affinity

    async def open(self) -> None:
        self._bind()
        async with self._changing:
            if self.is_open:
                return
            try:
                await self._commands.open()
                try:
                    await self._look_at_server()
                except GeneratorExit:
                    raise  # the event loop was closed meanwhile, so nothing can be awaited
                except BaseException:
                    await self._commands.close()
                    raise
            except GeneratorExit:
                raise
            except BaseException:
                await self._ended()
                raise
            self.is_open = True

    async def close(self) -> None:
        if self.affinity.is_inherited:
            self.affinity.inherit()
        else:
            self._bind()
        async with self._changing:
            self.is_open = False
            await self._commands.close()
            await self._ended()
            self.affinity.release()

    def abandon(self) -> None:
        if not self.affinity.has_ended:
            return
        is_inherited = self.affinity.is_inherited
        if is_inherited:
            keep(self._commands)
        self._commands.abandon(is_inherited=is_inherited)
        self._abandon_client(is_inherited=is_inherited)
        self._commands = self._make_command_client()
        self._commands.is_inherited = is_inherited
        self._changing = asyncio.Lock()  # a task of the closed loop may hold the old lock
        self.is_open = False
        self.affinity.end()

    def _bind(self) -> None:
        self.affinity.enter(self.name, is_in_use=self.is_open or self._changing.locked())

    async def ping(self) -> float:
        began = time.perf_counter()
        await self._commands.ping()
        return time.perf_counter() - began

    async def _look_at_server(self) -> None:
        """Reject a Sentinel, and warn once about a server that evicts keys."""
        facts = await facts_of(self._commands)
        if is_sentinel(facts):
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, _SENTINEL, backend=self.name, retryable=False
            )
        if not self._has_warned:
            self._has_warned = warn_of_eviction(facts, self.name)

    async def _ended(self) -> None:
        """Release resources behind the commands; a hook for anything else that a client opened."""

    def _abandon_client(self, *, is_inherited: bool) -> None:
        """Like `_ended`, for `abandon`; called before the new command client is created."""


def check_options(backend: str, *, timeout: Any, connect_timeout: Any, sharded_pubsub: Any) -> None:
    """Reject invalid values of the options that all these adapters have.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID`, with the option's name.
    """
    for option, value in (("timeout", timeout), ("connect_timeout", connect_timeout)):
        check_seconds(option, value, backend)
    if type(sharded_pubsub) is not bool:
        raise misconfigured("sharded_pubsub must be True or False.", backend)
