"""Converts redis-py's exceptions to `ReplyError`s, and failed connections to `StoreError`s."""

from __future__ import annotations

from typing import Final

from igniter_store.contract import BackendErrors, ErrorCode, StoreError, store_error
from igniter_store.redis_commands.reply_errors import (
    ConnectFailed,
    ErrorReply,
    MalformedReply,
    ReplyError,
    connection_rejected,
)
from igniter_store.redis_commands.server_text import cut
from redis.exceptions import InvalidResponse, ResponseError

NAME: Final = "redis"
ERRORS: Final = BackendErrors(NAME)


def reply_error_of(error: Exception) -> ReplyError | None:
    """Return the `ReplyError` for an exception that redis-py raised while it read a reply.

    Returns `None` if the connection was lost instead.
    """
    # redis-py removes the prefix from errors that it has a class for; some of these aren't
    # ResponseErrors.
    prefix: str | None = getattr(error, "status_code", None)
    # fakeredis sends "ERR BUSYGROUP", where servers send BUSYGROUP.
    if prefix is not None and not str(error).startswith("BUSYGROUP"):
        return ErrorReply(f"{prefix} {error}")
    if isinstance(error, InvalidResponse):
        return MalformedReply()
    return ErrorReply(str(error)) if isinstance(error, ResponseError) else None


def not_reached(error: Exception, where: str) -> StoreError:
    """Return the error for an exception that redis-py raised while it connected.

    Args:
        error: the exception.
        where: the address of the server.
    """
    reply_error = reply_error_of(error)
    failed = None
    if isinstance(reply_error, ErrorReply):
        failed = connection_rejected(str(reply_error), NAME, where)
    if failed is None:
        failed = store_error(
            ErrorCode.STORE_CONNECTION_FAILED,
            f"Can't reach the server at {where}. Check that it is running, and that the URL is "
            "right.",
            backend=NAME,
        )
    # the texts of the server and of redis-py contain users and addresses
    text = cut(str(reply_error or error))
    failed.__cause__ = ConnectFailed(f"{type(error).__name__} {text}".strip())
    return failed
