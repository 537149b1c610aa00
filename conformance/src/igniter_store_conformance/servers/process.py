"""A server as a child process, on a port and in a folder of its own.

Rule: data survives `kill`: every write is in a file before the server answers it.
Rule: nothing is left behind: not after `close`, not when the interpreter ends, and not when it is
    killed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from igniter_store_conformance.servers.loading_state import LOADING, loading
from igniter_store_conformance.servers.ports import ReservedPort
from igniter_store_conformance.servers.refusals import REFUSALS, Refusal
from igniter_store_conformance.servers.resp import Address
from igniter_store_conformance.servers.server import Server, ServerFailed, until_it_answers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from igniter_store_conformance.network.proxy import Proxy
    from igniter_store_conformance.servers.target import Target

_GOODBYE: Final = 10.0  # seconds for a graceful shutdown; then the process is killed
# Attempts at binding a port, which other software may take between the check and the server's
# start; and at removing the folder.
_ATTEMPTS: Final = 5
_REFUSALS: Final = MappingProxyType({**REFUSALS, "LOADING": LOADING})

# Waits for the end of its input, which comes however this process ends, and then does the cleanup
# that this process can't do any more. The minus addresses the server's whole process group: the
# server may have a child that writes a file.
_GUARD: Final = (
    'read -r _; kill -9 "-$1" 2>/dev/null; for _ in 1 2 3 4 5; do rm -rf "$2" && break; sleep '
    "0.1; done"
)


class ServerProcess(Server):
    """A server that the kit started; it ends with `close`.

    It runs in a temporary folder and listens only on the loopback interface.

    Args:
        target: the server to start; it has a `binary`.
        proxied: whether a `Proxy` is in front of it.
        unix_socket: whether it listens on a Unix socket in its folder, and on no port.
        arguments: further arguments of the server's command line.
    """

    controllable: ClassVar[bool] = True

    def __init__(
        self,
        target: Target,
        *,
        proxied: bool = False,
        unix_socket: bool = False,
        arguments: Sequence[str] = (),
    ) -> None:
        self.folder: Final = Path(tempfile.mkdtemp(prefix=f"igniter-{target.kind}-"))
        self._arguments = tuple(arguments)
        self._port: ReservedPort | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        # `close` at the interpreter's end may coincide with a restart.
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self.proxy: Proxy | None = None
        atexit.register(self.close)
        try:
            self.target: Target = target
            for attempt in range(1, _ATTEMPTS + 1):
                self.address: Address = self._next_address(unix_socket=unix_socket)
                try:
                    self.launch()
                    break
                except ServerFailed as failed:
                    if attempt == _ATTEMPTS or "in use" not in str(failed):
                        raise
            super().__init__(target, self.address, proxied=proxied)
        except BaseException:
            self.close()
            raise

    def _next_address(self, *, unix_socket: bool) -> Address:
        self._release_port()
        if unix_socket:
            return Address(path=str(self.folder / "socket"))
        self._port = ReservedPort()
        return Address(port=self._port.number)

    def _release_port(self) -> None:
        if self._port is not None:
            self._port.release()

    @property
    def is_running(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The id of the process, `None` when it doesn't run."""
        return self._process.pid if self._process is not None and self.is_running else None

    def launch(self, *more: str, is_loaded: bool = True) -> None:
        """Start the process, with `more` arguments, and return when it answers.

        Args:
            more: arguments for this start only.
            is_loaded: also wait until its data is loaded.

        Raises:
            ServerFailed: it doesn't start.
        """
        with self._lock, (self.folder / "log").open("ab") as log:
            # Remove the rest of a process that died by itself, above all its guard.
            self._end(signal.SIGKILL)
            self._process = subprocess.Popen(  # noqa: S603 - a server found on this machine
                [*self.command(), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C is for the tests, which then end the server
            )
            self._guard = subprocess.Popen(  # noqa: S603 - a command of this repository
                [
                    "/bin/sh",
                    "-c",
                    _GUARD,
                    "igniter-guard",
                    str(self._process.pid),
                    str(self.folder),
                ],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        try:
            until_it_answers(self.address, self._check_running, is_loaded=is_loaded)
        except ServerFailed as failed:
            raise ServerFailed(f"{failed}\n{self.log()}") from failed

    def log(self, lines: int = 20) -> str:
        """Return the last lines of the server's log."""
        with contextlib.suppress(FileNotFoundError):
            text = (self.folder / "log").read_text(errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def close(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child has a copy of this object, but doesn't own the server
        with self._lock:
            atexit.unregister(self.close)
            super().close()
            self._end(signal.SIGKILL)
            self._release_port()
            for _ in range(_ATTEMPTS):  # a child that is just being killed may still create a file
                shutil.rmtree(self.folder, ignore_errors=True)
                if not self.folder.exists():
                    break
                time.sleep(0.01)

    async def stop(self) -> None:
        await asyncio.to_thread(self._end, signal.SIGTERM)

    async def kill(self) -> None:
        await asyncio.to_thread(self._end, signal.SIGKILL)

    async def restart(self) -> None:
        await asyncio.to_thread(self._restart)

    async def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    async def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        return _REFUSALS if self.kind != "dragonfly" else {}

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        async with (
            loading(self) if word == "LOADING" and word in self.refusals else super().refusing(word)
        ):
            yield

    def command(self) -> list[str]:
        """The command line of the server."""
        address, folder = self.address, str(self.folder)
        port = 0 if address.path is not None else address.port
        socket = [] if address.path is None else ["--unixsocket", address.path]
        place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder, *socket]
        if self.target.kind == "dragonfly":
            own = ["--dbfilename", "dump", "--proactor_threads", "2", "--logtostderr"]
            return [str(self.target.binary), *place, *own, *self._arguments]
        # A settings file, empty at first, in which the server can save the settings that a Sentinel
        # sends it.
        settings = self.folder / "settings.conf"
        settings.touch()
        # The append-only file is written before the server answers, so that a kill loses nothing.
        # It needn't be flushed to the disk.
        own = [
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "no",
            "--repl-diskless-sync-delay",
            "0",
        ]
        return [str(self.target.binary), str(settings), *place, *own, *self._arguments]

    def _check_running(self) -> None:
        if not self.is_running:
            raise ServerFailed(f"{self.target} has ended while it was starting.")

    def _restart(self) -> None:
        with self._lock:
            self._end(signal.SIGTERM)
            self.launch()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        with self._lock:
            if self._guard is not None:
                # Before the server: once the server is gone, its process id may be reused.
                self._guard.kill()
                self._guard.communicate()
                self._guard = None
            if self._process is not None:
                self._signal(signal.SIGCONT)  # a paused process would ignore it
                self._signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GOODBYE)
                # Its children, which rewrite the append-only file, outlive a kill; so does a server
                # that doesn't stop.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._process = None
