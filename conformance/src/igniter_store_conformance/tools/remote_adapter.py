"""An adapter in another process, which a test calls like one of its own.

Rule: the processes are started once, and used by all tests of a run. Each test opens its own
    adapters in them.
Rule: an error of the remote adapter is raised here with the same code, and no other attribute.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import pickle
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import ErrorCode, StoreError, store_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from multiprocessing.connection import Connection

    from igniter_store_conformance.engine.trial import Trial

_LIMIT: Final = 60.0  # seconds for a reply, and for an interpreter to start on a busy machine
_processes: list[_Process] = []


class _Process:
    def __init__(self) -> None:
        # Spawned, not forked: a forked process would inherit the sockets and threads of this one.
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()
        self.lock = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, request: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
        """Send a request and wait for its reply; called in a thread."""
        self._pipe.send_bytes(pickle.dumps(request))
        if not self._pipe.poll(_LIMIT):
            self._process.kill()
            message = f"another process didn't reply for {_LIMIT:g} seconds"
            raise AssertionError(message)
        return pickle.loads(self._pipe.recv_bytes())  # noqa: S301 - the kit has pickled it


class RemoteAdapter:
    """Calls the adapter of another process; each method is a coroutine function."""

    def __init__(self, process: _Process) -> None:
        self._process = process

    async def one_by_one(self, calls: list[tuple[str, list[Any], dict[str, Any]]]) -> list[Any]:
        """Make several calls, one after the other; an error becomes its code."""
        answers: list[Any] = await _asked(self._process, ("\0calls", (calls,), {}))
        return answers

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            return await _asked(self._process, (method, arguments, options))

        return call


@contextlib.asynccontextmanager
async def remote_adapters(trial: Trial, number: int) -> AsyncGenerator[list[RemoteAdapter]]:
    """Yield open adapters, each in a process of its own."""
    connect = trial.pickled_connect
    _processes[:] = [process for process in _processes if process.is_alive]
    while len(_processes) < number:
        _processes.append(_Process())
    chosen = _processes[:number]
    for process in chosen:
        process.lock = asyncio.Lock()  # of this event loop
    try:
        for process in chosen:
            await _asked(process, ("\0open", (connect,), {}))
        yield [RemoteAdapter(process) for process in chosen]
    finally:
        for process in chosen:
            await _asked(process, ("\0close", (), {}))


async def _asked(process: _Process, request: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Any:
    async with process.lock:
        kind, reply = await asyncio.to_thread(process.ask, request)
    if kind == "error":
        raise store_error(ErrorCode(reply), "raised in another process")
    if kind == "failed":
        raise AssertionError(f"in another process: {reply}")
    return reply


async def answer_or_error(adapter: Any, call: tuple[str, list[Any], dict[str, Any]]) -> Any:
    """Return the result of a call, or the code of the error that it raises."""
    method, arguments, options = call
    try:
        return await getattr(adapter, method)(*arguments, **options)
    except StoreError as error:
        return error.code


def _serve(pipe: Connection) -> None:
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_serving(pipe))


async def _serving(pipe: Connection) -> None:
    adapter: Any = None
    while True:
        request = await asyncio.to_thread(pipe.recv_bytes)
        method, arguments, options = pickle.loads(request)  # noqa: S301 - the kit has pickled it
        reply: tuple[str, Any]
        try:
            if method == "\0open":
                adapter = pickle.loads(arguments[0])()  # noqa: S301 - the same
                await adapter.open()
                reply = ("answer", None)
            elif method == "\0close":
                await adapter.close()
                reply = ("answer", None)
            elif method == "\0calls":
                reply = ("answer", [await answer_or_error(adapter, each) for each in arguments[0]])
            else:
                reply = ("answer", await getattr(adapter, method)(*arguments, **options))
        except StoreError as error:
            reply = ("error", str(error.code))
        except Exception as error:  # noqa: BLE001 - sent to the test, which raises it
            reply = ("failed", f"{type(error).__name__}: {error}")
        pipe.send_bytes(pickle.dumps(reply))
