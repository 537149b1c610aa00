"""The resources of a test: clients of the backend, names, time, and control over the server.

Rule: every name that a test uses comes from `key`. Tests therefore never see each other's data or
    foreign data, and the kit removes all data of a test.
Rule: a test creates its adapters only here. The kit closes all of them, and none of their tasks
    may keep running.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import pickle
import random
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from igniter_store.contract import (
    CAPABILITIES,
    Adapter,
    Claims,
    Counters,
    KeyValue,
    PubSub,
    Scan,
    Streams,
)
from igniter_store.contract.errors import described_type

from igniter_store_conformance.engine.clock import PassingTime
from igniter_store_conformance.spec.states import Lacks, NotExercised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from igniter_store_conformance.engine.harness import (
        Harness,
        Network,
        Oracle,
        RefusingServer,
        ServerControl,
    )
    from igniter_store_conformance.engine.watchdog import Watch

T = TypeVar("T")

_TIDY_LIMIT: Final = 10.0
_TIDY_STEP: Final = 1_000


class FullAdapter(KeyValue, Counters, Claims, PubSub, Streams, Scan):
    """An adapter with every capability, for type checkers.

    A test names the capabilities that it needs, and runs only if the adapter inherits them.
    """


class Trial:
    """The resources of one test.

    Attributes:
        harness: the author's description of the backend.
        adapter: an open client.
        time: how time passes.
        random: seeded, so that a run can be repeated.
        examples: the number of random examples in a test that compares with the model; `None` for
            as many as its time allows.
        limit: seconds after which an expected event is considered missing.
        explains: whether a failing test may take more time to find a short program that fails.
        watch: the watchdog, which expects progress from the test.
    """

    adapter: FullAdapter
    watch: Watch

    def __init__(
        self, harness: Harness, *, seed: int, limit: float, examples: int | None = None
    ) -> None:
        self.harness: Final = harness
        self.examples: Final = examples
        self.time: Final = PassingTime(harness)
        self.random: Final = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.limit: Final = limit
        self.explains: bool = True
        self._prefix: Final = f"{harness.namespace}{secrets.token_hex(4)}:"
        self._names: list[str] = []
        self._made: list[Adapter] = []
        self._first = self._new(harness.connect)
        self._other: FullAdapter | None = None

    def again(self, harness: Harness) -> Trial:
        """Return another trial for the same test, with its own names and clients."""
        trial = Trial(harness, seed=0, limit=self.limit)
        trial.watch = self.watch
        return trial

    # Clients

    def require(self, capabilities: Iterable[type[Adapter]]) -> None:
        """Continue only if the adapter has all of these capabilities."""
        for capability in capabilities:
            if not isinstance(self._first, capability):
                raise Lacks(f"{type(self._first).__name__} doesn't inherit {capability.__name__}")

    @property
    def capabilities(self) -> list[type[Adapter]]:
        """Return the capabilities that the adapter inherits."""
        return [capability for capability in CAPABILITIES if isinstance(self._first, capability)]

    @property
    def in_process(self) -> bool:
        """True when the backend's data lives in this process."""
        return self._first.in_process

    @property
    def name_of_adapter(self) -> str:
        """The adapter's `name`."""
        return str(getattr(self._first, "name", type(self._first).__name__))

    async def open(self) -> None:
        """Open the first client; called before the test begins."""
        await self._first.open()
        self.adapter = self._first

    def connect(self) -> FullAdapter:
        """Return one more client, not opened yet."""
        adapter = self._new(self.harness.connect)
        if adapter is self._first:
            raise NotExercised(
                "a harness whose connect makes a new adapter each time; this one gives the same "
                "adapter again"
            )
        return adapter

    async def other(self) -> FullAdapter:
        """Return the second client of the same data, open.

        If the backend's data can't be shared, this is the first client.
        """
        if self._other is None:
            self._other = self._new(self.harness.connect_other)
            await self._other.open()
        return self._other

    async def clients(self, number: int) -> list[FullAdapter]:
        """Return `number` open clients, including the first two."""
        clients = [self.adapter, await self.other()]
        for _ in range(number - len(clients)):
            client = self._new(self.harness.connect)
            await client.open()
            clients.append(client)
        return clients[:number]

    def _new(self, connect: Any) -> FullAdapter:
        if not callable(connect):
            message = (
                "Harness(connect) is a function that makes an adapter, and not "
                f"{described_type(connect)}: connect=lambda: MyAdapter(...)"
            )
            raise TypeError(message)
        adapter = connect()
        if not isinstance(adapter, Adapter):
            raise TypeError(_no_adapter(adapter))
        if all(adapter is not made for made in self._made):
            self._made.append(adapter)
        return cast("FullAdapter", adapter)

    # Names

    def key(self, name: str = "key") -> str:
        """Return a complete key, channel or stream that no other test uses.

        The same name always returns the same key.
        """
        key = self._prefix + name
        self._names.append(key)
        return key

    def keys(self, names: Iterable[str]) -> list[str]:
        """Return `key` for each of the names."""
        return [self.key(name) for name in names]

    def token_key(self, key: str) -> str:
        """Return the key that counts the fencing tokens of a claim.

        The braces keep both keys in one slot of a cluster, as the store's keys do.
        """
        return self.key(f"token:{{{key}}}")

    @property
    def prefix(self) -> str:
        """The prefix of all names of this test."""
        return self._prefix

    def payload(self, length: int) -> bytes:
        """Return random bytes."""
        return self.random.randbytes(length)

    # Concurrency

    async def race(self, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """Make all the calls concurrently, and return their results in order.

        Each call has its own task, and all start together.
        """
        gate = asyncio.Event()

        async def runner(call: Callable[[], Awaitable[T]]) -> T:
            await gate.wait()
            return await call()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(runner(call)) for call in calls]
            await asyncio.sleep(0)
            gate.set()
        return [task.result() for task in tasks]

    async def settle(self) -> None:
        """Give the calls that were just started time to get under way.

        No verdict depends on whether they did.
        """
        for _ in range(10):
            await asyncio.sleep(0)
        if not self.in_process:
            await asyncio.sleep(0.03)

    async def eventually(self, happens: Callable[[], Awaitable[bool]], what: str) -> None:
        """Poll until `happens` returns True; the test fails after `limit` seconds."""
        try:
            async with asyncio.timeout(self.limit):
                # no event exists that could be waited for
                while not await happens():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {self.limit:g} seconds") from None

    async def done(self, waiting: Awaitable[T], what: str) -> T:
        """Return the result of a task that should be done soon.

        The test fails after `limit` seconds.
        """
        task = asyncio.ensure_future(waiting)
        finished, _ = await asyncio.wait({task}, timeout=self.limit)
        assert finished, f"{what}: not within {self.limit:g} seconds"
        return task.result()

    # Features that only some harnesses have

    @property
    def server(self) -> ServerControl:
        """Control over the server; a test that needs an unsupported operation isn't exercised."""
        self.require_shared("no server that could be stopped")
        if self.harness.server is None:
            raise NotExercised(
                "Harness(server=...): power to stop, kill, restart and pause the server"
            )
        return cast("ServerControl", _Power(self.harness.server))

    @property
    def proxy(self) -> Network:
        """The network between the adapters and the server."""
        proxy = self.server.proxy
        if proxy is None:
            raise NotExercised(
                "a server behind igniter_store_conformance.network.proxy.Proxy, so that its "
                "connections can be cut"
            )
        return proxy

    @property
    def refusing_server(self) -> RefusingServer:
        """A server that can be made to refuse commands."""
        server = self.server
        if not getattr(self.harness.server, "refusals", None):
            raise NotExercised(
                "a server with `refusals`, that can be made to answer with its own errors"
            )
        return cast("RefusingServer", server)

    @property
    def oracle(self) -> Oracle:
        """Access to the stored bytes, bypassing the adapter."""
        if self.harness.oracle is None:
            raise NotExercised(
                "Harness(oracle=...): a way to read and write stored bytes around the adapter"
            )
        return self.harness.oracle

    def require_shared(self, instead: str) -> None:
        """Continue only if the backend's data lives outside of this process."""
        if self.in_process:
            raise Lacks(
                f"the data of {type(self._first).__name__} lives in this process: {instead}"
            )

    @property
    def pickled_connect(self) -> bytes:
        """Return the pickled `connect`, for another process."""
        self.require_shared("there are no other processes")
        try:
            return pickle.dumps(self.harness.connect)
        except Exception:  # noqa: BLE001 - pickle raises whatever the object's own methods raise
            raise NotExercised(
                "a `connect` that pickles, for clients in other processes: "
                "functools.partial(MyAdapter, url) does, a lambda doesn't"
            ) from None

    # Cleanup

    async def close(self) -> None:
        """Remove the test's data, and close its clients.

        Only closing may fail: data that can't be removed stays.
        """
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_TIDY_LIMIT):
                await self._tidy()
        failed: list[Exception] = []
        for adapter in reversed(self._made):
            try:
                async with asyncio.timeout(_TIDY_LIMIT):
                    await adapter.close()
            except Exception as error:  # noqa: BLE001 - the others have to be closed all the same
                failed.append(error)
        if failed:
            raise failed[0]

    async def _tidy(self) -> None:
        first: Any = self._first
        if not isinstance(first, KeyValue) or not self._names:
            return
        await first.open()  # the test may have closed it
        names = list(dict.fromkeys(self._names))
        for begin in range(0, len(names), _TIDY_STEP):
            await first.delete(names[begin : begin + _TIDY_STEP])


class _Power:
    """The author's control of the server.

    A test that needs an unsupported operation isn't exercised.
    """

    def __init__(self, server: ServerControl) -> None:
        self._server = server

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._server, name)
        except AttributeError:
            raise NotExercised(
                f"`{name}` of Harness(server=...): {type(self._server).__name__} hasn't got it"
            ) from None


def _no_adapter(made: object) -> str:
    hint = ""
    if inspect.isclass(made):
        hint = " It is the class itself: call it."
    elif inspect.iscoroutine(made):
        made.close()
        hint = " `connect` is a plain function, without async: the kit opens the adapter."
    elif made is None:
        hint = " Is a `return` missing?"
    return (
        "Harness.connect has to return an adapter that inherits the capability classes of "
        f"igniter_store.contract, and returned {described_type(made)}.{hint}"
    )
