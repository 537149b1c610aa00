"""The adapter's life cycle: its URL, opening, closing, and the access to its files.

Rule: all access to the files goes through `alone`. It checks that the adapter is open, and lets no
    `OSError` escape.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import unquote, urlsplit

from igniter_store.contract import Adapter, Affinity, ErrorCode, store_error
from igniter_store.contract.affinity import keep

from igniter_store_folder.files import Files
from igniter_store_folder.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from igniter_store.contract import Clock, StoreError

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
"""The meaning of a file system's errors.

Any other error, such as a full disk or a missing permission, is `STORE_OPERATION_FAILED`.
"""


class FolderLifeCycle(Adapter):
    """See `FolderAdapter`."""

    name: ClassVar[str] = "folder"
    is_open: bool = False

    def __init__(
        self, path: str | Path, *, clock: Clock | None = None, timeout: float = 10.0
    ) -> None:
        self._path = Path(path).absolute()
        self._timeout = timeout
        self._affinity = Affinity(self.abandon)
        self._closed = False
        self._worker: Worker | None = None
        # The wall clock, because it is the only one that all processes share.
        self.files: Files = Files(self._path, time.time if clock is None else clock)

    @property
    def affinity(self) -> Affinity:
        """The event loop and the process in which it was opened."""
        return self._affinity

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return an adapter for `folder:///some/path`.

        A space in the path is written as `%20`. `options` are the constructor's.
        """
        parts = urlsplit(url)
        if (
            parts.netloc
            or parts.query
            or parts.fragment
            or not parts.path.startswith("/")
            or not options.keys() <= {"clock", "timeout"}
        ):
            raise store_error(
                ErrorCode.STORE_CONFIGURATION_INVALID,
                (
                    "A folder's URL is folder:///an/absolute/path and nothing behind it; beside "
                    "it there are the options clock and timeout."
                ),
                backend=cls.name,
            )
        return cls(unquote(parts.path), **options)

    async def open(self) -> None:
        """Create the folder if it is missing."""
        # The thread works with any loop, so another open loop isn't a reason to refuse.
        self.affinity.enter(self.name, is_in_use=False)
        if self.is_open:
            return
        before, worker = self._worker, Worker()
        try:
            await self._in(worker, lambda: None, opening=True)
        except BaseException:
            await worker.end()
            raise
        if self._worker is before:
            self._worker, self._closed, self.is_open = worker, False, True
        else:
            await worker.end()  # another call was faster

    async def close(self) -> None:
        """Wait for the running steps, which end within the timeout."""
        if self.affinity.is_inherited:
            self.affinity.inherit()
        else:
            self.affinity.enter(self.name, is_in_use=False)
        self._closed, self.is_open = True, False
        if self._worker is not None:
            await self._worker.end()
        self.affinity.release()

    def abandon(self) -> None:
        if self.affinity.has_ended:
            self.is_open = False
            worker, self._worker = self._worker, None
            if worker is not None and self.affinity.is_inherited:
                keep(worker)  # its thread runs in the parent
            elif worker is not None:
                worker.abandon()
            self.affinity.end()

    async def ping(self) -> float:
        """Acquire the lock and release it."""
        begin = time.perf_counter()
        await self.alone(lambda: None)
        return time.perf_counter() - begin

    async def alone(self, step: Callable[[], T]) -> T:
        """Run `step` in the adapter's thread, with exclusive access to the files.

        Returns or raises the result of `step`.
        """
        if self._closed:
            raise store_error(
                ErrorCode.STORE_CLOSED,
                "The adapter was closed: open it again, or use another.",
                backend=self.name,
            )
        if self._worker is None and self.affinity.is_inherited:
            message = (
                "The adapter was opened before this process was forked: make one in the child."
            )
            raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message, backend=self.name)
        if self._worker is None:
            raise store_error(
                ErrorCode.STORE_NOT_CONNECTED,
                "The adapter was never opened: await its open().",
                backend=self.name,
            )
        return await self._in(self._worker, step)

    async def _in(self, worker: Worker, step: Callable[[], T], *, opening: bool = False) -> T:
        # Counted from the call, so that no call waits longer in a long queue.
        until = time.monotonic() + self._timeout

        def locked() -> T:
            self.files.changed = False
            try:
                if opening:
                    self.files.make()
                with self.files.locked(until):
                    return step()
            except OSError as error:
                other = (
                    ErrorCode.STORE_CONNECTION_FAILED
                    if opening
                    else ErrorCode.STORE_OPERATION_FAILED
                )
                raise self._failed(error, _CODES.get(error.errno or 0, other)) from error

        return await worker.run(locked)

    def _failed(self, error: OSError, code: ErrorCode) -> StoreError:
        message = (
            f"The folder {self._path} can't be used: {error.strerror}. Is it there, has it room, "
            "and may this process write in it?"
        )
        return store_error(code, message, backend=self.name, maybe_applied=self.files.changed)
