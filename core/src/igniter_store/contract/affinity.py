"""The event loop and the process that an open adapter, or an open store, belongs to.

Rule: what was opened in an event loop works in that loop. Once the loop is closed, the next call
    abandons what is left and opens anew.
Rule: what was opened before a fork belongs to the parent. The child shares its sockets, its
    selector and its locks with the parent, so it
must neither use them nor close them: an UNSUBSCRIBE, or a socket that leaves the selector, reaches
the parent.
Rule: the child abandons at once, in a hook that `os.fork` calls, so that no garbage collection and
    no exit of the child comes first.
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
    from collections.abc import AsyncGenerator, Callable, Iterable

# listed in asyncio.events.__all__; None without a loop, as under trio
running_loop: Final = asyncio._get_running_loop  # noqa: SLF001
"""The event loop that runs in this thread, or `None`."""

NO_LOOP: Final = object()
"""What `Affinity.loop` is while nothing is bound; no running loop is equal to it, and neither is
`None`.
"""


class _NotRunning:
    _thread_id: int | None = None


_NOT_RUNNING: Final = _NotRunning()
_KEPT: Final[list[object]] = []
_ALL: Final[weakref.WeakSet[Affinity]] = weakref.WeakSet()


class Affinity:
    """The event loop and the process in which something was opened.

    Args:
        abandon: a bound method, called in a forked child; it is held by a weak reference.

    Attributes:
        loop: the event loop that was bound, or `NO_LOOP`.
        runner: that loop, to ask for its `_thread_id`: the thread in which it runs now, or `None`.
            A hot path compares that with `threading.get_ident()`, and nothing else, since on Python
            3.11 asking for the running loop costs a system call. It is an attribute of asyncio's
            own loops; with another loop, such as uvloop's, each call asks for the running loop.
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
        """True in a forked child for what its parent had opened, until `release`."""
        return self._was_forked or (self.loop is not NO_LOOP and self._process != os.getpid())

    @property
    def has_ended(self) -> bool:
        """True when the event loop is closed, and for what is inherited."""
        return self.is_inherited or (
            isinstance(self.loop, asyncio.AbstractEventLoop) and self.loop.is_closed()
        )

    def enter(self, backend: str | None, *, is_in_use: bool) -> None:
        """Bind to the running event loop. What is left of a loop that is closed is abandoned first.

        Args:
            backend: for errors.
            is_in_use: whether a loop that is bound and not closed keeps others out.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` without a running asyncio loop, in a
                forked child, and while another loop that isn't closed uses it.
        """
        loop = running_loop()
        if loop is None:
            raise errors.not_asyncio(backend)
        if self.is_inherited:
            self.inherit()
            raise errors.inherited(backend)
        with self._lock:  # two threads, each with a loop of its own
            if self.loop is loop:
                return
            if self.has_ended:
                self._call_abandon()
            elif self.loop is not NO_LOOP and is_in_use:
                raise errors.elsewhere(backend)
            self.loop, self._process = loop, os.getpid()
            self.runner = loop if hasattr(loop, "_thread_id") else _NOT_RUNNING

    def release(self) -> None:
        """Belong to no loop and no process any more: it was closed."""
        self.loop, self.runner, self._was_forked = NO_LOOP, _NOT_RUNNING, False

    def end(self) -> None:
        """Belong to no loop any more: it was abandoned. What is inherited stays so until it is
        closed.
        """
        self._was_forked, self.loop, self.runner = self.is_inherited, NO_LOOP, _NOT_RUNNING

    def inherit(self) -> None:
        """Abandon what the parent had opened; called in a forked child."""
        self._lock = (
            threading.Lock()
        )  # a thread that the child doesn't have may hold the former one
        if self.loop is not NO_LOOP:
            self._was_forked = True
            self._call_abandon()
            self.loop, self.runner = NO_LOOP, _NOT_RUNNING

    def _call_abandon(self) -> None:
        abandon = self._abandon()
        if abandon is not None:
            abandon()


class LoopEnd:
    """Calls `call` when `asyncio.run()` is about to close the running event loop, which still runs
    then.

    Connections are closed so before the loop is: else Python warns of each, and uvloop waits for
    ever where warnings are errors. It is an asynchronous generator, which
    `loop.shutdown_asyncgens()` ends; for a loop that is closed without that, `Adapter.abandon`
    comes later.

    Args:
        call: awaits nothing. The loop may go on, so it leaves everything usable.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call
        self._waiting = self._wait()
        # A loop that is ending already warns: then there is nothing to wait for.
        with contextlib.suppress(StopIteration, ResourceWarning):
            self._waiting.asend(None).send(None)

    def cancel(self) -> None:
        """Don't call any more."""
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
    """Keep what a forked child has inherited until it exits.

    Garbage collection would run its finalizers, which close transports and connections, and warn
    that nobody had closed them.
    """
    _KEPT.extend(things)


def disconnect(sockets: Iterable[Any]) -> None:
    """Let sockets or pipes that a forked child shares with its parent lead nowhere in the child.
    The parent doesn't notice.

    `dup2` puts a socket without a peer in the place of each. Whatever in the child still holds the
    descriptor, such as a transport of the parent's event loop, then reads an end of file, sends
    nothing, and can't take the parent's socket out of the selector that both share.

    Args:
        sockets: what `transport.get_extra_info("socket")` returns, or descriptors; `None` and
            closed ones are skipped.
    """
    here, there = socket.socketpair()
    there.close()
    with here:
        for each in sockets:
            descriptor = -1 if each is None else each if isinstance(each, int) else each.fileno()
            if descriptor >= 0:
                os.dup2(here.fileno(), descriptor, inheritable=False)


def release_transport(transport: Any) -> None:
    """Close the socket of a transport, also when its event loop is closed.

    `abort` asks the loop to close the socket a moment later. A closed loop refuses, and the socket
    would stay open until the garbage collector finds it, with a `ResourceWarning`. asyncio has no
    public way to the socket; uvloop closes its sockets with the loop.
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


def forget_task(task: asyncio.Task[Any] | None) -> None:
    """Let go of a task of an event loop that is closed.

    When it is collected, asyncio would log as an error that it was pending, and Python would warn
    where it had not even begun.
    """
    if task is not None and not task.done():
        untyped: Any = task
        untyped._log_destroy_pending = False  # noqa: SLF001 - what asyncio.gather does with its own
        work = task.get_coro()
        if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            work.close()


def _forked() -> None:
    for affinity in tuple(_ALL):
        affinity.inherit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
