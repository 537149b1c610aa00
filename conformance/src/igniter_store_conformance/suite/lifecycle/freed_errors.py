"""Errors that must be freed when their callers drop them: clause FLT-13.

An error references its traceback, the traceback its frames, and the frames all arguments and
results of the call. A frame with a local name for the error that it raises closes a reference
cycle, which only the garbage collector breaks. A service with failing calls would then keep every
payload for a while.

Rule: the garbage collector is disabled during a check, and always enabled again afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Counters, KeyValue, StoreError, Streams

from igniter_store_conformance.engine.clause_test import clause
from igniter_store_conformance.engine.suite import Suite
from igniter_store_conformance.tools.operations import names_for, operations_of
from igniter_store_conformance.tools.recovery import LONG, works_again

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from igniter_store_conformance.engine.trial import Trial

# Seconds in which tasks and threads of the adapter release the results that they have delivered
_PATIENCE: Final = 1.0
_KEPT: Final = (
    "these errors are kept by a reference cycle: "
    "is there a frame with a name for the error that it raises?"
)


class FreeingClauses(Suite):
    """Errors and the objects that they reference."""

    @clause("FLT-13", limit=LONG)
    async def test_closed_adapters_errors_are_freed(self, trial: Trial) -> None:
        """Errors of a closed adapter's operations are freed when the caller drops them.

        If this fails, look for `raise error` where `error` is a local name. Raise the return value
        of a function, or `del` the name in `finally`.
        """
        operations = operations_of(trial)
        await trial.adapter.close()

        calls = {
            operation.title: partial(operation.ask, trial.adapter, names_for(trial, operation))
            for operation in operations
        }
        assert await _kept(calls) == [], _KEPT

    @clause("FLT-13", KeyValue, Streams, limit=LONG)
    async def test_refusals_errors_are_freed(self, trial: Trial) -> None:
        """Errors about a key of another type or a missing group are freed.

        If this fails, look at the code that converts a backend error to an error of the contract.
        """
        value, stream = trial.keys(["value", "stream"])
        await trial.adapter.set(value, b"value")
        await trial.adapter.xadd(stream, {"field": b"1"})
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "get of a stream": lambda: trial.adapter.get(stream),
            "xadd to a value": lambda: trial.adapter.xadd(value, {"field": b"1"}),
            "xrange with a bound that is none": lambda: trial.adapter.xrange(stream, "x"),
            "xreadgroup without a group": lambda: trial.adapter.xreadgroup(
                stream, "nobody", "consumer"
            ),
            "a blocked xreadgroup without a group": lambda: trial.adapter.xreadgroup(
                stream, "nobody", "consumer", block=1.0
            ),
            "xautoclaim without a group": lambda: trial.adapter.xautoclaim(
                stream, "nobody", "consumer", 0
            ),
        }
        if isinstance(trial.adapter, Counters):
            calls["increment of text"] = lambda: trial.adapter.increment(value)
            calls["increment of text, with a TTL"] = lambda: trial.adapter.increment(
                value, ttl=3_000
            )

        assert await _kept(calls) == [], _KEPT

    @clause("FLT-13", limit=LONG)
    async def test_lost_servers_errors_are_freed(self, trial: Trial) -> None:
        """Errors that are raised while the server is down are freed.

        These are the errors of each operation and of `open`.

        If this fails, look for a frame that has asked a task for its result and still has a name
        for the task.
        """
        server = trial.server
        await trial.adapter.ping()
        await server.kill()
        try:
            fresh = trial.connect()
            calls: dict[str, Callable[[], Awaitable[Any]]] = {"open": fresh.open}
            for operation in operations_of(trial):
                calls[operation.title] = partial(
                    operation.ask, trial.adapter, names_for(trial, operation)
                )
            kept = await _kept(calls)
        finally:
            await server.restart()
        await works_again(trial)

        assert kept == [], _KEPT

    @clause("FLT-13", KeyValue, limit=LONG)
    async def test_timeouts_errors_are_freed(self, trial: Trial) -> None:
        """Errors of calls that time out are freed.

        If this fails, look for a timer, a task or a future that references the error that it has
        created.
        """
        proxy, key = trial.proxy, trial.key()
        await proxy.black_hole()
        try:
            kept = await _kept(
                {
                    "get": lambda: trial.adapter.get(key),
                    "set": lambda: trial.adapter.set(key, b"value"),
                }
            )
        finally:
            await proxy.heal()
        await works_again(trial)

        assert kept == [], _KEPT


async def _kept(calls: Mapping[str, Callable[[], Awaitable[Any]]]) -> list[str]:
    """The calls whose errors aren't freed."""
    kept: list[str] = []
    with _no_collector():
        for title, call in calls.items():
            error = await _failed(call)
            if error is not None and not await _is_freed(error):
                kept.append(title)
    return kept


async def _failed(call: Callable[[], Awaitable[Any]]) -> weakref.ref[StoreError] | None:
    try:
        await call()
    except StoreError as error:
        return weakref.ref(error)
    return None


async def _is_freed(error: weakref.ref[StoreError]) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while error() is not None:  # noqa: ASYNC110 - there is nothing that could set an event
                await asyncio.sleep(0)
    return error() is None


@contextlib.contextmanager
def _no_collector() -> Generator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
