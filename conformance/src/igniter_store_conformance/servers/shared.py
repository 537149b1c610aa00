"""Starts servers, shares them within a process, and skips tests where there is none.

Rule: a missing server fails a run that requires it. In other runs the test is skipped, with the
    reason.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from igniter_store_conformance.servers.discovery import ServerMissing, find
from igniter_store_conformance.servers.process import ServerProcess
from igniter_store_conformance.servers.resp import Address
from igniter_store_conformance.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store_conformance.servers.target import Target

REQUIRED_VARIABLE: Final = "IGNITER_REQUIRE_BACKENDS"

_shared: Final[dict[tuple[Target, bool, int], Server]] = {}
_lock: Final = threading.Lock()


def start(
    target: Target | str,
    *,
    proxied: bool = False,
    unix_socket: bool = False,
    arguments: Sequence[str] = (),
) -> Server:
    """Start a server of your own: `with servers.start("redis", proxied=True) as server:`.

    It ends with the block, or with `close()`. A server that was given by URL isn't started, and
    can't be stopped: see `Server.controllable`. This call blocks, for some hundredths of a second.

    Args:
        target: a result of `find`, or a kind to find.
        proxied: put a `Proxy` in front of it, so that tests can break the network; `server.url` is
            then the proxy's.
        unix_socket: listen on a Unix socket and on no port. For processes only.
        arguments: further arguments of the server's command line. For processes only.

    Raises:
        ServerMissing: there is no server of that kind.
        ServerFailed: it doesn't start.
    """
    if isinstance(target, str):
        target = find(target)
    if target.url is not None:
        return Server(target, Address.of_url(target.url), proxied=proxied)
    if target.binary is None:
        # needs testcontainers, which is optional
        from igniter_store_conformance.servers.container import ContainerServer  # noqa: PLC0415

        return ContainerServer(target, proxied=proxied)
    return ServerProcess(target, proxied=proxied, unix_socket=unix_socket, arguments=arguments)


def shared(target: Target | str, *, proxied: bool = False) -> Server:
    """Return this process's one server for these arguments, for harnesses that are cheap to create.

    It starts at the first call and ends at exit. A test that stops, pauses or breaks it must
    restore it. A server that has died is restarted, with its data. Don't close it.

    Raises:
        ServerMissing: see `start`.
        ServerFailed: see `start`.
    """
    if isinstance(target, str):
        target = find(target)
    key = (target, proxied, os.getpid())  # a forked child starts one of its own
    with _lock:
        server = _shared.get(key)
        if server is None:
            server = _shared[key] = start(target, proxied=proxied)
        elif isinstance(server, ServerProcess) and not server.is_running:
            server.launch()
        return server


def required() -> frozenset[str]:
    """Return the kinds that a run requires: IGNITER_REQUIRE_BACKENDS, separated by commas."""
    return frozenset(
        name.strip() for name in os.environ.get(REQUIRED_VARIABLE, "").split(",") if name.strip()
    )


def find_or_skip(kind: str, version: str | None = None) -> Target:
    """Return the result of `find`, or skip the running test with the reason.

    The test fails instead when the kind is `required()`.
    """
    try:
        return find(kind, version)
    except ServerMissing as missing:
        import pytest  # noqa: PLC0415 - servers are for benchmarks and demonstrations, too

        if kind in required():
            pytest.fail(f"{missing} It is required by ${REQUIRED_VARIABLE}.", pytrace=False)
        pytest.skip(str(missing))


def or_skip(kind: str, version: str | None = None, *, proxied: bool = False) -> Server:
    """Return the result of `shared`, or skip the running test with the reason.

    The test fails instead when the kind is `required()`.
    """
    return shared(find_or_skip(kind, version), proxied=proxied)
