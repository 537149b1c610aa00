"""Ports are reserved in all processes of this machine, and a failure names its cause."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store_conformance.servers import ServerFailed, container, ports
from igniter_store_conformance.servers.target import Target

if TYPE_CHECKING:
    from pathlib import Path

fcntl: Any = pytest.importorskip("fcntl", reason="the system has no flock")


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the lock files of each test a folder of their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def only_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the only port that can be reserved, whether or not a server listens there."""

    def is_free(_: int) -> bool:
        return True

    monkeypatch.setattr(ports, "_is_free", is_free)
    monkeypatch.setattr(ports, "_FIRST", 12_345)
    monkeypatch.setattr(ports, "_LAST", 12_345)
    return 12_345


def lock_file(folder: Path, port: int) -> Path:
    return folder / f"igniter-port-{port}.lock"


def is_locked(file: Path) -> bool:
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_reserving_fails_when_all_ports_are_taken(only_port: int) -> None:
    held = ports.ReservedPort()

    with pytest.raises(ServerFailed, match=f"All ports from {only_port} to {only_port} are in use"):
        ports.ReservedPort()
    held.release()
    assert ports.ReservedPort().number == only_port


def test_reserving_fails_when_files_cannot_be_locked(
    monkeypatch: pytest.MonkeyPatch, only_port: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)

    with pytest.raises(ServerFailed, match=r"can't be locked \(No locks available\). Set TMPDIR"):
        ports.ReservedPort()


def test_reserving_fails_when_files_cannot_be_created(
    monkeypatch: pytest.MonkeyPatch, only_port: int
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("os.open", denied)
        with pytest.raises(ServerFailed, match=r"can't be opened \(Permission denied\).*TMPDIR"):
            ports.ReservedPort()


def test_foreign_link_is_not_followed(folder: Path, only_port: int) -> None:
    lock_file(folder, only_port).symlink_to(folder / "target")

    with pytest.raises(ServerFailed, match="can't be opened"):
        ports.ReservedPort()
    assert not (folder / "target").exists()


def test_foreign_fifo_does_not_block_reserving(folder: Path, only_port: int) -> None:
    os.mkfifo(lock_file(folder, only_port))

    assert ports.ReservedPort().number == only_port


FORKED = """
    import os, sys
    from igniter_store_conformance.servers import ports

    port = ports.ReservedPort()
    releasing = os.fork()
    if releasing == 0:
        port.release()
        os._exit(0)
    os.waitpid(releasing, 0)
    ready, done = os.pipe()
    if os.fork() == 0:  # this child lives until the test closes its input
        os.write(done, b"1")
        sys.stdin.read()
        os._exit(0)
    os.read(ready, 1)
    print(port.number, ports._lock(port.number) is None, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize(
    "end",
    ["port.release(); print(flush=True); sys.stdin.read()", "os.kill(os.getpid(), 9)"],
    ids=["released", "killed"],
)
def test_forked_child_neither_keeps_nor_releases_port(folder: Path, end: str) -> None:
    with subprocess.Popen(  # noqa: S603 - a command of this repository
        [sys.executable, "-c", textwrap.dedent(FORKED) + end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        number, was_locked = process.stdout.readline().split()
        if "kill" in end:
            process.wait()
        else:
            process.stdout.readline()
        is_still_locked = is_locked(lock_file(folder, int(number)))
        process.stdin.close()

    assert (was_locked, is_still_locked) == ("True", False)


def test_failed_container_start_releases_its_port(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """A stand-in for testcontainers, because Docker needn't be installed."""
    bound: list[int] = []

    class DockerContainer:
        def __init__(self, image: str) -> None: ...

        def with_bind_ports(self, inner: int, outer: int) -> DockerContainer:
            bound.append(outer)
            return self

        def start(self) -> None:
            raise ConnectionRefusedError

        def stop(self) -> None: ...

    containers: Any = type(sys)("testcontainers.core.container")
    containers.DockerContainer = DockerContainer
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", containers)

    with pytest.raises(ConnectionRefusedError):
        container.ContainerServer(Target("dragonfly", "1", "Docker", image="image"), proxied=False)
    assert [is_locked(lock_file(folder, port)) for port in bound] == [False]
