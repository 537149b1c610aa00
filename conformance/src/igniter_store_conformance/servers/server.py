"""The common base of the kit's servers; used directly, it is a server that the kit didn't start.

Rule: the kit only sends commands to a server that was given by URL. It can't stop or pause that
    server, and it doesn't change its settings.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn
from urllib.parse import urlsplit

from igniter_store_conformance.network.proxy import Proxy
from igniter_store_conformance.servers.refusals import REFUSALS, Refusal, refusing
from igniter_store_conformance.servers.resp import Address, Exchange, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from typing import Self

    from igniter_store_conformance.servers.target import Target

_PATIENCE: Final = 30.0  # seconds for a server to start, on a machine that is busy with tests


class ServerFailed(RuntimeError):  # noqa: N818 - named after the condition
    """Raised when a server doesn't start, or a set of servers doesn't form.

    The message ends with its log.
    """


class NotControllable(RuntimeError):  # noqa: N818 - says what the server is
    """Raised when the kit can't stop or pause a server that it didn't start, or make it refuse."""


class Server:
    """A server to run tests on. It satisfies `harness.RefusingServer`.

    Attributes:
        target: the target that it was created from.
        version: the version of the server, "7.0.15".
        address: the address of the server itself.
        proxy: the proxy in front of the server, if it was started with `proxied=True`, else `None`.
        controllable: whether the kit can stop and pause it and make it refuse. Otherwise these
            methods raise `NotControllable`.
    """

    controllable: ClassVar[bool] = False

    def __init__(self, target: Target, address: Address, *, proxied: bool = False) -> None:
        self.target: Target = target
        self.version: str = target.version
        self.address = address
        self.proxy: Proxy | None = None
        if proxied:
            if target.url is not None and urlsplit(target.url).scheme == "rediss":
                raise NotControllable(
                    f"${target.origin} speaks TLS, whose certificates don't fit a proxy's "
                    "address; use it unproxied."
                )
            self.proxy = Proxy(address.host, address.port, path=address.path)
            self.proxy.start()

    @property
    def kind(self) -> str:
        """The kind of server, "redis"."""
        return self.target.kind

    @property
    def direct_url(self) -> str:
        """The URL of the server itself, for clients that the proxy's faults must not affect."""
        if self.target.url is not None:
            return self.target.url
        return (
            f"redis://{self.address.host}:{self.address.port}"
            if self.address.path is None
            else f"unix://{self.address.path}"
        )

    @property
    def url(self) -> str:
        """The URL for the adapters under test: the proxy's, if there is one."""
        if self.proxy is None:
            return self.direct_url
        parts = urlsplit(self.direct_url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        path = "" if parts.scheme == "unix" else parts.path
        scheme = "redis" if parts.scheme == "unix" else parts.scheme
        return f"{scheme}://{login}{self.proxy.host}:{self.proxy.port}{path}"

    def exchange(self, *, timeout: float = 5.0) -> Exchange:
        """Return a new connection, straight to the server; `timeout` in seconds.

        This call blocks: don't use it on the event loop.
        """
        return Exchange(self.address, timeout=timeout)

    def learn_version(self) -> None:
        """Ask the server for its version, if it isn't known yet."""
        with self.exchange() as exchange:
            facts = exchange.info("server")
        self.version = (
            facts.get("dragonfly_version")
            or facts.get("valkey_version")
            or facts.get("redis_version")
            or self.version
        )

    def close(self) -> None:
        """End the server that was started here, and remove its files; may be called twice."""
        if self.proxy is not None:
            self.proxy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} {self.version}>"

    async def stop(self) -> None:
        """Shut down gracefully and keep the data. Does nothing if the server is stopped."""
        self._refuse_control()

    async def kill(self) -> None:
        """Kill the server. Does nothing if the server is stopped."""
        self._refuse_control()

    async def restart(self) -> None:
        """Start again with the same address and data, and return when the server answers.

        A running server is stopped first.

        Raises:
            ServerFailed: it doesn't start.
        """
        self._refuse_control()

    async def pause(self) -> None:
        """Freeze the server, with all its connections open.

        The operating system still accepts data for it, until its buffers are full.
        """
        self._refuse_control()

    async def resume(self) -> None:
        """Continue after `pause`; does nothing if the server isn't paused."""
        self._refuse_control()

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The refusals that `refusing` supports, by the server's error prefix.

        It is empty for a server that the kit didn't start.
        """
        return REFUSALS if self.controllable and self.kind != "dragonfly" else {}

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Within the block, the server refuses commands with this error prefix.

        `refusals` documents which commands it refuses. Afterwards the server behaves as before.

        Raises:
            KeyError: `refusals` doesn't have this prefix.
        """
        self.refusals[word]
        async with refusing(self, word):
            yield

    def _refuse_control(self) -> NoReturn:
        raise NotControllable(
            f"The server of {self.target.origin} runs without us, so it can't be stopped, paused "
            "or made to refuse. Unset the variable, and let the kit start a server of its own.",
        )


def until_it_answers(
    address: Address, check: Callable[[], None], *, is_loaded: bool = True
) -> None:
    """Return once a server at `address` answers.

    Args:
        address: where it will listen.
        check: called before each attempt; raises when the server can't start any more.
        is_loaded: whether its data must be loaded, too.

    Raises:
        ServerFailed: the wait timed out.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        check()
        try:
            with Exchange(address, timeout=1) as exchange:
                exchange.ask("PING")
        except Refused as refused:
            if refused.word != "LOADING" or not is_loaded:  # a request for a password is an answer
                return
            reason = str(refused)
        except OSError as error:
            reason = str(error)
        else:
            return
        if time.monotonic() > until:
            raise ServerFailed(f"The server doesn't answer after {_PATIENCE:g} seconds: {reason}")
        time.sleep(0.005)
