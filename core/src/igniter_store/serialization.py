"""Converts values to bytes and back, once, above every backend.

Rule: The JSON is the same as `JSON.stringify` produces: UTF-8, no spaces.
Rule: The serializer refuses values that JSON would change silently: NaN, infinities, and mappings
    with keys that aren't `str` (to store such a mapping, declare a type with these keys). It also
    refuses objects that wouldn't come back unchanged (see `fidelity`).
Rule: An untyped read returns the same value as in Node, including raw text, deep nesting and lone
    surrogates (see `json_text`).
Rule: An error message names types and places in the value, but never the value. A library's own
    exception may quote the value, so it isn't chained.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from igniter_store.contract import ErrorCode, StoreError, store_error
from igniter_store.fidelity import SCALARS, is_flat
from igniter_store.foreign_types import DecodeHook, EncodeHook, ForeignTypes
from igniter_store.json_text import NotJSON, read, write
from igniter_store.pydantic_types import (
    PydanticType,
    is_for_pydantic,
    is_hashable,
    pydantic_type,
    to_json,
)
from igniter_store.reasons import Mismatch, Unencodable, reason, unsupported
from igniter_store.storable import Storable

Decoder: TypeAlias = Callable[[bytes], Any]

# The number of cached decoders, one for each requested type.
_TYPES_KEPT: Final = 512


@runtime_checkable
class Serializer(Protocol):
    """The interface that `with_serializer` accepts."""

    def encode(self, value: Any) -> bytes:
        """Return `value` as bytes; any exception becomes `STORE_SERIALIZATION_FAILED`."""
        ...

    def decode(self, data: bytes, type: Any) -> Any:
        """Return the value in `data` as a `type`.

        With `typing.Any`, return the value as it is. Any exception becomes
        `STORE_DESERIALIZATION_FAILED`.
        """
        ...


class TypedSerializer(ABC):
    """The common part of both serializers: foreign types and cached decoders."""

    def __init__(self, encoder: EncodeHook | None, decoder: DecodeHook | None) -> None:
        self._foreign: Final = ForeignTypes(encoder, decoder, as_model=self._as_model)
        self._kept: Final = functools.lru_cache(_TYPES_KEPT)(self._make_decoder)

    def decode(self, data: bytes, type: Any) -> Any:
        """Return the value in `data`, converted to `type`."""
        try:
            return self.decoder(type)(data)
        except Exception as error:  # noqa: BLE001 - a type of the caller's may raise anything
            return self.second_reading(data, type, error)

    def decoder(self, type: Any) -> Decoder:
        """Return the decoder that reads `type` first, created once per type.

        The caller passes its exceptions to `second_reading`.
        """
        try:
            return self._kept(type)
        except TypeError:
            if is_hashable(type):
                raise
            # `Annotated[int, {"unit": "s"}]` is a valid type but isn't hashable.
            return self._make_decoder(type)

    @abstractmethod
    def second_reading(
        self, data: bytes, type: Any, error: Exception, *, takes_text: bool = True
    ) -> Any:
        """Decode `data` after `decoder(type)` failed with `error`.

        Raises `error` if this attempt fails too.
        """

    def convert(self, value: Any, type: Any) -> Any:
        """Convert `value`, plain data or an object, to `type`.

        Raises the exceptions of msgspec or pydantic.
        """
        reader = pydantic_reader(type)
        if reader is not None:
            return reader.from_object(value, lambda item: to_json(self._plain(item)))
        return msgspec.convert(self._plain(value), type, dec_hook=self._foreign.decode)

    def from_plain(self, plain: Any, type: Any) -> Any:
        """Convert `plain`, which came from JSON, to `type`.

        Raises the exceptions of msgspec or pydantic.
        """
        reader = pydantic_reader(type)
        if reader is not None:
            return reader.from_plain(plain)
        return msgspec.convert(plain, type, dec_hook=self._foreign.decode, str_keys=True)

    def from_text(self, fields: Any, type: Any) -> Any:
        """Convert `fields`, text values from other software, to `type`: "7" may become 7."""
        reader = pydantic_reader(type)
        if reader is not None:
            return reader.from_plain(fields)
        return msgspec.convert(
            fields, type, dec_hook=self._foreign.decode, str_keys=True, strict=False
        )

    def _plain(self, value: Any) -> Any:
        return msgspec.to_builtins(value, enc_hook=self._foreign.encode_plain)

    @abstractmethod
    def _make_decoder(self, type: Any) -> Decoder: ...

    @abstractmethod
    def _as_model(self, model: PydanticType, value: Any) -> Any: ...


class JSONSerializer(TypedSerializer):
    """JSON, shared with the TypeScript library. The default.

    `JSON` is an instance. Call it to create another one with hooks for your own types:
    `JSON(encoder=..., decoder=...)`.
    """

    def __init__(
        self, *, encoder: EncodeHook | None = None, decoder: DecodeHook | None = None
    ) -> None:
        super().__init__(encoder, decoder)
        self._models: Final = self._foreign.models
        self._write: Final = msgspec.json.Encoder(enc_hook=self._foreign.encode).encode
        self._storable: Final = Storable(self._foreign, self._encoded, self.decode, is_json=True)
        self._proofs: Final = self._storable.proofs

    def __call__(
        self, *, encoder: EncodeHook | None = None, decoder: DecodeHook | None = None
    ) -> JSONSerializer:
        """Create a JSON serializer with hooks for types that neither msgspec nor pydantic supports.

        Args:
            encoder: called with an object of such a type; returns plain data, or anything else that
                can be encoded. Return `NotImplemented` to decline.
            decoder: called with the requested type and the plain data; returns the object. Return
                `NotImplemented` to decline.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` if a hook isn't callable.
        """
        return JSONSerializer(encoder=encoder, decoder=decoder)

    def encode(self, value: Any) -> bytes:
        """Return `value` as compact JSON.

        Supports dataclasses, msgspec structs, TypedDicts, attrs classes, pydantic models, dates and
        UUIDs.
        """
        kind = value.__class__
        if kind is not dict and (model := self._models.get(kind)) is not None:
            return model.encode(value)
        try:
            data = self._write(value)
        except (RecursionError, UnicodeEncodeError):
            data = write(value, self._leaf)
        # JSON has no NaN and no infinity, so msgspec writes null for them, and it converts keys
        # that aren't str to str. Most values are flat mappings, or contain flat mappings, as an
        # event contains its data. They are checked here.
        if kind is dict:
            for key, child in value.items():
                if key.__class__ is not str:
                    break
                kind = child.__class__
                if (
                    kind not in SCALARS
                    and (kind is not float or child - child != 0.0)
                    and (kind is not dict or not is_flat(child))
                ):
                    break
            else:
                return data
        elif kind in SCALARS or (
            (proof := self._proofs.get(kind)) is not None
            and not isinstance(value, tuple)
            and proof.passes(value, b"null" in data)
        ):
            return data
        self._storable.check(value, data)
        return data

    def second_reading(
        self, data: bytes, type: Any, error: Exception, *, takes_text: bool = True
    ) -> Any:
        """Decode `data` as Node would, after msgspec or pydantic failed with `error`.

        Returns None for a stored null.

        Args:
            data: the stored bytes.
            type: the requested type.
            error: the exception of the first reading.
            takes_text: return text that isn't JSON unchanged, as Node does for a value; otherwise
                raise `NotJSON`.
        """
        if data.strip() == b"null":
            return None
        has_float = "got `float`" in str(error)
        if not has_float and not _is_malformed(error) and _is_json(data):
            raise error
        text = str(data, "utf-8")
        try:
            plain = read(text, integers=has_float)
        except NotJSON:
            if not takes_text:
                raise
            plain = text
        if type is Any:
            return plain
        try:
            return self.from_plain(plain, type)
        except Exception:  # noqa: BLE001 - the first error is more specific
            raise error from None

    def _encoded(self, value: Any) -> bytes:
        try:
            return self._write(value)
        except (RecursionError, UnicodeEncodeError):
            return write(value, self._leaf)

    def _leaf(self, item: Any) -> Any:
        return msgspec.to_builtins(item, str_keys=True, enc_hook=self._foreign.encode_plain)

    def _make_decoder(self, type: Any) -> Decoder:
        reader = pydantic_reader(type)
        return (
            msgspec.json.Decoder(type, dec_hook=self._foreign.decode).decode
            if reader is None
            else reader.decode
        )

    def _as_model(self, model: PydanticType, value: Any) -> Any:
        return msgspec.Raw(model.encode(value))


class MsgpackSerializer(TypedSerializer):
    """MessagePack: smaller than JSON, and keeps bytes, NaN and integer keys.

    Node's store can't read it. Call `MSGPACK` to create an instance with hooks, as with `JSON`.
    """

    def __init__(
        self, *, encoder: EncodeHook | None = None, decoder: DecodeHook | None = None
    ) -> None:
        super().__init__(encoder, decoder)
        self._write: Final = msgspec.msgpack.Encoder(enc_hook=self._foreign.encode).encode
        self._storable: Final = Storable(self._foreign, self._write, self.decode, is_json=False)

    def __call__(
        self, *, encoder: EncodeHook | None = None, decoder: DecodeHook | None = None
    ) -> MsgpackSerializer:
        """Create a MessagePack serializer with hooks; see `JSONSerializer.__call__`."""
        return MsgpackSerializer(encoder=encoder, decoder=decoder)

    def encode(self, value: Any) -> bytes:
        """Return `value` as MessagePack; supports the same types as JSON."""
        data = self._write(value)
        if value.__class__ not in SCALARS and (value.__class__ is not dict or not is_flat(value)):
            self._storable.check(value, data)
        return data

    def second_reading(
        self, data: bytes, type: Any, error: Exception, *, takes_text: bool = True
    ) -> Any:
        """Return None for a stored null; raise `error` otherwise."""
        del type, takes_text
        if data == b"\xc0":
            return None
        raise error

    def _make_decoder(self, type: Any) -> Decoder:
        reader = pydantic_reader(type)
        if reader is None:
            return msgspec.msgpack.Decoder(type, dec_hook=self._foreign.decode).decode
        from_plain, decode = reader.from_plain, msgspec.msgpack.decode
        return lambda data: from_plain(decode(data))

    def _as_model(self, model: PydanticType, value: Any) -> Any:
        return model.plain(value)


JSON: Final = JSONSerializer()
MSGPACK: Final = MsgpackSerializer()


class Codec:
    """Wraps a serializer and translates its exceptions, for the namespaces.

    Attributes:
        writes_json: True only for this library's JSON serializer.
        typed: the serializer if it is one of this library's, otherwise JSON. Events are validated
            with it.
        first_encoder: encodes a value with one call less than `encode`. The caller passes its
            exceptions to `unencodable`.
    """

    def __init__(self, serializer: Serializer) -> None:
        self.writes_json: Final = serializer.__class__ is JSONSerializer
        self.typed: Final[TypedSerializer] = (
            serializer if isinstance(serializer, TypedSerializer) else JSON
        )
        self._serializer: Final = serializer
        self._encode: Final = serializer.encode
        kind: type[object] = serializer.__class__
        is_ours = kind in {JSONSerializer, MsgpackSerializer}  # which always return `bytes`
        self.first_encoder: Final = serializer.encode if is_ours else self.encode
        self._prepare: Final = (
            serializer.decoder
            if isinstance(serializer, TypedSerializer)
            else functools.partial(_decoder_of, serializer)
        )
        self.decode_any: Final = self.decoder(Any)

    def encode(self, value: Any) -> bytes:
        """Return `value` as bytes.

        Raises:
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
        """
        try:
            data = self._encode(value)
        # A serializer of the user's, or a value of any class, may raise anything.
        except Exception as error:  # noqa: BLE001
            raise unencodable(value, error) from None
        if data.__class__ is bytes:
            return data
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise store_error(
            ErrorCode.STORE_SERIALIZATION_FAILED,
            f"The serializer's encode() returned {type(data).__name__}. It must return bytes.",
        )

    def decoder(self, type: Any, *, takes_text: bool = True) -> Decoder:
        """Return a function that decodes bytes to `type`, for one value or many.

        With `None` or `Any`, the function returns the value as it is. It raises only
        `STORE_DESERIALIZATION_FAILED`.

        Args:
            type: the requested type.
            takes_text: return text that isn't JSON unchanged, as Node does for a value but not for
                an event or a stream entry.

        Raises:
            InvalidArgument: `STORE_ARGUMENT_INVALID` if values can't be converted to `type`. It is
                raised before anything is read.
        """
        decode = self.bare_decoder(type, takes_text=takes_text)

        def guarded(data: bytes) -> Any:
            try:
                return decode(data)
            except Exception as error:  # noqa: BLE001 - as in encode
                raise undecodable(error) from None

        return guarded

    def bare_decoder(self, type: Any, *, takes_text: bool = True) -> Decoder:
        """Like `decoder`, for callers that convert exceptions with `undecodable` themselves.

        Without `takes_text`, the function raises `NotJSON` for text that isn't JSON.
        """
        first, second = self.first_decoder(type), self.second_reading

        def decode(data: bytes) -> Any:
            try:
                return first(data)
            except Exception as error:  # noqa: BLE001 - as in encode
                return second(data, type, error, takes_text=takes_text)

        return decode

    def first_decoder(self, type: Any) -> Decoder:
        """Like `bare_decoder`, but without the second reading.

        It is for callers that call `second_reading` themselves, which saves a stack frame.
        """
        wanted = Any if type is None else type
        try:
            return self._prepare(wanted)
        except Exception as error:  # noqa: BLE001 - a type that a user made may raise anything
            raise store_error(ErrorCode.STORE_ARGUMENT_INVALID, unsupported(error)) from None

    def second_reading(
        self, data: bytes, type: Any, error: Exception, *, takes_text: bool = True
    ) -> Any:
        """Decode `data` after `first_decoder(type)` failed with `error`.

        Raises `error` if this attempt fails too. Returns None for a stored None, whatever the
        requested type, and reads JSON as Node does.
        """
        wanted = Any if type is None else type
        if isinstance(self._serializer, TypedSerializer):
            return self._serializer.second_reading(data, wanted, error, takes_text=takes_text)
        if wanted is not Any and self._serializer.decode(data, Any) is None:
            return None
        raise error


def convert_text(fields: Any, type: Any) -> Any:
    """Convert `fields`, text values from other software, to `type`: "7" may become 7."""
    return JSON.from_text(fields, type)


def pydantic_reader(type: Any) -> PydanticType | None:
    """Return pydantic's reader for `type`, or None if msgspec reads the type.

    Pydantic reads the types that msgspec can't read or must not read.

    Raises:
        TypeError: or another exception of msgspec's, if neither library reads the type.
    """
    return _pydantic_reader(type) if is_hashable(type) else _pydantic_reader.__wrapped__(type)


@functools.lru_cache(_TYPES_KEPT)
def _pydantic_reader(type: Any) -> PydanticType | None:
    reader = pydantic_type(type) if is_for_pydantic(type) else None
    if reader is not None:
        return reader
    try:
        msgspec.json.Decoder(type)
    except Exception:
        reader = pydantic_type(type)
        if reader is None:
            raise
    return reader


def _is_malformed(error: Exception) -> bool:
    """Return True if the first reading failed on the text, not the type: Node may read it."""
    if isinstance(error, msgspec.ValidationError):
        return "out of range" in str(error)
    return isinstance(error, msgspec.DecodeError | RecursionError) or (
        isinstance(error, Mismatch) and error.kind == "json_invalid"
    )


def _is_json(data: bytes) -> bool:
    """Return True if msgspec can read all of `data`.

    The first reading may have reported a mismatch before the end of data that isn't JSON, such as
    `2026-01-31`.
    """
    try:
        msgspec.json.decode(data)
    except Exception:  # noqa: BLE001 - another reader reads it again
        return False
    return True


def _decoder_of(serializer: Serializer, type: Any) -> Decoder:
    return functools.partial(_decode_with, serializer, type)


def _decode_with(serializer: Serializer, type: Any, data: bytes) -> Any:
    return serializer.decode(data, type)


def unencodable(value: Any, error: Exception) -> StoreError:
    """Return the error that replaces an encoder's exception."""
    if isinstance(error, StoreError) and error.code is ErrorCode.STORE_SERIALIZATION_FAILED:
        return error  # by `Codec.encode`
    cure = (
        error.cure
        if isinstance(error, Unencodable)
        else "Make it plain data, a dataclass, a struct or a model."
    )
    return store_error(
        ErrorCode.STORE_SERIALIZATION_FAILED,
        f"Can't encode a value of type {type(value).__name__}: {reason(error)}. {cure}",
        details={"type": type(value).__name__, "error": type(error).__name__},
    )


def undecodable(error: Exception) -> StoreError:
    """Return the error that replaces a decoder's exception."""
    return store_error(
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        f"Can't decode the stored bytes as the requested type: {reason(error)}. Check that they "
        "weren't written by another serializer or an older version of the type.",
        details={"error": type(error).__name__},
    )
