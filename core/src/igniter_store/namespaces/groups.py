"""`store.streams.group(...)`: one consumer of a group that shares the messages of a stream.

Rule: semantics are the clauses STR of the contract.
Rule: each message is delivered to one consumer of a group. It is pending for that consumer until it
    is acknowledged, or another consumer claims it.
Rule: no message is lost when a consumer dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, overload

from igniter_store.arguments import boolean, invalid, optional_whole_number, plain_text
from igniter_store.contract import ErrorCode, PendingEntry
from igniter_store.contract.stream_ids import parse
from igniter_store.keys import checked_key, shown_name
from igniter_store.namespaces.messages import MessageReader, StreamMessage, stream_ids, stream_key
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Attempt, Operation
from igniter_store.ttl import Ttl, waiting_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import TypeForm

T = TypeVar("T")

ENSURE: Final = Operation(
    "streams.group.ensure", ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED, event="stream.group"
)
READ: Final = Operation(
    "streams.group.read", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.read"
)
ACK: Final = Operation("streams.group.ack", ErrorCode.STORE_STREAM_ACK_FAILED, event="stream.ack")
PENDING: Final = Operation(
    "streams.group.pending", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.pending"
)
DESTROY: Final = Operation(
    "streams.group.destroy", ErrorCode.STORE_DELETE_FAILED, event="stream.destroy"
)
CLAIM: Final = Operation(
    "streams.group.claim", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.claim"
)


PendingMessage: TypeAlias = PendingEntry
"""A message that was delivered and isn't acknowledged yet."""


class ConsumerGroup(Namespace):
    """One consumer of one group, for any stream.

    Attributes:
        name: the group's name.
        consumer: the consumer's name. Give every reader a name of its own, and keep that name
            across restarts.
    """

    word = "streams"

    def __init__(self, surroundings: Surroundings, name: str, consumer: str) -> None:
        super().__init__(surroundings)
        self.name: Final = name
        self.consumer: Final = consumer
        self._backend: Final = surroundings.backend

    async def ensure(self, stream: str, *, start: str = "0") -> None:
        """Create the group, and the stream if it is missing.

        An existing group keeps its position. Redis XGROUP CREATE; STR-4, STR-5.

        Args:
            stream: the stream's name.
            start: "0" reads all messages from the beginning, "$" only messages appended from now
                on, an id only messages after it.

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`; `STORE_ARGUMENT_INVALID` for a malformed
                `start`.
        """
        with self._attempt(ENSURE) as attempt:
            key = self._stream(stream, attempt)
            position = plain_text(start)
            if position is None or (position != "$" and parse(position) is None):
                raise invalid(
                    '`start` must be "0" (all messages), "$" (only new messages) or the id of '
                    "a message."
                )
            await self._through.streams.xgroup_create(key, self.name, position)

    @overload
    async def read(
        self,
        stream: str,
        *,
        count: int | None = None,
        block: Ttl | None = None,
        history: bool = False,
    ) -> list[StreamMessage[Any]]: ...
    @overload
    async def read(
        self,
        stream: str,
        *,
        count: int | None = None,
        block: Ttl | None = None,
        type: TypeForm[T],
        history: bool = False,
    ) -> list[StreamMessage[T]]: ...
    async def read(
        self,
        stream: str,
        *,
        count: int | None = None,
        block: Ttl | None = None,
        type: Any = None,
        history: bool = False,
    ) -> list[StreamMessage[Any]]:
        """Read new messages, which stay pending for this consumer until `ack`.

        Redis XREADGROUP; STR-6, STR-7, STR-18.

        Args:
            stream: the stream's name.
            count: the maximum number of messages; 0 reads none, and `None` reads all.
            block: how long to wait for new messages. The call returns as soon as a message arrives.
                `None` and 0 don't wait.
            type: the type to convert each message to, as in `kv.get`.
            history: read this consumer's own pending messages again, instead of new ones. Do this
                first after a restart. It counts as a delivery.

        If the call is cancelled, the messages that it would have returned are still new, or pending
        for this consumer. An entry that can't be decoded is returned as a message with an `error`.
        It is pending like the others, and doesn't hide them; STR-24.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING` when the group doesn't exist, or is removed
                while the call waits.
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_TTL_INVALID` for `block`,
                `STORE_ARGUMENT_INVALID`.
        """
        with self._attempt(READ) as attempt:
            key, reader = (
                self._stream(stream, attempt),
                MessageReader(self._codec, type, READ.name, self._backend),
            )
            limit = optional_whole_number(count, "count", least=0)
            wait = None if block is None else waiting_seconds(block, "block")
            again = boolean(history, "history")
            if limit == 0:
                self._through.check()
                return []
            reading = self._through.streams.xreadgroup(
                key, self.name, self.consumer, count=limit, block=wait or None, history=again
            )
            entries = await (self._through.wait(reading) if wait else reading)
            return reader.messages(entries, attempt)

    async def ack(self, stream: str, ids: Iterable[str]) -> int:
        """Acknowledge messages of any consumer, and return how many were pending.

        Unknown ids, ids that were already acknowledged, and a missing group or stream count as 0.
        Without ids, it returns 0 and nothing is sent. Redis XACK; STR-9.

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`; `STORE_ARGUMENT_INVALID` for a malformed
                id, and no message is acknowledged.
        """
        with self._attempt(ACK) as attempt:
            key, wanted = self._stream(stream, attempt), stream_ids(ids)
            if not wanted:
                self._through.check()
                return 0
            acknowledged = await self._through.streams.xack(key, self.name, wanted)
            attempt.note("ctx.stream.count", acknowledged)
            return acknowledged

    async def pending(
        self,
        stream: str,
        *,
        count: int | None = None,
        consumer: str | None = None,
        min_idle: Ttl | None = None,
    ) -> list[PendingMessage]:
        """Return the group's pending messages, ordered by id.

        This changes nothing. Redis XPENDING; STR-8, STR-25.

        Args:
            stream: the stream's name.
            count: the maximum number to return, the oldest ids first; 0 returns none, and `None`
                returns all, however many there are.
            consumer: return only messages that are pending for this consumer; `None` returns those
                of every consumer.
            min_idle: return only messages whose last delivery was at least this long ago, in
                seconds or as a `timedelta`.

        A list that needs several round trips isn't a snapshot: a message that is acknowledged
        during the call may be included or not.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_STREAM_CONSUMER_REQUIRED` for an
                empty `consumer`, `STORE_TTL_INVALID` for `min_idle`, `STORE_ARGUMENT_INVALID` for
                `count`.
        """
        with self._attempt(PENDING) as attempt:
            key, limit = (
                self._stream(stream, attempt),
                optional_whole_number(count, "count", least=0),
            )
            whose = (
                None
                if consumer is None
                else checked_key(
                    consumer, "consumer's name", ErrorCode.STORE_STREAM_CONSUMER_REQUIRED
                )
            )
            idle = None if min_idle is None else waiting_seconds(min_idle, "min_idle")
            if limit == 0:
                self._through.check()
                return []
            entries = await self._through.streams.xpending(
                key, self.name, min_idle=idle, consumer=whose, count=limit
            )
            attempt.note("ctx.stream.count", len(entries))
            return entries

    @overload
    async def claim(
        self, stream: str, *, min_idle: Ttl, count: int | None = None
    ) -> list[StreamMessage[Any]]: ...
    @overload
    async def claim(
        self, stream: str, *, min_idle: Ttl, count: int | None = None, type: TypeForm[T]
    ) -> list[StreamMessage[T]]: ...
    async def claim(
        self, stream: str, *, min_idle: Ttl, count: int | None = None, type: Any = None
    ) -> list[StreamMessage[Any]]:
        """Take over messages that were pending for at least `min_idle`, the oldest first.

        This recovers the messages of a dead consumer. If several consumers claim concurrently, each
        message goes to one of them. Choose a `min_idle` longer than any handler takes. Redis
        XAUTOCLAIM; STR-10.

        Args:
            stream: the stream's name.
            min_idle: the minimum time since the message's last delivery.
            count: the maximum number of messages; 0 takes none, and `None` takes all.
            type: the type to convert each message to, as in `kv.get`.

        An entry that can't be decoded is returned as a message with an `error`. It is taken over
        like the others, and doesn't hide them; STR-24.

        Raises:
            BackendFailed: `STORE_STREAM_GROUP_MISSING`.
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_TTL_INVALID` for `min_idle`,
                `STORE_ARGUMENT_INVALID`.
        """
        with self._attempt(CLAIM) as attempt:
            key, reader = (
                self._stream(stream, attempt),
                MessageReader(self._codec, type, CLAIM.name, self._backend),
            )
            idle, limit = (
                waiting_seconds(min_idle, "min_idle"),
                optional_whole_number(count, "count", least=0),
            )
            if limit == 0:
                self._through.check()
                return []
            entries = await self._through.streams.xautoclaim(
                key, self.name, self.consumer, idle, count=limit
            )
            return reader.messages(entries, attempt)

    async def destroy(self, stream: str) -> bool:
        """Remove the group for all its consumers, and return whether it existed.

        Its position and its pending list are removed in one atomic step; the messages and the other
        groups stay. The group's pending messages are lost to it: a group that is created again
        reads from its `start`. Readers that wait in the group get `STORE_STREAM_GROUP_MISSING`.
        Redis XGROUP DESTROY; STR-13, STR-22.

        If the call is cancelled, the group is either unchanged or removed.

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_KEY_INVALID`.
            BackendFailed: `STORE_OPERATION_FAILED` when the key doesn't hold a stream.
        """
        with self._attempt(DESTROY) as attempt:
            return await self._through.streams.xgroup_destroy(
                self._stream(stream, attempt), self.name
            )

    def _stream(self, stream: str, attempt: Attempt) -> str:
        key = stream_key(self._prefix, stream, attempt)
        attempt.note("ctx.stream.group", shown_name(self.name))
        attempt.note("ctx.stream.consumer", shown_name(self.consumer))
        return key
