"""Pydantic's models, and the types that pydantic knows and msgspec doesn't, as JSON and back.

Rule: pydantic is looked up when such a type is met. A program without it never imports it, and
    neither does importing this library.
Rule: what is written has the names that validation takes. Pydantic's own default comes first, then
    aliases, then the fields' names.
Rule: reading is validation in JSON mode, by the model's own configuration, so strict models read
    what they wrote.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_origin

import msgspec

from igniter_store import fidelity
from igniter_store.arguments import is_a
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
# Python's `type`, which is the name of an argument here.
_class: Final = type


def is_pydantic_model(type: Any) -> bool:
    """True for a pydantic model class; pydantic is not imported for the question."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and is_a(type, _class) and issubclass(type, pydantic.BaseModel)


def is_for_pydantic(type: Any) -> bool:
    """True for a type that pydantic has to read although msgspec could: with a model in it, or with
    a constraint of pydantic's.
    """
    if sys.modules.get("pydantic") is None:
        return False
    if is_pydantic_model(type) or (is_a(type, _class) and "__pydantic_validator__" in vars(type)):
        return True
    metadata = getattr(type, "__metadata__", ())
    if any(_is_pydantics(item) for item in metadata):
        return True
    # `Page[int]` of a generic class of msgspec's is read by msgspec.
    origin = get_origin(type)
    if (
        hasattr(origin, "__struct_fields__")
        or hasattr(origin, "__dataclass_fields__")
        or hasattr(origin, "__attrs_attrs__")
    ):
        return False
    return any(is_for_pydantic(argument) for argument in get_args(type))


def _is_pydantics(metadata: Any) -> bool:
    module = _class(metadata).__module__.partition(".")[0]
    return module in ("pydantic", "annotated_types") or hasattr(
        metadata, "__get_pydantic_core_schema__"
    )


def pydantic_type(type: Any) -> PydanticType | None:
    """How pydantic reads and writes `type`; None when it can't, or isn't installed."""
    return _pydantic_type(type) if is_hashable(type) else _pydantic_type.__wrapped__(type)


def is_hashable(type: Any) -> bool:
    """False for a type like `Annotated[int, {"unit": "s"}]`, which can't be kept in a cache."""
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
        return None  # a name, which would be looked up here and not where the caller is
    try:
        pydantic = importlib.import_module("pydantic")
    except ImportError:
        return None
    try:
        return PydanticType(type, _adapter(pydantic, type))
    except Exception:  # noqa: BLE001 - whatever is wrong with a type of the caller's
        return None


def _adapter(pydantic: Any, type: Any) -> Any:
    # Bytes as msgspec writes them; a type with a configuration of its own keeps it.
    config: Any = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}
    try:
        return pydantic.TypeAdapter(type, config=config)
    except pydantic.PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return pydantic.TypeAdapter(type)


class PydanticType:
    """One type, as pydantic reads and writes it.

    Attributes:
        proof: what is certain about its values.
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
        """`value`, whose class this is, as JSON that reads back as its equal.

        Raises:
            Unencodable: when it doesn't.
        """
        try:
            data: bytes = self._dump(value)
        except Exception as error:  # noqa: BLE001 - a serializer of the caller's may raise anything
            raise _unfaithful(value, f"pydantic can't write it ({type(error).__name__})") from None
        proof = self.proof
        try:
            is_certain = proof.holds(value)
        # an attribute that is missing, or isn't what its annotation says
        except Exception:  # noqa: BLE001
            is_certain = False
        # A null may stand for NaN.
        if not is_certain or proof.must_read or (proof.has_floats and b"null" in data):
            self._compare(value, data)
            if b"NaN" in data or b"Infinity" in data:
                _check_is_json(data)
        return data

    def plain(self, value: Any) -> Any:
        """`value` as plain data for MessagePack, which keeps NaN and infinity.

        Raises:
            Unencodable: as `encode`.
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
        """The value in `data`.

        Raises:
            Mismatch: when it isn't such a value.
        """
        try:
            return self._load(data)
        except Exception as error:  # noqa: BLE001 - a validator of the caller's may raise anything
            raise self._mismatch(error) from None

    def from_plain(self, plain: Any) -> Any:
        """The value in plain data, which came from bytes.

        Raises:
            Mismatch: when it isn't such a value.
        """
        return self.decode(to_json(plain))

    def from_object(self, value: Any, encode: Callable[[Any], bytes]) -> Any:
        """`value`, an instance or Python data, as pydantic validates it; else what it is as JSON,
        which `encode` makes.

        Raises:
            Mismatch: when neither fits.
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
    # `ser_json_inf_nan="constants"` writes what no other program reads.
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise Unencodable(*NON_FINITE) from None


def to_json(plain: Any) -> bytes:
    """Plain data as JSON for pydantic's own reader, which takes NaN."""
    import pydantic_core  # noqa: PLC0415 - only where pydantic is used

    return pydantic_core.to_json(plain, inf_nan_mode="constants", bytes_mode="base64")


@functools.cache
def _takes_names() -> bool:
    """True for a pydantic that can be asked to validate by the fields' names (2.11)."""
    import inspect  # noqa: PLC0415 - only where pydantic is used

    pydantic = cast("Any", sys.modules["pydantic"])
    return "by_name" in inspect.signature(pydantic.BaseModel.model_validate_json).parameters


def _switches(facts: Facts, *, is_model: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to tell pydantic when writing and when reading."""
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
    # A model that would write no name that it takes; and dataclasses, which msgspec writes by the
    # fields' names.
    return {**writing, "by_alias": False}, {"by_name": True, "by_alias": not facts.aliases_collide}
