"""Owners of claims as bytes: backends compare bytes, so equal owners must have the same ones.

Rule: an owner has one spelling, whatever order its keys and items have, and it is the one that
    `JSON.stringify` makes: a Python and a Node
process that name the same owner hold and release the same claim.
Rule: an owner that Python and JavaScript spell differently is refused, as is a type with several
    spellings of equal values.
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

_SAFE: Final = 2**53 - 1  # Number.MAX_SAFE_INTEGER: JavaScript rounds greater ones
_SMALL: Final = (
    1e-6,
    1e-5,
)  # JavaScript writes these without an exponent, Python's encoders with one
_INDEX: Final = re.compile(
    r"0|[1-9][0-9]{0,8}"
)  # keys that JavaScript puts first, in the order of numbers
_encode: Final = msgspec.json.Encoder().encode


def owner_bytes(owner: Any, codec: Codec) -> bytes:
    """The bytes that a claim of `owner` holds.

    Raises:
        InvalidArgument: `STORE_VALUE_REQUIRED` for `None`; `STORE_ARGUMENT_INVALID` for an owner
            without one spelling.
        SerializationError: `STORE_SERIALIZATION_FAILED` for text that UTF-8 can't encode.
    """
    if owner is None:
        raise store_error(
            ErrorCode.STORE_VALUE_REQUIRED,
            ('`owner` must not be None: None means "unclaimed". Pass a name or an id.'),
        )
    # First as any value, so that what no value may be is refused with the same words.
    data = codec.encode(owner)
    kind = owner.__class__
    if kind is str or (kind is bytes and not codec.writes_json):
        return data
    canonical = None
    with suppress(RecursionError):
        canonical = _canonical(owner)
    if canonical is None:  # behind the failure, which must not become the context of ours
        raise _refused("it is nested too deeply")
    return codec.encode(canonical)


def _canonical(value: Any) -> Any:
    """`value` with one order of keys and items."""
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
    # a class of the user's may raise anything; `plain` is still the object then
    except Exception:  # noqa: BLE001, S110
        pass
    if plain is value or not isinstance(plain, tuple(_SPELLINGS)):
        raise _refused(f"a {type(value).__name__} has more than one JSON form, or none")
    return _canonical(plain)


def _dump(value: Any) -> Any:
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        # Not as JSON: that makes lists of sets, in the order of this process's hashes.
        return value.model_dump()
    message = f"there is no encoding for {type(value).__name__}"
    raise TypeError(message)


# Equal values of these types have several spellings, so they stay as they are.
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
        f"`owner` must have the same JSON form in every process, but this one doesn't: {why}. Pass a str."
    )
