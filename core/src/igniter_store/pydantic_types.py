"""Converts pydantic models, and other types that only pydantic supports, to JSON and back.

Rule: Pydantic is imported only when such a type is used. A program without these types never
    imports it, and importing this library doesn't import it either.
Rule: Values are written under names that validation accepts: first pydantic's own default, then
    aliases, then the names of the fields.
Rule: Values are read by validation in JSON mode, with the model's own configuration, so strict
    models can read the JSON that they wrote.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin

import msgspec

from igniter_store import fidelity
from igniter_store.pydantic_schemas import Facts, facts_of
from igniter_store.reasons import NON_FINITE, Mismatch, Unencodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from igniter_store.fidelity import Proof

_TYPES_KEPT: Final = 512
_CURE: Final = "Change the model so that it reads what it writes, or store model_dump()."
_CURE_OF_SECRETS: Final = (
    "Declare the field as str, or give it a field_serializer that returns the secret."
)


def is_pydantic_model(type: Any) -> bool:
    """Return True for a pydantic model class, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return (
        pydantic is not None
        and isinstance(type, builtins.type)
        and issubclass(type, pydantic.BaseModel)
    )


def is_for_pydantic(type: Any) -> bool:
    """Return True for a type that pydantic has to read, although msgspec could read it.

    Such a type contains a pydantic model or one of pydantic's constraints.
    """
    if sys.modules.get("pydantic") is None:
        return False
    if is_pydantic_model(type) or (
        isinstance(type, builtins.type) and "__pydantic_validator__" in vars(type)
    ):
        return True
    metadata = getattr(type, "__metadata__", ())
    if any(_is_pydantics(item) for item in metadata):
        return True
    # msgspec reads `Page[int]` if `Page` is a generic class that msgspec supports.
    origin = get_origin(type)
    if (
        hasattr(origin, "__struct_fields__")
        or hasattr(origin, "__dataclass_fields__")
        or hasattr(origin, "__attrs_attrs__")
    ):
        return False
    return any(is_for_pydantic(argument) for argument in get_args(type))


def _is_pydantics(metadata: Any) -> bool:
    module = type(metadata).__module__.partition(".")[0]
    return module in ("pydantic", "annotated_types") or hasattr(
        metadata, "__get_pydantic_core_schema__"
    )


def pydantic_type(type: Any) -> PydanticType | None:
    """Return pydantic's reader and writer for `type`.

    Returns None if pydantic doesn't support the type or isn't installed.
    """
    return _pydantic_type(type) if is_hashable(type) else _pydantic_type.__wrapped__(type)


def is_hashable(type: Any) -> bool:
    """Return False for a type that can't be cached, such as `Annotated[int, {"unit": "s"}]`."""
    try:
        hash(type)
    except TypeError:
        return False
    return True


@functools.lru_cache(_TYPES_KEPT)
def _pydantic_type(type: Any) -> PydanticType | None:
    if is_pydantic_model(type):
        return PydanticType(type, type)
    if isinstance(type, str):
        # A forward reference, which would be resolved in this module instead of the caller's.
        return None
    try:
        pydantic = importlib.import_module("pydantic")
    except ImportError:
        return None
    try:
        return PydanticType(type, _adapter(pydantic, type))
    except Exception:  # noqa: BLE001 - a type of the caller's may raise anything
        return None


def _adapter(pydantic: Any, type: Any) -> Any:
    # Bytes are written as msgspec writes them. A type with its own configuration keeps it.
    config: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}
    try:
        return pydantic.TypeAdapter(type, config=config)
    except pydantic.PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return pydantic.TypeAdapter(type)


class PydanticType:
    """Reads and writes one type with pydantic.

    Attributes:
        proof: the known properties of its values.
    """

    __slots__ = (
        "_dump",
        "_facts",
        "_load",
        "_python",
        "_serializer",
        "_validator",
        "_writing",
        "proof",
    )

    def __init__(self, type: Any, source: Any) -> None:
        if source is type:
            if not type.__pydantic_complete__:
                type.model_rebuild()
            schema, self._serializer, self._validator = (
                type.__pydantic_core_schema__,
                type.__pydantic_serializer__,
                type.__pydantic_validator__,
            )
        else:
            schema, self._serializer, self._validator = (
                source.core_schema,
                source.serializer,
                source.validator,
            )
        self._facts: Final[Facts] = facts_of(schema)
        writing, reading = _switches(self._facts, is_model=source is type)
        self._writing: Final[Mapping[str, Any]] = writing
        self._dump: Final = functools.partial(self._serializer.to_json, warnings=False, **writing)
        self._load: Final = functools.partial(self._validator.validate_json, **reading)
        self._python: Final = functools.partial(self._validator.validate_python, **reading)
        is_certain = not reading and (self._facts.takes_default_names or self._facts.takes_aliases)
        self.proof: Final[Proof] = self._facts.proof if is_certain else fidelity.UNPROVEN

    def encode(self, value: Any) -> bytes:
        """Return `value`, an instance of this type, as JSON that reads back as an equal value.

        Raises:
            Unencodable: if it wouldn't read back as an equal value.
        """
        try:
            data: bytes = self._dump(value)
        except Exception as error:  # noqa: BLE001 - a serializer of the caller's may raise anything
            raise _unfaithful(value, f"pydantic can't write it ({type(error).__name__})") from None
        proof = self.proof
        try:
            is_certain = proof.holds(value)
        # An attribute is missing, or doesn't match its annotation.
        except Exception:  # noqa: BLE001
            is_certain = False
        # A null may stand for NaN.
        if not is_certain or proof.must_read or (proof.has_floats and b"null" in data):
            self._compare(value, data)
            if b"NaN" in data or b"Infinity" in data:
                _check_is_json(data)
        return data

    def plain(self, value: Any) -> Any:
        """Return `value` as plain data for MessagePack, which keeps NaN and infinity.

        Raises:
            Unencodable: as for `encode`.
        """
        try:
            plain = self._serializer.to_python(value, mode="json", warnings=False, **self._writing)
        except Exception as error:  # noqa: BLE001 - as in encode
            raise _unfaithful(value, f"pydantic can't write it ({type(error).__name__})") from None
        self._compare(value, to_json(plain))
        return plain

    def _compare(self, value: Any, data: bytes) -> None:
        try:
            back = self.decode(data)
        except Mismatch as error:
            raise _unfaithful(value, f"what it is written as can't be read back, {error}") from None
        if self._facts.compares_all and back == value:
            return
        found = fidelity.difference(value, back)
        if found is not None:
            raise _unfaithful(value, str(found), is_secret=found.is_secret)

    def decode(self, data: bytes) -> Any:
        """Return the value in `data`.

        Raises:
            Mismatch: if the data doesn't fit this type.
        """
        try:
            return self._load(data)
        except Exception as error:  # noqa: BLE001 - a validator of the caller's may raise anything
            raise self._mismatch(error) from None

    def from_plain(self, plain: Any) -> Any:
        """Return the value in plain data that came from bytes.

        Raises:
            Mismatch: if the data doesn't fit this type.
        """
        return self.decode(to_json(plain))

    def from_object(self, value: Any, encode: Callable[[Any], bytes]) -> Any:
        """Validate `value`, an instance or Python data, with pydantic.

        If that fails, validate the JSON that `encode` returns for it.

        Raises:
            Mismatch: if neither is valid.
        """
        try:
            return self._python(value)
        except Exception as error:  # noqa: BLE001 - as in decode
            mismatch = self._mismatch(error)
        try:
            return self._load(encode(value))
        except Exception:  # noqa: BLE001 - as in decode
            raise mismatch from None

    def _mismatch(self, error: Exception) -> Mismatch:
        errors = getattr(error, "errors", None)
        if type(error).__name__ != "ValidationError" or errors is None:
            return error if isinstance(error, Mismatch) else Mismatch(type(error).__name__)
        first = errors(include_url=False, include_context=False, include_input=False)[0]
        return Mismatch(first["type"], "".join(self._facts.shown(part) for part in first["loc"]))


def _unfaithful(value: Any, why: str, *, is_secret: bool = False) -> Unencodable:
    if fidelity.holds_non_finite(value):
        return Unencodable(*NON_FINITE)
    return Unencodable(why, _CURE_OF_SECRETS if is_secret else _CURE)


def _check_is_json(data: bytes) -> None:
    # `ser_json_inf_nan="constants"` writes JSON that no other program can read.
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise Unencodable(*NON_FINITE) from None


def to_json(plain: Any) -> bytes:
    """Return plain data as JSON for pydantic's own reader, which accepts NaN."""
    import pydantic_core  # noqa: PLC0415 - only where pydantic is used

    return pydantic_core.to_json(plain, inf_nan_mode="constants", bytes_mode="base64")


@functools.cache
def _takes_names() -> bool:
    """Return True for a pydantic that can validate by the names of the fields (2.11)."""
    import inspect  # noqa: PLC0415 - only where pydantic is used

    pydantic = cast("Any", sys.modules["pydantic"])
    return "by_name" in inspect.signature(pydantic.BaseModel.model_validate_json).parameters


def _switches(facts: Facts, *, is_model: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return pydantic's options for writing and for reading."""
    takes_names = _takes_names()
    writing: dict[str, Any] = {
        "by_alias": None if takes_names else False,
        "round_trip": facts.needs_round_trip,
    }
    if facts.takes_default_names:
        return writing, {}
    if facts.takes_aliases and (is_model or facts.only_models_have_aliases):
        return {**writing, "by_alias": True}, {}
    if not takes_names:
        return writing, {}
    # These are models that write no name that they accept, and dataclasses, which msgspec writes by
    # the names of the fields.
    return {**writing, "by_alias": False}, {"by_name": True, "by_alias": not facts.aliases_collide}
