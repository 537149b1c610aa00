"""Tracks the event loop and the process that an open adapter or an open store belongs to.

Rule: an object that is opened in an event loop works only in that loop. After the loop is closed,
    the next call abandons the remaining state and opens the object again.
Rule: an object that is opened before a fork belongs to the parent. The child shares its sockets,
    selector and locks with the parent, so the child must neither use them nor close them: sending
    an UNSUBSCRIBE, or removing a socket from the selector, would affect the parent.
Rule: the child abandons inherited state immediately, in a hook that `os.fork` calls, before garbage
    collection or the exit of the child can run.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

# Listed in asyncio.events.__all__; returns None without a loop, and under trio.
running_loop: Final = asyncio._get_running_loop  # noqa: SLF001
"""Returns the event loop that is running in this thread, or `None`."""

NO_LOOP: Final = object()
"""The value of `Affinity.loop` while no loop is bound.

It differs from every running loop, and from `None`.
"""


class _NotRunning:
    _thread_id: int | None = None


_NOT_RUNNING: Final = _NotRunning()
_KEPT: Final[list[object]] = []
_ALL: Final[weakref.WeakSet[Affinity]] = weakref.WeakSet()


class Affinity:
    """The event loop and the process in which an object was opened.

    Args:
        abandon: a bound method, which is called in a forked child. It is held by a weak reference.

    Attributes:
        loop: the event loop that is bound, or `NO_LOOP`.
        runner: the same loop, for its attribute `_thread_id`: the thread in which the loop is
            running, or `None`. A hot path compares only this attribute with
            `threading.get_ident()`, because getting the running loop costs a system call on Python
            3.11. Only asyncio's own loops have the attribute; with another loop, such as uvloop's,
            each call gets the running loop instead.
    """

    __slots__ = ("__weakref__", "_abandon", "_lock", "_process", "_was_forked", "loop", "runner")

    def __init__(self, abandon: Callable[[], None]) -> None:
        self.loop: object = NO_LOOP
        self.runner: Any = _NOT_RUNNING
        self._abandon: Final = weakref.WeakMethod(abandon)
        self._lock = threading.Lock()
        self._process = 0
        self._was_forked = False
        _ALL.add(self)

    @property
    def is_inherited(self) -> bool:
        """True in a forked child if the parent opened the object, until `release`."""
        return self._was_forked or (self.loop is not NO_LOOP and self._process != os.getpid())

    @property
    def has_ended(self) -> bool:
        """True if the event loop is closed, or the object is inherited."""
        return self.is_inherited or (
            isinstance(self.loop, asyncio.AbstractEventLoop) and self.loop.is_closed()
        )

    def enter(self, backend: str | None, *, is_in_use: bool) -> None:
        """Bind to the running event loop.

        If the object still has state of a closed loop, that state is abandoned first.

        Args:
            backend: the backend's name, for errors.
            is_in_use: whether a bound loop that isn't closed excludes other loops.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` if no asyncio loop is running, in a
                forked child, or while another loop that isn't closed uses the object.
        """
        loop = running_loop()
        if loop is None:
            raise errors.not_asyncio(backend)
        if self.is_inherited:
            self.inherit()
            raise errors.inherited(backend)
        with self._lock:  # two threads may call this, each with its own loop
            if self.loop is loop:
                return
            if self.has_ended:
                self._call_abandon()
            elif self.loop is not NO_LOOP and is_in_use:
                raise errors.elsewhere(backend)
            self.loop, self._process = loop, os.getpid()
            self.runner = loop if hasattr(loop, "_thread_id") else _NOT_RUNNING

    def release(self) -> None:
        """Unbind from the loop and the process, because the object was closed."""
        self.loop, self.runner, self._was_forked = NO_LOOP, _NOT_RUNNING, False

    def end(self) -> None:
        """Unbind from the loop, because the object was abandoned.

        An inherited object stays inherited until it is closed.
        """
        self._was_forked, self.loop, self.runner = self.is_inherited, NO_LOOP, _NOT_RUNNING

    def inherit(self) -> None:
        """Abandon the state that the parent opened; called in a forked child."""
        # A thread that doesn't exist in the child may hold the old lock.
        self._lock = threading.Lock()
        if self.loop is not NO_LOOP:
            self._was_forked = True
            self._call_abandon()
            self.loop, self.runner = NO_LOOP, _NOT_RUNNING

    def _call_abandon(self) -> None:
        abandon = self._abandon()
        if abandon is not None:
            abandon()


class LoopEnd:
    """Runs `call` when `asyncio.run()` is about to close the event loop, which is still running.

    Connections can then be closed before the loop is. Otherwise Python warns about each open
    connection, and uvloop waits forever if warnings are errors. `LoopEnd` is based on an
    asynchronous generator, which `loop.shutdown_asyncgens()` closes. If a loop is closed without
    that call, `Adapter.abandon` runs later instead.

    Args:
        call: a function that awaits nothing. The loop may continue to run, so the function must
            leave everything usable.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call
        self._waiting = self._wait()
        # A loop that is already shutting down warns here; there is nothing to wait for.
        with contextlib.suppress(StopIteration, ResourceWarning):
            self._waiting.asend(None).send(None)

    def cancel(self) -> None:
        """Cancel the call."""
        self._call = None
        with contextlib.suppress(StopIteration):
            self._waiting.aclose().send(None)

    async def _wait(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._call is not None:
                self._call()


def keep(*things: object) -> None:
    """Keep objects that a forked child inherited until the child exits.

    If they were garbage collected, their finalizers would close transports and connections, and
    would warn that these weren't closed.
    """
    _KEPT.extend(things)


def disconnect(sockets: Iterable[Any]) -> None:
    """Disconnect sockets or pipes in a forked child, without affecting the parent.

    `dup2` replaces each descriptor with a socket that has no peer. If an object in the child still
    holds the descriptor, such as a transport of the parent's event loop, it reads an end of file
    and sends nothing. It also can't remove the parent's socket from the selector that both
    processes share.

    Args:
        sockets: results of `transport.get_extra_info("socket")`, or descriptors. `None` and closed
            sockets are skipped.
    """
    here, there = socket.socketpair()
    there.close()
    with here:
        for each in sockets:
            descriptor = -1 if each is None else each if isinstance(each, int) else each.fileno()
            if descriptor >= 0:
                os.dup2(here.fileno(), descriptor, inheritable=False)


def release_transport(transport: Any) -> None:
    """Close the socket of a transport, even if its event loop is closed.

    `abort` asks the loop to close the socket a moment later. A closed loop refuses, so the socket
    would stay open until the garbage collector finds it and emits a `ResourceWarning`. asyncio has
    no public API for reaching the socket; uvloop closes its sockets together with the loop.
    """
    try:
        transport.abort()
    except RuntimeError:
        for layer in (
            transport,
            getattr(getattr(transport, "_ssl_protocol", None), "_transport", None),
        ):
            held = getattr(layer, "_sock", None)
            if layer is not None and held is not None:
                layer._sock = None  # noqa: SLF001 - see above
                held.close()


async def background(work: Callable[[], Awaitable[None]]) -> None:
    """Await `work()`, for a task that runs in the background.

    In a forked child, an exception of the work is dropped. uvloop runs a task of the parent there
    once more, before the child has a running loop, if the child leaves the inherited loop by
    `sys.exit`.
    """
    process = os.getpid()
    try:
        await work()
    except Exception:
        if os.getpid() == process:
            raise


def forget_task(task: asyncio.Task[Any] | None) -> None:
    """Drop a task of a closed event loop without warnings.

    Otherwise, when the task is collected, asyncio logs an error because the task was pending, and
    Python warns if its coroutine never started.
    """
    if task is not None and not task.done():
        untyped: Any = task
        untyped._log_destroy_pending = False  # noqa: SLF001 - asyncio.gather does the same
        work = task.get_coro()
        if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            work.close()


def _forked() -> None:
    for affinity in tuple(_ALL):
        affinity.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
