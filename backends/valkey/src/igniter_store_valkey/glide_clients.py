"""Makes glide's clients, and works around their quirks.

Rule: a client connects with its first command. If glide's `create` connects, it blocks the event
    loop until it is done.
Rule: all glide clients of a process receive their replies through one pipe, which the event loop of
    the first client reads. Once that loop is closed, glide assigns a new reader only when another
    client is made. So a caller that gets no reply for too long makes a client (`mended`).
Rule: the reader of the pipe passes each reply to the loop that waits for it. By then that loop may
    be closed and the reply's future cancelled. `_Loop` then drops the reply. Otherwise asyncio
    would log it, with its value, and the reader would lose replies that it had read for others.
Rule: a client belongs to the process that made it. Since 2.6 a forked child can make clients of its
    own; there, a client of the parent rejects every call (`glide.ClosingError`).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.adapter_tools.timeouts import FairTimeout
from igniter_store.contract import StoreError
from igniter_store.contract.affinity import disconnect, keep
from igniter_store.redis_commands.reply_errors import (
    FULL,
    ErrorReply,
    connection_rejected,
    error_prefix,
)

from igniter_store_valkey.errors import (
    ERRORS,
    NAME,
    UNREACHABLE,
    ServerLoading,
    address_of,
    not_reached,
    reply_error_of,
)
from igniter_store_valkey.probe import is_full

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_valkey.glide_types import Client, Configuration


# Milliseconds between glide's checks of subscriptions, which the adapter maintains itself
_NEVER: Final = 2_147_483_647
GRACE: Final = 1.0
"""Seconds beyond glide's own timeouts, after which no reply is expected any more."""

_PAUSE: Final = 0.05  # seconds
_REFUSED: Final = "configuration error"
_ANSWERS: Final = {"ERR", "NOPERM"}
_RETRIES: Final = glide.BackoffStrategy(
    num_of_retries=4, factor=20, exponent_base=2, jitter_percent=50
)


def refuse_inherited(client: Client) -> None:
    """Raise for a user's client that was made before this process was forked.

    In a forked child glide doesn't reply on such a client.
    """
    untyped: Any = client
    if untyped._create_pid != os.getpid():  # noqa: SLF001 - glide compares it before each command
        message = (
            "The glide client was created before this process was forked, so its threads don't "
            "exist here. Create a client and an adapter after the fork."
        )
        raise ERRORS.misconfigured(message)


async def create(configuration: Configuration) -> Client:
    """Make a client of this configuration, which isn't connected yet.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if glide rejects the configuration.
        glide.ClosingError: if glide gets no AWS token.
    """
    # Has no effect if the application has set up the logger; failures are reported as errors
    glide.Logger.init(glide.LogLevel.OFF)
    try:
        is_cluster = isinstance(configuration, glide.GlideClusterClientConfiguration)
        kind: Any = glide.GlideClusterClient if is_cluster else glide.GlideClient
        client: Client = await kind.create(configuration)
    except (ValueError, TypeError):  # the message may contain a password
        raise ERRORS.misconfigured(
            "glide rejected the configuration: a number is out of range, or an option isn't text."
        ) from None
    except (glide.ConfigurationError, glide.ClosingError) as error:
        if isinstance(error, glide.ClosingError) and _REFUSED not in str(error):
            raise
        raise ERRORS.misconfigured(
            "glide rejected the configuration. Its error is in __cause__."
        ) from error
    untyped: Any = client
    # where glide reads it; there is no public name for it
    untyped._loop = _Loop(asyncio.get_running_loop())  # noqa: SLF001
    return client


class _Loop:
    """Stands for an event loop that glide calls from the thread of another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop

    # glide compares it with the loop that reads the pipe
    def __eq__(self, other: object) -> bool:
        return other is self._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def call_soon_threadsafe(self, settle: Callable[[Any], None], answer: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(_settle, settle, answer)


def _settle(settle: Callable[[Any], None], answer: Any) -> None:
    bound: Any = settle  # a method of the future
    if not bound.__self__.done():
        settle(answer)


def varied(
    configuration: Configuration,
    *,
    timeout: float,
    connect_timeout: float | None = None,
    on_message: Callable[[Any, Any], None] | None = None,
) -> Configuration:
    """The configuration for another client to the same servers.

    Args:
        configuration: is copied, and not changed.
        timeout: seconds that a reply may take.
        connect_timeout: seconds that connecting may take; None keeps the configuration's value.
        on_message: called with messages; the client can then have subscriptions.
    """
    other = copy.copy(configuration)
    other.request_timeout = max(1, round(timeout * 1000))
    other.lazy_connect = True
    other.reconnect_strategy = other.reconnect_strategy or _RETRIES
    is_cluster = isinstance(other, glide.GlideClusterClientConfiguration)
    advanced: Any = copy.copy(other.advanced_config)
    if advanced is None:
        advanced = (
            glide.AdvancedGlideClusterClientConfiguration()
            if is_cluster
            else glide.AdvancedGlideClientConfiguration()
        )
    # On a cluster, a node that doesn't reply must leave time to try the next ones
    if connect_timeout is not None:
        advanced.connection_timeout = max(1, round(connect_timeout * (250 if is_cluster else 1000)))
    advanced.pubsub_reconciliation_interval = _NEVER
    other.advanced_config = advanced
    other.pubsub_subscriptions = None
    if on_message is not None:
        kind: Any = (
            glide.GlideClusterClientConfiguration if is_cluster else glide.GlideClientConfiguration
        )
        other.pubsub_subscriptions = kind.PubSubSubscriptions({}, on_message, None)
        other.client_side_cache = None
    return other


async def answer_to(client: Client, words: list[Any], route: Any = None) -> Any:
    """Send one command, and return its reply.

    Args:
        client: glide's client.
        words: the command and its arguments, as str or bytes.
        route: the nodes to which a cluster client sends the command; None for the key's node.
    """
    untyped: Any = client  # glide's types for replies are mostly missing
    return await (
        untyped.custom_command(words)
        if route is None
        else untyped.custom_command(words, route=route)
    )


async def answers_to(
    client: Client, commands: list[list[Any]], route: Any = None, *, is_atomic: bool = False
) -> list[Any]:
    """Send commands as one batch or transaction, and return their replies and error replies.

    The other arguments are those of `answer_to`.
    """
    untyped: Any = client
    is_cluster = isinstance(client, glide.GlideClusterClient)
    batch: Any = (
        glide.ClusterBatch(is_atomic=is_atomic) if is_cluster else glide.Batch(is_atomic=is_atomic)
    )
    for words in commands:
        batch.custom_command(words)
    options = glide.ClusterBatchOptions(route=route) if is_cluster and route is not None else None
    answers: list[Any] = await untyped.exec(batch, raise_on_error=False, options=options)
    return answers


def _disconnect_pipe() -> None:
    """In a forked child, replace the parent's pipe with one that leads nowhere.

    If the child closed the inherited event loop, it would remove the pipe from the selector that
    both processes share (uvloop does), and the parent would get no more replies.
    """
    untyped: Any = glide.glide_client
    # glide has no public name for its pipe
    if untyped._async_pipe_init_pid != os.getpid():  # noqa: SLF001
        disconnect([untyped._async_pipe_read_fd])  # noqa: SLF001 - the same


async def connected(
    configuration: Configuration, patience: float, *, was_connected: bool = False
) -> Client:
    """Make a client, and connect it by a PING.

    Args:
        configuration: the client's configuration.
        patience: seconds that this may take.
        was_connected: whether a client was connected to these servers before.

    Raises:
        StoreError: if the server can't be reached.
    """
    # The reason is raised outside the except block, which would set glide's own error as its
    # context.
    try:
        return await _answering(await create(configuration), patience)
    except UNREACHABLE as error:
        if isinstance(error, StoreError):
            raise
        reason = not_reached(error, configuration, was_connected=was_connected)
    # glide doesn't report that the server has reached maxclients
    if reason.retryable and not reason.details and await is_full(configuration):
        reason = connection_rejected(FULL, NAME, address_of(configuration)) or reason
    try:
        raise reason
    finally:
        del reason  # or it and this frame would form a reference cycle


async def _answering(client: Client, patience: float) -> Client:
    """Return the client once it has a reply to a PING; close the client if that fails."""
    try:
        async with FairTimeout(patience):
            while True:
                try:
                    await answer_to(client, ["PING"])
                    break
                except glide.RequestError as error:
                    reply_error = reply_error_of(error)
                    # PING isn't allowed, so the server is reachable
                    if (
                        isinstance(reply_error, ErrorReply)
                        and error_prefix(str(reply_error)) in _ANSWERS
                    ):
                        break
                    # ServerLoading: a cluster client is still connecting to some node
                    if not isinstance(reply_error, ServerLoading):
                        raise
                await asyncio.sleep(_PAUSE)
    except GeneratorExit:  # the event loop was closed meanwhile; nothing can be awaited any more
        abandon_client(client, is_inherited=False)
        raise
    except BaseException:
        await client.close()
        raise
    return client


async def is_answered(client: Client, patience: float) -> bool:
    """Whether a PING gets a reply; in a cluster, from each primary.

    Args:
        client: glide's client.
        patience: seconds that the reply may take.
    """
    try:
        async with FairTimeout(patience):
            await answer_to(
                client,
                ["PING"],
                glide.AllPrimaries() if isinstance(client, glide.GlideClusterClient) else None,
            )
    except UNREACHABLE as error:
        return isinstance(error, glide.RequestError) and isinstance(
            reply_error_of(error), ErrorReply
        )
    return True


async def mended(client: Client) -> None:
    """Make glide check that the pipe of this client is read, and replace the reader if not."""
    configuration: Any = copy.copy(client.config)
    configuration.lazy_connect = True
    await (await create(configuration)).close()


def abandon_client(client: Client, *, is_inherited: bool) -> None:
    """Close a client without awaiting anything, because its event loop is closed.

    glide's `close` awaits nothing either. But it sets an exception on each pending future, and a
    closed loop rejects that.

    Args:
        client: glide's client.
        is_inherited: whether the client belongs to the parent process. Its threads and its sockets
            are then left untouched.
    """
    if is_inherited:
        keep(client)
        _disconnect_pipe()
        return
    untyped: Any = client
    # only the finalizer shows whether the native client is freed
    finalizer = untyped._core_client_finalizer  # noqa: SLF001
    if finalizer is not None and not finalizer.alive:
        # The garbage collector has called it, and glide's `close` would free the same memory again
        return
    for pending in (untyped._pending_futures, untyped._pubsub_futures):  # noqa: SLF001 - see above
        pending.clear()
    with contextlib.suppress(StopIteration):
        client.close().send(None)
