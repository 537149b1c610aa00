"""Decides which values a serializer stores: only those that come back unchanged.

Rule: Plain data is scanned once. An object of a user-defined class is read back and compared,
    unless a proof for its class holds.
"""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import msgspec

from igniter_store import fidelity
from igniter_store.declared_types import proof_of
from igniter_store.fidelity import SCALARS, UNPROVEN, Proof
from igniter_store.pydantic_types import is_pydantic_model
from igniter_store.reasons import FOREIGN_KEY, NON_FINITE, Unencodable, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from igniter_store.foreign_types import ForeignTypes

_CLASSES_KEPT: Final = 512
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_EXACT: Final[frozenset[Any]] = frozenset(_CONTAINERS)
_CERTAIN: Final = Proof(None, has_floats=False)
_CURE: Final = "Change the class so that it reads what it writes, or store plain data."


class Storable:
    """Checks values after they are encoded and before they are sent.

    Args:
        foreign: the foreign types that the serializer supports besides msgspec's.
        encode: the serializer's encoder, without this check.
        decode: the serializer's decoder.
        is_json: True if mappings need `str` keys and numbers must be finite.
    """

    def __init__(
        self,
        foreign: ForeignTypes,
        encode: Callable[[Any], bytes],
        decode: Callable[[bytes, Any], Any],
        *,
        is_json: bool,
    ) -> None:
        self._foreign: Final = foreign
        self._encode: Final = encode
        self._decode: Final = decode
        self._is_json: Final = is_json
        moment = Proof(fidelity.has_exact_offset if is_json else None, has_floats=False)
        self._builtin: Final[dict[type, Proof]] = {
            **dict.fromkeys(
                (bytes, bytearray, memoryview, date, timedelta, Decimal, UUID, msgspec.Raw),
                _CERTAIN,
            ),
            datetime: moment,
            time: Proof(fidelity.has_exact_offset, has_floats=False),
        }
        self.proofs: Final[dict[type, Proof]] = dict(self._builtin)

    def check(self, value: Any, data: bytes) -> None:
        """Refuse `value`, encoded as `data`, if it wouldn't come back unchanged.

        Raises:
            Unencodable: with the kind of problem and its place.
        """
        kind: Any = value.__class__
        has_null = self._is_json and b"null" in data
        if kind not in _EXACT:
            kind = cast("Any", type(value))
            if isinstance(value, _CONTAINERS) and not hasattr(kind, "_fields"):
                self._check_subclass(kind, data)
            else:
                self._check_object(value, kind, data, has_null=has_null)
                if not isinstance(value, tuple):
                    return
        # Iterative, since the encoder accepts values deeper than Python's stack. The encoder has
        # already visited the value, so it contains no cycle.
        waiting: list[Any] = [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                mapping = cast("dict[Any, Any]", item)
                if self._is_json:
                    _check_keys(mapping)
                item = mapping.values()
            self._check_children(item, waiting, has_null=has_null)

    def _check_children(
        self, children: Iterable[Any], waiting: list[Any], *, has_null: bool
    ) -> None:
        is_json, proofs = self._is_json, self.proofs
        for child in children:
            kind: Any = child.__class__
            if kind in SCALARS:
                continue
            if kind is float:
                if is_json and child - child != 0.0:  # true only for NaN and the infinities
                    raise Unencodable(*NON_FINITE)
            elif kind in _EXACT:
                waiting.append(child)
            elif (proof := proofs.get(kind)) is None or not proof.passes(child, has_null):
                kind = cast("Any", type(child))
                is_container = isinstance(child, _CONTAINERS)
                if is_container:
                    waiting.append(child)
                if not is_container or hasattr(kind, "_fields"):
                    self._check_object(child, kind, None, has_null=has_null)

    def _check_object(self, value: Any, kind: type, data: bytes | None, *, has_null: bool) -> None:
        proof = self.proofs.get(kind) or self._prove(kind)
        try:
            is_certain = proof.holds(value)
        except Exception:  # noqa: BLE001 - an attribute that isn't what its annotation says
            is_certain = False
        if is_certain and not proof.must_read and not (has_null and proof.has_floats):
            return
        if not proof.is_generic:
            self._read_back(value, kind, self._encode(value) if data is None else data)
        elif has_null and self._holds_non_finite(value):
            raise Unencodable(*NON_FINITE)

    def _read_back(self, value: Any, kind: type, data: bytes) -> None:
        try:
            back = self._decode(data, kind)
            found = (
                None
                if fidelity.compares_all(kind) and back == value
                else fidelity.difference(value, back)
            )
        except Exception as error:  # noqa: BLE001 - a class of the caller's may raise anything
            self._check_finite(value)
            raise Unencodable(
                f"what it is written as can't be read back, {reason(error)}", _CURE
            ) from None
        if found is not None:
            self._check_finite(value)
            raise Unencodable(str(found), _CURE)

    def _check_finite(self, value: Any) -> None:
        if self._is_json and self._holds_non_finite(value):
            raise Unencodable(*NON_FINITE)

    def _check_subclass(self, kind: type, data: bytes) -> None:
        """Check that a subclass of a builtin collection can be created again.

        Its items are checked like those of a plain collection.
        """
        try:
            self._decode(data, kind)
        except Exception as error:  # noqa: BLE001 - a class of the caller's may raise anything
            raise Unencodable(
                f"what it is written as can't be read back, {reason(error)}", _CURE
            ) from None

    def _holds_non_finite(self, value: Any) -> bool:
        if fidelity.holds_non_finite(value):
            return True
        return self._foreign.has_encoder and fidelity.holds_non_finite(
            msgspec.to_builtins(value, enc_hook=self._foreign.encode_plain)
        )

    def _prove(self, kind: type) -> Proof:
        if len(self.proofs) >= _CLASSES_KEPT:
            self.proofs.clear()
            self.proofs.update(self._builtin)
        proof = self.proofs[kind] = self._proof(kind)
        return proof

    def _proof(self, kind: type) -> Proof:
        if is_pydantic_model(kind):
            return _CERTAIN  # already checked when it was encoded
        proof = proof_of(kind, self._is_own)
        if proof is UNPROVEN and self._foreign.has_encoder and not _is_msgspecs(kind):
            return Proof(None, is_generic=True)  # the caller's hooks decide on its form
        return proof

    def _is_own(self, kind: Any) -> bool:
        return is_pydantic_model(kind) or (self._foreign.has_encoder and not _is_msgspecs(kind))


def _check_keys(mapping: dict[Any, Any]) -> None:
    for key in mapping:
        if key.__class__ is not str and not isinstance(key, str):
            raise Unencodable(*FOREIGN_KEY)


def _is_msgspecs(kind: Any) -> bool:
    """Return True for a class that msgspec writes without calling a hook."""
    is_described = hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__")
    return is_described or (
        isinstance(kind, type) and issubclass(kind, (msgspec.Struct, enum.Enum, *_CONTAINERS))
    )
