"""What an adapter for a folder is before it can do anything: its URL, opening, closing, and the one way to the files.

Rule: nobody touches the files but through `alone`. It sees whether the adapter is open, and no `OSError` comes past it.
"""

from __future__ import annotations

import errno
import functools
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from igniter_store.contract import Adapter, ErrorCode, store_error

from igniter_store_folder.files import Files
from igniter_store_folder.worker import Worker

if TYPE_CHECKING:
    from typing import Self

    from igniter_store.contract import Clock, StoreError

A = TypeVar("A", bound="FolderLifeCycle")
P = ParamSpec("P")
T = TypeVar("T")

_CODES: Final = {
    errno.EIO: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ENODEV: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ENOENT: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ENOTDIR: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ENXIO: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ESTALE: ErrorCode.STORE_CONNECTION_FAILED,
    errno.ETIMEDOUT: ErrorCode.STORE_TIMEOUT,
}
"""What a file system's error means; any other, such as a full disk or a missing right, is `STORE_OPERATION_FAILED`."""


class FolderLifeCycle(Adapter):
    """See `FolderAdapter`."""

    name: ClassVar[str] = "folder"

    def __init__(self, path: str | Path, *, clock: Clock | None = None, timeout: float = 10.0) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._closed = False
        self._worker: Worker | None = None
        # The wall clock, since it is the only one that all processes share.
        self.files = Files(self._path, time.time if clock is None else clock)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """An adapter for `folder:///some/path`, in which `%20` is a space; `options` are the constructor's."""
        parts = urlsplit(url)
        if parts.netloc or parts.query or parts.fragment or not parts.path.startswith("/") or not options.keys() <= {"clock", "timeout"}:
            raise store_error(
                ErrorCode.STORE_CONFIGURATION_INVALID,
                "A folder's URL is folder:///an/absolute/path and nothing behind it; beside it there are the options clock and timeout.",
                backend=cls.name,
            )
        return cls(unquote(parts.path), **options)

    async def open(self) -> None:
        """Make the folder where it is missing."""
        if self.is_open:
            return
        before, worker = self._worker, Worker()
        try:
            await self._step_of(worker, self.files.make, otherwise=ErrorCode.STORE_CONNECTION_FAILED)
        except BaseException:
            await worker.end()
            raise
        if self._worker is before:
            self._worker, self._closed, self.is_open = worker, False, True
        else:
            await worker.end()  # another call was faster

    async def close(self) -> None:
        """Wait for the steps under way, which end within the timeout."""
        self._closed, self.is_open = True, False
        if self._worker is not None:
            await self._worker.end()

    async def ping(self) -> float:
        """Take the lock and let go of it."""
        begin = time.perf_counter()
        await self.alone(lambda: None)
        return time.perf_counter() - begin

    async def alone(self, step: Callable[[], T]) -> T:
        """What `step` returns or raises, in the adapter's thread and alone with the files."""
        if self._closed:
            raise store_error(ErrorCode.STORE_CLOSED, "The adapter was closed: open it again, or use another.", backend=self.name)
        if self._worker is None:
            raise store_error(ErrorCode.STORE_NOT_CONNECTED, "The adapter was never opened: await its open().", backend=self.name)
        return await self._step_of(self._worker, step)

    async def _step_of(self, worker: Worker, step: Callable[[], T], *, otherwise: ErrorCode = ErrorCode.STORE_OPERATION_FAILED) -> T:
        until = time.monotonic() + self._timeout  # as of the call, not of the step: so a long queue waits no longer than one does

        def locked() -> T:
            try:
                with self.files.locked(until):
                    return step()
            except OSError as error:
                raise self._failed(error, _CODES.get(error.errno or 0, otherwise)) from error

        return await worker.run(locked)

    def _failed(self, error: OSError, code: ErrorCode) -> StoreError:
        message = f"The folder {self._path} can't be used: {error.strerror}. Is it there, has it room, and may this process write in it?"
        return store_error(code, message, backend=self.name, maybe_applied=self.files.changed)


def step(operation: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[A, P], Coroutine[Any, Any, T]]:
    """An operation that is one step: between its reading and its writing there is nobody."""

    @functools.wraps(operation)
    async def called(self: A, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.alone(functools.partial(operation, self, *args, **kwargs))

    return called
