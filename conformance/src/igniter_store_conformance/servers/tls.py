"""TLS in front of a server that was built without it, with a certificate made on the spot.

It does what a TLS port of the server would do.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from igniter_store_conformance.servers.resp import Address

_MADE: Final = (
    "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext "
    "subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
)
_CHUNK: Final = 65_536


class TlsPort(NamedTuple):
    """The address at which the server answers by TLS, and the certificate that identifies it."""

    address: str
    certificate: Path


@asynccontextmanager
async def tls_before(address: Address, folder: Path) -> AsyncGenerator[TlsPort]:
    """Give a server a TLS port while the block runs. It needs the program openssl.

    Args:
        address: the address of the server.
        folder: where the certificate and its key are written.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    making = await asyncio.create_subprocess_exec(
        "openssl",
        *_MADE.split(),
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await making.wait():
        message = "openssl could not make a certificate."
        raise RuntimeError(message)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(address.host, address.port)
        await asyncio.gather(
            _pipe(reader, behind_writer), _pipe(behind_reader, writer), return_exceptions=True
        )

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield TlsPort(f"127.0.0.1:{front.sockets[0].getsockname()[1]}", certificate)
    finally:
        front.close()
        await front.wait_closed()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
