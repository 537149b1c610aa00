"""Where the callers of a play are: tasks of this process, or of several processes where the backend
is shared by them.

Rule: whether it is shared isn't known from its name: another process is asked whether it sees what
    this one wrote.
Rule: nobody begins before everybody is there, whichever process he is in.
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
_PATIENCE: Final = 50.0  # seconds for all to be there: a process has to import all this first
_PROBE: Final = "are-you-there"


class Tasks:
    """All callers are tasks of this process.

    Attributes:
        processes: how many there are.
    """

    processes: int = 1

    async def at_once(
        self, store: Store[str], action: Action[T], arguments: Iterable[tuple[Any, ...]]
    ) -> list[T]:
        """Let `action(store, *arguments)` run for each arguments, all let go together; what each
        returned, in order.
        """
        return await at_once(action(store, *each) for each in arguments)


class Processes(Tasks):
    """The callers are spread over several processes, each with a store of its own.

    Args:
        url: of the backend.
        processes: how many.
    """

    def __init__(self, url: str, processes: int) -> None:
        self.processes = processes
        self._url: Final = url
        context = multiprocessing.get_context("spawn")  # a fork would take the event loop with it
        self._barrier: Final = context.Barrier(processes)
        self._pool: Final = ProcessPoolExecutor(
            processes, mp_context=context, initializer=_begin, initargs=(self._barrier,)
        )

    async def at_once(
        self, store: Store[str], action: Action[T], arguments: Iterable[tuple[Any, ...]]
    ) -> list[T]:
        """As `Tasks.at_once`, in all processes."""
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
            )  # or they would write after what was written is taken away
            raise
        answers = await asyncio.gather(*acting, return_exceptions=True)
        # Whoever failed has sent the others home, who say no more than that.
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
        """End the processes, and wait for them; those that still wait for others go home."""
        self._barrier.abort()
        await asyncio.shield(asyncio.to_thread(self._pool.shutdown, cancel_futures=True))


@asynccontextmanager
async def workers(url: str, store: Store[str]) -> AsyncGenerator[Tasks]:
    """Several processes, if they see what this one writes; otherwise this one alone.

    Args:
        url: of the backend.
        store: a store on it, open.
    """
    if url.startswith("memory:"):  # it is what the name says: no need to start anybody
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
        # What is wrong with the backend, the plays will tell; where no process can be started,
        # tasks have to do
        return False


async def _see(store: Store[str]) -> object:
    return await store.kv.get(_PROBE)


# In the other processes:

_gate: list[Barrier] = []


def _begin(barrier: Barrier) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the process that has started this one
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
            _gate[0].abort()  # or the others wait for us
        raise
