"""Values as bytes and back, once, above every backend.

Rule: JSON is what `JSON.stringify` makes: UTF-8, no spaces. What JSON would change silently is refused: NaN, infinities, and mappings whose
keys are no `str` (declare a type with such keys to store them: its keys come back as they were).
Rule: a failure names types and places in the value, never the value; so the library's own exception, which may quote it, is not chained.
"""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast, runtime_checkable

import msgspec

from igniter_store.contract import ErrorCode, StoreError, store_error

Decoder: TypeAlias = Callable[[bytes], Any]

_TYPES_KEPT: Final = 512  # decoders that are kept ready, one for each type that is asked for
# msgspec's own words, where they name types and a place alone.
_SAFE_REASON: Final = re.compile(r"Expected `[^`]+`, got `[^`]+`|Object missing required field `[^`]+`")
_PLACE: Final = re.compile(r" - at `(\$[\w.\[\]]*)`$")


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
        data = _JSON.encode(value)
        if value.__class__ in _CONTAINERS:
            _refuse_foreign_keys(value)
        # JSON has no NaN and no infinity; msgspec writes null for them.
        if b"null" in data and _holds_non_finite(msgspec.to_builtins(value, enc_hook=_encode_foreign)):
            message = "NaN and infinity have no form in JSON"
            raise ValueError(message)
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
        return _MSGPACK.encode(value)

    def decode(self, data: bytes, type: Any) -> Any:
        """The value in `data`, converted to `type`."""
        return self.decoder(type)(data)

    def decoder(self, type: Any) -> Decoder:
        """The function that `decode` uses for `type`, made once."""
        return _msgpack_decoder(type)


JSON: Final = JSONSerializer()
MSGPACK: Final = MsgpackSerializer()


class Codec:
    """A serializer with its failures translated; what the namespaces use."""

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self._make_decoder: Callable[[Any], Decoder] | None = getattr(serializer, "decoder", None)
        self.decode_any: Final = self.decoder(Any)

    def encode(self, value: Any) -> bytes:
        """`value` as bytes.

        Raises:
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
        """
        try:
            data = self._serializer.encode(value)
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

        Raises:
            InvalidArgument: `STORE_ARGUMENT_INVALID` when nothing can be converted to `type`; so it is known before anything is read.
        """
        wanted = Any if type is None else type
        if self._make_decoder is None:
            decode: Decoder = functools.partial(_decode_with, self._serializer, wanted)
        else:
            try:
                decode = self._make_decoder(wanted)
            except Exception:  # noqa: BLE001 - whatever is wrong with a type that a user made
                raise store_error(
                    ErrorCode.STORE_ARGUMENT_INVALID,
                    "`type` is no type that values can be converted to: give a class that msgspec or pydantic knows, or leave it out.",
                ) from None

        def guarded(data: bytes) -> Any:
            try:
                return decode(data)
            except Exception as error:  # noqa: BLE001 - as in encode
                raise _undecodable(error) from None

        return guarded


def convert(value: Any, type: Any) -> Any:
    """`value`, plain data or an object, as a `type`; raises what msgspec or pydantic raises."""
    return msgspec.convert(msgspec.to_builtins(value, enc_hook=_encode_foreign), type, dec_hook=_decode_foreign)


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
    return pydantic is not None and isinstance(type, _class) and issubclass(type, pydantic.BaseModel)


_class: Final = type


def _encode_foreign(value: Any) -> Any:
    if is_pydantic_model(type(value)):
        return value.model_dump(mode="json")
    message = f"no encoding for {type(value).__name__}"
    raise TypeError(message)


def _decode_foreign(wanted: Any, value: Any) -> Any:
    if is_pydantic_model(wanted):
        return wanted.model_validate(value)
    if isinstance(wanted, _class) and isinstance(value, wanted):
        return value
    message = f"no decoding to {getattr(wanted, '__name__', 'this type')}"
    raise TypeError(message)


_JSON: Final = msgspec.json.Encoder(enc_hook=_encode_foreign)
_MSGPACK: Final = msgspec.msgpack.Encoder(enc_hook=_encode_foreign)


@functools.lru_cache(_TYPES_KEPT)
def _kept_json_decoder(type: Any) -> Decoder:
    return msgspec.json.Decoder(type, dec_hook=_decode_foreign).decode


@functools.lru_cache(_TYPES_KEPT)
def _kept_msgpack_decoder(type: Any) -> Decoder:
    return msgspec.msgpack.Decoder(type, dec_hook=_decode_foreign).decode


def _json_decoder(type: Any) -> Decoder:
    return _kept_json_decoder(type)


def _msgpack_decoder(type: Any) -> Decoder:
    return _kept_msgpack_decoder(type)


def _decode_with(serializer: Serializer, type: Any, data: bytes) -> Any:
    return serializer.decode(data, type)


_CONTAINERS: Final[frozenset[Any]] = frozenset({dict, list, tuple})


def _refuse_foreign_keys(value: Any) -> None:
    # Iterative, since the encoder takes values deeper than Python's stack. It has been over the value before, so there is no cycle.
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if item.__class__ is dict:
            for key in item:
                if key.__class__ is not str and not isinstance(key, str):
                    message = f"a mapping has a key of type {type(key).__name__}, which JSON would turn into a str"
                    raise TypeError(message)
            item = item.values()
        waiting += [child for child in item if child.__class__ in _CONTAINERS]


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
    own = str(error) if isinstance(error, TypeError | ValueError) and error.args and _is_ours(str(error)) else ""
    cause = own or ("it is nested too deeply, or holds itself" if isinstance(error, RecursionError) else type(error).__name__)
    return store_error(
        ErrorCode.STORE_SERIALIZATION_FAILED,
        f"The value, a {type(value).__name__}, can't be encoded: {cause}. Make it plain data, a dataclass, a struct or a model.",
        details={"type": type(value).__name__, "error": type(error).__name__},
    )


def _is_ours(message: str) -> bool:
    return message.startswith(("NaN and", "a mapping has", "no encoding for"))


def _undecodable(error: Exception) -> StoreError:
    return store_error(
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        f"The stored bytes can't be decoded as what was asked for: {reason(error)}. Was it written by another serializer or an older type?",
        details={"error": type(error).__name__},
    )
