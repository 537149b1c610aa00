"""What every server of the kit has, wherever it came from; by itself, a server that somebody else
runs.

Rule: a server that was given by URL is only talked to. It can't be stopped or paused, and its
    settings aren't touched.
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

_PATIENCE: Final = (
    30.0  # seconds that a server may take to come up, on a machine that is busy with tests
)


class ServerFailed(RuntimeError):  # noqa: N818 - says what is the case
    """Raised when a server doesn't come up, or a set of servers doesn't come together; the message
    ends with its log.
    """


class NotControllable(RuntimeError):  # noqa: N818 - says what the server is
    """Raised when a server that somebody else runs was to be stopped, paused or made to refuse."""


class Server:
    """A server to run tests on. It satisfies `harness.RefusingServer`.

    Attributes:
        target: what it was made from.
        version: of the server, "7.0.15".
        address: of the server itself.
        proxy: what stands before the server, when it was started with `proxied=True`, else `None`.
        controllable: whether it can be stopped, paused and made to refuse. `NotControllable` is
            raised where it can't.
    """

    controllable: ClassVar[bool] = False

    def __init__(self, target: Target, address: Address, *, proxied: bool = False) -> None:
        self.target = target
        self.version = target.version
        self.address = address
        self.proxy: Proxy | None = None
        if proxied:
            if target.url is not None and urlsplit(target.url).scheme == "rediss":
                raise NotControllable(
                    f"${target.origin} speaks TLS, whose certificates don't fit a proxy's address; use it unproxied."
                )
            self.proxy = Proxy(address.host, address.port, path=address.path)
            self.proxy.start()

    @property
    def kind(self) -> str:
        """The kind of server, "redis"."""
        return self.target.kind

    @property
    def direct_url(self) -> str:
        """The URL of the server itself, for clients that must not notice what the proxy does."""
        if self.target.url is not None:
            return self.target.url
        return (
            f"redis://{self.address.host}:{self.address.port}"
            if self.address.path is None
            else f"unix://{self.address.path}"
        )

    @property
    def url(self) -> str:
        """The URL for the adapters under test: the proxy's, where there is one."""
        if self.proxy is None:
            return self.direct_url
        parts = urlsplit(self.direct_url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        path = "" if parts.scheme == "unix" else parts.path
        scheme = "redis" if parts.scheme == "unix" else parts.scheme
        return f"{scheme}://{login}{self.proxy.host}:{self.proxy.port}{path}"

    def exchange(self, *, timeout: float = 5.0) -> Exchange:
        """A connection of your own, straight to the server; `timeout` in seconds. It blocks: use it
        off the event loop.
        """
        return Exchange(self.address, timeout=timeout)

    def learn_version(self) -> None:
        """Ask the server for its version, where nobody could know it before."""
        with self.exchange() as exchange:
            facts = exchange.info("server")
        self.version = (
            facts.get("dragonfly_version")
            or facts.get("valkey_version")
            or facts.get("redis_version")
            or self.version
        )

    def close(self) -> None:
        """End what was started here, and remove what it left; twice is fine."""
        if self.proxy is not None:
            self.proxy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} {self.version}>"

    async def stop(self) -> None:
        """Shut down in order; the data stay. Stopped already: nothing happens."""
        self._refuse_control()

    async def kill(self) -> None:
        """End at once, without a goodbye. Stopped already: nothing happens."""
        self._refuse_control()

    async def restart(self) -> None:
        """Be there again, with the same address and data; a running server is stopped first.
        Returns when it answers.

        Raises:
            ServerFailed: it doesn't come up.
        """
        self._refuse_control()

    async def pause(self) -> None:
        """Let the server stand still, with all its connections open.

        The system goes on taking data for it, until its buffers are full.
        """
        self._refuse_control()

    async def resume(self) -> None:
        """Go on after `pause`; nothing happens otherwise."""
        self._refuse_control()

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """What `refusing` knows here, by the server's own word; nothing for a server that somebody
        else runs.
        """
        return REFUSALS if self.controllable and self.kind != "dragonfly" else {}

    @asynccontextmanager
    async def refusing(self, word: str) -> AsyncGenerator[None]:
        """Within the block, the server answers with this refusal what `refusals` says it does;
        afterwards all is as before.

        Raises:
            KeyError: for a word that `refusals` doesn't have.
        """
        self.refusals[word]
        async with refusing(self, word):
            yield

    def _refuse_control(self) -> NoReturn:
        raise NotControllable(
            f"The server of {self.target.origin} runs without us, so it can't be stopped, paused or made to refuse. "
            "Unset the variable, and let the kit start a server of its own.",
        )


def until_it_answers(
    address: Address, check: Callable[[], None], *, is_loaded: bool = True
) -> None:
    """Return once a server at `address` answers.

    Args:
        address: where it will be.
        check: called before each look; raises when there is no more hope.
        is_loaded: whether its data have to be loaded, too.

    Raises:
        ServerFailed: it takes too long.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        check()
        try:
            with Exchange(address, timeout=1) as exchange:
                exchange.ask("PING")
        except Refused as refused:
            if refused.word != "LOADING" or not is_loaded:  # to ask for a password is an answer
                return
            reason = str(refused)
        except OSError as error:
            reason = str(error)
        else:
            return
        if time.monotonic() > until:
            raise ServerFailed(f"The server doesn't answer after {_PATIENCE:g} seconds: {reason}")
        time.sleep(0.005)
