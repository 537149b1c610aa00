"""Messages of streams as values, and the ids that users give.

Rule: a message is kept in one field named `data`; an entry without it, which other software wrote,
    is a dict of its fields (STR-17).
Rule: an entry that can't be decoded is a message too: it has the entry's id and bytes, and an error
    instead of a value. So one such
entry hides no other, and the reader can acknowledge, move or remove it.
Rule: an entry whose `data` is empty, as Node writes `undefined`, is a dict of its fields too: Node
    reads it that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from igniter_store.arguments import invalid, items, plain_text
from igniter_store.contract import ErrorCode, StoreError, StreamEntry, store_error
from igniter_store.contract.stream_ids import lower_bound, parse, upper_bound
from igniter_store.reasons import reason
from igniter_store.serialization import convert_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.operation import Attempt
    from igniter_store.serialization import Codec

T = TypeVar("T")

FIELD: Final = "data"


class StreamMessage(Struct, Generic[T], frozen=True):
    """One message of a stream, and the id that acknowledges it.

    Attributes:
        id: the entry's id, for `ack` and `remove`.
        message: the value. Reading it raises `error` when the entry can't be decoded.
    """

    id: str
    message: T

    @property
    def error(self) -> StoreError | None:
        """Why the entry can't be decoded: `STORE_DESERIALIZATION_FAILED`, with the id in `details`;
        `None` for a decoded message.
        """
        return None

    @property
    def raw(self) -> dict[str, bytes] | None:
        """The entry's fields as they are stored, when it can't be decoded; `None` for a decoded
        message.
        """
        return None


class _Undecodable(StreamMessage[Any], frozen=True):
    """A message whose entry can't be decoded.

    Its `repr` shows neither the stored bytes nor a value.
    """

    failure: StoreError
    fields: dict[str, bytes]

    @property  # type: ignore[misc]  # a frozen field is only read, as a property is
    def message(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
        # Without the traceback of the previous reader, which would grow with each one.
        raise self.failure.with_traceback(None)

    @property
    def error(self) -> StoreError | None:
        return self.failure

    @property
    def raw(self) -> dict[str, bytes] | None:
        return self.fields

    def __repr__(self) -> str:
        return f"StreamMessage(id={self.id!r}, error={self.failure!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("error", self.failure)]


class Reader:
    """Reads the entries of one answer as messages.

    Args:
        codec: how the store writes its values.
        type: what each message is converted to.
        operation: the operation's name, for the errors of entries that can't be decoded.
        backend: its name, for the same.

    Raises:
        InvalidArgument: `STORE_ARGUMENT_INVALID` when nothing converts to `type`.
    """

    __slots__ = ("_backend", "_codec", "_decode", "_operation", "_type", "_undecodable")

    def __init__(self, codec: Codec, type: Any, operation: str, backend: str) -> None:
        self._decode: Final = codec.first_decoder(type)
        self._codec: Final = codec
        self._type: Final = type
        self._operation: Final = operation
        self._backend: Final = backend
        self._undecodable = 0

    def messages(
        self, entries: Sequence[StreamEntry], attempt: Attempt
    ) -> list[StreamMessage[Any]]:
        """One message for each entry, whether it can be decoded or not; `attempt` notes how many
        there are of both.
        """
        decode = self._decode
        found: list[StreamMessage[Any]] = []
        for entry in entries:
            data = entry.fields.get(FIELD)
            try:
                found.append(
                    StreamMessage(entry.id, decode(data)) if data else self._foreign_message(entry)
                )
            # a serializer or a type of the user's may raise anything
            except Exception as error:  # noqa: BLE001
                found.append(self._read_again(entry, data, error))
        attempt.note("ctx.stream.count", len(found))
        if self._undecodable:
            attempt.note("ctx.stream.undecodable", self._undecodable)
        return found

    def _foreign_message(self, entry: StreamEntry) -> StreamMessage[Any]:
        """What other software wrote.

        Node writes an empty field for `undefined`, and reads the entry's fields in its place.
        """
        return StreamMessage(entry.id, _foreign(entry.fields, self._type))

    def _read_again(
        self, entry: StreamEntry, data: bytes | None, error: Exception
    ) -> StreamMessage[Any]:
        if not data:
            return self._undecoded(entry, error, is_foreign=True)
        try:
            return StreamMessage(
                entry.id, self._codec.second_reading(data, self._type, error, takes_text=False)
            )
        except Exception as again:  # noqa: BLE001 - as in `messages`
            return self._undecoded(entry, again, is_foreign=False)

    def _undecoded(
        self, entry: StreamEntry, error: Exception, *, is_foreign: bool
    ) -> StreamMessage[Any]:
        self._undecodable += 1
        what = (
            "that other software wrote is not of the type that was asked for"
            if is_foreign
            else "can't be decoded as what was asked for"
        )
        # The decoder's exception may quote the entry, so it is not chained.
        failure = store_error(
            ErrorCode.STORE_DESERIALIZATION_FAILED,
            f"The entry {entry.id} {what}: {reason(error)}. Inspect `raw`, then acknowledge or remove the entry.",
            operation=self._operation,
            backend=self._backend,
            details={"id": entry.id, "error": error.__class__.__name__},
        )
        return _Undecodable(entry.id, None, failure, entry.fields)


def stream_ids(ids: Any) -> list[str]:
    """`ids`, each of which spells one."""
    wanted: list[str] = []
    for id in items(ids, "ids"):
        text = plain_text(id)
        if text is None or parse(text) is None:
            raise invalid(
                '`ids` contains an invalid message id (expected e.g. "1700000000000-0"), so nothing was changed.'
            )
        wanted.append(text)
    return wanted


def bound(text: Any, name: str) -> str:
    """`text`, when it can begin or end a range."""
    spelled = plain_text(text)
    if spelled is None or (lower_bound if name == "start" else upper_bound)(spelled) is None:
        raise invalid(
            f'`{name}` must be an id such as "1700000000000-0" or "1700000000000", "-", "+", or an id after "(" to exclude it.'
        )
    return spelled


def _foreign(stored: dict[str, bytes], type: Any) -> Any:
    fields = {name: _text(value) for name, value in stored.items()}
    return fields if type is None or type is Any else convert_text(fields, type)


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
