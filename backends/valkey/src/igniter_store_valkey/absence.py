"""Why nobody answers: a server that is busy, or one that isn't there, or lets nobody in any more.

Rule: many callers are late together. One of them looks, and all take what it finds.
Rule: once nobody was there, who asks next isn't kept waiting as well: it is known until somebody is at the door again. glide would let each
wait as long as a call may take. Who hangs up is a proxy in front of nobody, or one that doesn't like what we say: there a client of glide's
is tried, too. Where glide finds servers by itself it may know some that the configuration doesn't, so there all wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import glide
from igniter_store.contract import StoreError, store_error
from igniter_store.contract.affinity import forget_task
from igniter_store.redis_commands.reply_errors import unwelcome

from igniter_store_valkey.clients import connected, varied
from igniter_store_valkey.door import HUNG_UP, NOBODY, SILENCE, said_at
from igniter_store_valkey.errors import NAME, address_of, not_reached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_valkey.clients import Configuration

_PATIENCE_OF_THE_WATCH: Final = 5.0  # seconds for who is there, when no caller waits: a slow name server isn't asked again meanwhile
_PATIENCE_AT_THE_DOOR: Final = 2.0  # seconds for whether we are let in
_BETWEEN_KNOCKS: Final = 0.1  # seconds


class Absence:
    """Looks after a place from which no answer came.

    Args:
        configuration: of the client that waited.
        on_let_in: awaited when a new client was answered, though the one that waited was not.
    """

    def __init__(self, configuration: Configuration, on_let_in: Callable[[], Awaitable[None]]) -> None:
        self._configuration: Final = configuration
        self._on_let_in: Final = on_let_in
        self._has_all_addresses: Final = (
            isinstance(configuration, glide.GlideClientConfiguration)
            and configuration.node_discovery_mode is not glide.NodeDiscoveryMode.DISCOVER_ALL
        )
        self._looking: asyncio.Task[StoreError | None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._gone: StoreError | None = None

    @property
    def known(self) -> StoreError | None:
        """An error that says that nobody is there, as far as is known."""
        return None if self._gone is None else _again(self._gone)

    async def reason(self) -> StoreError | None:
        """What is wrong, unless somebody is there and only doesn't answer in time."""
        found = self._gone or await self._found()
        return None if found is None else _again(found)

    async def _found(self) -> StoreError | None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        looking = self._looking
        await asyncio.wait([looking])  # who is cancelled here is our caller; others look on
        return None if looking.cancelled() else looking.result()  # by `close`

    async def close(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._looking, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._gone = None

    def abandon(self) -> None:
        """Look no more, since the event loop is closed."""
        forget_task(self._looking)
        forget_task(self._watching)

    async def _look(self) -> StoreError | None:
        words = [word for word in await said_at(self._configuration) if word not in {NOBODY, HUNG_UP}]
        if not words:
            error = not_reached(ConnectionError(), self._configuration, was_connected=True)
            if self._has_all_addresses:
                self._gone = error
                self._watching = asyncio.create_task(self._watch())
            return error
        if (known := unwelcome(words[0], NAME, address_of(self._configuration))) is not None and words[
            0
        ] != "NOAUTH":  # as which user one comes, that doesn't ask
            return known
        if all(word == SILENCE for word in words):
            return None
        refusal = await self._refusal()
        if refusal is None:
            await self._on_let_in()
        return refusal if refusal is not None and _is_told(refusal) else None  # that it is slow, we know

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_BETWEEN_KNOCKS)
                said = set(await said_at(self._configuration, _PATIENCE_OF_THE_WATCH)) - {NOBODY}
                if said - {HUNG_UP}:
                    break
                if said and ((refusal := await self._refusal()) is None or _is_told(refusal)):
                    break
        finally:
            self._gone = None

    async def _refusal(self) -> StoreError | None:
        """Why no other client is let in, if none is."""
        configuration = varied(self._configuration, timeout=_PATIENCE_AT_THE_DOOR, connect_timeout=_PATIENCE_AT_THE_DOOR)
        try:
            client = await connected(configuration, _PATIENCE_AT_THE_DOOR)
        except StoreError as error:
            return error
        await client.close()
        return None


def _again(error: StoreError) -> StoreError:
    """The same, for one more caller."""
    return store_error(error.code, error.message, backend=NAME, retryable=error.retryable, details=error.details)


def _is_told(error: StoreError) -> bool:
    """Whether the server itself has said it, such as of our user."""
    return "word" in error.details
