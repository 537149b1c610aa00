"""What msgspec's view of a class proves about its objects.

Rule: what isn't known to come back unchanged is `Unproven`, and its objects are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import inspect

from igniter_store import fidelity
from igniter_store.fidelity import UNPROVEN, Guard, Proof, Unproven

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING_TO_SEE: Final = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.ByteArrayType,
    inspect.EnumType,
    inspect.LiteralType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
    inspect.DecimalType,
)
_SEQUENCES: Final = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
_HOOKS: Final = ("__post_init__", "__attrs_post_init__", "__attrs_pre_init__", "__pydantic_validator__")


def proof_of(kind: type, is_own: Callable[[type], bool]) -> Proof:
    """The proof of a dataclass, a struct, an attrs class or a named tuple.

    Args:
        kind: the class.
        is_own: True for a class that msgspec doesn't know and that comes back all the same: a pydantic model, whose objects are looked
            at one by one, and what the caller's own hooks convert.
    """
    try:
        compiler = _Compiler(kind, is_own)
        guard = compiler.fields_of(inspect.type_info(kind))
    except Exception:  # noqa: BLE001 - Unproven, and whatever is wrong with a class of the caller's
        return UNPROVEN
    return Proof(guard, must_read=compiler.must_read, has_floats=compiler.has_floats, is_generic=compiler.is_generic)


class _Compiler:
    def __init__(self, root: type, is_own: Callable[[type], bool]) -> None:
        self.must_read = False
        self.has_floats = False
        # `Page[T]` is asked for as `Page[User]`, which its objects don't know: what stands for T can't be judged.
        self.is_generic = bool(getattr(root, "__parameters__", ()))
        self._is_own = is_own
        self._known: dict[type, Guard | None] = {}
        self._under_way: set[type] = set()

    def guard(self, info: inspect.Type) -> Guard | None:  # noqa: PLR0911 - a case for each kind of type
        """The guard of one declared type."""
        if isinstance(info, inspect.Metadata):
            return self.guard(info.type)
        if isinstance(info, inspect.AnyType):
            self.has_floats = True
            return None if self.is_generic else fidelity.is_plain
        if isinstance(info, inspect.FloatType):
            self.has_floats = True
        if isinstance(info, inspect.IntType | inspect.FloatType | inspect.StrType | inspect.BytesType):
            return self._bounded(info, None)
        if isinstance(info, inspect.DateTimeType | inspect.TimeType):
            self.must_read |= info.tz is not None
            return fidelity.has_exact_offset
        if isinstance(info, inspect.DateType):
            return fidelity.is_date
        if isinstance(info, _NOTHING_TO_SEE):
            return None
        if isinstance(info, _SEQUENCES):
            return self._bounded(info, fidelity.each(self.guard(info.item_type)))
        if isinstance(info, inspect.TupleType):
            return self._positions(info.item_types)
        if isinstance(info, inspect.DictType):
            return self._mapping(info)
        if isinstance(info, inspect.UnionType):
            return self._union(info)
        if isinstance(info, inspect.TypedDictType):
            return fidelity.items({field.name: self.guard(field.type) for field in info.fields})
        if isinstance(info, inspect.StructType | inspect.DataclassType | inspect.NamedTupleType):
            return self._class(info)
        if isinstance(info, inspect.CustomType) and self._is_own(info.cls):
            return fidelity.of_class(info.cls, None)
        raise Unproven

    def fields_of(self, info: inspect.Type) -> Guard | None:
        """The guard of an object's fields, when its class is certain."""
        if isinstance(info, inspect.Metadata):
            return self.fields_of(info.type)
        if isinstance(info, inspect.EnumType):
            return None
        if isinstance(info, inspect.NamedTupleType):
            return fidelity.attributes({field.name: self.guard(field.type) for field in info.fields})
        if not isinstance(info, inspect.StructType | inspect.DataclassType):
            raise Unproven
        kind = info.cls
        if any(hasattr(kind, hook) for hook in _HOOKS) or any(
            field.converter is not None or field.validator is not None for field in getattr(kind, "__attrs_attrs__", ())
        ):
            raise Unproven
        return fidelity.attributes({field.name: self.guard(field.type) for field in info.fields})

    def _class(self, info: inspect.StructType | inspect.DataclassType | inspect.NamedTupleType) -> Guard:
        kind = info.cls
        if kind in self._under_way:  # a tree: its guard isn't there yet
            return lambda value: value.__class__ is kind and ((inner := self._known[kind]) is None or inner(value))
        if kind not in self._known:
            self._under_way.add(kind)
            self._known[kind] = self.fields_of(info)
            self._under_way.discard(kind)
        return fidelity.of_class(kind, self._known[kind])

    def _bounded(self, info: Any, guard: Guard | None) -> Guard | None:
        bounds = (getattr(info, name, None) for name in ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern"))
        self.must_read |= any(bound is not None for bound in bounds)
        return guard

    def _positions(self, types: tuple[inspect.Type, ...]) -> Guard | None:
        guards = [self.guard(type) for type in types]
        if not any(guards):
            return None
        return lambda values: all(guard is None or guard(value) for guard, value in zip(guards, values, strict=True))

    def _mapping(self, info: inspect.DictType) -> Guard | None:
        values = self._bounded(info, fidelity.each_value(self.guard(info.value_type)))
        if isinstance(info.key_type, inspect.AnyType):
            if self.is_generic:
                return values
            return lambda mapping: all(key.__class__ is str for key in mapping) and (values is None or values(mapping))
        keys = fidelity.each(self.guard(info.key_type))
        if keys is None:
            return values
        return lambda mapping: keys(mapping) and (values is None or values(mapping))

    def _union(self, info: inspect.UnionType) -> Guard | None:
        others = [type for type in info.types if not isinstance(type, inspect.NoneType)]
        guards = [self.guard(type) for type in others]
        if not any(guards):
            return None
        if len(guards) == 1:
            return fidelity.optional(guards[0])
        # A value is fine when one of the guards that know a class takes it; without a class of its own it is compared.
        classes = [guard for guard, type in zip(guards, others, strict=True) if guard is not None and hasattr(type, "cls")]
        return lambda value: value.__class__ in fidelity.SCALARS or any(guard(value) for guard in classes)


