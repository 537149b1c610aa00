"""Converts types that msgspec can't: pydantic models, types with hooks, builtin subclasses.

Rule: Pydantic models come first, then the caller's hooks, then subclasses of builtins, then all
    other types that pydantic supports.
"""

from __future__ import annotations

import base64
import functools
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, cast, get_origin

import msgspec

from igniter_store.contract import ErrorCode, store_error
from igniter_store.pydantic_types import PydanticType, is_pydantic_model, pydantic_type
from igniter_store.reasons import Mismatch, Unencodable

EncodeHook: TypeAlias = Callable[[Any], Any]
DecodeHook: TypeAlias = Callable[[Any, Any], Any]

_CURE: Final = (
    "Make it plain data, a dataclass, a struct or a model, or give the serializer an encoder: "
    "JSON(encoder=..., decoder=...)."
)
_SCALARS: Final = (str, int, float, bytes)
_COLLECTIONS: Final = (dict, list, tuple, set, frozenset)
# Types that msgspec writes without a hook, except as keys of a mapping. If a hook wrote a key,
# msgspec passes it back to the hook as Raw.
_KEYS: Final = frozenset({msgspec.Raw, *_COLLECTIONS})
_MODELS_KEPT: Final = 512


class ForeignTypes:
    """The types that one serializer supports besides msgspec's.

    Args:
        encoder: the caller's hook for objects.
        decoder: the caller's hook for types.
        as_model: converts a pydantic value to the serializer's form.

    Attributes:
        models: a cache of the pydantic models that were written.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` if a hook isn't callable.
    """

    def __init__(
        self,
        encoder: EncodeHook | None,
        decoder: DecodeHook | None,
        *,
        as_model: Callable[[PydanticType, Any], Any],
    ) -> None:
        for name, hook in (("encoder", encoder), ("decoder", decoder)):
            if hook is not None and not callable(hook):
                raise store_error(
                    ErrorCode.STORE_CONFIGURATION_INVALID,
                    f"`{name}` can't be called. Give a function: encoder(value) returns plain "
                    "data, decoder(type, plain) the object.",
                )
        self._encoder: Final = encoder
        self._decoder: Final = decoder
        self._as_model: Final = as_model
        self.models: dict[type, PydanticType] = {}

    @property
    def has_encoder(self) -> bool:
        """Return True if the caller passed an encoder hook.

        The caller is responsible for its results, so they aren't compared.
        """
        return self._encoder is not None

    def encode(self, value: Any) -> Any:
        """Return the object that msgspec writes in place of `value`."""
        return self._encode(value, self._as_model)

    def encode_plain(self, value: Any) -> Any:
        """Return `value` as plain data, for converting and for checking."""
        return self._encode(value, PydanticType.plain)

    def decode(self, wanted: Any, plain: Any) -> Any:
        """Convert plain data to an object of the class `wanted`.

        Raises:
            Mismatch: if the data can't be converted.
        """
        model = pydantic_type(wanted) if is_pydantic_model(wanted) else None
        if model is not None:
            return model.from_plain(plain)
        if self._decoder is not None:
            try:
                value = self._decoder(wanted, plain)
            except Exception as error:  # noqa: BLE001 - a hook of the caller's may raise anything
                raise Mismatch(f"the decoder raised {type(error).__name__}") from None
            if value is not NotImplemented:
                return value
        if isinstance(wanted, type):
            if isinstance(plain, wanted):
                return plain
            if issubclass(wanted, (*_SCALARS, *_COLLECTIONS)):
                return _rebuilt(wanted, plain)
        model = pydantic_type(wanted)
        if model is not None:
            return model.from_plain(plain)
        origin: Any = get_origin(wanted)
        if isinstance(origin, type) and issubclass(origin, _COLLECTIONS):
            return _rebuilt(origin, plain)
        name: str = getattr(cast("Any", wanted), "__name__", "this type")
        raise Mismatch(f"no decoding to {name}")

    def _encode(self, value: Any, as_model: Callable[[PydanticType, Any], Any]) -> Any:
        kind = cast("Any", type(value))
        model = self.models.get(kind) or self._model(kind)
        if model is not None:
            return as_model(model, value)
        if kind in _KEYS:
            raise Unencodable(
                "a mapping has a key that isn't a str and can't become one", "Make its keys str."
            )
        if self._encoder is not None:
            try:
                plain = self._encoder(value)
            except Exception as error:  # noqa: BLE001 - as in decode
                raise Unencodable(
                    f"the encoder raised {type(error).__name__} for a value of type "
                    f"{kind.__name__}",
                    "Correct the encoder, or make the value plain data.",
                ) from None
            if plain is not NotImplemented:
                return plain
        if issubclass(kind, _SCALARS):
            return _base(value)
        if isinstance(value, Coroutine):
            raise Unencodable("it contains a coroutine", "Await the call whose result you store.")
        model = (
            None if kind is complex else pydantic_type(kind)
            # Pydantic converts complex numbers to text.
        )
        if model is not None:
            return as_model(model, value)
        raise Unencodable(f"there is no encoding for {kind.__name__}", _CURE)

    def _model(self, kind: type) -> PydanticType | None:
        model = pydantic_type(kind) if is_pydantic_model(kind) else None
        if model is not None:
            if len(self.models) >= _MODELS_KEPT:
                self.models.clear()
            self.models[kind] = model
        return model


def _base(value: Any) -> Any:
    """Convert an object of a builtin's subclass to the builtin, bypassing overridden methods."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return b"".join((cast("bytes", value),))


def _rebuilt(wanted: Any, plain: Any) -> Any:
    """Create an object of a builtin's subclass from the builtin."""
    expected = next(base for base in (*_SCALARS, *_COLLECTIONS) if issubclass(wanted, base))
    if expected is bytes and isinstance(plain, str):
        plain = base64.b64decode(plain, validate=True)
    if not isinstance(plain, _written_as(expected)) or isinstance(plain, bool):
        raise Mismatch(f"Expected `{expected.__name__}`, got `{type(plain).__name__}`")
    # The first argument of a defaultdict is its factory, which isn't stored.
    make = cast(
        "Any", functools.partial(wanted, None) if issubclass(wanted, defaultdict) else wanted
    )
    try:
        return make(plain)
    except Exception as error:  # noqa: BLE001 - a class of the caller's may raise anything
        raise Mismatch(
            f"{wanted.__name__} can't be made of a {expected.__name__} ({type(error).__name__})"
        ) from None


def _written_as(base: type) -> tuple[type, ...]:
    if base is float:
        return (float, int)
    return (list, tuple, set, frozenset) if base in (list, tuple, set, frozenset) else (base,)
