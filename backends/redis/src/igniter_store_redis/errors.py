"""From what goes wrong to `StoreError`s: one table of the server's words, and one translator.

Rule: of what the server says only its first word is read; the rest of the text differs from version to version.
"""

from __future__ import annotations

import re
from typing import Final

from igniter_store.contract import ErrorCode, StoreError, store_error
from redis import exceptions as redis
from redis.asyncio.sentinel import MasterNotFoundError

from igniter_store_redis.multiplexer import Late, Lost, Refused, Shut, Trouble

NAME: Final = "redis"

UNREACHABLE: Final = (redis.RedisError, redis.RedisClusterException, OSError)
"""What redis-py raises while it connects."""

# The server's word: the code, whether the same call may succeed later, and what to do.
_WORDS: Final = {
    "NOAUTH": (ErrorCode.STORE_CONNECTION_FAILED, False, "The server wants a user or a password, and the URL has none that it takes."),
    "WRONGPASS": (ErrorCode.STORE_CONNECTION_FAILED, False, "The server knows no such user and password. Correct those of the URL."),
    "NOPERM": (ErrorCode.STORE_OPERATION_FAILED, False, "The server's access rules keep this user from the command or the key."),
    "OOM": (ErrorCode.STORE_OPERATION_FAILED, True, "The server has no memory left. Give it more, or let keys expire."),
    "MISCONF": (ErrorCode.STORE_OPERATION_FAILED, True, "The server can't save to its disk and takes no writes. Look at its log."),
    "READONLY": (ErrorCode.STORE_CONNECTION_FAILED, True, "The server is a replica, perhaps since a failover. Try again."),
    "LOADING": (ErrorCode.STORE_CONNECTION_FAILED, True, "The server is still loading its data. Try again."),
    "MASTERDOWN": (ErrorCode.STORE_CONNECTION_FAILED, True, "The replica has lost its primary. Try again."),
    "NOREPLICAS": (ErrorCode.STORE_OPERATION_FAILED, True, "Too few replicas are there for the server to take writes. Try again."),
    "CLUSTERDOWN": (ErrorCode.STORE_CONNECTION_FAILED, True, "The cluster isn't whole. Try again."),
    "TRYAGAIN": (ErrorCode.STORE_CONNECTION_FAILED, True, "The cluster is moving the keys. Try again."),
    "MOVED": (ErrorCode.STORE_OPERATION_FAILED, False, "The server is a node of a cluster. Use redis+cluster:// in the URL."),
    "ASK": (ErrorCode.STORE_OPERATION_FAILED, False, "The server is a node of a cluster. Use redis+cluster:// in the URL."),
    "CROSSSLOT": (ErrorCode.STORE_OPERATION_FAILED, False, "A cluster does this only for keys of one slot."),
    "BUSY": (ErrorCode.STORE_TIMEOUT, True, "A script keeps the server busy. Try again, or end the script."),
    "DENIED": (
        ErrorCode.STORE_CONNECTION_FAILED,
        False,
        "The server is in protected mode: it wants a password (requirepass, and in the URL) before others may come.",
    ),
    "NOGROUP": (ErrorCode.STORE_STREAM_GROUP_MISSING, False, "There is no such group, or no such stream. Create it before reading."),
    "UNBLOCKED": (ErrorCode.STORE_STREAM_GROUP_MISSING, False, "The stream was removed while it was read. Create the group again."),
    "WRONGTYPE": (ErrorCode.STORE_OPERATION_FAILED, False, "The key holds another kind of value. Use another key, or delete this one."),
}

# redis-py, while it connects, takes the word away from errors that it has a class for; the narrower class first.
_CLASSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.BusyLoadingError, "LOADING"),
    (redis.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
    (redis.AuthenticationError, "NOAUTH"),
    (redis.NoPermissionError, "NOPERM"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.MasterDownError, "MASTERDOWN"),
)

# What went wrong inside a script: Redis 6.2 puts words of its own before the server's.
_IN_SCRIPT: Final = re.compile(r"(?:ERR Error running script.*?|@user_script): ?\d*:? ?-?([A-Z]+) ", re.DOTALL)


def closed() -> StoreError:
    """What every operation of a closed adapter raises."""
    return store_error(ErrorCode.STORE_CLOSED, "The adapter is closed. Open it again, or stop using it before you close it.", backend=NAME)


def not_connected() -> StoreError:
    """What every operation raises before `open`."""
    return store_error(ErrorCode.STORE_NOT_CONNECTED, "The adapter isn't open yet. Await open() first.", backend=NAME)


def misconfigured(message: str) -> StoreError:
    """A URL or an option that can't be used."""
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=NAME)


def malformed_id(code: ErrorCode) -> StoreError:
    """An id or a bound of a stream that is none."""
    return store_error(code, 'An id is malformed, so nothing was done. Ids look like "1700000000000-0".', backend=NAME)


def word_of(text: str) -> str:
    """The server's own word for what it refused ("WRONGTYPE")."""
    inside = _IN_SCRIPT.match(text)
    return inside[1] if inside is not None else text.lstrip("-").split(" ", 1)[0]


def failure(trouble: Trouble, code: ErrorCode, timeout: float, *, writes: bool) -> StoreError:
    """The error for what a caller got instead of an answer.

    Args:
        trouble: what it got.
        code: for refusals that the table doesn't know.
        timeout: the seconds that were waited.
        writes: whether the command changes something.
    """
    match trouble:
        case Refused():
            return _refusal(word_of(str(trouble)), code)
        case Late():
            message = f"The server didn't answer within {timeout:g} seconds. Try again, or give the adapter a longer timeout."
            return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=writes)
        case Lost():
            message = "The connection to the server was lost. Is it still there?"
            return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, maybe_applied=writes and trouble.is_sent)
        case Shut():
            return closed()
        case _:
            raise trouble


def not_reached(error: Exception) -> StoreError:
    """The error for what redis-py raised while it connected."""
    cause = _cause(error)
    word = next((word for kind, word in _CLASSES if isinstance(cause, kind)), "")
    if not word and isinstance(cause, redis.ResponseError):
        word = word_of(str(cause))
    if word in _WORDS:
        _, retryable, message = _WORDS[word]
        details = {"word": word}
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=retryable, details=details)
    message = "The server can't be reached. Is it there, is the URL right, and does it want TLS (rediss://), or none?"
    if word == "ERR" and not isinstance(error, redis.RedisClusterException):
        message = "The server refuses the connection: has it too many clients, or no such database? Its own words are in __cause__."
    elif isinstance(cause, MasterNotFoundError):
        message = "No sentinel that answers knows a primary of this name. Are they there, and is the service of the URL right?"
    elif isinstance(error, redis.RedisClusterException) and isinstance(cause, redis.ResponseError):
        message = "The server is no cluster, or doesn't say who belongs to it. For a single one the URL begins with redis://."
        return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, retryable=False)
    elif isinstance(error, redis.RedisClusterException):
        message = (
            "The cluster can't be reached, or isn't whole. Are its nodes there, is the URL right, and do they want TLS (rediss+cluster://)?"
        )
    return store_error(ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME)


def _cause(error: BaseException) -> BaseException:
    """What is behind redis-py's own words about a cluster."""
    behind = error.__cause__ or error.__context__
    return _cause(behind) if isinstance(error, redis.RedisClusterException) and behind is not None else error


def _refusal(word: str, code: ErrorCode) -> StoreError:
    if word in _WORDS:
        known, retryable, message = _WORDS[word]
        return store_error(known, message, backend=NAME, retryable=retryable, details={"word": word})
    return store_error(code, "The server refused the command; its own words are in __cause__.", backend=NAME, details={"word": word})
