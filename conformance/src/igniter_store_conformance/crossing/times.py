"""TTLs and idle times, from less than a millisecond to centuries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from igniter_store.contract import Claims, Counters, KeyValue

from igniter_store_conformance.crossing.dimension import (
    Cell,
    Dimension,
    by_capability,
    prepared,
    sample,
)
from igniter_store_conformance.crossing.program import Call, Wait, bound
from igniter_store_conformance.engine.clock import LATE
from igniter_store_conformance.spec.operations import Kind, Operation

if TYPE_CHECKING:
    from igniter_store.contract import Adapter

    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import Trial

_DAY: Final = 86_400.0
TTLS: Final = (
    30.0,
    30.0004,
    59.999,
    100.05,
    100.5,
    101.0004,
    1_000.9,
    3_600.0,
    _DAY + 0.001,
    2**31 / 1_000 - 0.001,
    2**31 / 1_000 + 0.5,
    2**32 / 1_000 + 0.5,
    49 * _DAY + 0.25,
    365 * _DAY + 0.001,
    2.0**31 + 0.5,
    2.0**32 + 0.5,
    1e10,
)
"""Seconds. A clock in 32 bits, of float32, or in whole seconds shows at one of them."""

_SHORT: Final = (0.0004, 0.001, 0.0015, 0.05, 0.2504, 1.0, 1.0004, 2.5)
"""Seconds; used where the kit moves the time of a backend in this process."""

_CLAUSES: Final[dict[type[Adapter], str]] = {KeyValue: "KV-7", Counters: "CTR-5", Claims: "CLM-2"}
_MILLISECONDS: Final = 0.002
_EPOCH: Final = 1e9  # seconds; less than have passed since 1970
_MARGIN: Final = 5.0  # seconds that a run may really take


class Lifetimes(Dimension):
    """A key lives for its TTL, never less, and hardly longer."""

    word = "lifetime"
    title = "TTLs from less than a millisecond to centuries"
    promise = (
        "{operation} sets exactly the TTL that it gets, from less than a millisecond to 10^10 "
        "seconds: never less, and never more than 50 ms longer."
    )
    hint = (
        "look for a TTL that is rounded (to seconds, or down), limited, or kept in 32 bits or as a "
        "float of 32 bits."
    )

    def cells_of(self, operation: Operation) -> list[Cell]:
        takes = Kind.TTL in operation.kinds or operation.method == "ttl"
        return [Cell(operation, Kind.TTL)] if takes else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no TTL"

    def clause(self, cell: Cell) -> str:
        return by_capability(cell.operation, _CLAUSES)

    def program(self, cell: Cell, trial: Trial) -> Program:
        operation = cell.operation
        exact = trial.in_process and trial.time.is_moved
        program: Program = []
        for place, ttl in enumerate((*_SHORT, *TTLS) if exact else TTLS):
            bindings = {**sample(place), Kind.TTL: ttl}
            key = bindings[Kind.KEY]
            if operation.method == "ttl":
                program.append(Call("set", (key, b"value"), {"ttl": ttl}))
            else:
                program += prepared(operation, bindings)
                program.append(bound(operation.call, bindings))
            program.append(Call("ttl", (key,), {}))
            if not trial.time.is_moved:
                continue
            margin = ttl / 4 if exact else _MARGIN
            over = LATE + trial.time.granularity + (0.0 if exact else 1.0)
            program += [
                Wait(ttl - margin),
                *_live(key),
                Wait(margin + over),
                *_live(key),
            ]
        return program


class Idling(Dimension):
    """Idle times are compared with `min_idle` exactly."""

    word = "idle"
    title = "idle times up to years"
    promise = (
        "{operation} compares idle times with `min_idle` exactly, from less than a millisecond to "
        "years."
    )
    hint = (
        "look for an idle time that is rounded, limited, or kept in 32 bits, and for one that is "
        "compared in seconds with one in milliseconds."
    )

    def cells_of(self, operation: Operation) -> list[Cell]:
        is_asked = operation.title in {"xautoclaim", "xpending"}
        return [Cell(operation, Kind.MIN_IDLE)] if is_asked else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no idle time"

    def clause(self, cell: Cell) -> str:
        return {"xautoclaim": "STR-10", "xpending": "STR-8"}[cell.operation.method]

    def program(self, cell: Cell, trial: Trial) -> Program:
        if not trial.time.is_moved:
            return []
        exact = trial.in_process
        # A server that sets an idle time can't go back beyond its own epoch.
        idles = (*_SHORT, *TTLS) if exact else [ttl for ttl in TTLS if ttl < _EPOCH]
        program: Program = []
        for place, idle in enumerate(idles):
            stream = f"stream {place}"
            margin = min(_MILLISECONDS, idle / 4) if exact else _MARGIN
            program += [
                Call("xgroup_create", (stream, "group"), {}),
                Call("xadd", (stream, {"field": b"1"}), {}),
                Call("xreadgroup", (stream, "group", "consumer"), {}),
                Wait(idle - margin),
                _asked(cell, stream, idle),
                Call("xpending", (stream, "group"), {}),
                Wait(margin + (margin if exact else 1.0)),
                _asked(cell, stream, idle),
                Call("xpending", (stream, "group"), {}),
            ]
        return program


def _live(key: Any) -> list[Call]:
    return [Call(method, (key,), {}) for method in ("exists", "get")]


def _asked(cell: Cell, stream: str, idle: float) -> Call:
    if cell.operation.method == "xpending":
        return Call("xpending", (stream, "group"), {"min_idle": idle})
    return Call("xautoclaim", (stream, "group", "heir", idle), {})
