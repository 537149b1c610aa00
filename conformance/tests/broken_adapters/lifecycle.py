"""Broken life cycles: opening, closing, abandoning, forks and cancelled calls."""

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
    """`open` raises if the adapter is already open."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1"})

    async def open(self) -> None:
        if self.is_open:
            raise store_error(ErrorCode.STORE_OPERATION_FAILED, "already open")
        await super().open()


class CloseBeforeOpenRaises(Broken):
    """`close` raises if the adapter was never opened."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1"})

    async def open(self) -> None:
        await super().open()
        self.notes["connection"] = object()

    async def close(self) -> None:
        assert self.notes["connection"]
        await super().close()


class GetOpensTheAdapter(Broken):
    """`get` opens a closed adapter."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-2"})

    async def get(self, key: str) -> bytes | None:
        if not self.is_open:
            await self.open()
        return await super().get(key)


class ClosedWithAnotherCode(Broken):
    """`mget` of a closed adapter raises `STORE_CONNECTION_FAILED`."""

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


class NeverReopens(Broken):
    """`open` does nothing after a `close`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-1", "LIF-8"})

    async def open(self) -> None:
        if "ended" not in self.notes:
            await super().open()

    async def close(self) -> None:
        self.notes["ended"] = True
        await super().close()


class CloseDeletesTheData(Broken):
    """`close` deletes all data."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-8"})

    async def close(self) -> None:
        for key in list(self._data.values):
            self._data.remove(key)
        await super().close()


class CloseLeavesATask(Broken):
    """`close` doesn't cancel the task that `open` starts."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    limit: ClassVar[float | None] = 2.0

    async def open(self) -> None:
        await super().open()
        self.notes.setdefault("tasks", []).append(asyncio.create_task(asyncio.sleep(3_600)))


class CloseLeavesAFile(Broken):
    """`close` doesn't close the file that `open` opens."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    files: ClassVar[list[Any]] = []

    async def open(self) -> None:
        await super().open()
        # the bug is that the file stays open
        self.files.append(tempfile.TemporaryFile())  # noqa: SIM115


class CancelledOpenLeavesAFile(Broken):
    """Only `close` closes the file that `open` opens; a cancelled `open` leaves it open."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})
    _file: Any = None

    async def open(self) -> None:
        # the bug is that the file stays open
        self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115
        await asyncio.sleep(0)
        await super().open()

    async def close(self) -> None:
        await super().close()
        if self._file is not None:
            self._file.close()
            self._file = None


class CleanUpForgetsBeforeItCloses(Broken):
    """A cancelled `open` forgets its file before it closes it; a second cancellation leaves it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def open(self) -> None:
        file = os.open(os.devnull, os.O_RDONLY)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            os.close(file)
            raise
        os.close(file)
        await super().open()


class CloseRaisesAnEarlierCancellation(Broken):
    """`close` raises the `CancelledError` of an earlier `close`, whose task was cancelled."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def close(self) -> None:
        closing = self.notes.pop("closing", None)
        if closing is not None and closing.cancelled():
            raise asyncio.CancelledError
        self.notes["closing"] = asyncio.create_task(self._close())
        await asyncio.shield(self.notes["closing"])

    async def _close(self) -> None:
        await asyncio.sleep(0)
        await super().close()


class CloseWakesNoReader(Broken):
    """`close` doesn't wake the blocked readers."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def close(self) -> None:
        self._waiting.clear()
        await super().close()


class CloseKeepsSubscriptions(Broken):
    """`close` doesn't end the subscriptions."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-5"})

    async def close(self) -> None:
        self._subscriptions.clear()
        await super().close()


class BlockedReadRaisesADriversError(Broken):
    """A blocked read raises a driver's error when the adapter closes."""

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


class WritesReachOtherClientsLate(Broken):
    """Other clients see a value only after the next `set` of the key, as without a commit."""

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


class NotOpenRaisesAttributeError(Broken):
    """`get` raises `AttributeError` before `open`."""

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
    """The adapter's `name` has capitals and a space."""

    name: ClassVar[str] = "My Backend"
    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-9"})


class DeletePrefixIsNotImplemented(Broken):
    """The adapter inherits `Scan`, but `delete_prefix` raises `NotImplementedError`."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-9"})

    async def delete_prefix(self, prefix: str) -> int:
        raise NotImplementedError


class CauseQuotesTheServer(Broken):
    """The cause of an `xpending` error quotes the names of the stream and the group."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-22"})

    async def xpending(self, stream: str, group: str, **options: Any) -> list[PendingEntry]:
        try:
            return await super().xpending(stream, group, **options)
        except StoreError as error:
            raise store_error(error.code, error.message) from LookupError(
                f"NOGROUP No such key '{stream}' or consumer group '{group}'"
            )


class HiddenContextQuotesTheKey(Broken):
    """The context of an `increment` error contains the key; only the traceback hides it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-22"})

    async def increment(self, key: str, delta: int = 1, *, ttl: float | None = None) -> int:
        try:
            return await super().increment(key, delta, ttl=ttl)
        except StoreError as error:
            failed = store_error(error.code, error.message)
        failed.__context__, failed.__suppress_context__ = LookupError(key), True
        raise failed


class PingReturnsPong(Broken):
    """`ping` returns the server's reply instead of the round-trip time."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-10"})

    async def ping(self) -> float:
        return "PONG"  # type: ignore[return-value]  # the bug


class HangsInAnotherLoop(Broken):
    """`ping` never returns in an event loop other than the one that opened the adapter."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-11"})
    limit: ClassVar[float | None] = 12.0

    async def open(self) -> None:
        await super().open()
        self.notes["loop"] = asyncio.get_running_loop()

    async def ping(self) -> float:
        if self.notes.get("loop", asyncio.get_running_loop()) is not asyncio.get_running_loop():
            await asyncio.get_running_loop().create_future()
        return await super().ping()


class AbandonDoesNothing(Broken):
    """`abandon` does nothing, so subscriptions of a closed event loop stay active."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12", "LIF-16"})

    def abandon(self) -> None:
        pass


class AbandonDeletesTheData(Broken):
    """`abandon` deletes all data."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12"})

    def abandon(self) -> None:
        if self.affinity.has_ended and not self.affinity.is_inherited:
            for key in list(self._data.values):
                self._data.remove(key)
        super().abandon()


class AbandonIgnoresAnOpenLoop(Broken):
    """`abandon` marks the adapter as closed even if its event loop is open."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-12"})

    def abandon(self) -> None:
        if not self.affinity.has_ended:
            self.is_open = False
        super().abandon()


class AbandonLeavesAFile(Broken):
    """`abandon` doesn't close the file that `close` closes."""

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


class ChildRaisesADriversError(Broken):
    """`exists` raises a driver's error in a forked child."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-14"})

    async def exists(self, key: str) -> bool:
        if self.affinity.is_inherited:
            message = "cannot schedule new futures after shutdown"
            raise RuntimeError(message)
        return await super().exists(key)


class ChildUnsubscribesItsParent(Broken):
    """`close` in a forked child ends the parent's subscriptions, as over a shared socket."""

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
    """`close` in a forked child starts a thread that never ends."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-15"})
    limit: ClassVar[float | None] = 6.0

    async def close(self) -> None:
        if self.affinity.is_inherited:
            threading.Thread(target=threading.Event().wait).start()
        await super().close()


class RefusesTheNextLoop(Broken):
    """`open` rejects a second event loop even if the first one is closed."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-16"})

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        if self.is_open and self.notes.get("loop", loop) is not loop:
            raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, "opened in another event loop")
        self.notes["loop"] = loop
        await super().open()


class OpenHoldsALockForEver(Broken):
    """The lock of an `open` that a loop's end interrupts is never released."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-16"})

    async def open(self) -> None:
        if self.notes.get("opening in") not in {None, asyncio.get_running_loop()}:
            raise store_error(ErrorCode.STORE_CONNECTION_FAILED, "another task is opening")
        self.notes["opening in"] = asyncio.get_running_loop()
        await asyncio.sleep(0)
        await super().open()
        self.notes["opening in"] = None


class RepliesShift(Broken):
    """A cancelled `get` leaves its reply in the queue, and the next `get` returns it."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4", "FLT-5"})

    async def get(self, key: str) -> bytes | None:
        answers: list[bytes | None] = self.notes.setdefault("answers", [])
        answers.append(await super().get(key))
        await others_turn()
        return answers.pop(0)


class CancelReachesOtherCallers(Broken):
    """Concurrent `get` calls share one task; cancelling one call cancels all of them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4"})

    async def get(self, key: str) -> bytes | None:
        trip: asyncio.Task[None] | None = self.notes.get("trip")
        if trip is None or trip.done():
            trip = self.notes["trip"] = asyncio.create_task(asyncio.sleep(0))
        await trip
        return await super().get(key)


class ValueThenTtl(Broken):
    """`set` writes the value, lets other tasks run, and then sets the TTL."""

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
    """`exists` raises `STORE_CLOSED` if it is cancelled while the adapter closes."""

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


class CancelledSubscribeStaysActive(Broken):
    """A cancelled `subscribe` leaves its subscription active."""

    breaks: ClassVar[frozenset[str]] = frozenset({"PUB-5"})

    async def subscribe(
        self, channel: str, callback: MessageCallback, *, on_gap: GapCallback | None = None
    ) -> Subscription:
        subscription = await super().subscribe(channel, callback, on_gap=on_gap)
        await others_turn()
        return subscription


class GroupReadAcknowledges(Broken):
    """`xreadgroup` acknowledges the entries that it returns, so a cancelled call loses them."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-4", "STR-16"})

    async def xreadgroup(
        self, stream: str, group: str, consumer: str, **options: Any
    ) -> list[StreamEntry]:
        entries = await super().xreadgroup(stream, group, consumer, **options)
        if entries and not options.get("history"):
            await super().xack(stream, group, [entry.id for entry in entries])
        return entries


class MgetHangsAfterClose(Broken):
    """`mget` never returns if the adapter closes before or during the call."""

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


class DataPerWorkingDirectory(Broken):
    """Each working directory has its own data, which `open` selects."""

    breaks: ClassVar[frozenset[str]] = frozenset({"LIF-21"})

    def use(self, keyspace: Keyspace) -> None:
        super().use(keyspace)
        # the directory is only used as a name
        self.notes["places"] = {os.getcwd(): keyspace}  # noqa: PTH109

    async def open(self) -> None:
        here, kept = os.getcwd(), self._data  # noqa: PTH109 - only a name
        self._data = self.notes["places"].setdefault(
            here, Keyspace(kept.clock, None, kept.channels)
        )
        await super().open()
