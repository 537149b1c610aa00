"""Worker processes that run jobs, each with its own adapter."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from igniter_store_conformance.engine.trial import Trial


WORKERS: Final = 3
# seconds for an interpreter to start, on a machine that is busy with other tests
_START_LIMIT: Final = 60.0
LONG: Final = 180.0


class Workers:
    """Worker processes, each with an open client.

    Used as `async with Workers(trial, jobs) as workers: await workers.answers()`.

    Args:
        trial: its harness creates the clients.
        jobs: a job and its arguments for each process.
    """

    def __init__(self, trial: Trial, jobs: list[tuple[Job, tuple[Any, ...]]]) -> None:
        self._connect = trial.pickled_connect
        self._jobs = jobs
        self._processes: list[tuple[SpawnProcess, Connection]] = []

    async def __aenter__(self) -> Self:
        # Spawned, not forked: a forked process would inherit the sockets and threads of this one.
        context = multiprocessing.get_context("spawn")
        for job, arguments in self._jobs:
            here, there = context.Pipe()
            process = context.Process(
                target=_work,
                args=(there, self._connect, pickle.dumps((job, arguments))),
                daemon=True,
            )
            process.start()
            there.close()
            self._processes.append((process, here))
        try:
            for _, connection in self._processes:
                _raise_if_failed(await _received(connection, _START_LIMIT))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def answers(self) -> list[Any]:
        """Start the jobs of all workers, and return their results."""
        self.begin()
        return await self.results()

    def begin(self) -> None:
        """Start the jobs of all workers."""
        for _, connection in self._processes:
            connection.send("begin")

    async def results(self) -> list[Any]:
        """Return the results of the jobs, in order."""
        return [
            _raise_if_failed(await _received(connection, LONG)) for _, connection in self._processes
        ]

    async def _end(self) -> None:
        for process, connection in self._processes:
            connection.close()
            with suppress(OSError):
                process.terminate()
        for process, _ in self._processes:
            await asyncio.to_thread(process.join, 10)


def _work(pipe: Connection, connect: bytes, job: bytes) -> None:
    try:
        answer = asyncio.run(_do(pipe, connect, job))
    except Exception as error:  # noqa: BLE001 - sent to the test, which raises it
        answer = _Failed(f"{type(error).__name__}: {error}")
    with suppress(OSError):
        pipe.send(answer)


async def _do(pipe: Connection, connect: bytes, pickled: bytes) -> Any:
    # trusted: pickled by the parent process
    job, arguments = pickle.loads(pickled)  # noqa: S301
    adapter = pickle.loads(connect)()  # noqa: S301 - the kit has pickled it
    await adapter.open()
    try:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        return await job(adapter, *arguments)
    finally:
        await adapter.close()


class _Failed:
    """An error in a worker, as text, because not every exception can be pickled."""

    def __init__(self, message: str) -> None:
        self.message = message


async def _received(connection: Connection, limit: float) -> Any:
    if not await asyncio.to_thread(connection.poll, limit):
        raise AssertionError(f"a worker process said nothing for {limit:g} seconds")
    try:
        return connection.recv()
    except EOFError:
        return _Failed("it ended without a word")


def _raise_if_failed(answer: Any) -> Any:
    if isinstance(answer, _Failed):
        raise AssertionError(f"in a worker process: {answer.message}")  # noqa: TRY004 - a finding
    return answer


Job: TypeAlias = Callable[..., Awaitable[Any]]
"""A module-level coroutine function, called with an open adapter and other picklable arguments."""
