"""Broken clients of a server: bugs that only a network, an outage or another process shows.

Rule: each adapter is tested only against the clauses that it breaks. The other tests would stop and
    start servers for minutes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from igniter_store.contract import (
    BackendUnavailable,
    ErrorCode,
    StoreError,
    StreamEntry,
    store_error,
)
from igniter_store.redis_commands.replies import data_or_none, values
from igniter_store.redis_commands.subscriptions import Listener
from igniter_store_conformance import servers
from igniter_store_conformance.engine.suite import LentClient
from igniter_store_conformance.redis_py import RedisPyAdapter, redis_harness
from igniter_store_conformance.redis_py.client import RedisPyClient
from redis.asyncio import ConnectionPool, Redis

from broken_adapters.breaking import Breaking, others_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igniter_store.contract import Condition, GapCallback, MessageCallback, Subscription
    from igniter_store.redis_commands.replies import Reader
    from igniter_store.redis_commands.reply_errors import ReplyError
    from igniter_store.redis_commands.transport import Name, PubSubConnection
    from igniter_store_conformance import Harness
    from igniter_store_conformance.engine.clause_info import ClauseTest

T = TypeVar("T")


async def _for_ever(never: T) -> T:
    await asyncio.get_running_loop().create_future()
    return never


class BrokenClient(Breaking, RedisPyAdapter):
    """The base class: an adapter over redis-py on Valkey, which has no bug."""

    limit: ClassVar[float | None] = 8.0

    @classmethod
    def harness(cls) -> Harness:
        server = servers.shared("valkey", proxied=True)
        harness = redis_harness(server, timeout=1.0)
        harness.connect = harness.connect_other = partial(cls.from_url, server.url, timeout=1.0)
        return harness

    @classmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        return test.clause.id in cls.breaks


class OpenIgnoresAnUnreachableServer(BrokenClient):
    """`open` succeeds if the server is unreachable."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-3"})

    async def open(self) -> None:
        try:
            await super().open()
        except StoreError:
            self.is_open = True


class OpenLeavesATask(BrokenClient):
    """`open` doesn't cancel its keep-alive task when it fails."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-3"})

    async def open(self) -> None:
        self.notes["task"] = asyncio.create_task(asyncio.sleep(600))
        await super().open()

    async def close(self) -> None:
        if "task" in self.notes:
            self.notes["task"].cancel()
        await super().close()


class ClosesTheLentClient(BrokenClient):
    """`close` closes a client that the user created."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-6"})

    @classmethod
    def lent_client(cls) -> LentClient | None:
        # redis-py's
        pool: Any = ConnectionPool.from_url(servers.shared("valkey").url, protocol=2)  # pyright: ignore[reportUnknownMemberType]
        user: Any = Redis(connection_pool=pool)
        is_closed: list[bool] = []

        async def still_works() -> bool:
            return not is_closed and await user.ping() is True

        class Closing(cls):  # type: ignore[valid-type, misc]  # its base is a variable
            async def close(self) -> None:
                await super().close()
                is_closed.append(True)

        return LentClient(
            Closing(lambda: Redis(connection_pool=pool)), still_works, pool.disconnect
        )


class PingSendsNothing(BrokenClient):
    """`ping` returns without a request to the server."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-10"})

    async def ping(self) -> float:
        return 0.0


class ClaimSucceedsWithoutAServer(BrokenClient):
    """`set_nx` returns True if the server is unreachable."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-7"})

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        try:
            return await super().set_nx(key, owner, ttl=ttl)
        except BackendUnavailable:
            return True


class PingReleasesTheLeases(BrokenClient):
    """`ping` releases all leases of the client, as a client that reconnects might."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        token = await super().acquire(key, owner, ttl, token_key=token_key)
        if token is not None:
            self.notes.setdefault("leases", []).append((key, owner))
        return token

    async def ping(self) -> float:
        for key, owner in self.notes.pop("leases", []):
            await self.compare_delete(key, owner)
        return await super().ping()


class NeverResubscribes(BrokenClient):
    """The listener doesn't subscribe again on a new connection."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-10"})

    async def open(self) -> None:
        await super().open()
        commands: Any = self._commands
        commands._listener.__class__ = _Forgetful


class _Forgetful(Listener):
    def _ask_again(
        self, connection: PubSubConnection, names: Sequence[Name]
    ) -> list[asyncio.Future[ReplyError | None]]:
        del connection, names
        return []


class NeverReplacesASilentConnection(BrokenClient):
    """The listener never replaces a connection that has become silent."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-12", "PUB-10"})

    async def open(self) -> None:
        await super().open()
        commands: Any = self._commands
        commands._listener.__class__ = _Patient


class _Patient(Listener):
    async def _until_lost(self, connection: PubSubConnection) -> None:
        await asyncio.wait([connection.lost])

    def _is_late(self, connection: PubSubConnection) -> bool:
        del connection
        return False


class GapIsNotReported(BrokenClient):
    """`subscribe` ignores `on_gap`, so subscribers never learn that messages may be missing."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-10"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        del on_gap
        return await super().subscribe(channel, callback)


class ListenersOfThisProcess(BrokenClient):
    """A message reaches only the subscribers in the publisher's process."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-9"})
    listeners: ClassVar[dict[str, list[MessageCallback]]] = {}

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        if not channel.endswith("ready"):
            self.listeners.setdefault(channel, []).append(callback)
            channel += "\0"
        return await super().subscribe(channel, callback, on_gap=on_gap)

    async def publish(self, channel: str, payload: bytes) -> int:
        for callback in self.listeners.get(channel, []):
            callback(channel, payload)
        return await super().publish(channel, payload)


class CountsUnderALock(BrokenClient):
    """`increment` reads and writes under a lock that other processes don't share."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CTR-2"})
    locks: ClassVar[dict[asyncio.AbstractEventLoop, asyncio.Lock]] = {}

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        async with self.locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            number = int(await self.get(key) or b"0") + delta
            await self.set(key, b"%d" % number, ttl=ttl)
            return number


class ClaimsUnderALock(BrokenClient):
    """`set_nx` checks and writes under a lock that other processes don't share."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-1"})
    locks: ClassVar[dict[asyncio.AbstractEventLoop, asyncio.Lock]] = {}

    async def set_nx(self, key: str, owner: bytes, *, ttl: float | None = None) -> bool:
        async with self.locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if await self.exists(key):
                return False
            await asyncio.sleep(0.002)
            return await self.set(key, owner, ttl=ttl)


class PositionOfThisProcess(BrokenClient):
    """Each process stores its own read positions of the groups."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-6"})
    read: ClassVar[dict[tuple[str, str], str]] = {}

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        await super().xreadgroup(stream, group, consumer, **options)
        entries = await self.xrange(
            stream, self.read.get((stream, group), "-"), count=options.get("count")
        )
        if entries:
            self.read[stream, group] = f"({entries[-1].id}"
        return entries


class BlockedReadIsNeverWoken(BrokenClient):
    """A blocked read sleeps for its whole `block` time, and returns no entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"STR-7"})

    @classmethod
    def is_judged_by(cls, test: ClauseTest) -> bool:
        return test.name == "test_a_blocked_reader_in_another_process_is_woken"

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        block = options.pop("block", None)
        entries = await super().xreadgroup(stream, group, consumer, **options)
        if entries or not block:
            return entries
        await asyncio.sleep(block)
        return []


class TokensOfThisProcess(BrokenClient):
    """Each process counts its own tokens, from the same start."""

    breaks: ClassVar[frozenset[str]] = frozenset({"CLM-6"})
    last: ClassVar[list[int]] = [1_700_000_000_000]

    async def acquire(self, key: str, owner: bytes, ttl: float, *, token_key: str) -> int | None:
        if await super().acquire(key, owner, ttl, token_key=token_key) is None:
            return None
        self.last[0] += 1
        return self.last[0]


class SetHangsAfterConnectionLoss(BrokenClient):
    """`set` never returns if its connection is lost."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-1"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        try:
            return await super().set(key, value, ttl=ttl, only_if=only_if)
        except BackendUnavailable:
            return await _for_ever(False)


class AnotherCallersReply(BrokenClient):
    """`get` returns the most recent reply if its connection is lost."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-1"})

    async def get(self, key: str) -> bytes | None:
        try:
            # unlike `read`, it doesn't retry
            self.notes["last"] = await self._commands.write("GET", key, read=data_or_none)
        except BackendUnavailable:
            await others_turn()
        return self.notes.get("last")


class RetriesWrites(BrokenClient):
    """The adapter retries a write if its connection is lost."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-2"})

    def __init__(
        self, connect: Callable[[], Redis], *, timeout: float = 5.0, connect_timeout: float = 2.0
    ) -> None:
        super().__init__(connect, timeout=timeout, connect_timeout=connect_timeout)
        self._commands = _Repeating(connect, timeout, connect_timeout)


class _Repeating(RedisPyClient):
    async def write(
        self,
        *words: Any,
        read: Reader[T],
        code: ErrorCode = ErrorCode.STORE_OPERATION_FAILED,
    ) -> T:
        try:
            return await super().write(*words, read=read, code=code)
        except BackendUnavailable:
            return await super().write(*words, read=read, code=code)


class NeverRetriesReads(BrokenClient):
    """`mget` doesn't retry if its connection is lost."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-2"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._commands.write("MGET", *keys, read=values(len(keys)))


class PingNeverRecovers(BrokenClient):
    """After one `ping` has failed, every `ping` raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-3"})

    async def ping(self) -> float:
        if "dead" in self.notes:
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, "the connection is lost", backend="redis"
            )
        try:
            return await super().ping()
        except StoreError:
            self.notes["dead"] = True
            raise


class BlockedReadHangsAfterConnectionLoss(BrokenClient):
    """A blocked read never returns if its connection is lost."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-3"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        try:
            return await super().xreadgroup(stream, group, consumer, **options)
        except BackendUnavailable:
            if not options.get("block"):
                raise
            return await _for_ever(list[StreamEntry]())


class TimeoutOfTenMinutes(BrokenClient):
    """The timeout of a command is ten minutes."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-4"})
    limit: ClassVar[float | None] = 8.0

    @classmethod
    def harness(cls) -> Harness:
        harness = super().harness()
        harness.connect = harness.connect_other = partial(
            cls.from_url, servers.shared("valkey", proxied=True).url, timeout=600.0
        )
        return harness


class MaybeAppliedIsAlwaysFalse(BrokenClient):
    """Every error of `set` has `maybe_applied=False`, even after a timeout."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        try:
            return await super().set(key, value, ttl=ttl, only_if=only_if)
        except StoreError as error:
            error.maybe_applied = False
            raise


class RepliesShiftOverTheNetwork(BrokenClient):
    """`get` assigns replies by order, so the next caller gets a cancelled caller's reply."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-5"})

    async def get(self, key: str) -> bytes | None:
        answers: list[bytes | None] = self.notes.setdefault("answers", [])
        value = asyncio.ensure_future(super().get(key))
        value.add_done_callback(
            lambda done: (
                None if done.cancelled() or done.exception() else answers.append(done.result())
            )
        )
        await asyncio.shield(value)
        await others_turn()
        return answers.pop(0)


class AllErrorsHaveOneCode(BrokenClient):
    """Every error of `set` is `STORE_OPERATION_FAILED`, and isn't retryable."""

    breaks: ClassVar[frozenset[str]] = frozenset({"FLT-6"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        try:
            return await super().set(key, value, ttl=ttl, only_if=only_if)
        except StoreError as error:
            raise store_error(
                ErrorCode.STORE_OPERATION_FAILED, "refused", backend="redis", retryable=False
            ) from error
