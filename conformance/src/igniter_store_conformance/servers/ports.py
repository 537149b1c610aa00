"""Ports of this machine for servers that come and go."""

from __future__ import annotations

import random
import socket
from typing import Final

# This range is below the one from which systems assign ports to outgoing connections (32768 and up
# on Linux, 49152 elsewhere). Otherwise, while a server is down, a client's own connection could get
# the server's port: the client then connects to itself, and the server can't restart. The range is
# low enough for the second port of a cluster node, too, which is 10,000 higher.
_FIRST: Final = 12_000
_LAST: Final = 22_000


def free_port() -> int:
    """Return a port of the loopback interface that is free now.

    Another process may take it before the caller does, so be ready to retry.
    """
    while True:
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Otherwise a port would seem taken while old connections fade.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
