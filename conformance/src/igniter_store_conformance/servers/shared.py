"""Starting servers, sharing them within a process, and skipping where there is none.

Rule: what a run requires and can't have fails; what it merely would have liked is skipped, with the
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
    """Start a server of your own: `with servers.start("redis", proxied=True) as server:`. It ends
    with the block, or with `close()`.

    One that was given by URL is not started, and can't be stopped: see `Server.controllable`. It
    blocks, for some hundredths of a second.

    Args:
        target: what `find` gave, or a kind to find.
        proxied: put a `Proxy` before it, so that the network can be broken; `server.url` is then
            the proxy's.
        unix_socket: listen on a Unix socket and on no port. For processes only.
        arguments: more of the server's own command line. For processes only.

    Raises:
        ServerMissing: there is no server of that kind.
        ServerFailed: it doesn't come up.
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
    """The one server of this process for these arguments, for harnesses that are cheap: started
    when first asked for, ended at exit.

    Whoever stops, pauses or breaks it puts it right again; one that has died is started anew, with
    its data. Don't close it.

    Raises:
        ServerMissing, ServerFailed: see `start`.
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
    """The kinds without which a run is no good: IGNITER_REQUIRE_BACKENDS, separated by commas."""
    return frozenset(
        name.strip() for name in os.environ.get(REQUIRED_VARIABLE, "").split(",") if name.strip()
    )


def find_or_skip(kind: str, version: str | None = None) -> Target:
    """As `find`; where there is none the running test is skipped with the reason, or fails when the
    kind is `required()`.
    """
    try:
        return find(kind, version)
    except ServerMissing as missing:
        import pytest  # noqa: PLC0415 - servers are for benchmarks and demonstrations, too

        if kind in required():
            pytest.fail(f"{missing} It is required by ${REQUIRED_VARIABLE}.", pytrace=False)
        pytest.skip(str(missing))


def or_skip(kind: str, version: str | None = None, *, proxied: bool = False) -> Server:
    """As `shared`; where there is none the running test is skipped with the reason, or fails when
    the kind is `required()`.
    """
    return shared(find_or_skip(kind, version), proxied=proxied)
