"""Owners of claims as bytes: backends compare bytes, so equal owners need equal bytes.

Rule: an owner has one canonical form, whatever the order of its keys and items. It is the form that
    `JSON.stringify` writes, so a Python and a Node process with the same owner hold and release the
    same claim.
Rule: an owner is refused if Python and JavaScript write it differently, or if equal values of its
    type can be written in several ways.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from igniter_store.arguments import invalid
from igniter_store.contract import ErrorCode, store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from igniter_store.contract import StoreError
    from igniter_store.serialization import Codec

_SAFE: Final = 2**53 - 1  # Number.MAX_SAFE_INTEGER: JavaScript rounds greater ints
# JavaScript writes floats in this range without an exponent, Python's encoders with one.
_SMALL: Final = (1e-6, 1e-5)
# JavaScript puts such keys first, in numeric order.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_encode: Final = msgspec.json.Encoder().encode


def owner_bytes(owner: Any, codec: Codec) -> bytes:
    """Return the bytes that a claim stores for `owner`.

    Raises:
        InvalidArgument: `STORE_VALUE_REQUIRED` for `None`; `STORE_ARGUMENT_INVALID` when the owner
            has no canonical form.
        SerializationError: `STORE_SERIALIZATION_FAILED` for text that UTF-8 can't encode.
    """
    if owner is None:
        raise store_error(
            ErrorCode.STORE_VALUE_REQUIRED,
            ('`owner` must not be None: None means "unclaimed". Pass a name or an id.'),
        )
    # Encode it like any value first, so that an unsupported value gets the same error message.
    data = codec.encode(owner)
    kind = owner.__class__
    if kind is str or (kind is bytes and not codec.writes_json):
        return data
    canonical = None
    with suppress(RecursionError):
        canonical = _canonical(owner)
    # Outside of the `suppress` block, so that RecursionError isn't the context of this error.
    if canonical is None:
        raise _refused("it is nested too deeply")
    return codec.encode(canonical)


def _canonical(value: Any) -> Any:
    """Return `value` with its keys and items in one fixed order."""
    if value is None or isinstance(value, bool):
        return value
    for kind, spell in _SPELLINGS.items():
        if isinstance(value, kind):
            return spell(value)
    return _object(value)


def _sequence(value: Iterable[Any]) -> list[Any]:
    return [_canonical(item) for item in value]


def _set(value: Iterable[Any]) -> list[Any]:
    return sorted(_sequence(value), key=_encode)


def _integer(value: int) -> int:
    value = int.__int__(value)
    if abs(value) > _SAFE:
        raise _refused("it contains an int beyond 2**53 - 1, which JavaScript rounds")
    return value


def _fraction(value: float) -> float:
    value = float.__float__(value)
    if value.is_integer() or _SMALL[0] <= abs(value) < _SMALL[1]:
        raise _refused(
            "it contains a float that Python and JavaScript write differently, such as 1.0 and 1"
        )
    return value


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in value):
        raise _refused("it holds a mapping with a key that isn't a str")
    plain = {str.__str__(key): item for key, item in value.items()}
    return {key: _canonical(plain[key]) for key in sorted(plain, key=_place_of_key)}


def _place_of_key(key: str) -> tuple[int, str]:
    return (int(key), "") if _INDEX.fullmatch(key) else (10**9, key)


def _object(value: Any) -> Any:
    plain: Any = value
    try:
        plain = msgspec.to_builtins(
            value, order="deterministic", builtin_types=_AMBIGUOUS, enc_hook=_dump
        )
    except RecursionError:
        raise
    # a user's class may raise anything; `plain` is still the object then
    except Exception:  # noqa: BLE001, S110
        pass
    if plain is value or not isinstance(plain, tuple(_SPELLINGS)):
        raise _refused(f"an object of type {type(value).__name__} has several JSON forms, or none")
    return _canonical(plain)


def _dump(value: Any) -> Any:
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        # Not in JSON mode, which turns sets into lists in the hash order of this process.
        return value.model_dump()
    message = f"there is no encoding for {type(value).__name__}"
    raise TypeError(message)


# Not converted, so that they are refused: equal values of these types have several forms.
_AMBIGUOUS: Final = (
    bytes,
    bytearray,
    memoryview,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
)

_SPELLINGS: Final[dict[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: _integer,
    float: _fraction,
    dict: _mapping,
    list: _sequence,
    tuple: _sequence,
    set: _set,
    frozenset: _set,
}


def _refused(why: str) -> StoreError:
    return invalid(
        f"`owner` must have the same JSON form in every process, but this one doesn't: {why}. "
        "Pass a str."
    )
