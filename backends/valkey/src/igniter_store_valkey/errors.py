"""From what glide raises to errors and `StoreError`s: one table of its words for the server's, and
one translator.

Rule: glide renames half of the server's error words. They get their own names back here, and then
    mean what they mean everywhere.
"""

from __future__ import annotations

import copy
import re
from functools import partial
from typing import TYPE_CHECKING, Final

import glide
from igniter_store.contract import ErrorCode, StoreError, errors, store_error
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

closed = partial(errors.closed, NAME)
refusal = partial(errors.not_open, NAME)
elsewhere = partial(errors.elsewhere, NAME)
misconfigured = partial(errors.misconfigured, backend=NAME)

UNREACHABLE: Final = (glide.GlideError, OSError, TimeoutError)
"""What is raised while a client connects."""

# What glide calls the server's words; the others it leaves alone, but for a colon behind them.
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
    r"signalled by the server|(?<=- )(?:ResponseError|PermissionDenied)(?=: )|FatalReceiveError|NOPROTO|driver unexpectedly terminated"
)
_UNSENT: Final = (
    "FatalSendError",
    "connect failed",
    "AllConnectionsUnavailable",
    "ConnectionNotFoundForRoute",
    "Connection refused",
)

# What glide finds out by itself: whether the same call may succeed later, and what to do. The
# braces get the addresses.
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
        "The server at {where} rejected the client name. Write client_name without spaces, or allow the user CLIENT SETNAME.",
    ),
    "failed to lookup address": (True, UNKNOWN_HOST),
    "certificate not valid for name": (
        False,
        "The certificate of {where} isn't valid for this host. Use a host name from the certificate in the URL.",
    ),
    "invalid peer certificate": (
        False,
        "The certificate of {where} isn't trusted. Pass the certificate of its authority as tls_ca_certs.",
    ),
    "Multiplexed connection driver unexpectedly terminated": (
        True,
        (
            "The server at {where} closed the connection before it replied, or isn't Valkey. "
            "Check the port, and whether it requires TLS (valkeys://)."
        ),
    ),
    # While a replica becomes the primary these two may be so for a moment.
    "Primary conflict": (
        True,
        "The URL names more than one primary. For a cluster, use valkey+cluster://; otherwise name one primary and its replicas.",
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
_NOTHING_TO_DISCOVER: Final = " With node_discovery=discover_all, glide fails unless it discovers a node that the URL doesn't name."
_SERVER_LOST: Final = "The connection to the server was lost, and it can't be reached at {where}. Check that it is running."
_CLUSTER_LOST: Final = "The connection to the cluster was lost, and a complete cluster can't be reached at {where}. Check that its nodes are running."


class ServerUnreachable(ConnectionLost):
    """There was no connection to send it on."""

    def __init__(self) -> None:
        super().__init__(is_sent=False)


class ServerLoading(ServerUnreachable):
    """There was none just now: a cluster's client refuses what comes while it connects again."""


class UndecompressedReply(ReplyError):
    """A value is larger than glide decompresses (512 MB, or `max_decompressed_size`): it gave up
    the batch, which the server executed.
    """


def value_is_too_large(*, writes: bool) -> StoreError:
    """The error for a value that glide doesn't decompress.

    Args:
        writes: whether the caller wrote, while another caller read the value in the same batch.
    """
    if writes:
        message = (
            "Another value in the same batch couldn't be decompressed, so glide dropped every "
            "reply. This command was probably applied. Delete that value, or raise "
            "max_decompressed_size."
        )
    else:
        message = "The value exceeds glide's limit for decompression. Raise max_decompressed_size in the client's compression settings."
    return store_error(
        ErrorCode.STORE_OPERATION_FAILED, message, backend=NAME, maybe_applied=writes
    )


def lent_is_closed() -> StoreError:
    """What is raised when the user's own client is closed, while the adapter isn't."""
    message = (
        "The client that you passed is closed, or was created before this process was forked. "
        "Pass a client of this process, and keep it open as long as the adapter."
    )
    return store_error(ErrorCode.STORE_CLOSED, message, backend=NAME)


def lent_is_late(timeout: float, *, writes: bool) -> StoreError:
    """The error for what the user's own client had no answer to.

    Args:
        timeout: the client's, in seconds.
        writes: whether the command changes something.
    """
    message = f"The server didn't reply within {timeout:g} seconds. Retry, or raise the client's request_timeout."
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=writes)


def reply_error_of(error: BaseException) -> ReplyError:
    """What a caller gets for an exception of glide.

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
    if not isinstance(
        reply_error, (ErrorReply, MalformedReply)
    ):  # glide quotes what was sent, or what came
        reply_error.__cause__ = error
    return reply_error


def server_words(text: str) -> str | None:
    """What the server has said, as the server says it; nothing for what glide itself has to say."""
    signalled = _SIGNALLED.match(text)
    if signalled is not None:
        return f"{_KINDS.get(signalled[1], 'ERR')} {signalled[2]}"
    said = _SAID.match(text)
    return None if said is None else f"{said[1]} {said[2]}"


def not_reached(
    error: BaseException, configuration: Configuration, *, was_connected: bool = False
) -> StoreError:
    """The error for what was raised while a client connected, with a cause that may be
    without_quotes.

    Args:
        error: glide's, or one that was found for that before.
        configuration: of the client.
        was_connected: whether one was connected to this place before.
    """
    if isinstance(error, StoreError):
        own = copy.copy(error)  # each caller raises one of his own
        own.__cause__ = error.__cause__
        return own
    failed = _diagnosed(str(error), configuration, was_connected=was_connected)
    # What glide says itself shows nothing of the user's, and `handshake` judges by it.
    words = dict.fromkeys([type(error).__name__, cut(str(error)), *_MARKS.findall(str(error))])
    failed.__cause__ = ConnectFailed("; ".join(filter(None, words)))
    return failed


def address_of(configuration: Configuration) -> str:
    """Where the servers are, as people write it."""
    return ", ".join(
        place.unix_socket_path or address(place.host, place.port)
        for place in configuration.addresses
    )


def _diagnosed(text: str, configuration: Configuration, *, was_connected: bool) -> StoreError:
    where = address_of(configuration)
    for match in _ANY_WORD.finditer(text):  # glide puts words of its own around the server's
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
