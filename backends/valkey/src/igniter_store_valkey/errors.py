"""Converts exceptions of glide to `ReplyError`s and `StoreError`s.

Rule: glide renames half of the server's error prefixes. The table here restores the original names,
    so that they have the same meaning for every client.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Final

import glide
from igniter_store.contract import BackendErrors, ErrorCode, StoreError, store_error
from igniter_store.redis_commands.reply_errors import (
    UNKNOWN_HOST,
    ConnectFailed,
    ConnectionClosed,
    ConnectionLost,
    ErrorReply,
    MalformedReply,
    ReplyError,
    ReplyTimeout,
    connection_rejected,
)
from igniter_store.redis_commands.server_text import cut
from igniter_store.redis_commands.transport import address

if TYPE_CHECKING:
    from igniter_store_valkey.glide_types import Configuration

NAME: Final = "valkey"
ERRORS: Final = BackendErrors(NAME)

UNREACHABLE: Final = (glide.GlideError, OSError, TimeoutError)
"""The exceptions that are raised while a client connects."""

# glide's names for the server's error prefixes. It keeps the other prefixes, followed by a colon.
_KINDS: Final = {
    "ResponseError": "ERR",
    "NoScriptError": "NOSCRIPT",
    "BusyLoadingError": "LOADING",
    "ExecAbortError": "EXECABORT",
    "Moved": "MOVED",
    "Ask": "ASK",
    "TryAgain": "TRYAGAIN",
    "ClusterDown": "CLUSTERDOWN",
    "CrossSlot": "CROSSSLOT",
    "MasterDown": "MASTERDOWN",
    "ReadOnly": "READONLY",
    "NotBusy": "NOTBUSY",
    "PermissionDenied": "NOPERM",
    "AuthenticationFailed": "WRONGPASS",
}
_SIGNALLED: Final = re.compile(r"An error was signalled by the server: - (\w+): (.*)", re.DOTALL)
_SAID: Final = re.compile(r"([A-Z]+): (.*)", re.DOTALL)
_ANY_WORD: Final = re.compile(r"\b[A-Za-z]{4,}\b")
_RECOVERING: Final = "Connection in recovery"
_NOT_THAT_TYPE: Final = "incompatible type"
_TOO_LARGE: Final = "Decompression size limit exceeded"
_MARKS: Final = re.compile(
    r"signalled by the server|(?<=- )(?:ResponseError|PermissionDenied)(?=: )"
    r"|FatalReceiveError|NOPROTO|driver unexpectedly terminated"
)
_UNSENT: Final = (
    "FatalSendError",
    "connect failed",
    "AllConnectionsUnavailable",
    "ConnectionNotFoundForRoute",
    "Connection refused",
)

# Errors that glide itself detects: whether the same call may succeed later, and the message. The
# braces are replaced by the addresses.
_GLIDES_OWN: Final = {
    "refused to switch database": (
        False,
        (
            "The server at {where} doesn't have this database, or the user isn't allowed to use "
            "it. Correct the number in the URL (0 to 15 by default), or allow SELECT."
        ),
    ),
    "refused to set client name": (
        False,
        (
            "The server at {where} rejected the client name. Write client_name without spaces, or "
            "allow the user CLIENT SETNAME."
        ),
    ),
    "failed to lookup address": (True, UNKNOWN_HOST),
    "certificate not valid for name": (
        False,
        (
            "The certificate of {where} isn't valid for this host. Use a host name from the "
            "certificate in the URL."
        ),
    ),
    "invalid peer certificate": (
        False,
        (
            "The certificate of {where} isn't trusted. Pass the certificate of its authority as "
            "tls_ca_certs."
        ),
    ),
    "Multiplexed connection driver unexpectedly terminated": (
        True,
        (
            "The server at {where} closed the connection before it replied, or isn't Valkey. "
            "Check the port, and whether it requires TLS (valkeys://)."
        ),
    ),
    # The next two may occur for a moment while a replica is promoted to primary.
    "Primary conflict": (
        True,
        (
            "The URL names more than one primary. For a cluster, use valkey+cluster://; otherwise "
            "name one primary and its replicas."
        ),
    ),
    "No primary node found": (
        True,
        (
            "The URL names only replicas, or Sentinels, which valkey-glide doesn't support. Add "
            "the primary; for a cluster, use valkey+cluster://, and for Sentinel, "
            "redis+sentinel://."
        ),
    ),
}
_NO_SERVER: Final = (
    "Can't reach the server at {where}. Check that it is running, that the URL is right, and "
    "whether it requires TLS (valkeys://) or doesn't support it (valkey://)."
)
_NO_CLUSTER: Final = (
    "Can't reach a complete cluster at {where}. Check that it is running, that the URL is right, "
    "and whether it requires TLS (valkeys+cluster://). For a single server, use a URL that "
    "begins with valkey://."
)
_NOTHING_TO_DISCOVER: Final = (
    " With node_discovery=discover_all, glide fails unless it discovers a node that the URL "
    "doesn't name."
)
_SERVER_LOST: Final = (
    "The connection to the server was lost, and it can't be reached at {where}. Check that it is "
    "running."
)
_CLUSTER_LOST: Final = (
    "The connection to the cluster was lost, and a complete cluster can't be reached at {where}. "
    "Check that its nodes are running."
)


class ServerUnreachable(ConnectionLost):
    """There was no connection on which to send the command."""

    def __init__(self) -> None:
        super().__init__(is_sent=False)


class ServerLoading(ServerUnreachable):
    """There was no connection just now: a cluster client rejects commands while it reconnects."""


class UndecompressedReply(ReplyError):
    """A value exceeds glide's limit for decompression (512 MB, or `max_decompressed_size`).

    glide dropped all replies of the batch, which the server executed.
    """


def value_is_too_large(*, writes: bool) -> StoreError:
    """The error for a value that glide doesn't decompress.

    Args:
        writes: whether the caller's command was a write, and another command of the same batch read
            the value.
    """
    if writes:
        message = (
            "Another value in the same batch couldn't be decompressed, so glide dropped every "
            "reply. This command was probably applied. Delete that value, or raise "
            "max_decompressed_size."
        )
    else:
        message = (
            "The value exceeds glide's limit for decompression. Raise max_decompressed_size in "
            "the client's compression settings."
        )
    return store_error(
        ErrorCode.STORE_OPERATION_FAILED, message, backend=NAME, maybe_applied=writes
    )


def lent_is_closed() -> StoreError:
    """The error when the user's own client is closed, while the adapter is open."""
    message = (
        "The client that you passed is closed, or was created before this process was forked. "
        "Pass a client of this process, and keep it open as long as the adapter."
    )
    return store_error(ErrorCode.STORE_CLOSED, message, backend=NAME)


def lent_is_late(timeout: float, *, writes: bool) -> StoreError:
    """The error for a command without a reply on the user's own client.

    Args:
        timeout: the client's, in seconds.
        writes: whether the command changes data.
    """
    message = (
        f"The server didn't reply within {timeout:g} seconds. Retry, or raise the client's "
        "request_timeout."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=writes)


def reply_error_of(error: BaseException) -> ReplyError:
    """The `ReplyError` for an exception of glide.

    Raises:
        BaseException: the error itself, if it isn't glide's.
    """
    text = str(error)
    reply_error: ReplyError
    match error:
        case glide.TimeoutError() | TimeoutError():
            reply_error = ReplyTimeout()
        case glide.ClosingError():
            reply_error = ConnectionClosed()
        case glide.RequestError() if (words := server_words(text)) is not None:
            reply_error = ErrorReply(words)
        case glide.RequestError() if _NOT_THAT_TYPE in text:
            reply_error = MalformedReply()
        case glide.RequestError() if _TOO_LARGE in text:
            reply_error = UndecompressedReply()
        case glide.RequestError() if _RECOVERING in text:
            reply_error = ServerLoading()
        case glide.RequestError():
            reply_error = (
                ServerUnreachable()
                if any(sign in text for sign in _UNSENT)
                else ConnectionLost(is_sent=True)
            )
        case _:
            raise error
    # Not for the other two: glide's error quotes the command or the reply.
    if not isinstance(reply_error, (ErrorReply, MalformedReply)):
        reply_error.__cause__ = error
    return reply_error


def server_words(text: str) -> str | None:
    """The server's error reply with its original prefix; None for an error of glide itself."""
    signalled = _SIGNALLED.match(text)
    if signalled is not None:
        return f"{_KINDS.get(signalled[1], 'ERR')} {signalled[2]}"
    said = _SAID.match(text)
    return None if said is None else f"{said[1]} {said[2]}"


def not_reached(
    error: BaseException, configuration: Configuration, *, was_connected: bool = False
) -> StoreError:
    """The error for an exception while a client connected, with a cause that is safe to show.

    Args:
        error: glide's exception, or a `StoreError` that was already made from one.
        configuration: the client's configuration.
        was_connected: whether a client was connected to these addresses before.
    """
    if isinstance(error, StoreError):
        own = copy.copy(error)  # each caller raises an exception of its own
        own.__cause__ = error.__cause__
        return own
    failed = _diagnosed(str(error), configuration, was_connected=was_connected)
    # The kept phrases are glide's own and contain no user data; `handshake` reads them.
    words = dict.fromkeys([type(error).__name__, cut(str(error)), *_MARKS.findall(str(error))])
    failed.__cause__ = ConnectFailed("; ".join(filter(None, words)))
    return failed


def address_of(configuration: Configuration) -> str:
    """The addresses of the servers, in their usual notation."""
    return ", ".join(
        place.unix_socket_path or address(place.host, place.port)
        for place in configuration.addresses
    )


def _diagnosed(text: str, configuration: Configuration, *, was_connected: bool) -> StoreError:
    where = address_of(configuration)
    for match in _ANY_WORD.finditer(text):  # glide adds text of its own around the server's
        word = _KINDS.get(match[0], match[0])
        if (
            known := connection_rejected(f"{word} {text[match.end() :].lstrip(': ')}", NAME, where)
        ) is not None:
            return known
    for sign, (retryable, message) in _GLIDES_OWN.items():
        if sign in text:
            return store_error(
                ErrorCode.STORE_CONNECTION_FAILED,
                message.format(where=where),
                backend=NAME,
                retryable=retryable,
            )
    is_cluster = isinstance(configuration, glide.GlideClusterClientConfiguration)
    if was_connected:
        message = _CLUSTER_LOST if is_cluster else _SERVER_LOST
    else:
        message = _NO_CLUSTER if is_cluster else _NO_SERVER
        if (
            getattr(configuration, "node_discovery_mode", None)
            is glide.NodeDiscoveryMode.DISCOVER_ALL
        ):
            message += _NOTHING_TO_DISCOVER
    return store_error(ErrorCode.STORE_CONNECTION_FAILED, message.format(where=where), backend=NAME)
