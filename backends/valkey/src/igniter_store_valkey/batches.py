"""Sends the calls of one event-loop iteration to glide as one non-atomic `Batch`.

Rule: an iteration with many reads and no write is sent as several batches: glide processes one
    while the next is being encoded. Writes stay in one batch, because the order in which two
    batches arrive isn't defined.
Rule: each call gets its own reply or its own error. A failure of a whole batch fails all its calls.
Rule: a lone command is sent immediately if the previous loop iteration also had only one; otherwise
    it waits for the end of the iteration.
Rule: one timer watches everything in flight. glide has timeouts of its own, so when this timer
    fires, glide's pipe is no longer read.
Rule: cancelling a caller doesn't cancel its batch; its slot in the batch stays and the reply is
    discarded.
Rule: with one server and its replicas, glide sends only single commands to replicas, never a batch.
    So where replicas may reply, each read is sent as a single command. SCAN never is, because a
    cursor is valid only at the node that returned it.
Rule: futures get results, never exceptions; see `errors`.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import glide
from igniter_store.adapter_tools.timeouts import oversleep
from igniter_store.contract.affinity import forget_task
from igniter_store.redis_commands.encoding import as_bytes
from igniter_store.redis_commands.reply_errors import (
    ConnectionClosed,
    ConnectionLost,
    ReplyError,
    ReplyTimeout,
)

from igniter_store_valkey.errors import reply_error_of
from igniter_store_valkey.glide_clients import GRACE, answer_to, answers_to, mended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Sequence

    from igniter_store_valkey.glide_types import Client

A = TypeVar("A")

_MOST: Final = 16  # batches in flight; at the limit, further calls wait for the next batch
_PAUSE: Final = 0.05  # seconds
_LARGEST: Final = 32  # commands in a batch of reads; smaller batches cost more than they gain
_CACHED: Final = b"GET"
_SCAN: Final = b"SCAN"


class Batches:
    """The commands to one client.

    Args:
        client: glide's client.
        patience: seconds after which glide itself reports a timeout, at the latest.
        is_ours: whether the adapter closes the client.
    """

    def __init__(self, client: Client, patience: float, *, is_ours: bool) -> None:
        self._client: Final = client
        self._patience: Final = patience + GRACE
        self._loop: Final = asyncio.get_running_loop()
        self._gathered: list[tuple[list[Any], asyncio.Future[Any]]] = []
        # Commands of the same iteration that are sent as single commands
        self._apart: list[tuple[list[Any], asyncio.Future[Any]]] = []
        self._flush_is_due = False
        self._writes = False  # whether a gathered command is a write
        self._sending: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._is_ours: Final = is_ours
        self._under_way: dict[asyncio.Task[Any], float] = {}  # with the time when each began
        self._late: set[asyncio.Task[Any]] = set()
        self._is_lost = False
        self._watching: asyncio.TimerHandle | None = None
        self._was_alone = False
        self._is_one_alone = False
        # glide uses its cache only for single commands.
        self._is_cached: Final = client.config.client_side_cache is not None
        self._has_replicas: Final = (
            isinstance(client, glide.GlideClient)
            and client.config.read_from is not glide.ReadFrom.PRIMARY
        )

    def send(self, words: tuple[Any, ...], *, writes: bool) -> Awaitable[Any]:
        """The reply to a command as glide parses it, or a `ReplyError`."""
        spelled = [word if type(word) is bytes else as_bytes(word) for word in words]
        has_company = self._flush_is_due or self._sending or self._is_one_alone
        if self._was_alone and not has_company and self._is_open and spelled[0] != _SCAN:
            return self._ask_alone(spelled)
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._is_open:
            future.set_result(ConnectionClosed())
            return future
        if (self._has_replicas and not writes and spelled[0] != _SCAN) or (
            self._is_cached and spelled[0] == _CACHED
        ):
            self._apart.append((spelled, future))
        else:
            self._gathered.append((spelled, future))
            self._writes = self._writes or writes
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return future

    def ask_alone(self, words: tuple[Any, ...]) -> Awaitable[Any]:
        """As `send`, outside of a batch.

        glide drops a whole batch if one of its replies is too large to decompress.
        """
        return self._ask_alone([as_bytes(word) for word in words])

    async def _ask_alone(self, words: list[Any]) -> Any:
        self._is_one_alone = True
        try:
            return await self._watched(answer_to(self._client, words))
        # errors of glide; reply_error_of raises others again
        except Exception as error:  # noqa: BLE001
            return reply_error_of(error)
        finally:
            self._is_one_alone = False

    async def _watched(self, asking: Coroutine[Any, Any, A]) -> A | ReplyError:
        """Return the result of `asking`.

        Returns `ReplyTimeout` if glide doesn't even report a timeout, and `ConnectionLost` if the
        connection was given up.
        """
        task: Any = asyncio.current_task()
        now = self._loop.time()
        self._under_way[task] = now
        if self._watching is None:
            self._watching = self._loop.call_at(now + self._patience, self._look)
        try:
            return await asking
        except asyncio.CancelledError:
            if task not in self._late or task.uncancel():
                raise
            if self._is_lost:
                return ConnectionLost(is_sent=True)
            await mended(self._client)
            return ReplyTimeout()
        finally:
            del self._under_way[task]
            self._late.discard(task)
            del task  # or the task, its error and this frame would form a reference cycle

    def _look(self) -> None:
        """Cancel overdue calls, and schedule the next check for when another may be overdue."""
        if self._watching is not None and (rest := oversleep(self._loop, self._watching)):
            # Wait until the loop has read what arrived while it was blocked
            self._watching = self._loop.call_later(rest, self._look)
            return
        now = self._loop.time()
        for task, since in self._under_way.items():
            if since + self._patience <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        waiting = [since for task, since in self._under_way.items() if task not in self._late]
        self._watching = (
            self._loop.call_at(min(waiting) + self._patience, self._look) if waiting else None
        )

    async def close(self) -> None:
        """Accept no more commands; pending callers get `ConnectionClosed`."""
        self._is_open = False
        gathered, self._gathered, self._apart = [*self._gathered, *self._apart], [], []
        _settle(gathered, [ConnectionClosed()] * len(gathered))
        if self._watching is not None:
            self._watching.cancel()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def abandon(self) -> Client:
        """Stop sending, because the event loop is closed; return the client for closing."""
        self._is_open = False
        for task in (*self._sending, *self._under_way):
            forget_task(task)
        return self._client

    def lose(self) -> None:
        """Give the connection up: all calls in flight get `ConnectionLost`."""
        self._is_lost = True
        for task in self._under_way:
            if task not in self._late:
                self._late.add(task)
                task.cancel()

    async def answered(self) -> None:
        """Wait until no call is pending, or the batches are closed."""
        # a single command sets no event when it completes
        while self._is_open and (self._gathered or self._apart or self._under_way):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)

    def _flush(self) -> None:
        self._flush_is_due = False
        if (self._gathered or self._apart) and len(self._sending) < _MOST:
            self._was_alone = self._is_ours and len(self._gathered) + len(self._apart) == 1
            apart, self._apart = self._apart, []
            for asked in apart:
                self._begin([asked])
            gathered, self._gathered = self._gathered, []
            largest = len(gathered) if self._writes else _LARGEST
            self._writes = False
            for part in _parts(gathered, largest):
                self._begin(part)

    def _begin(self, gathered: list[tuple[list[Any], asyncio.Future[Any]]]) -> None:
        task = self._loop.create_task(self._send(gathered))
        self._sending.add(task)
        task.add_done_callback(self._was_sent)

    def _was_sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._flush()

    async def _send(self, gathered: list[tuple[list[Any], asyncio.Future[Any]]]) -> None:
        answers: Sequence[Any] = [ConnectionClosed()] * len(gathered)
        try:
            answered = await self._watched(self._answers([words for words, _ in gathered]))
            answers = [answered] * len(gathered) if isinstance(answered, ReplyError) else answered
        except Exception as error:  # noqa: BLE001 - the callers get it
            answers = [_trouble(error)] * len(gathered)
        finally:
            if not self._loop.is_closed():
                _settle(gathered, answers)

    async def _answers(self, commands: list[list[Any]]) -> Sequence[Any]:
        if len(commands) == 1 and commands[0][0] != _SCAN:
            return [await answer_to(self._client, commands[0])]
        return await answers_to(self._client, commands)


def _parts(gathered: list[A], largest: int) -> list[list[A]]:
    """Split a list into parts of nearly the same size, none larger than `largest`."""
    if len(gathered) <= largest:
        return [gathered] if gathered else []
    size = math.ceil(len(gathered) / math.ceil(len(gathered) / largest))
    return [gathered[at : at + size] for at in range(0, len(gathered), size)]


def _trouble(error: Exception) -> BaseException:
    try:
        return reply_error_of(error)
    except Exception as other:  # noqa: BLE001 - the callers get other exceptions unchanged
        return other


def _settle(
    gathered: Sequence[tuple[list[Any], asyncio.Future[Any]]], answers: Sequence[Any]
) -> None:
    for (_, future), answer in zip(gathered, answers, strict=True):
        if future.done():
            continue
        if not isinstance(answer, BaseException) or isinstance(answer, ReplyError):
            future.set_result(answer)
        elif isinstance(answer, glide.RequestError):
            future.set_result(reply_error_of(answer))
        else:
            future.set_exception(answer)
