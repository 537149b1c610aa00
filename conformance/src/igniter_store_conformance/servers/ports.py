"""Ports of this machine for servers that come and go.

Rule: a port belongs to one `ReservedPort` at a time, in all processes of this machine. Otherwise
    two servers that start together may draw the same port. The second can't bind it, and the first
    answers in its place.
Rule: the reservation belongs to the process that made it. A forked child inherits the descriptor of
    the lock, and closes it at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
import weakref
from pathlib import Path
from typing import Final

from igniter_store_conformance.servers.server import ServerFailed

try:
    import fcntl
except ImportError:  # Windows, where the kit starts only containers
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

# This range is below the one from which systems assign ports to outgoing connections (32768 and up
# on Linux, 49152 elsewhere). Otherwise, while a server is down, a client's own connection could get
# the server's port: the client then connects to itself, and the server can't restart. The range is
# low enough for the second port of a cluster node, too, which is 10,000 higher.
_FIRST: Final = 12_000
_LAST: Final = 21_999
_SECOND: Final = 10_000


# The folder of the files may belong to all users, so a file may be another user's link or FIFO.
# Windows has neither.
_FLAGS: Final = (
    os.O_RDONLY
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class ReservedPort:
    """A port of the loopback interface that was free when it was reserved.

    Software that doesn't reserve its ports here may still take it, so be ready to retry. The
    reservation ends with `release`, or with the process.

    Attributes:
        number: the port.

    Raises:
        ServerFailed: no port can be reserved.
    """

    def __init__(self) -> None:
        unusable: OSError | None = None
        ports = range(_FIRST, _LAST + 1)
        for number in random.sample(ports, len(ports)):
            try:
                lock = _lock(number)
            except OSError as error:
                unusable = error
                continue
            if lock is None:
                continue
            if _is_free(number) and _is_free(number + _SECOND):
                self.number: int = number
                self._lock: int | None = lock
                _RESERVED.add(self)
                return
            os.close(lock)
        raise _none_left(unusable) from unusable

    def release(self) -> None:
        """Let others have the port; may be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            if fcntl is not None:
                # A child process that was just forked may still have a copy of the descriptor.
                fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def forget(self) -> None:
        """Close the descriptor in a forked child; the parent keeps the port."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


_RESERVED: Final[weakref.WeakSet[ReservedPort]] = weakref.WeakSet()


def _forked() -> None:
    for port in tuple(_RESERVED):
        port.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _lock(number: int) -> int | None:
    """Return the descriptor of a locked file for this port, `None` if another holds the lock.

    Raises:
        OSError: this port's file can't be opened.
        ServerFailed: files can't be locked.
    """
    # The file stays. If it were deleted, two processes could lock two files of the same name.
    file = Path(tempfile.gettempdir()) / f"igniter-port-{number}.lock"
    descriptor = os.open(file, _FLAGS, 0o644)
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise ServerFailed(
                f"No port can be reserved: files in {file.parent} can't be locked "
                f"({error.strerror}). Set TMPDIR to a folder on a local disk."
            ) from error
    return descriptor


def _none_left(unusable: OSError | None) -> ServerFailed:
    if unusable is None:
        return ServerFailed(
            f"All ports from {_FIRST} to {_LAST} are in use. End the servers or the test runs that "
            "use them."
        )
    return ServerFailed(
        f"No port from {_FIRST} to {_LAST} can be reserved: files in {tempfile.gettempdir()} can't "
        f"be opened ({unusable.strerror}). Set TMPDIR to a folder in which you may create files."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Otherwise a port would seem taken while old connections fade.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
