"""Names that nearly agree, and long names."""

from __future__ import annotations

from abc import abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from igniter_store_conformance.crossing.dimension import (
    NAME_CLAUSES,
    Cell,
    Dimension,
    by_capability,
    main_name,
    prepared,
    sample,
)
from igniter_store_conformance.crossing.program import Call, bound, look
from igniter_store_conformance.spec.operations import NAMES, Kind, Operation
from igniter_store_conformance.tools.samples import LONGEST_NAME
from igniter_store_conformance.tools.samples import NAMES as SIMILAR

if TYPE_CHECKING:
    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import Trial

LENGTHS: Final = (64, 65, 128, 200, 255, 256, 257, 512, 900, 1_000, LONGEST_NAME)
# A token key has the claim's key in it, and some more characters.
_LONGEST_CLAIM: Final = 900
_FIRST_KINDS: Final = (Kind.KEY, Kind.STREAM)

SIMILAR_NAMES: Final = (
    *SIMILAR,
    "aB",
    "Ab",
    "a\t",
    "a\r\n",
    "a\u00a0",  # a space that Unicode strips
    "a?b",
    "a\u00e9b",  # becomes "a?b" in ASCII
    "\ufb01",  # a ligature, compatible with "fi"
    "fi",
    "\uff21",  # a full-width "A"
    "\u0130",  # folds to two characters
    "i",
    "I",
    "\u0131",
    "\U0001d49c",  # outside of the basic plane
    "\U0001d49d",
    "a\x00c",
    "a_b",
    "a%b",
    "a-b",
    "a.b",
    "a b",
    "ab/",
    "-a",
    "+a",
    "0",
    "-0",
    "00",
    "1e0",
    "true",
    "none",
    "nil",
    "a,b",
    "a;b",
    "a{b}",
    "{a}b",
    "a=b",
    "a&b",
    "a#b",
    "a@b",
    "a|b",
    "(a",
    "[a",
    "\\",
    "'",
    '"',
    "$",
    "~",
)


class _Names(Dimension):
    def cells_of(self, operation: Operation) -> list[Cell]:
        return [Cell(operation, kind) for kind in NAMES if kind in _kinds_of(operation)]

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no name"

    def clause(self, cell: Cell) -> str:
        if cell.operation.method == "delete_prefix":
            return "SCN-5"
        return by_capability(cell.operation, NAME_CLAUSES)

    @abstractmethod
    def names(self, cell: Cell, trial: Trial) -> list[str]:
        """Return the names to tell apart."""

    def program(self, cell: Cell, trial: Trial) -> Program:
        operation, kind = cell.operation, cell.kind
        assert kind is not None
        names = self.names(cell, trial)
        bindings: list[dict[Kind, Any]] = [
            {
                **sample(place if kind in _FIRST_KINDS else ""),
                Kind.DELTA: place + 1,
                Kind.TTL: 3_000.0 + 10 * place,
                kind: name,
            }
            for place, name in enumerate(names)
        ]
        if operation.method in _TELL_LITTLE and kind in _FIRST_KINDS:
            return _bit_by_bit(operation, bindings, names)
        for place, each in enumerate(bindings):
            each[Kind.VALUE] = b"value %d" % place
        before = [prepared(operation, each) for each in bindings]
        calls = [bound(operation.call, each) for each in bindings]
        if kind not in _FIRST_KINDS:  # each needs entries of its own
            program = [
                each
                for preparing, call in zip(before, calls, strict=True)
                for each in (*preparing, call)
            ]
        else:
            program = [*chain.from_iterable(before), *calls]
        groups = names if kind is Kind.GROUP else ["group"]
        if operation.method == "delete_prefix":
            groups = []
        looked = names if kind in _FIRST_KINDS else [bindings[0][main_name(operation)]]
        for name in looked:
            program += _look(operation, name, groups)
        return program


class SimilarNames(_Names):
    """Names that differ in case, blanks, accents, and in characters with a meaning elsewhere."""

    word = "similar"
    title = "names that differ in case, blanks, accents or special characters"
    promise = (
        "{operation} tells similar {kind}s apart: those that differ only in case, blanks, accents, "
        "NUL, Unicode form or special characters."
    )
    hint = (
        "look for a case-insensitive collation, normalized Unicode, trimmed text, an encoding with "
        "replacements, or a name that is used as a pattern, in the code of this operation."
    )

    def names(self, cell: Cell, trial: Trial) -> list[str]:
        del trial
        if cell.operation.method == "delete_prefix":
            # longest first, so that a prefix removes only its own name
            return sorted(SIMILAR_NAMES, key=len, reverse=True)
        return list(SIMILAR_NAMES)


class LongNames(_Names):
    """Long names that differ in one character, at the end or at the beginning."""

    word = "long"
    title = "names of up to 1 KiB with equal beginnings or ends"
    promise = (
        "{operation} tells long {kind}s apart that differ only in their last or in their first "
        "character, with lengths around 64, 200, 255, 256, 1,000 and 1,024 bytes."
    )
    hint = "look for a column or a buffer of limited length, or a digest of only a part of a name."

    def names(self, cell: Cell, trial: Trial) -> list[str]:
        begin = len(trial.key("").encode()) if cell.kind in _FIRST_KINDS else 0
        found: list[str] = []
        for length in LENGTHS:
            rest = length - begin - 1
            if rest < 1 or (cell.operation.method == "acquire" and length > _LONGEST_CLAIM):
                continue
            same = "x" * rest
            found += [same + "a", same + "b", "c" + same, "d" + same]
            if length % 2 == 0 and rest > 2:
                wide = "\u00e9" * ((rest - 1) // 2)
                found += [wide + "a", wide + "b"]
        return list(dict.fromkeys(found))


def _kinds_of(operation: Operation) -> set[Kind]:
    kinds = set(operation.kinds)
    if operation.capability is not None and "fields" in _gives(operation):
        kinds.add(Kind.FIELD)
    if operation.method in {"xgroups", "xpending"}:
        kinds |= {Kind.GROUP, Kind.CONSUMER}
    return kinds


def _bit_by_bit(operation: Operation, bindings: list[dict[Kind, Any]], names: list[str]) -> Program:
    """Return passes in each of which other names exist, so that any two names differ in one."""
    program: Program = []
    for bit in range(len(names).bit_length()):
        there = [place for place in range(len(names)) if place >> bit & 1]
        for place in there:
            program += [
                bound(each, {**bindings[place], Kind.VALUE: b"%d" % place})
                for each in operation.before
            ]
            if operation.method == "ttl":
                program.append(Call("expire", (names[place], 3_000.0 + 10 * place), {}))
        program += [bound(operation.call, each) for each in bindings]
        program.append(Call("delete", (names,), {}))
    return program


_TELL_LITTLE: Final = {"exists", "ttl", "xlen"}
_WITH_FIELDS: Final = {"xrange", "xrevrange", "xreadgroup", "xautoclaim"}


def _gives(operation: Operation) -> str:
    return "fields" if operation.method in _WITH_FIELDS else ""


def _look(operation: Operation, name: str, groups: list[str]) -> Program:
    if main_name(operation) is Kind.KEY:
        return [Call(method, (name,), {}) for method in ("exists", "ttl", "get")]
    return [each for each in look(name, groups) if isinstance(each, Call) and each.method != "get"]
