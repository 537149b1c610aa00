"""Stream messages as values, and checks of message ids.

Rule: a message is stored in one field named `data`. An entry without that field, written by other
    software, is read as a dict of its fields (STR-17).
Rule: an entry with an empty `data` field, which Node writes for `undefined`, is read as a dict of
    its fields too, as Node reads it.
Rule: an entry that can't be decoded is still a message: it has the entry's id and bytes, and an
    error instead of a value. It therefore hides no other entry, and the reader can acknowledge,
    move or remove it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from igniter_store.arguments import invalid, items, plain_text
from igniter_store.contract import ErrorCode, StoreError, StreamEntry, store_error
from igniter_store.contract.stream_ids import lower_bound, parse, upper_bound
from igniter_store.keys import checked_key, shown_name
from igniter_store.reasons import reason
from igniter_store.serialization import convert_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from igniter_store.operation import Attempt
    from igniter_store.serialization import Codec

T = TypeVar("T")

FIELD: Final = "data"


class StreamMessage(Struct, Generic[T], frozen=True):
    """One message of a stream, with the id that acknowledges it.

    Attributes:
        id: the entry's id, for `ack` and `remove`.
        message: the value. Reading it raises `error` if the entry couldn't be decoded.
    """

    id: str
    message: T

    @property
    def error(self) -> StoreError | None:
        """The reason why the entry couldn't be decoded; `None` for a decoded message.

        The code is `STORE_DESERIALIZATION_FAILED`, and `details` has the id.
        """
        return None

    @property
    def raw(self) -> dict[str, bytes] | None:
        """The stored fields of an entry that couldn't be decoded; `None` for a decoded message."""
        return None


class _Undecodable(StreamMessage[Any], frozen=True):
    """A message whose entry can't be decoded.

    Its `repr` shows neither the stored bytes nor a value.
    """

    failure: StoreError
    fields: dict[str, bytes]

    @property  # type: ignore[misc]  # frozen fields are read-only, like this property
    def message(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
        # Reset the traceback, which would otherwise grow with each access.
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


class MessageReader:
    """Converts the entries of one reply to messages.

    Args:
        codec: the store's codec.
        type: the type to convert each message to.
        operation: the operation's name, for the errors of entries that can't be decoded.
        backend: the backend's name, for the same errors.

    Raises:
        InvalidArgument: `STORE_ARGUMENT_INVALID` when conversion to `type` isn't supported.
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
        """Return one message for each entry, decodable or not.

        The numbers of messages and of undecodable entries are noted on `attempt`.
        """
        decode = self._decode
        found: list[StreamMessage[Any]] = []
        for entry in entries:
            data = entry.fields.get(FIELD)
            try:
                found.append(
                    StreamMessage(entry.id, decode(data)) if data else self._foreign_message(entry)
                )
            # a user's serializer or type may raise anything
            except Exception as error:  # noqa: BLE001
                found.append(self._read_again(entry, data, error))
        attempt.note("ctx.stream.count", len(found))
        if self._undecodable:
            attempt.note("ctx.stream.undecodable", self._undecodable)
        return found

    def _foreign_message(self, entry: StreamEntry) -> StreamMessage[Any]:
        """Return the message of an entry without `data`, written by other software.

        Node writes an empty `data` field for `undefined`, and reads such an entry as its fields.
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
        # Not chained, because the decoder's exception may quote the entry.
        failure = store_error(
            ErrorCode.STORE_DESERIALIZATION_FAILED,
            f"The entry {entry.id} {what}: {reason(error)}. Inspect `raw`, then acknowledge or "
            "remove the entry.",
            operation=self._operation,
            backend=self._backend,
            details={"id": entry.id, "error": error.__class__.__name__},
        )
        return _Undecodable(entry.id, None, failure, entry.fields)


def stream_key(prefix: str, stream: Any, attempt: Attempt) -> str:
    """Return the complete key of a stream, and note the stream's name on `attempt`.

    Raises:
        InvalidArgument: `STORE_STREAM_NAME_REQUIRED`, `STORE_KEY_INVALID`.
    """
    key = prefix + checked_key(stream, "stream's name", ErrorCode.STORE_STREAM_NAME_REQUIRED)
    attempt.note("ctx.stream.name", shown_name(stream))
    return key


def stream_ids(ids: Any) -> list[str]:
    """Return `ids` as a list, after checking that each is a valid message id."""
    wanted: list[str] = []
    for id in items(ids, "ids"):
        text = plain_text(id)
        if text is None or parse(text) is None:
            raise invalid(
                '`ids` contains an invalid message id (expected e.g. "1700000000000-0"), so '
                "nothing was changed."
            )
        wanted.append(text)
    return wanted


def bound(text: Any, name: str) -> str:
    """Return `text` if it is a valid start or end of a range."""
    spelled = plain_text(text)
    if spelled is None or (lower_bound if name == "start" else upper_bound)(spelled) is None:
        raise invalid(
            f'`{name}` must be an id such as "1700000000000-0" or "1700000000000", "-", "+", or an '
            'id after "(" to exclude it.'
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
