"""Why nobody answers: a server that is busy, or one that isn't there, or lets nobody in any more.

Rule: many callers are late together. One of them looks, and all take what it finds.
Rule: once nobody was there, who asks next isn't kept waiting as well: it is known until somebody is at the door again. glide would let each
wait as long as a call may take. Where glide finds servers by itself it may know some that the configuration doesn't, so there all wait.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import glide
from igniter_store.contract import StoreError
from igniter_store.contract.commands.troubles import unwelcome, word_of

from igniter_store_valkey.clients import connected, varied
from igniter_store_valkey.errors import NAME, not_reached

if TYPE_CHECKING:
    from igniter_store_valkey.clients import Configuration

_PATIENCE: Final = 0.5  # seconds for who is there, while a caller waits for it
_PATIENCE_OF_THE_WATCH: Final = 5.0  # seconds for the same while nobody does: a name server that is slow isn't asked again meanwhile
_PATIENCE_FOR_A_WORD: Final = 2.0  # seconds for what they say: a server that loads its data looks up a few times a second at best
_PATIENCE_AT_THE_DOOR: Final = 2.0  # seconds for whether we are let in
_BETWEEN_KNOCKS: Final = 0.1  # seconds
_SILENCE: Final = "(silence)"


class Absence:
    """Looks after a place from which no answer came.

    Args:
        configuration: of the client that waited.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration: Final = configuration
        self._has_all_addresses: Final = (
            isinstance(configuration, glide.GlideClientConfiguration)
            and configuration.node_discovery_mode is not glide.NodeDiscoveryMode.DISCOVER_ALL
        )
        self._looking: asyncio.Task[StoreError | None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._gone: StoreError | None = None

    @property
    def is_known(self) -> bool:
        """Whether nobody is there, as far as is known."""
        return self._gone is not None

    async def reason(self) -> StoreError | None:
        """What is wrong, unless somebody is there and only doesn't answer in time."""
        if self._gone is not None:
            return self._gone
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        looking = self._looking
        try:
            return await asyncio.shield(looking)
        except asyncio.CancelledError:
            if looking.cancelled():  # by `close`, not by our caller
                return None
            raise

    async def close(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._looking, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._gone = None

    async def _look(self) -> StoreError | None:
        words = await self._words(_PATIENCE)
        if not words:
            error = not_reached(ConnectionError())
            if self._has_all_addresses:
                self._gone = error
                self._watching = asyncio.create_task(self._watch())
            return error
        if (known := unwelcome(words[0], NAME)) is not None and words[0] != "NOAUTH":  # as which user one comes, that doesn't ask
            return known
        if all(word == _SILENCE for word in words):
            return None
        configuration = varied(self._configuration, timeout=_PATIENCE_AT_THE_DOOR, connect_timeout=_PATIENCE_AT_THE_DOOR)
        try:
            client = await connected(configuration, _PATIENCE_AT_THE_DOOR)
        except StoreError as error:  # what the server says of our user is worth telling; that it is slow, we know
            return error if "word" in error.details else None
        await client.close()
        return None

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_BETWEEN_KNOCKS)
                if await self._words(_PATIENCE_OF_THE_WATCH):
                    break
        finally:
            self._gone = None

    async def _words(self, patience: float) -> list[str]:
        """What those say who are there, each of whom has so many seconds to open the door."""
        said = await asyncio.gather(*(self._knock(address, patience) for address in self._configuration.addresses))
        return [word for word in said if word is not None]

    async def _knock(self, address: glide.NodeAddress, patience: float) -> str | None:
        """The word of refusal of whoever is there, an empty one, or `_SILENCE`; nothing for nobody."""
        speaks = not self._configuration.use_tls  # with TLS it is for us to begin, in a way that glide alone knows
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            return None
        try:
            if speaks:
                writer.write(b"PING\r\n")
            async with asyncio.timeout(_PATIENCE_FOR_A_WORD if speaks else _PATIENCE):
                line = await reader.readline()
        except TimeoutError:
            return _SILENCE if speaks else ""
        except ValueError:  # a long line: somebody speaks, though not our language
            return ""
        except OSError:
            return None
        finally:
            writer.close()
        if not line:
            return None
        return word_of(line.decode("utf-8", "replace")) if line.startswith(b"-") else ""
