"""Values and owners of many lengths, and with every byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store.contract import Claims, KeyValue, Streams

from igniter_store_conformance.crossing.dimension import (
    Cell,
    Dimension,
    by_capability,
    main_name,
    prepared,
    sample,
)
from igniter_store_conformance.crossing.program import Call, bound
from igniter_store_conformance.spec.operations import Kind, Operation
from igniter_store_conformance.tools.samples import NOT_INTEGERS, PAYLOADS

if TYPE_CHECKING:
    from igniter_store.contract import Adapter

    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import Trial

_MEBIBYTE: Final = 1024 * 1024
_LENGTHS: Final = (0, 1, 2, 63, 64, 127, 128, 254, 255, 256, 257, 999, 1_000, 1_001, 1_023, 1_024)
_LONG_LENGTHS: Final = (4_096, 8_192, 16_384, 65_535, 65_536, 65_537, 250_000, _MEBIBYTE)
_LONGEST: Final = 8 * _MEBIBYTE
_CLAUSES: Final[dict[type[Adapter], str]] = {KeyValue: "KV-2", Claims: "CLM-12", Streams: "STR-15"}

OWNERS: Final = (
    b"owner",
    b"Owner",
    b"owner ",
    b" owner",
    b"owner\n",
    b"owner\x00",
    b"owner\x00a",
    b"owne",
    b"ownerr",
    b"",
    b"0",
    b"00",
    b"1",
    b"01",
    b"1.0",
    b"null",
    b"\xff\xfe",
    b"\xef\xbf\xbd",
    b"\xc3\xa9",
    b"e\xcc\x81",
    b'"owner"',
    b"'owner'",
    b"owner*",
    b"%",
    b"x" * 63,
    b"x" * 64 + b"a",
    b"x" * 64 + b"b",
    b"x" * 255 + b"a",
    b"x" * 255 + b"b",
    b"x" * 1_023 + b"a",
    b"x" * 1_023 + b"b",
    b"x" * 65_535 + b"a",
    b"x" * 65_535 + b"b",
    b"a" + b"x" * 65_535,
)
"""Owners that some backends confuse."""


class Payloads(Dimension):
    """Values and owners come back exactly, whatever their bytes and their length."""

    word = "bytes"
    title = "values and owners of 0 bytes to 1 or 8 MiB, with every byte"
    promise = (
        "{operation} keeps every {kind} exactly: from 0 bytes to 8 MiB (1 MiB in streams and for "
        "owners), and with every byte."
    )
    hint = (
        "look for a size limit, for code that takes the first part of a reply for the whole, and "
        "for decoding, trimming or escaping in the code of this operation."
    )
    limit = 120.0

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [
            Cell(operation, kind) for kind in (Kind.VALUE, Kind.OWNER) if kind in _of(operation)
        ]

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} neither takes nor returns bytes"

    def clause(self, cell: Cell) -> str:
        return by_capability(cell.operation, _CLAUSES)

    def program(self, cell: Cell, trial: Trial) -> Program:
        operation, kind = cell.operation, cell.kind
        assert kind is not None
        name = main_name(operation)
        program: Program = []
        for place, payload in enumerate(_payloads(operation, kind, trial)):
            bindings = {**sample(place), kind: payload}
            program += prepared(operation, bindings)
            program.append(bound(operation.call, bindings))
            method = "xrange" if name is Kind.STREAM else "get"
            program.append(Call(method, (bindings[name],), {}))
        return program


class SimilarOwners(Dimension):
    """An owner that only resembles the holder isn't the holder."""

    word = "similar"
    title = "owners that nearly agree with the holder"
    promise = (
        "{operation} tells owners apart that nearly agree: in case, blanks, NUL, numbers or "
        "lengths, or up to the last of 64 KiB."
    )
    hint = (
        "look for a comparison as text, as a number, by prefix or by digest; owners are the same "
        "only if all bytes are."
    )
    limit = 120.0

    def cells_of(self, operation: Operation) -> list[Cell]:
        return [Cell(operation, Kind.OWNER)] if Kind.OWNER in operation.kinds else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no owner"

    def clause(self, cell: Cell) -> str:
        return {"compare_delete": "CLM-3", "compare_expire": "CLM-4"}.get(
            cell.operation.method, "CLM-8"
        )

    def program(self, cell: Cell, trial: Trial) -> Program:
        del trial
        operation, program = cell.operation, list[Call]()
        for place, owner in enumerate(OWNERS):
            holding = {**sample(place), Kind.OWNER: owner}
            program.append(Call("set_nx", (holding[Kind.KEY], owner), {"ttl": 2_000.0}))
            for other in OWNERS:
                if other != owner:
                    program.append(bound(operation.call, {**holding, Kind.OWNER: other}))
            program += [Call(method, (holding[Kind.KEY],), {}) for method in ("get", "ttl")]
            program.append(bound(operation.call, holding))
            program += [Call(method, (holding[Kind.KEY],), {}) for method in ("get", "ttl")]
        return [*program]


_GIVES_VALUE: Final = {"get", "getdel", "mget", "xrange", "xrevrange", "xreadgroup", "xautoclaim"}


def _of(operation: Operation) -> set[Kind]:
    kinds = set(operation.kinds)
    if operation.method in _GIVES_VALUE:
        kinds.add(Kind.VALUE)
    return kinds


def payloads(trial: Trial) -> list[bytes]:
    """Return payloads of every length up to 1 MiB, and with every byte."""
    chosen = [*PAYLOADS, *NOT_INTEGERS, *(bytes([each]) for each in range(256))]
    chosen += [trial.payload(length) for length in (*_LENGTHS, *_LONG_LENGTHS)]
    return list(dict.fromkeys(chosen))


def _payloads(operation: Operation, kind: Kind, trial: Trial) -> list[bytes]:
    chosen = payloads(trial)
    if operation.capability is KeyValue:
        chosen.append(trial.payload(_LONGEST))
    if kind is Kind.OWNER:
        chosen += OWNERS
    return list(dict.fromkeys(chosen))
