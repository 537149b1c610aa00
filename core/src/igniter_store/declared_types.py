"""Derives proofs for objects from the way msgspec sees their class.

Rule: A type is `Unproven` unless its values are known to come back unchanged. Objects of unproven
    types are compared.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from msgspec import inspect

from igniter_store import fidelity
from igniter_store.fidelity import UNPROVEN, Guard, Proof, Unproven

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_CLASS: Final[dict[Any, type]] = {
    inspect.NoneType: NoneType,
    inspect.BoolType: bool,
    inspect.BytesType: bytes,
    inspect.ByteArrayType: bytearray,
    inspect.IntType: int,
    inspect.StrType: str,
    inspect.TimeDeltaType: timedelta,
    inspect.UUIDType: UUID,
    inspect.DecimalType: Decimal,
    inspect.DateType: date,
}
_SEQUENCES: Final[dict[Any, type]] = {
    inspect.ListType: list,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
    inspect.VarTupleType: tuple,
}
_BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
_HOOKS: Final = (
    "__post_init__",
    "__attrs_post_init__",
    "__attrs_pre_init__",
    "__pydantic_validator__",
)


def proof_of(kind: type, is_own: Callable[[type], bool]) -> Proof:
    """Return the proof for a dataclass, a struct, an attrs class or a named tuple.

    Args:
        kind: the class.
        is_own: returns True for a class that msgspec doesn't support but that still comes back
            unchanged: a pydantic model, whose objects are checked one by one, or a class that the
            caller's own hooks convert.
    """
    try:
        compiler = _Compiler(kind, is_own)
        guard = compiler.fields_of(inspect.type_info(kind))
    except Exception:  # noqa: BLE001 - Unproven, or any error in a user-defined class
        return UNPROVEN
    return Proof(
        guard,
        must_read=compiler.must_read,
        has_floats=compiler.has_floats,
        is_generic=compiler.is_generic,
    )


class _Compiler:
    def __init__(self, root: type, is_own: Callable[[type], bool]) -> None:
        self.must_read = False
        self.has_floats = False
        # `Page[T]` is requested as `Page[User]`, but its objects don't record the argument, so the
        # type of T can't be checked.
        self.is_generic = bool(getattr(root, "__parameters__", ()))
        self._is_own = is_own
        self._known: dict[type, Guard | None] = {}
        self._under_way: set[type] = set()

    def guard(self, info: inspect.Type) -> Guard:
        """Return the guard for one declared type."""
        if isinstance(info, inspect.Metadata):
            return self.guard(info.type)
        self.must_read |= any(getattr(info, name, None) is not None for name in _BOUNDS)
        guard = self._scalar(info) or self._collection(info) or self._object(info)
        if guard is None:
            raise Unproven
        return guard

    def _scalar(self, info: inspect.Type) -> Guard | None:
        kind = _BY_CLASS.get(type(info))
        if kind is not None:
            return fidelity.OfClasses(kind)
        if isinstance(info, inspect.FloatType):
            self.has_floats = True
            return fidelity.OfClasses(float, int)
        if isinstance(info, inspect.DateTimeType | inspect.TimeType):
            self.must_read |= info.tz is not None
            return (
                fidelity.is_moment if isinstance(info, inspect.DateTimeType) else fidelity.is_time
            )
        if isinstance(info, inspect.EnumType):
            return fidelity.OfClasses(info.cls)
        if isinstance(info, inspect.LiteralType):
            values = frozenset(info.values)
            return lambda value: value.__class__ in fidelity.SCALARS and value in values
        return None

    def _collection(self, info: Any) -> Guard | None:
        sequence = _SEQUENCES.get(type(info))
        if sequence is not None:
            return fidelity.each(sequence, self.guard(info.item_type))
        if isinstance(info, inspect.TupleType):
            guards = [self.guard(type) for type in info.item_types]
            return lambda value: (
                value.__class__ is tuple
                and len(value) == len(guards)
                and all(map(_holds, guards, value))
            )
        if isinstance(info, inspect.DictType):
            # The keys of a mapping from anything to anything come back as text.
            keys = (
                _is_text
                if isinstance(info.key_type, inspect.AnyType) and not self.is_generic
                else self.guard(info.key_type)
            )
            return fidelity.each_item(keys, self.guard(info.value_type))
        if isinstance(info, inspect.TypedDictType):
            return fidelity.items({field.name: self.guard(field.type) for field in info.fields})
        return None

    def _object(self, info: inspect.Type) -> Guard | None:
        if isinstance(info, inspect.AnyType):
            self.has_floats = True
            return _anything if self.is_generic else fidelity.is_plain
        if isinstance(info, inspect.UnionType):
            return self._union(info)
        if isinstance(info, inspect.StructType | inspect.DataclassType | inspect.NamedTupleType):
            return self._class(info)
        if isinstance(info, inspect.CustomType) and self._is_own(info.cls):
            return fidelity.OfClasses(info.cls)
        return None

    def fields_of(self, info: inspect.Type) -> Guard | None:
        """Return the guard for an object's fields, if its class is exact."""
        if isinstance(info, inspect.Metadata):
            return self.fields_of(info.type)
        if isinstance(info, inspect.EnumType):
            return None
        if isinstance(info, inspect.NamedTupleType):
            return fidelity.attributes(
                {field.name: self.guard(field.type) for field in info.fields}
            )
        if not isinstance(info, inspect.StructType | inspect.DataclassType):
            raise Unproven
        kind = info.cls
        if any(hasattr(kind, hook) for hook in _HOOKS) or any(
            field.converter is not None or field.validator is not None
            for field in getattr(kind, "__attrs_attrs__", ())
        ):
            raise Unproven
        guards = {field.name: self.guard(field.type) for field in info.fields}
        if hasattr(kind, "__attrs_attrs__") and any(name.startswith("_") for name in guards):
            raise Unproven  # msgspec reads private attrs fields but doesn't write them
        return fidelity.attributes(guards)

    def _class(
        self, info: inspect.StructType | inspect.DataclassType | inspect.NamedTupleType
    ) -> Guard:
        kind = info.cls
        if kind in self._under_way:  # a recursive class: its guard doesn't exist yet
            return lambda value: (
                value.__class__ is kind and ((inner := self._known[kind]) is None or inner(value))
            )
        if kind not in self._known:
            self._under_way.add(kind)
            self._known[kind] = self.fields_of(info)
            self._under_way.discard(kind)
        return fidelity.of_class(kind, self._known[kind])

    def _union(self, info: inspect.UnionType) -> Guard:
        guards = [self.guard(type) for type in info.types]
        by_class = [guard.kinds for guard in guards if isinstance(guard, fidelity.OfClasses)]
        others = [guard for guard in guards if not isinstance(guard, fidelity.OfClasses)]
        kinds = fidelity.OfClasses(*(kind for kinds in by_class for kind in kinds))
        return (
            kinds
            if not others
            else lambda value: kinds(value) or any(guard(value) for guard in others)
        )


_is_text: Final = fidelity.OfClasses(str)


def _anything(value: Any) -> bool:
    del value
    return True


def _holds(guard: Guard, value: Any) -> bool:
    return guard(value)
