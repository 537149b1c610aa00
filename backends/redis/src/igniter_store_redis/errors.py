"""Converts errors that redis-py raises while connecting to `StoreError`s.

Errors that the server sends later are the same for every client, and aren't handled here.

Rule: a message names what failed and the address, and gives the cure.
Rule: the cause holds only the part of the server's text that may be shown, and has no cause or
    context of its own.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Final, TypeVar

from igniter_store.contract import BackendErrors, ErrorCode, StoreError, store_error
from igniter_store.redis_commands.needs import needed
from igniter_store.redis_commands.reply_errors import (
    UNKNOWN_HOST,
    ConnectFailed,
    ErrorReply,
    connection_rejected,
    error_prefix,
)
from igniter_store.redis_commands.server_text import cut
from msgspec import Struct
from redis import exceptions as redis
from redis.asyncio.sentinel import MasterNotFoundError

E = TypeVar("E", bound=BaseException)

NAME: Final = "redis"
ERRORS: Final = BackendErrors(NAME)

UNREACHABLE: Final = (redis.RedisError, redis.RedisClusterException, OSError)
"""The exceptions that redis-py raises while it connects."""

# While connecting, redis-py strips the error prefix from errors that it has a class for. Narrower
# classes come first.
_CLASSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.BusyLoadingError, "LOADING"),
    (redis.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
    (redis.AuthenticationError, "NOAUTH"),
    (redis.NoPermissionError, "NOPERM"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.MasterDownError, "MASTERDOWN"),
)


# redis-py's own text, for a reply to AUTH that is neither OK nor an error
_NO_REPLY_TO_AUTH: Final = "Invalid Username or Password"

# OpenSSL's codes for a certificate with another host name, or another IP address
_NOT_FOR_HOST: Final = {62, 64}

_UNTRUSTED: Final = (
    "The certificate of {where} isn't trusted. Pass the certificate of its authority as "
    "tls_ca_certs or ssl_ca_certs."
)
_OTHER_NAME: Final = (
    "The certificate of {where} isn't valid for this host. Use a host name from the certificate "
    "in the URL."
)
_NO_TLS: Final = (
    "The server at {where} doesn't support TLS, or not an allowed version. Use a URL that begins "
    "with {plain}://, or correct the port."
)
_NO_HANDSHAKE: Final = (
    "The server at {where} didn't complete the TLS handshake within {timeout:g} seconds. If it "
    "doesn't support TLS, use a URL that begins with {plain}:// instead of {secure}://."
)
_NO_REDIS: Final = (
    "The server at {where} is neither Redis nor Valkey. Correct the host and the port in the URL."
)
_SILENT: Final = (
    "The server at {where} accepted the connection, but didn't reply within {timeout:g} seconds. "
    "Check that it is Redis or Valkey, that it isn't busy, and whether it requires TLS "
    "({secure}://)."
)
_HUNG_UP: Final = (
    "The server at {where} closed the connection before it replied. Check whether it requires "
    "TLS ({secure}://), that it is Redis, and that no proxy closes the connection on {sent}."
)
_REFUSED: Final = "The server at {where} rejected {sent}. Correct it in the URL, or remove it."
_NO_SELECT: Final = (
    "The server at {where} doesn't support {sent}. Remove the database from the URL. If the "
    "server is a Sentinel, use a URL that begins with redis+sentinel:// and names the service."
)
_UNREACHED: Final = (
    "Can't reach the server at {where} ({reason}). Check that it is running, and that the URL is "
    "right."
)
_CLUSTER: Final = (
    "Can't reach the cluster at {where}, or some of its slots have no node ({reason}). Check "
    "that its nodes are running, that the URL is right, and whether they require TLS "
    "({secure}://)."
)
_NO_CLUSTER: Final = (
    "The server at {where} doesn't report the nodes of a cluster. For a single server, use a URL "
    "that begins with redis://."
)
_NO_SENTINEL: Final = (
    "The server at {where} isn't a Sentinel. Use a URL that begins with {plain}://, or correct "
    "the port."
)
_NO_ANSWER: Final = (
    "Can't reach any sentinel at {where}. Check that they are running, and that the URL is right."
)
_NO_LOGIN: Final = (
    "The sentinels at {where} require authentication. Pass sentinel_password, and "
    "sentinel_username if there is one."
)
_NO_SERVICE: Final = (
    "The sentinels at {where} don't know a running primary with this name. Correct the service "
    "in the URL: it is the name in `sentinel monitor`."
)
_NO_SOCKET: Final = (
    "The socket {where} doesn't exist. Check that the server is running, and that the path is "
    "right."
)
_DEAD_SOCKET: Final = (
    "No server listens on {where}, or it isn't a socket. Check that the server is running, and "
    "that the path is right."
)
_NOT_ALLOWED: Final = (
    "This user isn't allowed to use the socket {where}. Grant it write permission "
    "(unixsocketperm, or its group)."
)


class ConnectAttempt(Struct, frozen=True):
    """One attempt to connect.

    Attributes:
        where: the address, or the addresses.
        timeout: seconds that the attempt may take.
        is_secure: whether the connection uses TLS.
        is_there: whether the server accepted the connection, so that a reply from it was due.
        is_sentinel: whether sentinels are queried first.
        sent: the last command that was sent, if any.
    """

    where: str
    timeout: float
    is_secure: bool = False
    is_there: bool = False
    is_sentinel: bool = False
    sent: str = ""


def not_reached(error: BaseException, attempt: ConnectAttempt) -> StoreError:
    """The `StoreError` for an error of redis-py while connecting, with a cause safe to show."""
    cause = _cause(error)
    failed = _diagnosed(error, cause, attempt)
    failed.__cause__ = _shown(cause)
    return failed


# returns at the first cause that fits
def _diagnosed(error: BaseException, cause: BaseException, attempt: ConnectAttempt) -> StoreError:  # noqa: PLR0911
    words = _words(cause)
    is_cluster = isinstance(error, redis.RedisClusterException)
    if attempt.is_sentinel and "unknown command" in words:
        return _failed(_NO_SENTINEL, attempt, retryable=False)
    refused = _refused(words, attempt) if words else None
    if refused is not None:
        return refused
    if is_cluster and isinstance(cause, redis.ResponseError):
        return _failed(_NO_CLUSTER, attempt, retryable=False)
    if isinstance(cause, MasterNotFoundError):
        return _without_primary(str(cause), attempt)
    untrusted = _behind(ssl.SSLCertVerificationError, cause)
    if untrusted is not None:
        message = (
            _OTHER_NAME if getattr(untrusted, "verify_code", 0) in _NOT_FOR_HOST else _UNTRUSTED
        )
        return _failed(message, attempt, retryable=False)
    if _behind(ssl.SSLError, cause) is not None:
        return _failed(_NO_TLS, attempt, retryable=False)
    if _behind(socket.gaierror, cause) is not None:
        return _failed(UNKNOWN_HOST, attempt)
    if isinstance(cause, redis.InvalidResponse) or str(cause) == _NO_REPLY_TO_AUTH:
        return _failed(_NO_REDIS, attempt, retryable=False)
    return _failed(
        _CLUSTER if is_cluster else _unanswered(cause, attempt),
        attempt,
        reason=_reason(cause, attempt),
    )


def _refused(words: str, attempt: ConnectAttempt) -> StoreError | None:
    """The error for an error reply of the server.

    None unless the reply, or the command that it answers, identifies the failure.
    """
    if attempt.sent and "unknown command" in words:
        return _failed(
            _NO_SELECT if attempt.sent == "SELECT" else _REFUSED,
            attempt,
            retryable=False,
            word="ERR",
        )
    known = connection_rejected(words, NAME, attempt.where)
    if known is None and attempt.sent:
        return _failed(_REFUSED, attempt, word=error_prefix(words))
    return known


def _unanswered(cause: BaseException, attempt: ConnectAttempt) -> str:  # noqa: PLR0911 - one return per cause
    refused = _behind(OSError, cause)
    is_late = isinstance(cause, (TimeoutError, redis.TimeoutError)) and not getattr(
        refused, "errno", None
    )
    if is_late and attempt.is_secure and not attempt.is_there:
        return _NO_HANDSHAKE
    if attempt.is_secure and not attempt.is_there and refused is not None and refused.errno is None:
        return _NO_TLS  # the server closed the connection during the handshake
    if is_late and attempt.is_there:
        return _SILENT
    if attempt.is_there and (
        refused is None or getattr(refused, "errno", None) in {errno.ECONNRESET, errno.EPIPE}
    ):
        return _HUNG_UP
    if attempt.where.startswith("/") and isinstance(refused, FileNotFoundError):
        return _NO_SOCKET
    if attempt.where.startswith("/") and isinstance(refused, PermissionError):
        return _NOT_ALLOWED
    if attempt.where.startswith("/") and isinstance(refused, ConnectionRefusedError):
        return _DEAD_SOCKET
    return _UNREACHED


def _without_primary(text: str, attempt: ConnectAttempt) -> StoreError:
    # After the service's name, redis-py lists the error that each failed sentinel raised, as in
    # "network:ConnectionError".
    raised = text.rpartition("' : ")[2] if "' : " in text else ""
    if "AuthenticationError" in raised:
        return _failed(_NO_LOGIN, attempt, retryable=False)
    is_alone = raised.count("Error") > attempt.where.count(",")
    return _failed(_NO_ANSWER if is_alone else _NO_SERVICE, attempt)


def _failed(
    message: str,
    attempt: ConnectAttempt,
    *,
    retryable: bool | None = None,
    reason: str = "",
    word: str = "",
) -> StoreError:
    kind = "+cluster" if message is _CLUSTER else ""
    sent = needed((attempt.sent,)) if attempt.sent else "what is sent first"
    text = message.format(
        where=attempt.where,
        timeout=attempt.timeout,
        reason=reason,
        secure=f"rediss{kind}",
        plain="redis",
        sent=sent,
    )
    details = {"word": word} if word else None
    return store_error(
        ErrorCode.STORE_CONNECTION_FAILED, text, backend=NAME, retryable=retryable, details=details
    )


def _reason(cause: BaseException, attempt: ConnectAttempt) -> str:
    """The operating system's reason for the failure."""
    refused = _behind(OSError, cause)
    number = getattr(refused, "errno", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number).lower()
    if isinstance(cause, (TimeoutError, redis.TimeoutError)):
        return f"no reply within {attempt.timeout:g} seconds"
    if refused is not None and "path too long" in str(refused):
        return "the path is too long for a socket"
    return (
        "connection refused"
        if isinstance(refused, ConnectionRefusedError)
        else "the connection failed"
    )


def _words(cause: BaseException) -> str:
    """The server's error text, with the prefix that redis-py strips; empty if there was none."""
    if str(cause) == _NO_REPLY_TO_AUTH:
        return ""
    word = getattr(cause, "status_code", None) or next(
        (word for kind, word in _CLASSES if isinstance(cause, kind)), ""
    )
    if word:
        return f"{word} {cause}"
    if not isinstance(cause, redis.ResponseError):
        return ""
    text = str(cause)
    return text if text.partition(" ")[0].isupper() else f"ERR {text}"


def _shown(cause: BaseException) -> BaseException:
    words = _words(cause)
    if words:
        return ErrorReply(cut(words))
    refused = _behind(OSError, cause)
    # args are the error number and the system's message
    if refused is not None and len(refused.args) == 2:  # noqa: PLR2004
        return type(refused)(*refused.args)
    return ConnectFailed(f"{type(cause).__name__} {cut(str(cause))}".strip())


def _cause(error: BaseException) -> BaseException:
    """The error behind the one that redis-py raises for a cluster."""
    behind = error.__cause__ or error.__context__
    return (
        _cause(behind)
        if isinstance(error, redis.RedisClusterException) and behind is not None
        else error
    )


def _behind(kind: type[E], error: BaseException | None) -> E | None:
    if error is None:
        return None
    if isinstance(error, kind):
        return error
    return _behind(kind, error.__cause__ or error.__context__)
