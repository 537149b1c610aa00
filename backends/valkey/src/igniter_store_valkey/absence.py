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
_NOBODY: Final = "(nobody)"
_HUNG_UP: Final = "(hung up)"
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

    async def _look(self) -> StoreError | None:
        words = [word for word in await self._said(_PATIENCE) if word not in {_NOBODY, _HUNG_UP}]
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
        refusal = await self._refusal()
        return refusal if refusal is not None and _is_told(refusal) else None  # that it is slow, we know

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(_BETWEEN_KNOCKS)
                said = set(await self._said(_PATIENCE_OF_THE_WATCH)) - {_NOBODY}
                if said - {_HUNG_UP}:
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

    async def _said(self, patience: float) -> list[str]:
        """What is said at each door, for which there are so many seconds to be opened."""
        return await asyncio.gather(*(self._knock(address, patience) for address in self._configuration.addresses))

    async def _knock(self, address: glide.NodeAddress, patience: float) -> str:
        """The word of refusal of whoever is there, an empty one, or what there is instead."""
        speaks = not self._configuration.use_tls  # with TLS it is for us to begin, in a way that glide alone knows
        try:
            async with asyncio.timeout(patience):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            return _NOBODY
        try:
            if speaks:
                writer.write(b"*1\r\n$4\r\nPING\r\n")
            async with asyncio.timeout(_PATIENCE_FOR_A_WORD if speaks else _PATIENCE):
                line = await reader.readline()
        except TimeoutError:
            return _SILENCE if speaks else ""
        except ValueError:  # a long line: somebody speaks, though not our language
            return ""
        except OSError:
            return _HUNG_UP
        finally:
            writer.close()
        if not line:
            return _HUNG_UP
        return word_of(line.decode("utf-8", "replace")) if line.startswith(b"-") else ""


def _again(error: StoreError) -> StoreError:
    """The same, for one more caller."""
    return store_error(error.code, error.message, backend=NAME, retryable=error.retryable, details=error.details)


def _is_told(error: StoreError) -> bool:
    """Whether the server itself has said it, such as of our user."""
    return "word" in error.details
