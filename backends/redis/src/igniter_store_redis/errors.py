"""From what redis-py raises while it connects to `StoreError`s. What the server says later is the same for every client."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from typing import Final

from igniter_store.contract import ErrorCode, StoreError, errors, store_error
from igniter_store.contract.commands.needs import needed
from igniter_store.contract.commands.troubles import UNKNOWN_HOST, unwelcome, word_of
from redis import exceptions as redis
from redis.asyncio.sentinel import MasterNotFoundError

NAME: Final = "redis"

closed = partial(errors.closed, NAME)
refusal = partial(errors.not_open, NAME)
elsewhere = partial(errors.elsewhere, NAME)
misconfigured = partial(errors.misconfigured, backend=NAME)

UNREACHABLE: Final = (redis.RedisError, redis.RedisClusterException, OSError)
"""What redis-py raises while it connects."""

# redis-py, while it connects, takes the word away from errors that it has a class for; the narrower class first.
_CLASSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.BusyLoadingError, "LOADING"),
    (redis.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
    (redis.AuthenticationError, "NOAUTH"),
    (redis.NoPermissionError, "NOPERM"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.MasterDownError, "MASTERDOWN"),
)


def not_reached(error: Exception, where: str, sent: str = "") -> StoreError:
    """The error for what redis-py raised while it connected.

    Args:
        error: redis-py's.
        where: the address, or the addresses.
        sent: the command that was sent last, if one was.
    """
    cause = _cause(error)
    word = next((word for kind, word in _CLASSES if isinstance(cause, kind)), "")
    if not word and isinstance(cause, redis.ResponseError):
        word = word_of(str(cause))
    if (known := unwelcome(word, NAME)) is not None:
        return known
    if _is_behind(ssl.SSLCertVerificationError, cause):
        message = f"The certificate of {where} isn't trusted. Give the authority's in ssl_ca_certs, or use the name that stands in it."
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=False)
    if isinstance(error, redis.RedisClusterException) and isinstance(cause, redis.ResponseError):
        message = "The server is no cluster, or refuses CLUSTER SLOTS (needed for finding the nodes). For a single one the URL begins with redis://."
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=False)
    return store_error(ErrorCode.STORE_CONNECTION_FAILED, _message(error, cause, where, sent), backend=NAME)


def _message(error: Exception, cause: BaseException, where: str, sent: str) -> str:
    if _is_behind(socket.gaierror, cause):
        return UNKNOWN_HOST.format(where=where)
    if isinstance(cause, MasterNotFoundError):
        return "No sentinel that answers knows a primary of this name. Are they there, and is the service of the URL right?"
    if isinstance(error, redis.RedisClusterException):
        return (
            f"The cluster can't be reached at {where}, or isn't whole. Are its nodes there, is the URL right, and do they want TLS "
            "(rediss+cluster://)?"
        )
    if isinstance(cause, redis.ResponseError):
        asked = needed((sent,)) if sent else "the connection"
        return f"The server refused {asked}; its own words are in __cause__. Leave that out of the URL, or correct it."
    if sent and isinstance(cause, redis.ConnectionError):
        return (
            f"The server at {where} hung up when it was sent {needed((sent,))}. Leave that out of the URL, or connect without the proxy "
            "that doesn't know the command."
        )
    return f"The server can't be reached at {where}. Is it there, is the URL right, and does it want TLS (rediss://), or none?"


def _cause(error: BaseException) -> BaseException:
    """What is behind redis-py's own words about a cluster."""
    behind = error.__cause__ or error.__context__
    return _cause(behind) if isinstance(error, redis.RedisClusterException) and behind is not None else error


def _is_behind(kind: type[BaseException], error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, kind) or _is_behind(kind, error.__cause__ or error.__context__))
