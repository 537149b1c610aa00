"""Broken life cycles, and what cutting calls short does to careless clients."""

from __future__ import annotations

import asyncio
import mmap
import os
import tempfile
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from igniter_store.contract import (
    ErrorCode,
    GapCallback,
    MessageCallback,
    StoreError,
    Subscription,
    store_error,
)
from igniter_store_memory.keyspace import Keyspace

from broken_adapters.breaking import Broken, others_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.contract import Condition, PendingEntry, StreamEntry


class OpenTwiceRaises(Broken):
    """`open` of an open adapter raises."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1"})

    async def open(self) -> None:
        if self.is_open:
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "already open")
        await super().open()


class CloseBeforeOpenRaises(Broken):
    """`close` takes a connection for granted."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1"})

    async def open(self) -> None:
        await super().open()
        self.notes["connection"] = object()

    async def close(self) -> None:
        assert self.notes["connection"]
        await super().close()


class ReconnectsByItself(Broken):
    """`get` of a closed adapter opens it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-2"})

    async def get(self, key: str) -> bytes | None:
        if not self.is_open:
            await self.open()
        return await super().get(key)


class ClosedWithAnotherCode(Broken):
    """A closed adapter says that its connection failed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-2"})

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        try:
            return await super().mget(keys)
        except StoreError as error:
            if error.code is not ErrorCode.STORE_CLOSED:
                raise
            raise store_error(
                ErrorCode.STORE_CONNECTION_FAILED, "the connection is closed"
            ) from error


class ClosedForGood(Broken):
    """What `close` ended, `open` doesn't begin again."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1", "LIF-8"})

    async def open(self) -> None:
        if "ended" not in self.notes:
            await super().open()

    async def close(self) -> None:
        self.notes["ended"] = True
        await super().close()


class ForgetsWhenClosed(Broken):
    """`close` takes the data with it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-8"})

    async def close(self) -> None:
        for key in list(self._data.values):
            self._data.remove(key)
        await super().close()


class CloseLeavesATask(Broken):
    """The task that `open` starts is ended by nobody."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    limit: ClassVar[float | None] = 2.0

    async def open(self) -> None:
        await super().open()
        self.notes.setdefault("tasks", []).append(asyncio.create_task(asyncio.sleep(3_600)))


class CloseLeavesAFile(Broken):
    """The file that `open` opens is closed by nobody."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    files: ClassVar[list[Any]] = []

    async def open(self) -> None:
        await super().open()
        # that it stays open is what is broken
        self.files.append(tempfile.TemporaryFile())  # noqa: SIM115


class CancelledOpeningLeavesAFile(Broken):
    """Only `close` closes the file that `open` opens; a cancelled `open` leaves it open."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    _file: Any = None

    async def open(self) -> None:
        # that it stays open is what is broken
        self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
        await asyncio.sleep(0)
        await super().open()

    async def close(self) -> None:
        await super().close()
        if self._file is not None:
            self._file.close()
            self._file = None


class CloseForgetsReaders(Broken):
    """`close` doesn't wake those who wait for entries."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def close(self) -> None:
        self._waiting.clear()
        await super().close()


class CloseForgetsListeners(Broken):
    """Subscriptions go on after `close`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def close(self) -> None:
        self._subscriptions.clear()
        await super().close()


class ReadersSeeADriversError(Broken):
    """Readers that wait when the adapter closes get whatever the driver says."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        try:
            return await super().xreadgroup(stream, group, consumer, **options)
        except StoreError as error:
            if error.code is ErrorCode.STORE_CLOSED and options.get("block"):
                message = "Connection closed by server."
                raise ConnectionResetError(message) from error
            raise


class WritesReachOthersLater(Broken):
    """A value is seen by other clients once this one has written the next, as without a commit."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-7"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        if only_if is not None or ttl is not None or not value.startswith(b"from "):
            return await super().set(key, value, ttl=ttl, only_if=only_if)
        pending = self.notes.setdefault("pending", {})
        if key in pending:
            await super().set(key, pending[key])
        pending[key] = value
        return True


class NotOpenWithItsOwnWords(Broken):
    """Before `open` an operation trips over what isn't there."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-8"})

    async def open(self) -> None:
        await super().open()
        self.notes["connection"] = object()

    async def get(self, key: str) -> bytes | None:
        if "connection" not in self.notes:
            message = "'NoneType' object has no attribute 'execute_command'"
            raise AttributeError(message)
        return await super().get(key)


class NameInCapitals(Broken):
    """The name is a sentence."""

    name: ClassVar[str] = "My Backend"
    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-9"})


class Liar(Broken):
    """It inherits `Scan`, and its methods say that they aren't implemented."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-9"})

    async def delete_prefix(self, prefix: str) -> int:
        raise NotImplementedError


class CauseQuotesTheServer(Broken):
    """The server's words, which quote the stream and the group, are the cause of the error."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-22"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        try:
            return await super().xpending(stream, group, **options)
        except StoreError as error:
            raise store_error(error.code, error.message) from LookupError(
                f"NOGROUP No such key '{stream}' or consumer group '{group}'"
            )


class HiddenContextQuotesTheKey(Broken):
    """`from None` hides the driver's error from the traceback, and keeps it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-22"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except StoreError as error:
            failed = store_error(error.code, error.message)
        failed.__context__, failed.__suppress_context__ = LookupError(key), True
        raise failed


class PingSaysPong(Broken):
    """`ping` answers with the backend's word."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-10"})

    async def ping(self) -> float:
        return "PONG"  # type: ignore[return-value]  # what is broken


class HangsInAnotherLoop(Broken):
    """An answer arrives in the loop that opened it, and nobody wakes who waits for it in another
    one.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-11"})
    limit: ClassVar[float | None] = 12.0

    async def open(self) -> None:
        await super().open()
        self.notes["loop"] = asyncio.get_running_loop()

    async def ping(self) -> float:
        if self.notes.get("loop", asyncio.get_running_loop()) is not asyncio.get_running_loop():
            await asyncio.get_running_loop().create_future()
        return await super().ping()


class AbandonForgetsNothing(Broken):
    """`abandon` leaves all as it was, so that subscriptions of a loop that has ended still hear."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12", "LIF-16"})

    def abandon(self) -> None:
        pass


class AbandonLosesTheData(Broken):
    """`abandon` takes the data with it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12"})

    def abandon(self) -> None:
        if self.affinity.has_ended and not self.affinity.is_inherited:
            for key in list(self._data.values):
                self._data.remove(key)
        super().abandon()


class AbandonsTheLiving(Broken):
    """`abandon` doesn't ask whether the loop is closed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12"})

    def abandon(self) -> None:
        if not self.affinity.has_ended:
            self.is_open = False
        super().abandon()


class AbandonLeavesAFile(Broken):
    """What `close` closes, `abandon` leaves open."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-13"})
    limit: ClassVar[float | None] = 4.0
    files: ClassVar[list[Any]] = []

    async def open(self) -> None:
        if not self.is_open:
            self.notes["file"] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self.files.append(self.notes["file"])
        await super().open()

    async def close(self) -> None:
        if "file" in self.notes:
            self.notes["file"].close()
        await super().close()


class ChildAnswersWithADriversError(Broken):
    """In a forked child an operation trips over a thread that isn't there."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-14"})

    async def exists(self, key: str) -> bool:
        if self.affinity.is_inherited:
            message = "cannot schedule new futures after shutdown"
            raise RuntimeError(message)
        return await super().exists(key)


class ChildUnsubscribesItsParent(Broken):
    """`close` in a forked child ends the subscriptions of the parent: here by memory that both
    share, elsewhere by a socket.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-14", "LIF-15"})
    limit: ClassVar[float | None] = 6.0

    async def open(self) -> None:
        self.notes.setdefault("shared", mmap.mmap(-1, 1))
        await super().open()

    async def close(self) -> None:
        if self.affinity.is_inherited and "shared" in self.notes:
            self.notes["shared"][0] = 1
        await super().close()

    async def publish(self, channel: str, payload: bytes) -> int:
        if "shared" in self.notes and self.notes["shared"][0]:
            return 0
        return await super().publish(channel, payload)


class ChildNeverExits(Broken):
    """A forked child that has closed the adapter waits for a thread that nothing ends."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-15"})
    limit: ClassVar[float | None] = 6.0

    async def close(self) -> None:
        if self.affinity.is_inherited:
            threading.Thread(target=threading.Event().wait).start()
        await super().close()


class RefusesTheNextLoop(Broken):
    """`open` compares loops, and doesn't ask whether the former one is closed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-16"})

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        if self.is_open and self.notes.get("loop", loop) is not loop:
            raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, "opened in another event loop")
        self.notes["loop"] = loop
        await super().open()


class AnswersShift(Broken):
    """A cancelled `get` leaves its answer on the connection, and the next one takes it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4", "FLT-5"})

    async def get(self, key: str) -> bytes | None:
        answers: list[bytes | None] = self.notes.setdefault("answers", [])
        answers.append(await super().get(key))
        await others_turn()
        return answers.pop(0)


class OneCancelTakesAll(Broken):
    """Callers of one tick wait for one trip; cancelling one of them cancels it for all."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def get(self, key: str) -> bytes | None:
        trip: asyncio.Task[None] | None = self.notes.get("trip")
        if trip is None or trip.done():
            trip = self.notes["trip"] = asyncio.create_task(asyncio.sleep(0))
        await trip
        return await super().get(key)


class ValueThenTtl(Broken):
    """`set` writes the value, and gives it its TTL in a second step."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if: Condition | None = None
    ) -> bool:
        written = await super().set(key, value, only_if=only_if)
        if written and ttl is not None:
            await others_turn()
            await self.expire(key, ttl)
        return written


class ClosedInsteadOfCancelled(Broken):
    """An `exists` that is cancelled while the adapter closes says that it is closed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def exists(self, key: str) -> bool:
        try:
            for _ in range(2):
                await others_turn()
            return await super().exists(key)
        except asyncio.CancelledError:
            if self.is_open:
                raise
            raise store_error(ErrorCode.STORE_CLOSED, "the adapter is closed") from None


class GhostSubscription(Broken):
    """`subscribe` enters the callback before it waits for the backend, and leaves it there when it
    is cancelled.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = await super().subscribe(channel, callback, on_gap=on_gap)
        await others_turn()
        return subscription


class LostAnswers(Broken):
    """A group read acknowledges what it hands out, so that an answer which is cancelled on its way
    is lost.
    """

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4", "STR-16"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        entries = await super().xreadgroup(stream, group, consumer, **options)
        if entries and not options.get("history"):
            await super().xack(stream, group, [entry.id for entry in entries])
        return entries


class ClosingLosesCallers(Broken):
    """Calls that meet a close wait for ever."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    limit: ClassVar[float | None] = 2.0

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        await others_turn()
        if not self.is_open and "opened" in self.notes:
            await asyncio.get_running_loop().create_future()
        return await super().mget(keys)

    async def open(self) -> None:
        self.notes["opened"] = True
        await super().open()


class FollowsTheDirectory(Broken):
    """Where its data is depends on the working directory at the time of `open`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-21"})

    def use(self, keyspace: Keyspace) -> None:
        super().use(keyspace)
        # a name is all that is wanted
        self.notes["places"] = {os.getcwd(): keyspace}  # noqa: PTH109

    async def open(self) -> None:
        here, kept = os.getcwd(), self._data  # noqa: PTH109 - as above
        self._data = self.notes["places"].setdefault(
            here, Keyspace(kept.clock, None, kept.channels)
        )
        await super().open()
