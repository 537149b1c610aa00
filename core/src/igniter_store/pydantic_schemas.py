"""Reads pydantic's core schema of a type: its names, and proofs about its values.

Rule: Only types that are known to come back unchanged are proven. Every unknown kind of schema, key
    or configuration is `Unproven`.
"""

from __future__ import annotations

import enum
from datetime import date, timedelta
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from igniter_store import fidelity
from igniter_store.fidelity import UNPROVEN, Guard, Proof, Unproven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FIELDS: Final = ("model-field", "dataclass-field", "typed-dict-field")
_OWNERS: Final = ("model", "dataclass", "typed-dict")
_ALWAYS: Final = frozenset({"type", "ref", "metadata", "strict"})
_BOUNDS: Final = frozenset(
    {
        "gt",
        "ge",
        "lt",
        "le",
        "multiple_of",
        "min_length",
        "max_length",
        "pattern",
        "max_digits",
        "decimal_places",
    }
)
_BY_CLASS: Final[dict[str, type]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "none": NoneType,
    "uuid": UUID,
    "date": date,
}
_SEQUENCES: Final[dict[str, type]] = {"list": list, "set": set, "frozenset": frozenset}
# Configuration that doesn't change a value between writing and reading.
_HARMLESS: Final = frozenset(
    {
        "title",
        "extra_fields_behavior",
        "populate_by_name",
        "validate_by_name",
        "validate_by_alias",
        "serialize_by_alias",
        "from_attributes",
        "frozen",
        "strict",
        "loc_by_alias",
        "hide_input_in_errors",
        "validate_default",
        "revalidate_instances",
        "validation_error_cause",
    }
)


class Facts:
    """The known properties of one type.

    Attributes:
        takes_default_names: True if reading accepts the names that pydantic writes by default.
        takes_aliases: True if reading accepts the aliases that pydantic writes on request.
        aliases_collide: True if a field's name is the alias of another field of the same class.
        only_models_have_aliases: False if a dataclass or a TypedDict has aliases; msgspec writes
            these classes by the names of their fields.
        needs_round_trip: True if pydantic's `round_trip` is needed: for `Json[...]`, and if a
            computed field would be read as another field.
        compares_all: True if `==` compares everything: no class within the type defines its own.
        proof: the known properties of the type's values.
    """

    def __init__(self) -> None:
        self.takes_default_names: bool = True
        self.takes_aliases: bool = True
        self.aliases_collide: bool = False
        self.only_models_have_aliases: bool = True
        self.needs_round_trip: bool = False
        self.compares_all: bool = True
        self.proof = UNPROVEN
        self._names: set[str] = set()
        self._shows_numbers = True

    def shown(self, part: Any) -> str:
        """Format a part of the location of a pydantic error.

        Known names and positions are shown. `[...]` replaces a part that may be a key from the
        caller's data.
        """
        if isinstance(part, str):
            return f".{part}" if part in self._names else "[...]"
        return f"[{part}]" if self._shows_numbers else "[...]"

    def note(self, schema: Mapping[str, Any]) -> None:
        """Inspect one schema within the type's schema."""
        kind = schema.get("type")
        if kind == "json":
            self.needs_round_trip = True
        elif kind == "dict":
            self._shows_numbers &= schema.get("keys_schema", {}).get("type") == "str"
        elif kind in _OWNERS:
            self._note_fields(schema)

    def _note_fields(self, schema: Mapping[str, Any]) -> None:
        kind = schema.get("cls")
        if schema["type"] == "model":
            self.compares_all &= (
                getattr(kind.__eq__, "__module__", "").partition(".")[0] == "pydantic"
            )
        elif schema["type"] == "dataclass":
            self.compares_all &= fidelity.compares_all(kind)
        config: Any = schema.get("config") or {}
        inner: Any = _inner(schema)
        fields = dict(_fields(inner))
        taken: dict[str, set[str]] = {
            name: _taken(name, field, config) for name, field in fields.items()
        }
        for name, field in fields.items():
            alias = field.get("serialization_alias") or name
            by_default = alias if config.get("serialize_by_alias") else name
            is_others = by_default != alias and any(
                by_default in names for other, names in taken.items() if other != name
            )
            self.takes_default_names &= by_default in taken[name] and not is_others
            self.takes_aliases &= alias in taken[name]
            if alias != name or field.get("validation_alias") is not None:
                self.only_models_have_aliases &= schema["type"] == "model"
            self.aliases_collide |= any(
                name in names for other, names in taken.items() if other != name
            )
            self._names |= {name, *taken[name]}
        computed = {
            item.get("alias") or item["property_name"] for item in inner.get("computed_fields", ())
        }
        computed |= {item["property_name"] for item in inner.get("computed_fields", ())}
        extra = config.get("extra_fields_behavior") or inner.get("extra_behavior") or "ignore"
        if computed and (extra != "ignore" or computed & set().union(*taken.values(), fields)):
            self.needs_round_trip = True


def facts_of(schema: Any) -> Facts:
    """Return the facts of a core schema."""
    facts = Facts()
    for inner in _walk(schema):
        facts.note(inner)
    if not facts.aliases_collide:
        try:
            compiler = _Compiler()
            guard = compiler.root(schema)
            facts.proof = Proof(guard, must_read=compiler.must_read, has_floats=compiler.has_floats)
        except Unproven:
            pass
    return facts


def _walk(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every schema in `schema`, itself first.

    Iterative, and by identity, because schemas are shared.
    """
    seen: set[int] = set()
    waiting: list[Any] = [schema]
    while waiting:
        item = waiting.pop()
        identity = id(item)
        if identity in seen:
            continue
        if isinstance(item, dict):
            inner = cast("dict[str, Any]", item)
            seen.add(identity)
            yield inner
            waiting += [
                value
                for key, value in inner.items()
                if key not in ("metadata", "default", "expected", "members", "cls")
            ]
        elif isinstance(item, list | tuple):
            seen.add(identity)
            waiting += cast("list[Any]", item)


def _inner(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that contains the fields of a model, a dataclass or a TypedDict.

    Validators may be wrapped around it.
    """
    if schema["type"] == "typed-dict":
        return schema
    inner: Mapping[str, Any] = {} if schema.get("root_model") else schema["schema"]
    while inner and inner["type"] not in ("model-fields", "dataclass-args"):
        inner = inner["schema"] if isinstance(inner.get("schema"), dict) else {}
    return inner


def _fields(inner: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    fields = inner.get("fields", ())
    if isinstance(fields, dict):
        yield from fields.items()
    else:
        for field in fields:
            if isinstance(field, dict):
                yield field["name"], field


def _taken(name: str, field: Mapping[str, Any], config: Mapping[str, Any]) -> set[str]:
    """Return the names under which validation finds a field."""
    alias: Any = field.get("validation_alias")
    if alias is None:
        return {name}
    paths = cast("list[Any]", alias if isinstance(alias, list) else [[alias]])
    if paths and not isinstance(paths[0], list):
        paths = [paths]
    taken: set[str] = (
        {path[0] for path in paths if len(path) == 1}
        if config.get("validate_by_alias", True)
        else set()
    )
    if config.get("validate_by_name") or config.get("populate_by_name"):
        taken.add(name)
    return taken


class _Compiler:
    def __init__(self) -> None:
        self.must_read = False
        self.has_floats = False
        self._defined: dict[str, Any] = {}
        self._known: dict[str, Guard] = {}
        self._under_way: set[str] = set()

    def root(self, schema: Any) -> Guard | None:
        """Return the guard for the type itself, whose class is known."""
        schema = self._resolved(schema)
        return (
            self._attributes(schema)
            if schema.get("type") in ("model", "dataclass")
            else self.guard(schema)
        )

    def guard(self, schema: Any) -> Guard:
        """Return the guard for an inner schema."""
        compile_: Callable[[Any], Guard] | None = getattr(
            self, f"_{schema['type'].replace('-', '_')}", None
        )
        if compile_ is None or "serialization" in schema:
            raise Unproven
        return compile_(schema)

    def _only(self, schema: Mapping[str, Any], *allowed: str) -> None:
        others = schema.keys() - _ALWAYS - set(allowed)
        if not others <= _BOUNDS:
            raise Unproven
        self.must_read |= bool(others)

    def _resolved(self, schema: Any) -> Any:
        while schema.get("type") in ("definitions", "definition-ref"):
            if schema["type"] == "definitions":
                self._defined.update({item["ref"]: item for item in schema["definitions"]})
                schema = schema["schema"]
            else:
                schema = self._defined[schema["schema_ref"]]
        return schema

    def _definitions(self, schema: Any) -> Guard:
        return self.guard(self._resolved(schema))

    def _definition_ref(self, schema: Any) -> Guard:
        reference = schema["schema_ref"]
        if reference in self._under_way:
            return lambda value: self._known[reference](value)  # noqa: PLW0108 - it isn't built yet
        if reference not in self._known:
            self._under_way.add(reference)
            self._known[reference] = self.guard(self._defined[reference])
            self._under_way.discard(reference)
        return self._known[reference]

    def _str(self, schema: Any) -> Guard:
        self._only(schema)
        return fidelity.OfClasses(_BY_CLASS[schema["type"]])

    _int = _bool = _none = _uuid = _date = _str

    def _float(self, schema: Any) -> Guard:
        self._only(schema, "allow_inf_nan")
        self.has_floats = True
        return fidelity.OfClasses(float, int)

    def _timedelta(self, schema: Any) -> Guard:
        self._only(schema, "microseconds_precision")
        return fidelity.OfClasses(timedelta)

    def _datetime(self, schema: Any) -> Guard:
        self._only(schema, "microseconds_precision")
        return fidelity.is_moment

    def _time(self, schema: Any) -> Guard:
        self._only(schema, "microseconds_precision")
        return fidelity.is_time

    def _decimal(self, schema: Any) -> Guard:
        self._only(schema)
        return fidelity.is_finite_decimal

    def _any(self, schema: Any) -> Guard:
        self._only(schema)
        self.has_floats = True
        return fidelity.is_plain

    def _literal(self, schema: Any) -> Guard:
        self._only(schema, "expected")
        if any(type(item) not in fidelity.SCALARS for item in schema["expected"]):
            raise Unproven
        expected = frozenset(schema["expected"])
        return lambda value: value.__class__ in fidelity.SCALARS and value in expected

    def _enum(self, schema: Any) -> Guard:
        self._only(schema, "cls", "members", "sub_type")
        kinds: set[type] = {type(member.value) for member in schema["members"]}
        if kinds not in ({str}, {int}) or not issubclass(schema["cls"], enum.Enum):
            raise Unproven
        return fidelity.OfClasses(schema["cls"])

    def _default(self, schema: Any) -> Guard:
        self._only(
            schema,
            "schema",
            "default",
            "default_factory",
            "default_factory_takes_data",
            "validate_default",
            "copy_default",
        )
        return self.guard(schema["schema"])

    def _nullable(self, schema: Any) -> Guard:
        self._only(schema, "schema")
        return fidelity.optional(self.guard(schema["schema"]))

    def _list(self, schema: Any) -> Guard:
        self._only(schema, "items_schema")
        return fidelity.each(
            _SEQUENCES[schema["type"]], self.guard(schema.get("items_schema") or {"type": "any"})
        )

    _set = _frozenset = _list

    def _tuple(self, schema: Any) -> Guard:
        self._only(schema, "items_schema", "variadic_item_index")
        if schema.get("variadic_item_index") != 0 or len(schema["items_schema"]) != 1:
            raise Unproven
        return fidelity.each(tuple, self.guard(schema["items_schema"][0]))

    def _dict(self, schema: Any) -> Guard:
        self._only(schema, "keys_schema", "values_schema")
        keys: Any = schema.get("keys_schema") or {}
        if keys.get("type") != "str":
            raise Unproven
        return fidelity.each_item(
            self.guard(keys), self.guard(schema.get("values_schema") or {"type": "any"})
        )

    def _model(self, schema: Any) -> Guard:
        return fidelity.of_class(schema["cls"], self._attributes(schema))

    _dataclass = _model

    def _attributes(self, schema: Any) -> Guard | None:
        self._only(
            schema,
            "cls",
            "config",
            "schema",
            "custom_init",
            "root_model",
            "post_init",
            "generic_origin",
            "frozen",
            "fields",
            "slots",
            "dataclass_name",
            "serialization_exclude_unset",
        )
        config: Any = schema.get("config") or {}
        if (
            schema.get("custom_init")
            or schema.get("post_init")
            or not config.keys() <= _HARMLESS
            or "serialization" in schema
        ):
            raise Unproven
        inner = schema["schema"]
        if schema.get("root_model"):
            return fidelity.attributes({"root": self.guard(inner)})
        if (
            inner["type"] not in ("model-fields", "dataclass-args")
            or "extras_schema" in inner
            or "serialization" in inner
        ):
            raise Unproven
        guards = {name: self._field(field) for name, field in _fields(inner)}
        if (config.get("extra_fields_behavior") or inner.get("extra_behavior")) == "allow":
            guards["__pydantic_extra__"] = lambda extra: not extra
        return fidelity.attributes(guards)

    def _field(self, field: Mapping[str, Any]) -> Guard:
        known = {
            "type",
            "name",
            "schema",
            "metadata",
            "validation_alias",
            "serialization_alias",
            "frozen",
            "kw_only",
            "init",
        }
        if not field.keys() <= known or field.get("init") is False:
            raise Unproven
        return self.guard(field["schema"])
