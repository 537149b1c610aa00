"""Ports of this machine for servers that come and go.

Rule: a port belongs to one `ReservedPort` at a time, in all processes of this machine. Otherwise
    two servers that start together may draw the same port. The second can't bind it, and the first
    answers in its place.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

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


class ReservedPort:
    """A port of the loopback interface that was free when it was reserved.

    Software that doesn't reserve its ports here may still take it, so be ready to retry. The
    reservation ends with `release`, or with the process.

    Attributes:
        number: the port.
    """

    def __init__(self) -> None:
        while True:
            number = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
            lock = _lock(number)
            if lock is None:
                continue
            if _is_free(number) and _is_free(number + _SECOND):
                self.number: int = number
                self._lock: int | None = lock
                return
            os.close(lock)

    def release(self) -> None:
        """Let others have the port; may be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _lock(number: int) -> int | None:
    """Return the descriptor of a locked file for this port, `None` if another holds the lock."""
    # The file stays. If it were deleted, two processes could lock two files of the same name.
    file = Path(tempfile.gettempdir()) / f"igniter-port-{number}.lock"
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT, 0o644)
    except PermissionError:  # another user's file
        return None
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
    return descriptor


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Otherwise a port would seem taken while old connections fade.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
