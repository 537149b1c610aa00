"""Decides whether a value comes back unchanged: by its class if possible, else by comparing.

Rule: An object of a user-defined class is stored only if `get(key, type(value))` would return an
    equal object.
Rule: A class is inspected once. If its declared types are exact, a `Proof` records this, and its
    objects only get a quick check. Every other object is read back and compared before it is sent.
Rule: Plain mappings, lists and tuples may contain anything that can be written. The type that a
    later read requests determines the classes of their items.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter, contains
from types import NoneType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from msgspec import Struct

Guard: TypeAlias = Callable[[Any], bool]
"""Returns True if a quick check shows that a value matches its declared type."""

SCALARS: Final[frozenset[Any]] = frozenset({str, int, bool, type(None)})
_SHAPES_KEPT: Final = 64
_PRIVATE: Final = "__pydantic_private__"


class Unproven(Exception):  # noqa: N818 - it is an answer
    """Raised for a type whose values have to be compared."""


class Proof:
    """The known properties of the objects of one class.

    Attributes:
        guard: checks one object; None if there is nothing to check.
        is_exact: False if every object has to be read back and compared.
        must_read: True if reading may refuse an object, because of a bound that the constructor
            doesn't check.
        has_floats: True if an object may contain NaN or an infinity.
        is_generic: True for `Page[T]`, which is requested as `Page[User]`: reading it as `Page`
            proves nothing.
    """

    __slots__ = ("guard", "has_floats", "is_exact", "is_generic", "must_read")

    def __init__(
        self,
        guard: Guard | None,
        *,
        is_exact: bool = True,
        must_read: bool = False,
        has_floats: bool = True,
        is_generic: bool = False,
    ) -> None:
        self.guard: Guard | None = guard
        self.is_exact: bool = is_exact
        self.must_read: bool = must_read
        self.has_floats: bool = has_floats
        self.is_generic: bool = is_generic

    # Called for every object that is written.
    def passes(self, value: Any, has_null: bool) -> bool:  # noqa: FBT001
        """Return True if a quick check of `value` is enough.

        A null in the encoded data may stand for NaN.
        """
        if not self.is_exact or self.must_read or (has_null and self.has_floats):
            return False
        guard = self.guard
        if guard is None:
            return True
        try:
            return guard(value)
        except Exception:  # noqa: BLE001 - an attribute that isn't what its annotation says
            return False

    def holds(self, value: Any) -> bool:
        """Return True if `value` doesn't need to be compared."""
        return self.is_exact and (self.guard is None or self.guard(value))


UNPROVEN: Final = Proof(None, is_exact=False)


# --- Guards ---


def is_flat(mapping: dict[Any, Any]) -> bool:
    """Return True if JSON keeps `mapping` unchanged, and it contains no nested containers."""
    for key, child in mapping.items():
        kind = child.__class__
        if key.__class__ is not str or (
            kind not in SCALARS and (kind is not float or child - child != 0.0)
        ):
            return False
    return True


def is_plain(value: Any) -> bool:
    """The guard for values declared as `Any`.

    JSON returns flat values unchanged, so only flat values pass.
    """
    kind = value.__class__
    return kind in SCALARS or kind is float or (kind is dict and is_flat(value))


def has_exact_offset(value: Any) -> bool:
    """The guard for times: False if the offset has seconds.

    Neither msgspec nor pydantic writes the seconds of an offset.
    """
    zone = value.tzinfo
    if zone is None or zone is UTC:
        return True
    offset: timedelta | None = value.utcoffset()
    return offset is None or not offset.total_seconds() % 60


def is_moment(value: Any) -> bool:
    """The guard for a `datetime` field."""
    return value.__class__ is datetime and has_exact_offset(value)


def is_time(value: Any) -> bool:
    """The guard for a `time` field."""
    return value.__class__ is time and has_exact_offset(value)


def is_finite_decimal(value: Any) -> bool:
    """The guard for decimals."""
    return value.__class__ is Decimal and value.is_finite()


class OfClasses:
    """The guard for values whose class is enough proof.

    Attributes:
        kinds: the classes.
    """

    __slots__ = ("kinds",)

    def __init__(self, *kinds: type) -> None:
        self.kinds: Final[frozenset[type]] = frozenset(kinds)

    def __call__(self, value: Any) -> bool:
        """Return True for an object of exactly one of the classes, not of a subclass."""
        return value.__class__ in self.kinds


def of_class(kind: type, guard: Guard | None) -> Guard:
    """The guard for a declared class: an object of a subclass would come back as its base."""
    return (
        OfClasses(kind) if guard is None else lambda value: value.__class__ is kind and guard(value)
    )


def optional(guard: Guard) -> Guard:
    """The guard for `T | None`."""
    if isinstance(guard, OfClasses):
        return OfClasses(*guard.kinds, NoneType)
    return lambda value: value is None or guard(value)


def each(kind: Any, guard: Guard) -> Guard:
    """The guard for a list, a set or a tuple of one type."""
    if isinstance(guard, OfClasses):
        holds_all = guard.kinds.issuperset

        def all_of_classes(values: Any) -> bool:
            return values.__class__ is kind and holds_all(map(type, values))

        return all_of_classes

    def all_hold(values: Any) -> bool:
        return values.__class__ is kind and all(map(guard, values))

    return all_hold


def each_item(keys: Guard, values: Guard) -> Guard:
    """The guard for a mapping."""
    has_keys, has_values = each(dict, keys), each(list, values)
    return lambda mapping: has_keys(mapping) and has_values(list(mapping.values()))


def attributes(guards: Mapping[str, Guard]) -> Guard | None:
    """The guard for an object's attributes."""
    by_class = {name: guard.kinds for name, guard in guards.items() if isinstance(guard, OfClasses)}
    others = [(name, guard) for name, guard in guards.items() if name not in by_class]
    if not by_class:
        return _attributes(others)
    kinds = tuple(by_class.values())
    values_of: Callable[[Any], tuple[Any, ...]] = (
        attrgetter(*by_class) if len(by_class) > 1 else _one_getter(*by_class)
    )
    # The combinations of attribute classes that passed before. Most objects of a class share one or
    # two of them.
    known: set[tuple[type, ...]] = set()

    def guard(value: Any) -> bool:
        shape = tuple(map(type, values_of(value)))
        if shape not in known:
            if not all(map(contains, kinds, shape)):
                return False
            if len(known) < _SHAPES_KEPT:
                known.add(shape)
        for name, inner in others:  # noqa: SIM110 - a generator costs as much as three attributes
            if not inner(getattr(value, name)):
                return False
        return True

    return guard


def _attributes(guards: list[tuple[str, Guard]]) -> Guard | None:
    return (
        (lambda value: all(guard(getattr(value, name)) for name, guard in guards))
        if guards
        else None
    )


def _one_getter(name: str) -> Callable[[Any], tuple[Any]]:
    return lambda value: (getattr(value, name),)


def items(guards: Mapping[str, Guard]) -> Guard:
    """The guard for a mapping with known keys: other keys would be lost."""
    known, wanted = guards.keys(), list(guards.items())
    return lambda value: (
        value.keys() <= known and all(guard(value[name]) for name, guard in wanted if name in value)
    )


# --- Comparing ---


class Difference(NamedTuple):
    """Where and how two values differ, without showing either value."""

    place: str
    words: str
    is_secret: bool = False

    def __str__(self) -> str:
        return f"at {self.place}, {self.words}"


def compares_all(kind: Any) -> bool:
    """Return True for a class whose `==` compares every field.

    A user-defined `==` may leave some fields out.
    """
    if issubclass(kind, Struct):
        return kind.__eq__ is Struct.__eq__
    code = getattr(kind.__eq__, "__code__", None)
    return code is not None and code.co_filename.startswith(
        "<"
    )  # generated by dataclasses or attrs


def difference(sent: Any, back: Any) -> Difference | None:
    """Return how the decoded value differs from the sent one, or None.

    NaN equals NaN. Times are compared by their moment, not by their zone.
    """
    # Iterative, since values may be deeper than Python's stack.
    waiting: list[tuple[Any, Any, str]] = [(sent, back, "$")]
    while waiting:
        left, right, place = waiting.pop()
        if left is right:
            continue
        if type(left) is not type(right):
            if not _are_alike(left, right):
                return _described(place, left, right)
            continue
        children = _children(left, right, place)
        if children is None:
            if not _are_equal(left, right):
                return _described(place, left, right)
        elif isinstance(children, Difference):
            return children
        else:
            waiting += children
    return None


def holds_non_finite(value: Any) -> bool:
    """Return True if `value`, an object of any class, contains NaN or an infinity."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if item.__class__ in SCALARS or id(item) in seen:
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                return True
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting += cast("dict[Any, Any]", item).values()
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += cast("list[Any]", item)
        else:
            waiting += [getattr(item, name, None) for name in _all_fields(item)]
    return False


def _children(
    left: Any, right: Any, place: str
) -> Iterable[tuple[Any, Any, str]] | Difference | None:
    """Return the pairs to compare within two objects of one class.

    None means that the two objects themselves are compared.
    """
    if isinstance(left, dict):
        ours, theirs = cast("dict[Any, Any]", left), cast("dict[Any, Any]", right)
        if len(ours) != len(theirs) or any(key not in theirs for key in ours):
            return Difference(place, f"`{type(ours).__name__}` comes back with other keys")
        return [(child, theirs[key], f"{place}[...]") for key, child in ours.items()]
    if isinstance(left, list | tuple):
        ours_, theirs_ = cast("list[Any]", left), cast("list[Any]", right)
        if len(ours_) != len(theirs_):
            return Difference(place, f"`{type(ours_).__name__}` comes back with another length")
        return [
            (a, b, f"{place}[{number}]")
            for number, (a, b) in enumerate(zip(ours_, theirs_, strict=True))
        ]
    names = _compared(type(left))
    if names is None:
        return None
    missing = object()
    pairs = [
        (getattr(left, name, missing), getattr(right, name, missing), f"{place}.{name}")
        for name in names
    ]
    if _PRIVATE in names:
        pairs[-1] = (*pairs[-1][:2], f"{place} in the private attributes")
        pairs[-2] = (*pairs[-2][:2], place)
    return pairs


def _compared(kind: Any) -> tuple[str, ...] | None:
    if issubclass(kind, Struct):
        return tuple(kind.__struct_fields__)
    if hasattr(kind, "__pydantic_core_schema__") and hasattr(kind, "__pydantic_fields_set__"):
        # The fields of a pydantic model. Fields that the class's own `__eq__` leaves out are
        # compared too.
        return (*kind.model_fields, "__pydantic_extra__", _PRIVATE)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(field.name for field in kind.__attrs_attrs__ if field.eq)
    return None


def _all_fields(value: Any) -> Iterable[str]:
    kind = cast("Any", type(value))
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return _compared(kind) or ()


def _are_alike(left: Any, right: Any) -> bool:
    """Return True if two objects of different classes are equal."""
    if isinstance(left, datetime) and isinstance(right, datetime):
        return _are_equal(left, right)
    return bool(left == right)


def _are_equal(left: Any, right: Any) -> bool:
    if isinstance(left, datetime) and left.tzinfo is not None and right.tzinfo is not None:
        # When clocks are set back, an hour repeats, and `==` is False for equal moments of two
        # zones.
        same_moment: bool = left.astimezone(UTC) == right.astimezone(UTC)
        return same_moment
    return bool(left == right) or (
        isinstance(left, float | Decimal) and _is_nan(left) and _is_nan(right)
    )


def _is_nan(value: float | Decimal) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else math.isnan(value)


def _described(place: str, left: Any, right: Any) -> Difference:
    kind = type(left).__name__
    if hasattr(left, "get_secret_value"):
        return Difference(place, f"`{kind}` is written as asterisks", is_secret=True)
    if isinstance(left, datetime | time) and not has_exact_offset(left):
        return Difference(place, f"`{kind}` has an offset with seconds, which would be cut off")
    if type(left) is type(right):
        return Difference(place, f"`{kind}` comes back changed")
    return Difference(place, f"`{kind}` comes back as `{type(right).__name__}`")
