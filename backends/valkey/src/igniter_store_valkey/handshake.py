"""How glide connects where a managed server, or a proxy, refuses a command of its handshake or
hangs up on it.

glide sends HELLO 3, CLIENT SETINFO and INFO REPLICATION when it connects, and the adapter sends
PING.

Rule: without HELLO, a client speaks RESP 2. It sends every command, and has no subscriptions.
Rule: without INFO, a client of one address takes that server for the primary
    (`NodeDiscoveryMode.STATIC`).
Rule: a refused CLIENT SETINFO is ignored by glide, and a hang-up on it is an error that names the
    command.
Rule: a proxy that hangs up on the probe's PING as well may have no server behind it. Then nothing
    else is tried, and a later call may
succeed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.contract import ErrorCode, StoreError, store_error

from igniter_store_valkey.errors import NAME, address_of
from igniter_store_valkey.probe import CLOSED, UNREACHABLE, probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from igniter_store_valkey.glide_types import Client, Configuration

_HUNG_UP_EARLY: Final = "driver unexpectedly terminated"  # during HELLO, AUTH or CLIENT SETINFO
_SIGNALLED: Final = "signalled by the server"
_REFUSED: Final = re.compile(
    f"ResponseError|PermissionDenied|{_HUNG_UP_EARLY}|FatalReceiveError|NOPROTO"
)
_UNKNOWN: Final = "unknown command"
_ELSEWHERE: Final = (
    "Enable the command, or use the Redis backend (redis://), which doesn't need it."
)


async def settled(configuration: Configuration, connect: Callable[[], Awaitable[Client]]) -> Client:
    """A client, by the first handshake that the server takes.

    Args:
        configuration: changed to that handshake, for all further clients.
        connect: connects a client of the present configuration.

    Raises:
        StoreError: when none is taken; it names the command that was hung up on, where that is
            known.
    """
    try:
        return await connect()
    except StoreError as error:
        if not _is_refused(error):
            raise
        first = error
    try:
        has_hung_up = _SIGNALLED not in _words(first)
        if has_hung_up and {*await probe(configuration)} <= {CLOSED, UNREACHABLE}:
            raise _hung_up(configuration) from first
        before = _handshake(configuration)
        is_early = False
        for handshake in _others(configuration):
            _set(configuration, handshake)
            try:
                return await connect()
            except StoreError as error:
                is_early = is_early or _HUNG_UP_EARLY in _words(error)
            except BaseException:
                _set(configuration, before)
                raise
        _set(configuration, before)
        if is_early and not configuration.use_tls:  # where the probe was answered
            raise _unconnected(
                f"closed the connection on CLIENT SETINFO, which valkey-glide sends when it connects. {_ELSEWHERE}"
            ) from first
        if has_hung_up:
            raise _hung_up(configuration) from first
        if first.details and _UNKNOWN not in _words(first):
            raise first
        what = "rejects HELLO, INFO or PING, which valkey-glide sends when it connects. Enable them, or use the Redis backend (redis://)."
        raise _unconnected(what) from first
    finally:
        del first  # or it and this frame would keep each other


def no_subscriptions() -> StoreError:
    """The error for a subscription where HELLO is refused."""
    message = f"The server, or a proxy in front of it, rejects HELLO, which valkey-glide needs for subscriptions. {_ELSEWHERE}"
    return store_error(ErrorCode.STORE_SUBSCRIBE_FAILED, message, backend=NAME)


def _hung_up(configuration: Configuration) -> StoreError:
    message = (
        f"The server at {address_of(configuration)}, or a proxy in front of it, closed the "
        "connection while valkey-glide was connecting. Check that the server is running, and "
        "that no proxy closes the connection on HELLO, CLIENT SETINFO, INFO or PING."
    )
    return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME)


def _unconnected(what: str) -> StoreError:
    return store_error(
        ErrorCode.STORE_CONNECTION_FAILED,
        (f"The server, or a proxy in front of it, {what}"),
        backend=NAME,
        retryable=False,
    )


def _is_refused(error: StoreError) -> bool:
    # Of a full server, a missing database or a wrong password the error already says what is wrong.
    words = _words(error)
    is_open = (
        error.details.get("word") == "NOPERM"
        or (error.retryable and not error.details)
        or _UNKNOWN in words
    )
    return is_open and _REFUSED.search(words) is not None


def _words(error: StoreError) -> str:
    return str(error.__cause__ or "")


def _handshake(configuration: Configuration) -> tuple[Any, Any]:
    return configuration.protocol, getattr(configuration, "node_discovery_mode", None)


def _set(configuration: Configuration, handshake: tuple[Any, Any]) -> None:
    configuration.protocol, mode = handshake
    if isinstance(configuration, glide.GlideClientConfiguration):
        configuration.node_discovery_mode = mode


def _others(configuration: Configuration) -> Iterator[tuple[Any, Any]]:
    """The handshakes with less; what HELLO gives is given up last."""
    _, mode = _handshake(configuration)
    yield glide.ProtocolVersion.RESP2, mode
    if mode is glide.NodeDiscoveryMode.STANDARD and len(configuration.addresses) == 1:
        yield glide.ProtocolVersion.RESP3, glide.NodeDiscoveryMode.STATIC
        yield glide.ProtocolVersion.RESP2, glide.NodeDiscoveryMode.STATIC
