"""Ports of this machine for servers that come and go."""

from __future__ import annotations

import random
import socket
from typing import Final

# Below the range from which systems give ports to outgoing connections (32768 and up on Linux,
# 49152 elsewhere). Otherwise, while a server is down, a client's own connection could get the
# server's port: it then connects to itself, and the server can't come back. Far enough below, too,
# for the second port of a cluster's node, which is 10,000 higher.
_FIRST: Final = 12_000
_LAST: Final = 22_000


def free_port() -> int:
    """A port of the loopback interface that nobody has now.

    Somebody may take it before you do: be ready to ask again.
    """
    while True:
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - no secret
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # else a port would seem taken while old connections fade
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
