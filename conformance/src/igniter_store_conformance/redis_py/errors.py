"""Translates redis-py's exceptions to `StoreError`s, with a table of the server's error prefixes.

Rule: only the error prefix is matched, because the rest of the text differs between versions.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from igniter_store.contract import ErrorCode, StoreError, errors, store_error
from igniter_store.redis_commands.reply_errors import ErrorReply
from igniter_store.redis_commands.server_text import cut
from redis import exceptions as redis

NAME: Final = "redis"

closed = partial(errors.closed, NAME)
not_open = partial(errors.not_open, NAME)
elsewhere = partial(errors.elsewhere, NAME)
malformed_id = partial(errors.malformed_id, backend=NAME)

# The server's error prefix: the code, whether the same call may succeed later, and the advice.
_WORDS: Final = {
    "AUTH": (
        ErrorCode.STORE_CONNECTION_FAILED,
        False,
        "The server wants another user or password; correct the URL.",
    ),
    "NOPERM": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        "The server's rules forbid this user the command; allow it, or use another user.",
    ),
    "OOM": (
        ErrorCode.STORE_OPERATION_FAILED,
        True,
        "The server has no memory left; give it more, or let keys expire.",
    ),
    "READONLY": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        "The server is a replica now; try again when the new primary is reached.",
    ),
    "LOADING": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        "The server is still loading its data; try again.",
    ),
    "MASTERDOWN": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        "The replica has lost its primary; try again.",
    ),
    "CLUSTERDOWN": (ErrorCode.STORE_CONNECTION_FAILED, True, "The cluster isn't whole; try again."),
    "TRYAGAIN": (
        ErrorCode.STORE_CONNECTION_FAILED,
        True,
        "The cluster is moving the keys; try again.",
    ),
    "MOVED": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        "The server is a node of a cluster, and has other keys; use a client for clusters.",
    ),
    "ASK": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        "The server is a node of a cluster, and has other keys; use a client for clusters.",
    ),
    "CROSSSLOT": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        ("On a cluster, all keys of this command must be in the same slot."),
    ),
    "BUSY": (
        ErrorCode.STORE_TIMEOUT,
        True,
        "A script keeps the server busy; try again, or end the script.",
    ),
    "NOGROUP": (
        ErrorCode.STORE_STREAM_GROUP_MISSING,
        False,
        "There is no such group, or no such stream; create it before reading.",
    ),
    "WRONGTYPE": (
        ErrorCode.STORE_OPERATION_FAILED,
        False,
        "The key holds another kind of value; use another key, or delete this one.",
    ),
}
_SAME: Final = {"NOAUTH": "AUTH", "WRONGPASS": "AUTH", "UNBLOCKED": "NOGROUP"}

# redis-py strips the prefix from errors that it has a class for. Narrower classes come first.
_CLASSES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis.BusyLoadingError, "LOADING"),
    (redis.AuthenticationError, "AUTH"),
    (redis.AuthenticationWrongNumberOfArgsError, "AUTH"),
    (redis.NoPermissionError, "NOPERM"),
    (redis.OutOfMemoryError, "OOM"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.MasterDownError, "MASTERDOWN"),
    (redis.ClusterDownError, "CLUSTERDOWN"),
    (redis.TryAgainError, "TRYAGAIN"),
    (redis.MovedError, "MOVED"),
    (redis.AskError, "ASK"),
    (redis.ClusterCrossSlotError, "CROSSSLOT"),
)

# An error inside a script: Redis 6.2 puts text of its own before the server's error.
_IN_SCRIPT: Final = re.compile(
    r"(?:ERR Error running script.*?|@user_script): ?\d*:? ?-?([A-Z]+) ", re.DOTALL
)


def timed_out(seconds: float, *, maybe_applied: bool) -> StoreError:
    """Return the error for a reply that didn't arrive within `seconds`."""
    message = (
        f"The server didn't answer within {seconds:g} seconds. Try again, or give the adapter a "
        "longer timeout."
    )
    return store_error(ErrorCode.STORE_TIMEOUT, message, backend=NAME, maybe_applied=maybe_applied)


def word_of(error: Exception) -> str:
    """Return the server's error prefix ("WRONGTYPE"), or "" if it isn't a refusal."""
    for kind, word in _CLASSES:
        if isinstance(error, kind):
            return word
    if not isinstance(error, redis.ResponseError):
        return ""
    text = str(error)
    inside = _IN_SCRIPT.match(text)
    word = inside[1] if inside is not None else text.split(" ", 1)[0]
    return _SAME.get(word, word)


def translated(
    error: Exception,
    code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED,
    *,
    maybe_applied: bool = False,
) -> StoreError:
    """Return the error for an exception of redis-py.

    Args:
        error: the exception.
        code: the code for refusals that aren't in the table.
        maybe_applied: the error's `maybe_applied` if the connection was lost, when it is unknown
            how far the command got.
    """
    failed = _translated(word_of(error), code, maybe_applied=maybe_applied)
    failed.__cause__ = ErrorReply(cut(f"{word_of(error)} {error}"))  # the server quotes keys
    return failed


def _translated(word: str, code: ErrorCode, *, maybe_applied: bool) -> StoreError:
    if word in _WORDS:
        known, is_retryable, message = _WORDS[word]
        return store_error(
            known, message, backend=NAME, retryable=is_retryable, details={"word": word}
        )
    if word:
        return store_error(
            code,
            "The server refused the command; its own words are in __cause__.",
            backend=NAME,
            details={"word": word},
        )
    message = (
        "The server can't be reached, or has closed the connection. Is it there, and is the URL "
        "right?"
    )
    return store_error(
        ErrorCode.STORE_CONNECTION_FAILED, message, backend=NAME, maybe_applied=maybe_applied
    )
