"""Processes that are forked while an adapter is open: clause LIF-20.

Rule: a fresh process does the forking, so that no child has copies of the test's own sockets and
    threads.
Rule: each worker makes its first writes before its parent closes, and the others afterwards.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from igniter_store.contract import ConfigurationError, KeyValue

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.spec.states import Lacks
from igniter_store_conformance.tools.worker_processes import Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from igniter_store_conformance.engine.trial import FullAdapter, Trial

_LONG: Final = 180.0
_WORKERS: Final = 3
_FIRST, _ALL = 10, 100  # writes of a worker before its parent closes, and in total
_HANGS: Final = 60  # seconds after which a hanging child is killed
_REFUSED: Final = 3  # the exit code of a child whose adapter refuses to be used there


class ForkClauses(Suite):
    """Guarantees for forked processes."""

    @clause("LIF-20", KeyValue, limit=_LONG)
    async def test_forked_workers_keep_acknowledged_writes(self, trial: Trial) -> None:
        """Forked workers keep all acknowledged writes while their parent closes its adapter.

        Three workers are forked from a process with an open adapter, and write with adapters of
        their own.

        If this fails, look for state that a child inherits: descriptors, locks, connections,
        threads that no longer exist, or a process-wide pool.
        """
        lost = await _lost(trial, closes=True)

        assert lost == []

    @clause("LIF-20", KeyValue, limit=_LONG)
    async def test_forking_process_goes_on(self, trial: Trial) -> None:
        """A process that forks can keep using its open adapter.

        It forks three workers, and uses its adapter while they write and after they have exited.

        If this fails, look for a connection that parent and child both use: one of them reads the
        other's reply.
        """
        lost = await _lost(trial, closes=False)

        assert lost == []


async def _lost(trial: Trial, *, closes: bool) -> list[str]:
    """The acknowledged keys of all processes that are missing or have a wrong value."""
    if not hasattr(os, "fork"):
        raise Lacks(f"there is no fork on {sys.platform}")
    connect = trial.pickled_connect
    shares = [
        trial.keys(f"{worker} {number}" for number in range(_ALL)) for worker in range(_WORKERS)
    ]
    own = trial.keys(f"parent {number}" for number in range(2 * _WORKERS + 1))
    async with Workers(trial, [(fork_workers, (connect, shares, own, closes))]) as workers:
        # A backend may clean up after the last process that has it open, which has to be the
        # parent
        await trial.adapter.close()
        [(codes, acknowledged)] = await workers.answers()
    await trial.adapter.open()

    assert set(codes) <= {0, _REFUSED}, (
        f"workers ended with {codes}: 1 is an error, a negative one a signal, "
        f"after {_HANGS} seconds"
    )
    keys = [
        *acknowledged,
        *(key for code, share in zip(codes, shares, strict=True) if code == 0 for key in share),
    ]
    return [
        key
        for key, value in zip(keys, await trial.adapter.mget(keys), strict=True)
        if value != key.encode()
    ]


async def fork_workers(
    adapter: FullAdapter,
    connect: bytes,
    shares: list[list[str]],
    own: list[str],
    closes: bool,  # noqa: FBT001 - a job's arguments are positional
) -> tuple[list[int], list[str]]:
    """Fork a worker for each share of the keys; return exit codes and acknowledged keys.

    This runs in a separate process. The acknowledged keys are those of the process itself.
    """
    acknowledged: list[str] = []

    async def write() -> None:
        key = own[len(acknowledged)]
        assert await adapter.set(key, key.encode()) is True
        acknowledged.append(key)

    begun, goes_on = os.pipe(), os.pipe()
    children: list[int] = []
    await write()
    for share in shares:
        children.append(_forked(partial(_write_share, connect, share, begun[1], goes_on), begun[1]))
        await write()
    for _ in children:
        await asyncio.to_thread(os.read, begun[0], 1)  # a child that exits also writes
    await write()
    if closes:
        await adapter.close()
    os.close(goes_on[1])  # all children wait for this
    if not closes:
        await write()
    codes = [
        os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1])
        for child in children
    ]
    if not closes:
        await write()
    for descriptor in (*begun, goes_on[0]):
        os.close(descriptor)
    return codes, acknowledged


async def _write_share(
    connect: bytes, share: list[str], begun: int, goes_on: tuple[int, int]
) -> None:
    os.close(goes_on[1])
    # the pickle comes from the process that started this one
    adapter: FullAdapter = pickle.loads(connect)()  # noqa: S301
    await adapter.open()
    for number, key in enumerate(share):
        if number == _FIRST:
            os.write(begun, b".")
            await asyncio.to_thread(os.read, goes_on[0], 1)
        assert await adapter.set(key, key.encode()) is True
    await adapter.close()


def _forked(work: Callable[[], Awaitable[None]], begun: int) -> int:
    """Fork a child that runs `work` and exits; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_HANGS)
        asyncio.run(_awaited(work))
        code = 0
    except ConfigurationError:
        code = _REFUSED
    except BaseException as error:  # noqa: BLE001 - whatever the error is, the child exits here
        with suppress(OSError):
            print(  # noqa: T201 - pytest shows it
                f"in a forked worker: {type(error).__name__}: {error}", file=sys.stderr, flush=True
            )
    finally:
        with suppress(OSError):
            os.write(begun, b".")
        os._exit(code)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()
