"""Errors that their callers let go of: clause FLT-13.

An error holds its traceback, that its frames, and those all that the call was given and had found.
A frame that has a name for the error that it raises closes a circle, which nothing but the garbage
collector opens: a service whose calls fail then keeps every payload for a while.

Rule: the collector is off while a test looks, and on afterwards whatever happens.
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

# Seconds in which tasks and threads of the adapter let go of what they have just handed over
_PATIENCE: Final = 1.0
_KEPT: Final = "these errors are kept by a reference cycle: is there a frame with a name for the error that it raises?"


class FreeingClauses(Suite):
    """Errors and what they hold."""

    @clause("FLT-13", limit=LONG)
    async def test_closed_adapters_errors_are_freed(self, trial: Trial) -> None:
        """What each operation of a closed adapter raises is freed when its caller lets go of it.

        If this fails, look for `raise error` where `error` is a local name: raise what a function
        returns, or `del` the name in `finally`.
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
        """What is raised for a key of another kind is freed, and so is what is raised for a group
        that isn't there.

        If this fails, look at where an error of the backend becomes one of the contract.
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
        """What each operation raises while the server is away is freed, and so is what `open`
        raises.

        If this fails, look for a task whose result a frame has asked for while it still has a name
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
        """What is raised when no answer comes is freed.

        If this fails, look for a timer, a task or a future that holds the error that it has made.
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
    """The calls whose errors live on."""
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
