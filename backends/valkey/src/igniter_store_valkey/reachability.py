"""Finds out why a server doesn't reply: it is slow, unreachable, or rejects new connections.

Rule: when many callers time out together, one probe runs and all of them share its result.
Rule: after a probe finds no server, later calls fail at once until a probe succeeds. With glide,
    each of them would wait for its whole timeout. This requires the addresses of all servers, so
    calls always wait where glide discovers servers by itself.
Rule: a server that closes the connection without a reply may be a proxy without a backend, or one
    that rejects a plain PING. Only a new glide client can tell these apart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import glide
from igniter_store.contract import StoreError, store_error
from igniter_store.contract.affinity import background, forget_task
from igniter_store.redis_commands.reply_errors import connection_rejected

from igniter_store_valkey.errors import NAME, address_of, not_reached
from igniter_store_valkey.glide_clients import connected, varied
from igniter_store_valkey.probe import CLOSED, NO_REPLY, UNREACHABLE, probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_valkey.glide_types import Configuration

_BACKGROUND_TIMEOUT: Final = 5.0  # seconds for a background probe, including a slow DNS lookup
_CLIENT_TIMEOUT: Final = 2.0  # seconds in which a new glide client has to connect
_INTERVAL: Final = 0.1  # seconds between background probes


class Reachability:
    """Finds out whether the servers of a client are reachable.

    Args:
        configuration: the configuration of the client whose calls time out.
        on_connected: awaited when a new client connects although the current one gets no reply.
    """

    def __init__(
        self, configuration: Configuration, on_connected: Callable[[], Awaitable[None]]
    ) -> None:
        self._configuration: Final = configuration
        self._on_connected: Final = on_connected
        self._has_all_addresses: Final = (
            isinstance(configuration, glide.GlideClientConfiguration)
            and configuration.node_discovery_mode is not glide.NodeDiscoveryMode.DISCOVER_ALL
        )
        self._checking: asyncio.Task[StoreError | None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._unreachable: StoreError | None = None

    @property
    def known_error(self) -> StoreError | None:
        """The error of the last probe, while the servers are known to be unreachable."""
        return None if self._unreachable is None else _copy(self._unreachable)

    async def check(self) -> StoreError | None:
        """Return why the servers don't reply, or None when they are reachable and only slow."""
        found = self._unreachable or await self._shared_check()
        return None if found is None else _copy(found)

    async def _shared_check(self) -> StoreError | None:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        checking = self._checking
        await asyncio.wait([checking])  # a cancellation ends this caller only, not the shared task
        return None if checking.cancelled() else checking.result()  # cancelled: by `close`

    async def close(self) -> None:
        """Stop all probes."""
        tasks = [task for task in (self._checking, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._unreachable = None

    def abandon(self) -> None:
        """Drop all probes; their event loop is closed."""
        forget_task(self._checking)
        forget_task(self._watching)

    async def _check(self) -> StoreError | None:
        results = [
            result
            for result in await probe(self._configuration)
            if result not in {UNREACHABLE, CLOSED}
        ]
        if not results:
            error = not_reached(ConnectionError(), self._configuration, was_connected=True)
            if self._has_all_addresses:
                self._unreachable = error
                self._watching = asyncio.create_task(background(self._watch))
            return error
        rejection = connection_rejected(results[0], NAME, address_of(self._configuration))
        if rejection is not None and results[0] != "NOAUTH":  # the probe sends no credentials
            return rejection
        if all(result == NO_REPLY for result in results):
            return None
        rejection = await self._rejection()
        if rejection is None:
            await self._on_connected()
        # A timeout only shows that the server is slow, which is already known.
        return rejection if rejection is not None and _is_from_server(rejection) else None

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                results = set(await probe(self._configuration, _BACKGROUND_TIMEOUT)) - {UNREACHABLE}
                if results - {CLOSED}:
                    break
                if results and (
                    (rejection := await self._rejection()) is None or _is_from_server(rejection)
                ):
                    break
        finally:
            self._unreachable = None

    async def _rejection(self) -> StoreError | None:
        """Connect a new client, and return its error if that fails."""
        configuration = varied(
            self._configuration, timeout=_CLIENT_TIMEOUT, connect_timeout=_CLIENT_TIMEOUT
        )
        try:
            client = await connected(configuration, _CLIENT_TIMEOUT)
        except StoreError as error:
            return error
        await client.close()
        return None


def _copy(error: StoreError) -> StoreError:
    # Each caller raises an exception of its own.
    return store_error(
        error.code, error.message, backend=NAME, retryable=error.retryable, details=error.details
    )


def _is_from_server(error: StoreError) -> bool:
    """Return True for an error reply of the server, such as WRONGPASS."""
    return "word" in error.details
