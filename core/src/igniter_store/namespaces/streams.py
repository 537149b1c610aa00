"""`store.streams`: logs whose messages consumer groups share.

Rule: semantics are the clauses STR of the contract.
Rule: a message is a value, stored in one field named `data`. An entry with other fields, written by
    other software, is read as a dict of them (STR-17).
Rule: operations are atomic, and raise the same errors as those of `store.kv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from igniter_store.arguments import boolean, optional_whole_number, whole_number
from igniter_store.contract import ErrorCode, GroupInfo
from igniter_store.keys import checked_key
from igniter_store.namespaces.groups import ConsumerGroup
from igniter_store.namespaces.messages import (
    FIELD,
    MessageReader,
    StreamMessage,
    bound,
    stream_ids,
    stream_key,
)
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import TypeForm

T = TypeVar("T")

APPEND: Final = Operation(
    "streams.append", ErrorCode.STORE_STREAM_APPEND_FAILED, event="stream.append"
)
RANGE: Final = Operation("streams.range", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.range")
LENGTH: Final = Operation(
    "streams.length", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.length"
)
TRIM: Final = Operation("streams.trim", ErrorCode.STORE_OPERATION_FAILED, event="stream.trim")
REMOVE: Final = Operation("streams.remove", ErrorCode.STORE_DELETE_FAILED, event="stream.remove")
DROP: Final = Operation("streams.drop", ErrorCode.STORE_DELETE_FAILED, event="stream.drop")
GROUPS: Final = Operation(
    "streams.groups", ErrorCode.STORE_STREAM_READ_FAILED, event="stream.groups"
)


class StreamNamespace(Namespace):
    """Streams under keys."""

    word = "streams"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._surroundings: Final = surroundings

    async def append(
        self, stream: str, message: Any, *, max_len: int | None = None, approximate: bool = True
    ) -> str:
        """Append a message and return its id, which is greater than all earlier ids.

        Redis XADD; STR-1.

        Args:
            stream: the stream's name; a missing stream is created.
            message: any value that the serializer can encode.
            max_len: trim the stream to this many messages, the newest ones, in the same step.
            approximate: let the backend keep some hundred messages more, which is cheaper (STR-3).

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`; `STORE_ARGUMENT_INVALID` for any other
                invalid argument.
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
        """
        with self._attempt(APPEND) as attempt:
            key = stream_key(self._prefix, stream, attempt)
            length = optional_whole_number(max_len, "max_len", least=0)
            return await self._through.streams.xadd(
                key,
                {FIELD: self._codec.encode(message)},
                max_len=length,
                approximate=boolean(approximate, "approximate"),
            )

    @overload
    async def range(
        self,
        stream: str,
        *,
        start: str = "-",
        end: str = "+",
        count: int | None = None,
        reverse: bool = False,
    ) -> list[StreamMessage[Any]]: ...
    @overload
    async def range(
        self,
        stream: str,
        *,
        start: str = "-",
        end: str = "+",
        count: int | None = None,
        reverse: bool = False,
        type: TypeForm[T],
    ) -> list[StreamMessage[T]]: ...
    async def range(  # noqa: PLR0913 - the arguments of XRANGE
        self,
        stream: str,
        *,
        start: str = "-",
        end: str = "+",
        count: int | None = None,
        reverse: bool = False,
        type: Any = None,
    ) -> list[StreamMessage[Any]]:
        """Return the messages from `start` to `end`, both included, the oldest first.

        Redis XRANGE; STR-2.

        Args:
            stream: the stream's name; a missing stream has no messages.
            start: an id, `<milliseconds>`, `-` for the beginning, or `(` before an id to exclude
                it.
            end: the same, with `+` for the end.
            count: the maximum number of messages, counted from `start`, or from `end` with
                `reverse`; 0 returns none.
            reverse: return the newest messages first.
            type: the type to convert each message to, as in `kv.get`.

        An entry that can't be decoded is returned as a message with an `error`, and doesn't hide
        the others; STR-24.

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`; `STORE_ARGUMENT_INVALID` for a malformed
                id or any other invalid argument.
        """
        with self._attempt(RANGE) as attempt:
            key, reader = (
                stream_key(self._prefix, stream, attempt),
                MessageReader(self._codec, type, RANGE.name, self._surroundings.backend),
            )
            low, high = bound(start, "start"), bound(end, "end")
            limit = optional_whole_number(count, "count", least=0)
            newest_first = boolean(reverse, "reverse")
            if limit == 0:
                self._through.check()
                return []
            if newest_first:
                entries = await self._through.streams.xrevrange(key, high, low, count=limit)
            else:
                entries = await self._through.streams.xrange(key, low, high, count=limit)
            return reader.messages(entries, attempt)

    async def length(self, stream: str) -> int:
        """Return the number of messages; 0 when the stream doesn't exist. Redis XLEN; STR-14."""
        with self._attempt(LENGTH) as attempt:
            key = stream_key(self._prefix, stream, attempt)
            length = await self._through.streams.xlen(key)
            attempt.note("ctx.stream.count", length)
            return length

    async def trim(self, stream: str, max_len: int, *, approximate: bool = True) -> int:
        """Keep the newest `max_len` messages, and return how many were removed.

        With `approximate`, the backend may keep some more. Redis XTRIM; STR-3, STR-14.
        """
        with self._attempt(TRIM) as attempt:
            key, length = (
                stream_key(self._prefix, stream, attempt),
                whole_number(max_len, "max_len", least=0),
            )
            removed = await self._through.streams.xtrim(
                key, length, approximate=boolean(approximate, "approximate")
            )
            attempt.note("ctx.stream.count", removed)
            return removed

    async def remove(self, stream: str, ids: Iterable[str]) -> int:
        """Remove messages by id, and return how many existed. Redis XDEL; STR-14.

        Raises:
            InvalidArgument: `STORE_ARGUMENT_INVALID` for a malformed id, and no message is removed.
        """
        with self._attempt(REMOVE) as attempt:
            key, wanted = stream_key(self._prefix, stream, attempt), stream_ids(ids)
            if not wanted:
                self._through.check()
                return 0
            removed = await self._through.streams.xdel(key, wanted)
            attempt.note("ctx.stream.count", removed)
            return removed

    async def drop(self, stream: str) -> bool:
        """Remove the stream with its messages, groups and pending lists.

        Returns whether the stream existed. This is one atomic step. Readers that wait in one of its
        groups get `STORE_STREAM_GROUP_MISSING`. The next `append` creates a new stream, whose ids
        start anew. To remove the messages and keep the groups, use `trim(stream, 0,
        approximate=False)`. Redis DEL; KV-10, STR-13.

        If the call is cancelled, the stream is either unchanged or removed.

        Raises:
            InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_KEY_INVALID`.
        """
        with self._attempt(DROP) as attempt:
            return (
                await self._through.keyvalue.delete([stream_key(self._prefix, stream, attempt)]) > 0
            )

    async def groups(self, stream: str) -> list[GroupInfo]:
        """Return the stream's groups, each with its numbers of unread and pending messages.

        Redis XINFO GROUPS; STR-19.
        """
        with self._attempt(GROUPS) as attempt:
            key = stream_key(self._prefix, stream, attempt)
            groups = await self._through.streams.xgroups(key)
            attempt.note("ctx.stream.count", len(groups))
            return groups

    def group(self, group: str, consumer: str) -> ConsumerGroup:
        """Return a reader for the consumer `consumer` of the group `group`. Nothing is sent.

        Raises:
            InvalidArgument: `STORE_STREAM_GROUP_REQUIRED`, `STORE_STREAM_CONSUMER_REQUIRED`,
                `STORE_KEY_INVALID`.
        """
        return ConsumerGroup(
            self._surroundings,
            checked_key(group, "group's name", ErrorCode.STORE_STREAM_GROUP_REQUIRED),
            checked_key(consumer, "consumer's name", ErrorCode.STORE_STREAM_CONSUMER_REQUIRED),
        )
