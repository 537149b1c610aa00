"""The servers' own refusals, each produced by the server itself.

Rule: every change to the server for a refusal is undone, also when the test in the block fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ErrorCode

from igniter_store_conformance.servers.resp import Exchange, Queryable, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error that an adapter must raise when the server refuses a command.

    Attributes:
        code: the code of the `StoreError`.
        retryable: whether the same call may succeed later without a change.
        refuses_reads: whether the server refuses reads as well as writes.
    """

    code: ErrorCode
    retryable: bool
    refuses_reads: bool = False


REFUSALS: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        # Out of memory. Commands that need none (DEL, PEXPIRE, XACK, XREADGROUP) still work.
        "OOM": Refusal(ErrorCode.STORE_OPERATION_FAILED, retryable=True),
        # A replica that was the primary, to which a client is still connected: a failover is under
        # way.
        "READONLY": Refusal(ErrorCode.STORE_CONNECTION_FAILED, retryable=True),
        # The password was changed, and the client doesn't have the new one.
        "NOAUTH": Refusal(ErrorCode.STORE_CONNECTION_FAILED, retryable=False, refuses_reads=True),
        # A script of another client keeps the server from all other work.
        "BUSY": Refusal(ErrorCode.STORE_TIMEOUT, retryable=True, refuses_reads=True),
    }
)
"""The refusals that a Redis or Valkey server can be made to produce.

Each refusal applies to all commands that write, except where a comment lists others.
"""


@asynccontextmanager
async def refusing(server: Queryable, word: str) -> AsyncGenerator[None]:
    """Make `server` refuse with the error prefix `word` within the block."""
    block = _BLOCKS[word](server)
    entering = asyncio.create_task(asyncio.to_thread(block.__enter__))
    try:
        # A thread can't be cancelled: its work has to be finished.
        await asyncio.shield(entering)
        yield
    finally:
        await entering
        await asyncio.to_thread(block.__exit__, None, None, None)


@contextlib.contextmanager
def _out_of_memory(server: Queryable) -> Generator[None]:
    with (
        server.exchange() as exchange,
        _setting(exchange, "maxmemory-policy", "noeviction"),
        _setting(exchange, "maxmemory", "1"),
    ):
        yield


@contextlib.contextmanager
def _read_only(server: Queryable) -> Generator[None]:
    # A primary that doesn't exist, at a port that no other process can get meanwhile.
    with server.exchange() as exchange, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        exchange.ask("REPLICAOF", *nobody.getsockname())
        try:
            yield
        finally:
            exchange.ask("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def _password(server: Queryable) -> Generator[None]:
    with server.exchange() as exchange, _setting(exchange, "requirepass", "changed"):
        # Existing connections stay logged in, so close them.
        exchange.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        exchange.ask("CLIENT", "KILL", "TYPE", "pubsub")
        yield


@contextlib.contextmanager
def _busy(server: Queryable) -> Generator[None]:
    with (
        server.exchange() as exchange,
        _setting(exchange, "lua-time-limit", "1"),
        server.exchange() as script,
    ):
        script.send("EVAL", "while true do end", 0)
        _until_refused(exchange, "BUSY")
        try:
            yield
        finally:
            exchange.ask("SCRIPT", "KILL")
            with contextlib.suppress(Refused):  # the script's own end
                script.receive()


_BLOCKS: Final[Mapping[str, Callable[[Queryable], contextlib.AbstractContextManager[None]]]] = {
    "OOM": _out_of_memory,
    "READONLY": _read_only,
    "NOAUTH": _password,
    "BUSY": _busy,
}


@contextlib.contextmanager
def _setting(exchange: Exchange, name: str, value: str) -> Generator[None]:
    before = exchange.ask("CONFIG", "GET", name)
    assert isinstance(before, list)
    assert isinstance(before[1], bytes)
    exchange.ask("CONFIG", "SET", name, value)
    try:
        yield
    finally:
        exchange.ask("CONFIG", "SET", name, before[1])


def _until_refused(exchange: Exchange, word: str) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            exchange.ask("PING")
        except Refused as refused:
            if refused.word == word:
                return
        time.sleep(0.001)
    message = f"The server doesn't come to answer with {word}."
    raise TimeoutError(message)
