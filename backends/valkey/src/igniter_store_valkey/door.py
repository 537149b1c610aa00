"""Who is at the doors of the servers: whether anybody opens, and with which word one is refused. glide doesn't tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.redis_commands.reply_errors import FULL, word_of

if TYPE_CHECKING:
    import glide

    from igniter_store_valkey.clients import Configuration

NOBODY: Final = "(nobody)"
HUNG_UP: Final = "(hung up)"
SILENCE: Final = "(silence)"

_PATIENCE: Final = 0.5  # seconds for who is there, while a caller waits for it
_PATIENCE_FOR_A_WORD: Final = 2.0  # seconds for what they say: a server that loads its data looks up a few times a second at best


async def said_at(configuration: Configuration, patience: float = _PATIENCE) -> list[str]:
    """What is said at each door: a word of refusal, an empty one, or what there is instead.

    Args:
        configuration: says where they are.
        patience: seconds in which they have to be opened.
    """
    speaks = not configuration.use_tls  # with TLS it is for us to begin, in a way that glide alone knows
    return await asyncio.gather(*(_knock(address, patience, speaks=speaks) for address in configuration.addresses))


async def is_full(configuration: Configuration) -> bool:
    """Whether a server has as many clients as it takes: it says so at once, and hangs up. With TLS it can't."""
    if configuration.use_tls:
        return False
    try:
        async with asyncio.timeout(_PATIENCE):
            return FULL in await said_at(configuration)
    except TimeoutError:
        return False


async def _knock(address: glide.NodeAddress, patience: float, *, speaks: bool) -> str:
    try:
        async with asyncio.timeout(patience):
            if address.unix_socket_path is None:
                reader, writer = await asyncio.open_connection(address.host, address.port)
            else:
                reader, writer = await asyncio.open_unix_connection(address.unix_socket_path)
    except (OSError, UnicodeError):  # of a name that can't be one
        return NOBODY
    try:
        if speaks:
            writer.write(b"*1\r\n$4\r\nPING\r\n")
        async with asyncio.timeout(_PATIENCE_FOR_A_WORD if speaks else _PATIENCE):
            line = await reader.readline()
    except TimeoutError:
        return SILENCE if speaks else ""
    except ValueError:  # a long line: somebody speaks, though not our language
        return ""
    except OSError:
        return HUNG_UP
    finally:
        writer.close()
    if not line:
        return HUNG_UP
    return word_of(line.decode("utf-8", "replace")) if line.startswith(b"-") else ""
