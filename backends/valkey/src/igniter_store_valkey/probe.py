"""Probes each configured address: does it accept a connection, and what does it reply?

valkey-glide reports neither. The results are strings: the prefix of an error reply ("NOAUTH"), an
empty string for any other reply, or one of the constants below.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from igniter_store.redis_commands.reply_errors import FULL, error_prefix

if TYPE_CHECKING:
    import glide

    from igniter_store_valkey.glide_types import Configuration

UNREACHABLE: Final = "(unreachable)"
CLOSED: Final = "(closed without a reply)"
NO_REPLY: Final = "(no reply)"

_CONNECT_TIMEOUT: Final = 0.5  # seconds, while a caller waits for the result
_REPLY_TIMEOUT: Final = 2.0  # seconds; a loading server replies only a few times a second


async def probe(
    configuration: Configuration, connect_timeout: float = _CONNECT_TIMEOUT
) -> list[str]:
    """Return one result per address of the configuration.

    Args:
        configuration: the configuration of a glide client.
        connect_timeout: seconds in which an address has to accept the connection.
    """
    # With TLS the client speaks first, in a handshake that only glide can do.
    sends_ping = not configuration.use_tls
    return await asyncio.gather(
        *(
            _probe_address(address, connect_timeout, sends_ping=sends_ping)
            for address in configuration.addresses
        )
    )


async def is_full(configuration: Configuration) -> bool:
    """Return True when a server has reached maxclients. With TLS this can't be detected."""
    if configuration.use_tls:
        return False
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            return FULL in await probe(configuration)
    except TimeoutError:
        return False


async def _probe_address(
    address: glide.NodeAddress, connect_timeout: float, *, sends_ping: bool
) -> str:
    try:
        async with asyncio.timeout(connect_timeout):
            if address.unix_socket_path is None:
                reader, writer = await asyncio.open_connection(address.host, address.port)
            else:
                reader, writer = await asyncio.open_unix_connection(address.unix_socket_path)
    except (OSError, UnicodeError):  # UnicodeError: the host name is invalid
        return UNREACHABLE
    try:
        if sends_ping:
            writer.write(b"*1\r\n$4\r\nPING\r\n")
        async with asyncio.timeout(_REPLY_TIMEOUT if sends_ping else _CONNECT_TIMEOUT):
            line = await reader.readline()
    except TimeoutError:
        return NO_REPLY if sends_ping else ""
    except ValueError:  # the line is too long for RESP, but there is a reply
        return ""
    except OSError:
        return CLOSED
    finally:
        writer.close()
    if not line:
        return CLOSED
    return error_prefix(line.decode("utf-8", "replace")) if line.startswith(b"-") else ""
