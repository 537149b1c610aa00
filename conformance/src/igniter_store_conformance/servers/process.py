"""A server as a process of ours: on a port and in a folder that nobody else has.

Rule: the data survive `kill`: every write is in a file before it is answered.
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
from igniter_store_conformance.servers.ports import free_port
from igniter_store_conformance.servers.refusals import REFUSALS, Refusal
from igniter_store_conformance.servers.resp import Address
from igniter_store_conformance.servers.server import Server, ServerFailed, until_it_answers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from igniter_store_conformance.servers.target import Target

_GOODBYE: Final = 10.0  # seconds for a shutdown in order; then the process is killed
# At a port, which somebody may take between our look and the server's; and at removing the folder
_ATTEMPTS: Final = 5
_REFUSALS: Final = MappingProxyType({**REFUSALS, "LOADING": LOADING})

# Waits for the end of its input, which comes when this process has ended in whatever way, and then
# does what this process no longer can. The minus means the server's whole group: it may have a
# child that writes a file.
_GUARD: Final = 'read -r _; kill -9 "-$1" 2>/dev/null; for _ in 1 2 3 4 5; do rm -rf "$2" && break; sleep 0.1; done'


class ServerProcess(Server):
    """A server that was started here. It stands in a temporary folder, listens on the loopback
    interface alone, and ends with `close`.

    Args:
        target: what to start; it has a `binary`.
        proxied: whether a `Proxy` stands before it.
        unix_socket: whether it listens on a Unix socket in its folder, and on no port.
        arguments: more of the server's own command line.
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
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()  # `close` at the interpreter's end may meet a restart
        self._owner = os.getpid()
        self.proxy = None
        atexit.register(self.close)
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                address = (
                    Address(path=str(self.folder / "socket"))
                    if unix_socket
                    else Address(port=free_port())
                )
                self.target = target
                self.address = address
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

    @property
    def is_running(self) -> bool:
        """Whether the process is there; one that was paused is."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The number of the process, `None` when it doesn't run."""
        return self._process.pid if self._process is not None and self.is_running else None

    def launch(self, *more: str, is_loaded: bool = True) -> None:
        """Start the process, with `more` arguments; returns when it answers.

        Args:
            more: arguments for this time only.
            is_loaded: wait until its data are loaded, too.

        Raises:
            ServerFailed: it doesn't come up.
        """
        with self._lock, (self.folder / "log").open("ab") as log:
            self._end(
                signal.SIGKILL
            )  # what is left of one that died by itself, its guard above all
            self._process = subprocess.Popen(  # noqa: S603 - a server that was looked for
                [*self.command(), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C is for the tests, which then end the server
            )
            self._guard = subprocess.Popen(  # noqa: S603 - the words are ours
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
        """The last lines that the server has written."""
        with contextlib.suppress(FileNotFoundError):
            text = (self.folder / "log").read_text(errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def close(self) -> None:
        if os.getpid() != self._owner:
            return  # a forked child, which has a copy of this object, not the server
        with self._lock:
            atexit.unregister(self.close)
            super().close()
            self._end(signal.SIGKILL)
            for _ in range(_ATTEMPTS):  # a child that is just being killed may still make a file
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
        # A file of settings, empty at first, so that the server can keep in it what a Sentinel
        # tells it.
        settings = self.folder / "settings.conf"
        settings.touch()
        # The append-only file is written before an answer is sent, so that a kill loses nothing; to
        # the disk it needn't get.
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
                # Before the server: once that is gone, its number may be another's
                self._guard.kill()
                self._guard.communicate()
                self._guard = None
            if self._process is not None:
                self._signal(signal.SIGCONT)  # one that is paused would not hear
                self._signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GOODBYE)
                # Its children, which write the append-only file anew, outlive a kill; and so does a
                # server that doesn't want to stop.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._process = None
