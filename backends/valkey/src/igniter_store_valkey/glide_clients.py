"""Making glide's clients, and what one has to know of them.

Rule: a client connects with its first command. What glide's `create` connects itself holds the
    event loop until it is through.
Rule: all of glide's clients in a process answer through one pipe, which the loop of the first of
    them reads. Once that loop is closed,
only the making of another client finds a new reader; so whoever hears nothing for too long makes
one (`mended`).
Rule: who reads the pipe hands an answer to the loop that waits for it. It may be closed by then,
    and the answer's future cancelled: then
the answer is dropped (`_Loop`), where asyncio would log it, value and all, and the reader would
drop what it had read of others'.
Rule: a client belongs to the process that made it. Since 2.6 a forked child can make clients of its
    own; a client of its parent refuses
every call there (`glide.ClosingError`).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
from typing import TYPE_CHECKING, Any, Final

import glide
from igniter_store.contract import StoreError
from igniter_store.contract.affinity import disconnect, keep
from igniter_store.contract.timeouts import FairTimeout
from igniter_store.redis_commands.reply_errors import (
    FULL,
    ErrorReply,
    connection_rejected,
    error_prefix,
)

from igniter_store_valkey.errors import (
    NAME,
    UNREACHABLE,
    ServerLoading,
    address_of,
    misconfigured,
    not_reached,
    reply_error_of,
)
from igniter_store_valkey.probe import is_full

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store_valkey.glide_types import Client, Configuration


_NEVER: Final = (
    2_147_483_647  # milliseconds between looks at subscriptions: those are ours to look after
)
GRACE: Final = 1.0
"""Seconds beyond glide's own limits, after which it isn't believed to answer any more."""

_PAUSE: Final = 0.05  # seconds
_REFUSED: Final = "configuration error"
_ANSWERS: Final = {"ERR", "NOPERM"}
_RETRIES: Final = glide.BackoffStrategy(
    num_of_retries=4, factor=20, exponent_base=2, jitter_percent=50
)


def refuse_inherited(client: Client) -> None:
    """Raise for a client of the user's that was made before this process was forked: glide doesn't
    answer there.
    """
    untyped: Any = client
    if untyped._create_pid != os.getpid():  # noqa: SLF001 - what glide compares before each command
        message = (
            "The glide client was created before this process was forked, so its threads don't "
            "exist here. Create a client and an adapter after the fork."
        )
        raise misconfigured(message)


async def create(configuration: Configuration) -> Client:
    """A client of this configuration, which isn't connected yet.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for a configuration that glide doesn't
            take.
        glide.ClosingError: when there are no tokens of AWS.
    """
    glide.Logger.init(
        glide.LogLevel.OFF
    )  # unless somebody has set it up: what goes wrong is told by errors
    try:
        is_cluster = isinstance(configuration, glide.GlideClusterClientConfiguration)
        kind: Any = glide.GlideClusterClient if is_cluster else glide.GlideClient
        client: Client = await kind.create(configuration)
    except (ValueError, TypeError):  # it may show a password
        raise misconfigured(
            "glide rejected the configuration: a number is out of range, or an option isn't text."
        ) from None
    except (glide.ConfigurationError, glide.ClosingError) as error:
        if isinstance(error, glide.ClosingError) and _REFUSED not in str(error):
            raise
        raise misconfigured(
            "glide rejected the configuration. Its error is in __cause__."
        ) from error
    untyped: Any = client
    # where glide looks for it; nothing public leads there
    untyped._loop = _Loop(asyncio.get_running_loop())  # noqa: SLF001
    return client


class _Loop:
    """A loop as glide uses it, from the thread of another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop

    def __eq__(
        self, other: object
    ) -> bool:  # glide looks whether it is the one that reads the pipe
        return other is self._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def call_soon_threadsafe(self, settle: Callable[[Any], None], answer: Any) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
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
    """The configuration for another client to the same place.

    Args:
        configuration: stays as it is.
        timeout: seconds that an answer may take.
        connect_timeout: seconds that connecting may take; without, as it was.
        on_message: gets messages, and the client can have subscriptions then.
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
    if (
        connect_timeout is not None
    ):  # a node that doesn't answer must leave time to ask the next ones
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
    """The answer to one command.

    Args:
        client: glide's.
        words: of str or bytes.
        route: where a cluster's client is to send it, if not to where its key is.
    """
    untyped: Any = client  # of its answers glide says nearly nothing
    return await (
        untyped.custom_command(words)
        if route is None
        else untyped.custom_command(words, route=route)
    )


async def answers_to(
    client: Client, commands: list[list[Any]], route: Any = None, *, is_atomic: bool = False
) -> list[Any]:
    """The answers and the refusals of commands that travel as one batch, or as one transaction;
    other arguments as `answer_to`.
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
    """In a forked child: let the parent's pipe lead nowhere.

    A child that ends the inherited event loop would take the pipe out of the selector that both
    share, and the parent would get no more answers (uvloop does).
    """
    untyped: Any = glide.glide_client
    # glide shows its pipe nowhere else
    if untyped._async_pipe_init_pid != os.getpid():  # noqa: SLF001
        disconnect([untyped._async_pipe_read_fd])  # noqa: SLF001 - the same


async def connected(
    configuration: Configuration, patience: float, *, was_connected: bool = False
) -> Client:
    """A client that has been answered.

    Args:
        configuration: for it.
        patience: seconds that this may take.
        was_connected: whether one was connected to this place before.

    Raises:
        StoreError: when the server can't be reached.
    """
    # A reason is raised outside of the block that finds it, where it would have glide's own error
    # as its context.
    try:
        return await _answering(await create(configuration), patience)
    except UNREACHABLE as error:
        if isinstance(error, StoreError):
            raise
        reason = not_reached(error, configuration, was_connected=was_connected)
    if (
        reason.retryable and not reason.details and await is_full(configuration)
    ):  # of which glide hears nothing
        reason = connection_rejected(FULL, NAME, address_of(configuration)) or reason
    try:
        raise reason
    finally:
        del reason  # or it and this frame would keep each other


async def _answering(client: Client, patience: float) -> Client:
    """This client, once it has been answered; otherwise it is closed."""
    try:
        async with FairTimeout(patience):
            while True:
                try:
                    await answer_to(client, ["PING"])
                    break
                except glide.RequestError as error:
                    reply_error = reply_error_of(error)
                    if (
                        isinstance(reply_error, ErrorReply)
                        and error_prefix(str(reply_error)) in _ANSWERS
                    ):  # PING isn't allowed, and the server is there
                        break
                    if not isinstance(
                        reply_error, ServerLoading
                    ):  # a cluster's client that is still connecting to some node
                        raise
                await asyncio.sleep(_PAUSE)
    except (
        GeneratorExit
    ):  # the event loop was closed meanwhile, and nothing can be awaited any more
        abandon_client(client, is_inherited=False)
        raise
    except BaseException:
        await client.close()
        raise
    return client


async def is_answered(client: Client, patience: float) -> bool:
    """Whether a PING is answered: in a cluster, by each primary.

    Args:
        client: glide's.
        patience: seconds that the answer may take.
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
    """Let glide find out whether the pipe of this client is still read."""
    configuration: Any = copy.copy(client.config)
    configuration.lazy_connect = True
    await (await create(configuration)).close()


def abandon_client(client: Client, *, is_inherited: bool) -> None:
    """Close a client without awaiting anything, since its event loop is closed.

    glide's `close` awaits nothing; it sets an exception on each future that nobody waits for any
    more, which a closed loop refuses.

    Args:
        client: glide's.
        is_inherited: the client belongs to the parent process: its threads and its sockets are left
            alone.
    """
    if is_inherited:
        keep(client)
        _disconnect_pipe()
        return
    untyped: Any = client
    # only it knows whether the native client is freed
    finalizer = untyped._core_client_finalizer  # noqa: SLF001
    if finalizer is not None and not finalizer.alive:
        # The garbage collector has run it, and glide's `close` would free the same memory again
        return
    for pending in (untyped._pending_futures, untyped._pubsub_futures):  # noqa: SLF001 - see above
        pending.clear()
    with contextlib.suppress(StopIteration):
        client.close().send(None)
