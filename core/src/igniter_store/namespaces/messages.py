"""Messages of streams as values, and the ids that users give.

Rule: a message is kept in one field named `data`; an entry without it, which other software wrote, is a dict of its fields (STR-17).
Rule: so is an entry whose `data` is empty, as Node writes `undefined`, or isn't JSON: Node reads it that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Struct

from igniter_store.arguments import invalid, items, plain_text
from igniter_store.contract import ErrorCode, StreamEntry, store_error
from igniter_store.contract.stream_ids import lower_bound, parse, upper_bound
from igniter_store.json_text import NotJSON
from igniter_store.reasons import reason
from igniter_store.serialization import convert_text, undecodable

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.serialization import Codec

T = TypeVar("T")

FIELD: Final = "data"


class StreamMessage(Struct, Generic[T], frozen=True):
    """One message of a stream, and the id that acknowledges it."""

    id: str
    message: T


def reader(codec: Codec, type: Any) -> Callable[[StreamEntry], StreamMessage[Any]]:
    """A function that reads entries as messages of `type`.

    Raises:
        InvalidArgument: `STORE_ARGUMENT_INVALID` when nothing converts to `type`.
    """
    decode = codec.bare_decoder(type, takes_text=False)

    def read(entry: StreamEntry) -> StreamMessage[Any]:
        data = entry.fields.get(FIELD)
        if not data:
            return StreamMessage(entry.id, _foreign(entry, type))
        try:
            return StreamMessage(entry.id, decode(data))
        except NotJSON:
            return StreamMessage(entry.id, _foreign(entry, type))
        except Exception as error:  # noqa: BLE001 - a serializer or a type of the caller's may raise anything
            raise undecodable(error) from None

    return read


def stream_ids(ids: Any) -> list[str]:
    """`ids`, each of which spells one."""
    wanted: list[str] = []
    for id in items(ids, "ids"):
        text = plain_text(id)
        if text is None or parse(text) is None:
            raise invalid('`ids` are the ids of messages, such as "1700000000000-0". One of them is none, so nothing was done.')
        wanted.append(text)
    return wanted


def bound(text: Any, name: str) -> str:
    """`text`, when it can begin or end a range."""
    spelled = plain_text(text)
    if spelled is None or (lower_bound if name == "start" else upper_bound)(spelled) is None:
        raise invalid(
            f'`{name}` is an id such as "1700000000000-0" or "1700000000000", "-", "+", or an id with "(" before it to leave it out.'
        )
    return spelled


def _foreign(entry: StreamEntry, type: Any) -> Any:
    fields = {name: _text(value) for name, value in entry.fields.items()}
    if type is None or type is Any:
        return fields
    try:
        return convert_text(fields, type)
    except Exception as error:  # noqa: BLE001 - a type of the user's may raise anything
        raise store_error(
            ErrorCode.STORE_DESERIALIZATION_FAILED,
            f"An entry that other software wrote is not of the type that was asked for: {reason(error)}.",
        ) from None


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
