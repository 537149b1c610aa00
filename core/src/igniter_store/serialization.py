"""Values as bytes and back, once, above every backend.

Rule: JSON is what `JSON.stringify` makes: UTF-8, no spaces. What JSON would change silently is refused: NaN, infinities, and mappings whose
keys are no `str` (declare a type with such keys to store them: its keys come back as they were).
Rule: a failure names types and places in the value, never the value; so the library's own exception, which may quote it, is not chained.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

import msgspec

from igniter_store.arguments import is_a
from igniter_store.contract import ErrorCode, StoreError, store_error

Decoder: TypeAlias = Callable[[bytes], Any]

_TYPES_KEPT: Final = 512  # decoders that are kept ready, one for each type that is asked for
# msgspec's own words, where they name types and a place alone.
_SAFE_REASON: Final = re.compile(r"Expected `[^`]+`, got `[^`]+`|Object missing required field `[^`]+`")
_PLACE: Final = re.compile(r" - at `(\$[\w.\[\]]*)`$")


_AMBIGUOUS: Final = (bytes, bytearray, memoryview, dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal)
_NON_FINITE: Final = "JSON has no NaN and no infinity"
_FOREIGN_KEY: Final = "a mapping has a key that is no str, and JSON would turn it into one"


class Unencodable(ValueError):  # noqa: N818 - it is a quality of the value
    """Raised by our serializers for what they refuse; its message says nothing of the value but types."""


@runtime_checkable
class Serializer(Protocol):
    """What `with_serializer` takes."""

    def encode(self, value: Any) -> bytes:
        """`value` as bytes; anything it raises becomes `STORE_SERIALIZATION_FAILED`."""
        ...

    def decode(self, data: bytes, type: Any) -> Any:
        """The value in `data` as a `type`; `typing.Any` takes what comes. Anything it raises becomes `STORE_DESERIALIZATION_FAILED`."""
        ...


class JSONSerializer:
    """JSON, shared with the TypeScript library. The default."""

    def encode(self, value: Any) -> bytes:
        """`value` as compact JSON; dataclasses, msgspec structs, TypedDicts, attrs classes, pydantic models, dates and UUIDs included."""
        data = _encode_json(value)
        kind = value.__class__
        if kind in _SCALARS:
            return data
        # JSON has no NaN and no infinity, and msgspec writes null for them; it turns keys that are no str into str. Most values are flat
        # mappings, or hold such, as an event holds its data; these are looked at here.
        if kind is dict:
            for key, child in value.items():
                if key.__class__ is not str:
                    break
                kind = child.__class__
                if kind not in _SCALARS and (kind is not float or child - child != 0.0) and (kind is not dict or not _is_flat(child)):
                    break
            else:
                return data
        if not _is_all_plain(value) and b"null" in data and _holds_non_finite(msgspec.to_builtins(value, enc_hook=_encode_foreign)):
            raise Unencodable(_NON_FINITE)
        return data

    def decode(self, data: bytes, type: Any) -> Any:
        """The value in `data`, converted to `type`."""
        return self.decoder(type)(data)

    def decoder(self, type: Any) -> Decoder:
        """The function that `decode` uses for `type`, made once."""
        return _json_decoder(type)


class MsgpackSerializer:
    """MessagePack: smaller, keeps bytes, NaN and integer keys. Node's store can't read it."""

    def encode(self, value: Any) -> bytes:
        """`value` as MessagePack; the same types as JSON."""
        return _encode_msgpack(value)

    def decode(self, data: bytes, type: Any) -> Any:
        """The value in `data`, converted to `type`."""
        return self.decoder(type)(data)

    def decoder(self, type: Any) -> Decoder:
        """The function that `decode` uses for `type`, made once."""
        return _msgpack_decoder(type)


JSON: Final = JSONSerializer()
MSGPACK: Final = MsgpackSerializer()


class Codec:
    """A serializer with its failures translated; what the namespaces use.

    Attributes:
        writes_json: whether it is ours for JSON, and no other.
    """

    def __init__(self, serializer: Serializer) -> None:
        self.writes_json: Final = serializer.__class__ is JSONSerializer
        self._serializer: Final = serializer
        self._encode: Final = serializer.encode
        self.decode_any: Final = self.decoder(Any)

    def encode(self, value: Any) -> bytes:
        """`value` as bytes.

        Raises:
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
        """
        try:
            data = self._encode(value)
        except Exception as error:  # noqa: BLE001 - a serializer of the user's, or a value of any class, may raise anything
            raise _unencodable(value, error) from None
        if data.__class__ is bytes:
            return data
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise store_error(
            ErrorCode.STORE_SERIALIZATION_FAILED,
            f"The serializer's encode() returned {type(data).__name__}; it has to return bytes.",
        )

    def decoder(self, type: Any) -> Decoder:
        """A function that turns bytes into a `type`, for many values or one. `None` and `Any` take what comes.

        What it raises is `STORE_DESERIALIZATION_FAILED`.

        Raises:
            InvalidArgument: `STORE_ARGUMENT_INVALID` when nothing can be converted to `type`; so it is known before anything is read.
        """
        decode = self.bare_decoder(type)

        def guarded(data: bytes) -> Any:
            try:
                return decode(data)
            except Exception as error:  # noqa: BLE001 - as in encode
                raise undecodable(error) from None

        return guarded

    def bare_decoder(self, type: Any) -> Decoder:
        """As `decoder`, for those who turn whatever it raises into `undecodable` themselves."""
        wanted = Any if type is None else type
        if not isinstance(self._serializer, JSONSerializer | MsgpackSerializer):
            return functools.partial(_decode_with, self._serializer, wanted)
        try:
            return self._serializer.decoder(wanted)
        except Exception:  # noqa: BLE001 - whatever is wrong with a type that a user made
            raise store_error(
                ErrorCode.STORE_ARGUMENT_INVALID,
                "`type` is no type that values can be converted to: give a class that msgspec or pydantic knows, or leave it out.",
            ) from None


def convert(value: Any, type: Any) -> Any:
    """`value`, plain data or an object, as a `type`; raises what msgspec or pydantic raises."""
    return msgspec.convert(msgspec.to_builtins(value, enc_hook=_encode_foreign), type, dec_hook=_decode_foreign)


def sorted_plain(value: Any) -> Any:
    """An object as plain data with its sets sorted; what has several spellings of equal values (times, decimals, bytes) stays as it is.

    Raises what msgspec or pydantic raises, and `TypeError` for a set whose items have no order.
    """
    return msgspec.to_builtins(value, order="deterministic", builtin_types=_AMBIGUOUS, enc_hook=_dump_foreign)


def convert_text(fields: Any, type: Any) -> Any:
    """`fields`, whose values are text that other software wrote, as a `type`: "7" may become 7."""
    return msgspec.convert(fields, type, dec_hook=_decode_foreign, strict=False)


def reason(error: Exception) -> str:
    """Why a conversion failed, in words that hold nothing of the value: types and the place."""
    text = str(error) if isinstance(error, msgspec.ValidationError) else ""
    safe, place = _SAFE_REASON.match(text), _PLACE.search(text)
    return (safe[0] if safe else type(error).__name__) + (f" at {place[1]}" if place else "")


def is_pydantic_model(type: Any) -> bool:
    """True for a pydantic model class; pydantic is not imported for the question."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and is_a(type, _class) and issubclass(type, pydantic.BaseModel)


_class: Final = type


def _encode_foreign(value: Any) -> Any:
    if is_pydantic_model(type(value)):
        return value.model_dump(mode="json")
    message = f"there is no encoding for {type(value).__name__}"
    raise Unencodable(message)


def _dump_foreign(value: Any) -> Any:
    # Not as JSON: that makes lists of sets, in the order of this process's hashes.
    return value.model_dump() if is_pydantic_model(type(value)) else _encode_foreign(value)


def _decode_foreign(wanted: Any, value: Any) -> Any:
    if is_pydantic_model(wanted):
        return wanted.model_validate(value)
    if isinstance(wanted, _class) and isinstance(value, wanted):
        return value
    message = f"no decoding to {getattr(wanted, '__name__', 'this type')}"
    raise TypeError(message)


_encode_json: Final = msgspec.json.Encoder(enc_hook=_encode_foreign).encode
_encode_msgpack: Final = msgspec.msgpack.Encoder(enc_hook=_encode_foreign).encode


@functools.lru_cache(_TYPES_KEPT)
def _kept_json_decoder(type: Any) -> Decoder:
    return msgspec.json.Decoder(type, dec_hook=_decode_foreign).decode


@functools.lru_cache(_TYPES_KEPT)
def _kept_msgpack_decoder(type: Any) -> Decoder:
    return msgspec.msgpack.Decoder(type, dec_hook=_decode_foreign).decode


def _json_decoder(type: Any) -> Decoder:
    return _kept_json_decoder(type) if _has_hash(type) else _kept_json_decoder.__wrapped__(type)


def _msgpack_decoder(type: Any) -> Decoder:
    return _kept_msgpack_decoder(type) if _has_hash(type) else _kept_msgpack_decoder.__wrapped__(type)


def _has_hash(type: Any) -> bool:
    # `Annotated[int, {"unit": "s"}]` is a type like another, but has none.
    try:
        hash(type)
    except TypeError:
        return False
    return True


def _decode_with(serializer: Serializer, type: Any, data: bytes) -> Any:
    return serializer.decode(data, type)


_SCALARS: Final[frozenset[Any]] = frozenset({str, int, bool, type(None)})
_CONTAINERS: Final = (dict, list, tuple)


def _is_flat(mapping: dict[Any, Any]) -> bool:
    """True when JSON changes nothing of `mapping`, and nothing deep is in it."""
    for key, child in mapping.items():
        kind = child.__class__
        if key.__class__ is not str or (kind not in _SCALARS and (kind is not float or child - child != 0.0)):
            return False
    return True


def _is_all_plain(value: Any) -> bool:
    """Refuse what JSON would change, and say whether all of `value` could be looked at: False when it holds objects of other classes."""
    # Iterative, since the encoder takes values deeper than Python's stack. It has been over the value before, so there is no cycle.
    is_all_plain = True
    waiting: list[Any] = [(value,)]
    while waiting:
        item = waiting.pop()
        children: Iterable[Any] = item
        if isinstance(item, dict):
            mapping = cast("dict[Any, Any]", item)
            if not all(isinstance(key, str) for key in mapping):
                raise Unencodable(_FOREIGN_KEY)
            children = mapping.values()
        for child in children:
            kind = child.__class__
            if kind in _SCALARS:
                continue
            if kind is float:
                if child - child != 0.0:  # true for NaN and the infinities alone
                    raise Unencodable(_NON_FINITE)
            elif isinstance(child, _CONTAINERS):
                waiting.append(child)
            else:
                is_all_plain = False
    return is_all_plain


def _holds_non_finite(plain: Any) -> bool:
    waiting = [plain]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return True
        if isinstance(item, dict):
            waiting += cast("dict[Any, Any]", item).values()
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += cast("list[Any]", item)
    return False


def _unencodable(value: Any, error: Exception) -> StoreError:
    if isinstance(error, Unencodable):
        cause = str(error)
    elif isinstance(error, RecursionError):
        cause = "it is nested too deeply, or holds itself"
    else:
        cause = type(error).__name__
    return store_error(
        ErrorCode.STORE_SERIALIZATION_FAILED,
        f"The value, a {type(value).__name__}, can't be encoded: {cause}. Make it plain data, a dataclass, a struct or a model.",
        details={"type": type(value).__name__, "error": type(error).__name__},
    )


def undecodable(error: Exception) -> StoreError:
    """What a decoder's failure becomes."""
    return store_error(
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        f"The stored bytes can't be decoded as what was asked for: {reason(error)}. Was it written by another serializer or an older type?",
        details={"error": type(error).__name__},
    )
