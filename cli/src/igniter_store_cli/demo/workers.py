"""Runs the callers of a play as tasks of this process, or of several processes.

Rule: Several processes are used only if they share the backend.
Rule: A backend's name doesn't show whether it is shared. Therefore another process checks whether
    it can read a value that this process wrote.
Rule: No caller starts before all callers in all processes are ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import secrets
import signal
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from igniter_store.contract import StoreError
from igniter_store.store import Store

from igniter_store_cli.demo.concurrency import at_once

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
    from multiprocessing.synchronize import Barrier

T = TypeVar("T")
Action: TypeAlias = "Callable[..., Coroutine[Any, Any, T]]"

PROCESSES: Final = 4
_PATIENCE: Final = 50.0  # seconds until all are ready: each process imports this package first
_PROBE: Final = "are-you-there"


class Tasks:
    """Runs all callers as tasks of this process.

    Attributes:
        processes: the number of processes.
    """

    processes: int = 1

    async def at_once(
        self, store: Store[str], action: Action[T], arguments: Iterable[tuple[Any, ...]]
    ) -> list[T]:
        """Start `action(store, *arguments)` for all arguments together.

        Returns the results in order.
        """
        return await at_once(action(store, *each) for each in arguments)


class Processes(Tasks):
    """Spreads the callers over several processes, each with its own store.

    Args:
        url: the backend's URL.
        processes: the number of processes.
    """

    def __init__(self, url: str, processes: int) -> None:
        self.processes = processes
        self._url: Final = url
        context = multiprocessing.get_context("spawn")  # a fork would copy the event loop
        self._barrier: Final = context.Barrier(processes)
        self._pool: Final = ProcessPoolExecutor(
            processes, mp_context=context, initializer=_begin, initargs=(self._barrier,)
        )

    async def at_once(
        self, store: Store[str], action: Action[T], arguments: Iterable[tuple[Any, ...]]
    ) -> list[T]:
        """Like `Tasks.at_once`, in all processes."""
        self._barrier.reset()
        crowd = list(arguments)
        parts = [crowd[first :: self.processes] for first in range(self.processes)]
        scopes = [(scope.key, scope.identifier) for scope in store.scopes]
        loop = asyncio.get_running_loop()
        acting = [
            loop.run_in_executor(
                self._pool, partial(_act, self._url, store.service, scopes, action, part)
            )
            for part in parts
        ]
        try:
            await asyncio.wait(acting)
        except asyncio.CancelledError:
            self._barrier.abort()
            await asyncio.gather(
                *acting, return_exceptions=True
            )  # otherwise they would write after the keys are deleted
            raise
        answers = await asyncio.gather(*acting, return_exceptions=True)
        # A failed process breaks the barrier for the others. Their BrokenBarrierError is less
        # useful.
        for answer in sorted(
            answers, key=lambda answer: isinstance(answer, threading.BrokenBarrierError)
        ):
            if isinstance(answer, BaseException):
                raise answer
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        return [
            found[number % self.processes][number // self.processes] for number in range(len(crowd))
        ]

    async def close(self) -> None:
        """Stop the processes and wait for them; processes at the barrier are released."""
        self._barrier.abort()
        await asyncio.shield(asyncio.to_thread(self._pool.shutdown, cancel_futures=True))


@asynccontextmanager
async def workers(url: str, store: Store[str]) -> AsyncGenerator[Tasks]:
    """Yield several processes if they share the backend, otherwise only this process.

    Args:
        url: the backend's URL.
        store: an open store on the backend.
    """
    if url.startswith("memory:"):  # private to this process, so no process is started
        yield Tasks()
        return
    several = Processes(url, PROCESSES)
    try:
        yield several if await _is_shared(several, store) else Tasks()
    finally:
        await several.close()


async def _is_shared(several: Processes, store: Store[str]) -> bool:
    word = secrets.token_hex(8)
    try:
        await store.kv.set(_PROBE, word, ttl=60)
        try:
            return set(await several.at_once(store, _see, [()] * several.processes)) == {word}
        finally:
            await store.kv.remove(_PROBE)
    except (StoreError, BrokenExecutor, threading.BrokenBarrierError):
        # The plays will report any problem with the backend. If no process can be started, tasks
        # are used.
        return False


async def _see(store: Store[str]) -> object:
    return await store.kv.get(_PROBE)


# The following code runs in the other processes:

_gate: list[Barrier] = []


def _begin(barrier: Barrier) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent process handles Ctrl-C
    _gate.append(barrier)


def _act(
    url: str,
    service: str,
    scopes: Sequence[tuple[str, str]],
    action: Action[T],
    part: Sequence[tuple[Any, ...]],
) -> list[T]:
    return asyncio.run(_acted(url, service, scopes, action, part))


async def _acted(
    url: str,
    service: str,
    scopes: Sequence[tuple[str, str]],
    action: Action[T],
    part: Sequence[tuple[Any, ...]],
) -> list[T]:
    store: Store[Any] = Store.from_url(url, service=service)
    try:
        async with store:
            for key, identifier in scopes:
                store = store.scope(key, identifier)
            await asyncio.to_thread(_gate[0].wait, _PATIENCE)
            return await at_once(action(store, *each) for each in part)
    except BaseException:
        with contextlib.suppress(OSError):
            _gate[0].abort()  # otherwise the others would wait for this process
        raise
