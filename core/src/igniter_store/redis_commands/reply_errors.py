"""Converts failed commands to `StoreError`s, with one table of the server's error prefixes.

Rule: only the error prefix is matched, because the texts differ between versions. The exceptions
    are errors whose prefix is only ERR, such as rejected increments: their texts are the same on
    all servers. A server with too many clients is one of these, and gets a prefix of its own here.
Rule: a connection returns replies, or a `ReplyError` in their place. One layer above it decides how
    to handle the error.
Rule: an error's cause is `without_quotes(reply_error)`, which contains only those words of the
    server that may be logged (LIF-22).
"""

from __future__ import annotations

import re
from typing import Any, Final

from igniter_store.contract.errors import (
    GROUP_MISSING,
    NO_NUMBER,
    OUT_OF_RANGE,
    ErrorCode,
    StoreError,
    closed,
    store_error,
)
from igniter_store.redis_commands.needs import command_of, needed
from igniter_store.redis_commands.server_text import cut, refused_command

_ONE_NODE: Final = (
    "The server is a node of a cluster. "
    "Use a URL that begins with redis+cluster://, or with valkey+cluster:// for valkey-glide."
)

FULL: Final = "MAXCLIENTS"
"""The prefix for a server that has reached maxclients."""

UNKNOWN_HOST: Final = "Can't resolve the host name ({where}). Check the URL and DNS."
"""The message for a host name that DNS can't resolve; `{where}` is replaced by the addresses."""

_IS_UNKNOWN: Final = re.compile(
    r"unknown|not allowed|not supported|unsupported|disabled|not available|not permitted",
    re.IGNORECASE,
)

# The same for errors while a client connects; {where} is replaced by the addresses.
_WELCOMES: Final = {
    "NOAUTH": (
        False,
        (
            "The server at {where} requires authentication. "
            "Put user:password@ before the host in the URL."
        ),
    ),
    "WRONGPASS": (
        False,
        ("The server at {where} rejected the user name or password. Correct them in the URL."),
    ),
    "NOPERM": (
        False,
        (
            "The access rules of the server at {where} don't allow this user {command}. "
            "Allow it with ACL SETUSER, or use another user."
        ),
    ),
    "DENIED": (
        False,
        (
            "The server at {where} is in protected mode and only accepts local connections. Set "
            "a password (requirepass), and put it in the URL."
        ),
    ),
    "NOPROTO": (
        False,
        (
            "The server at {where} doesn't support the client's protocol. "
            "Upgrade it to Redis 6.2 or later, or to Valkey."
        ),
    ),
}

# Texts after the prefix ERR, which are the same on all servers.
_NO_DATABASE: Final = (
    "The server at {where} doesn't have a database with this number. Correct the number in the "
    "URL; by default the server has databases 0 to 15."
)
_SENTINEL: Final = (
    "The server at {where} is a Sentinel, or another server without data commands. For Sentinel, "
    "use a URL that begins with redis+sentinel:// and names the service; otherwise correct the "
    "host and the port."
)
_REFUSALS: Final = {
    "DB index is out of range": _NO_DATABASE,
    "invalid DB index": _NO_DATABASE,
    "SELECT is not allowed in cluster mode": (
        "The server at {where} is a node of a cluster, which has only database 0. Remove the "
        "number from the URL, and begin it with redis+cluster://, or with valkey+cluster:// for "
        "valkey-glide."
    ),
    "called without any password configured": (
        "The URL has a password, but the server at {where} doesn't have one. "
        "Remove it from the URL, or set it on the server (requirepass)."
    ),
    "cluster support disabled": (
        "The server at {where} isn't a node of a cluster. "
        "Use a URL that begins with redis://, or with valkey:// for valkey-glide."
    ),
    "Client names cannot contain spaces": (
        "The server at {where} rejected the client name. Correct client_name in the URL; "
        "it must not contain spaces."
    ),
    "unknown command": _SENTINEL,
}

_IS_FULL: Final = "ERR max number of clients"

# The error prefix: the code, whether the same call may succeed later, and the message.
_WORDS: Final = {
    "NOAUTH": (
        ErrorCode.STORE_CONNECTION_FAILED,
        False,
        ("The server requires authentication. Put a user name and password in the URL."),
    ),
    "WRONGPASS": (
        ErrorCode.STORE_CONNECTION_FAILED,
        False,
        ("The server rejected the user name or password. Correct them in the URL."),
    ),
    "NOPERM": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        (
            "The server's access rules don't allow this user the command or the key. "
            "Allow it with ACL SETUSER, or use another user."
        ),
    ),
    "OOM": (
        ErrorCode.STORE_OPERATION_FAILED,
        True,
        ("The server is out of memory. Raise maxmemory, or let keys expire."),
    ),
    "MISCONF": (
        ErrorCode.STORE_OPERATION_FAILED,
        True,
        ("The server rejects writes because it can't save to disk. Check the server's log."),
    ),
    "READONLY": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        ("The server is a replica, perhaps since a failover. Retry."),
    ),
    "LOADING": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        ("The server is still loading its data. Retry."),
    ),
    "MASTERDOWN": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        ("The replica has lost its primary. Retry."),
    ),
    "NOREPLICAS": (
        ErrorCode.STORE_OPERATION_FAILED,
        True,
        ("The server rejects writes because too few replicas are connected. Retry."),
    ),
    "CLUSTERDOWN": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        ("Some slots of the cluster have no node. Retry."),
    ),
    "TRYAGAIN": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        ("The cluster is moving the keys to another node. Retry."),
    ),
    "MOVED": (ErrorCode.STORE_OPERATION_FAILED, False, _ONE_NODE),
    "ASK": (ErrorCode.STORE_OPERATION_FAILED, False, _ONE_NODE),
    "CROSSSLOT": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        ("On a cluster, all keys of this command must be in the same slot."),
    ),
    "BUSY": (
        ErrorCode.STORE_TIMEOUT,
        True,
        ("The server is busy with a script. Retry, or end it with SCRIPT KILL."),
    ),
    "DENIED": (
        ErrorCode.STORE_CONNECTION_FAILED,
        False,
        (
            "The server is in protected mode and only accepts local connections. "
            "Set a password (requirepass), and put it in the URL."
        ),
    ),
    FULL: (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        "The server has reached maxclients. Retry, close idle clients, or raise the limit.",
    ),
    "NOGROUP": (ErrorCode.STORE_STREAM_GROUP_MISSING, False, GROUP_MISSING),
    "UNBLOCKED": (
        ErrorCode.STORE_STREAM_GROUP_MISSING,
        False,
        ("The stream was deleted during the read. Create the group again with ensure()."),
    ),
    "WRONGTYPE": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        ("The key holds another type of value. Use another key, or delete this one."),
    ),
}

# For increments: a part of the server's text, and the message. For other commands the same text may
# refer to one of their arguments.
_COUNTING: Final = {
    "value is not an integer or out of range": NO_NUMBER,
    "increment or decrement would overflow": OUT_OF_RANGE,
}

# Errors inside a script: Redis 6.2 puts its own text before the error of the command.
_IN_SCRIPT: Final = re.compile(
    r"(?:ERR Error running script.*?|@user_script): ?\d*:? ?-?([A-Z]+) ", re.DOTALL
)


class ReplyError(Exception):
    """Returned to a caller in place of a reply."""


class ErrorReply(ReplyError):
    """The server's error reply, with its text."""


class ConnectFailed(ReplyError):
    """A client library's error, with a text that can be cut by `without_quotes`."""


class ConnectionLost(ReplyError):
    """The connection was lost.

    Attributes:
        is_sent: whether the command had been sent, so the server may have executed it.
    """

    def __init__(self, *, is_sent: bool) -> None:
        super().__init__("the connection was lost")
        self.is_sent: Final = is_sent


class ReplyTimeout(ReplyError):
    """No reply came in time; the server may have executed the command."""


class MalformedReply(ReplyError):
    """The reply isn't valid RESP, or never ends; the server may have executed the command."""

    def __init__(self) -> None:
        super().__init__("what came isn't the server's protocol")


class ReplyTooLarge(ReplyError):
    """The reply is larger than the adapter accepts; the server has executed the command."""

    def __init__(self) -> None:
        super().__init__("what came is larger than the adapter takes")


class ConnectionClosed(ReplyError):
    """The owner of the connection closed it."""


def error_prefix(text: str) -> str:
    """Return the prefix of the server's error text ("WRONGTYPE")."""
    if text.lstrip("-").startswith(_IS_FULL):
        return FULL
    inside = _IN_SCRIPT.match(text)
    return inside[1] if inside is not None else text.lstrip("-").split(" ", 1)[0]


def failure(  # noqa: PLR0913 - each is a part of the error message
    reply_error: ReplyError,
    code: ErrorCode,
    timeout: float,
    *,
    backend: str,
    writes: bool,
    words: tuple[Any, ...] = (),
) -> StoreError:
    """Create the error for a `ReplyError` that a caller got in place of a reply.

    Args:
        reply_error: the `ReplyError`.
        code: the code for error replies that aren't in the table.
        timeout: the seconds that the call waited.
        backend: the backend's name.
        writes: whether the command changes data.
        words: the command and its arguments; errors contain only the command's name.
    """
    match reply_error:
        case ErrorReply():
            return _refusal(str(reply_error), code, backend, words)
        case ReplyTimeout():
            message = (
                f"The server didn't reply within {timeout:g} seconds. "
                "Retry, or raise the adapter's timeout."
            )
            return store_error(
                ErrorCode.STORE_TIMEOUT, message, backend=backend, maybe_applied=writes
            )
        case ConnectionLost():
            message = "The connection to the server was lost. Check that the server is running."
            if reply_error.is_sent and words:
                message = (
                    f"The connection was lost before the server replied to {needed(words)}. Check "
                    "that the server is running, and that no proxy closes the connection on this "
                    "command."
                )
            return store_error(
                ErrorCode.STORE_CONNECTION_FAILED,
                message,
                backend=backend,
                maybe_applied=writes and reply_error.is_sent,
            )
        case ReplyTooLarge():
            message = (
                f"The reply to {command_of(words)} exceeds max_reply_bytes, so the connection was "
                "closed. Read fewer or smaller values at once, or raise the adapter's "
                "max_reply_bytes."
            )
            return store_error(code, message, backend=backend, maybe_applied=writes)
        case MalformedReply():
            message = (
                f"The reply to {command_of(words)} isn't valid RESP, so the connection was "
                "closed. Check that the URL points to a Redis or Valkey server, and that no "
                "proxy replies in its place."
            )
            return store_error(code, message, backend=backend, maybe_applied=writes)
        case ConnectionClosed():
            return closed(backend)
        case _:
            raise reply_error


def connection_rejected(text: str, backend: str, where: str) -> StoreError | None:
    """Create the error for a rejected connection; return `None` if no table has the text.

    Args:
        text: the server's text, or its prefix.
        backend: the backend's name.
        where: the address, or the addresses.
    """
    word = error_prefix(text)
    if word == "ERR":
        message = next((known for said, known in _REFUSALS.items() if said in text), None)
        retryable = False
    elif word in _WELCOMES:
        retryable, message = _WELCOMES[word]
    elif word in _WORDS:
        _, retryable, message = _WORDS[word]
    else:
        message, retryable = None, False
    if message is None:
        return None
    allowed = refused_command(text)
    named = f"the command {allowed}" if allowed else "a command that connecting needs"
    message = (message if where else message.replace(" at {where}", "")).format(
        where=where, command=named
    )
    return store_error(
        ErrorCode.STORE_CONNECTION_FAILED,
        message,
        backend=backend,
        retryable=retryable,
        details={"word": word},
    )


def without_quotes(reply_error: ReplyError) -> ReplyError:
    """Return a reply error for use as a cause, without text that the server or client quoted."""
    if isinstance(reply_error, ErrorReply):
        return ErrorReply(cut(str(reply_error)))
    behind = reply_error.__cause__
    if behind is None:
        return reply_error
    return ConnectFailed(f"{type(behind).__name__} {cut(str(behind))}".strip())


def _refusal(text: str, code: ErrorCode, backend: str, words: tuple[Any, ...]) -> StoreError:
    word = error_prefix(text)
    if word == "NOPERM" and words:
        message = (
            f"The server's access rules don't allow this user {needed(words)} or the key. Allow "
            "it with ACL SETUSER, or connect as another user."
        )
        return store_error(
            ErrorCode.STORE_OPERATION_FAILED, message, backend=backend, details={"word": word}
        )
    if word in _WORDS:
        known, retryable, message = _WORDS[word]
        return store_error(
            known, message, backend=backend, retryable=retryable, details={"word": word}
        )
    message = f"The server rejected {needed(words)}. Its reply is in __cause__."
    details: dict[str, Any] = {"word": word}
    if word == "ERR" and _IS_UNKNOWN.search(text):
        message += " Enable the command, or use a server that supports it."
        details["is_unknown"] = True
    if code is ErrorCode.STORE_INCREMENT_FAILED:
        message = next((known for said, known in _COUNTING.items() if said in text), message)
    return store_error(code, message, backend=backend, details=details)
