"""Connects glide where a managed server or a proxy rejects a command of its handshake.

glide sends HELLO 3, CLIENT SETINFO and INFO REPLICATION when it connects, and the adapter sends
PING. A server may reply to one of them with an error, or close the connection.

Rule: without HELLO, a client uses RESP 2. It can send every command, but has no subscriptions.
Rule: without INFO, a client with one address assumes that this server is the primary
    (`NodeDiscoveryMode.STATIC`).
Rule: glide ignores an error reply to CLIENT SETINFO. If the server closes the connection on it, the
    error names the command.
Rule: a proxy that also closes the connection on the probe's PING may have no server behind it. Then
    no other handshake is tried, and a later call may succeed.
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
    """Connect with the first handshake that the server accepts.

    Args:
        configuration: changed to that handshake, for all further clients.
        connect: connects a client of the current configuration.

    Raises:
        StoreError: if the server accepts no handshake. The error names the command on which the
            connection was closed, if that is known.
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
        # Without TLS the probe got a reply, so it was the handshake that failed
        if is_early and not configuration.use_tls:
            raise _unconnected(
                "closed the connection on CLIENT SETINFO, which valkey-glide sends when it "
                f"connects. {_ELSEWHERE}"
            ) from first
        if has_hung_up:
            raise _hung_up(configuration) from first
        if first.details and _UNKNOWN not in _words(first):
            raise first
        what = (
            "rejects HELLO, INFO or PING, which valkey-glide sends when it connects. Enable them, "
            "or use the Redis backend (redis://)."
        )
        raise _unconnected(what) from first
    finally:
        del first  # or it and this frame would form a reference cycle


def no_subscriptions() -> StoreError:
    """The error for a subscription where the server rejects HELLO."""
    message = (
        "The server, or a proxy in front of it, rejects HELLO, which valkey-glide needs for "
        f"subscriptions. {_ELSEWHERE}"
    )
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
    # The error for a full server, a missing database or a wrong password is already specific.
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
    """The handshakes with fewer commands; HELLO is given up last."""
    _, mode = _handshake(configuration)
    yield glide.ProtocolVersion.RESP2, mode
    if mode is glide.NodeDiscoveryMode.STANDARD and len(configuration.addresses) == 1:
        yield glide.ProtocolVersion.RESP3, glide.NodeDiscoveryMode.STATIC
        yield glide.ProtocolVersion.RESP2, glide.NodeDiscoveryMode.STATIC
