"""Numbers around 2^31, 2^32, 2^53 and 2^63: counters, tokens and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from igniter_store.contract import ErrorCode, StoreError
from igniter_store.contract.claims import TOKEN_LIFETIME

from igniter_store_conformance.crossing.dimension import Cell, Dimension, sample
from igniter_store_conformance.crossing.program import Call
from igniter_store_conformance.spec.operations import Kind, Operation

if TYPE_CHECKING:
    from igniter_store_conformance.crossing.program import Program
    from igniter_store_conformance.engine.trial import Trial

_NUMBERS: Final = (
    0,
    1,
    99,
    127,
    255,
    256,
    32_767,
    65_535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53 - 1,
    2**53,
    2**53 + 1,
    10**18,
    2**63 - 2,
    2**63 - 1,
)
_DELTAS: Final = (0, 1, -1, 2, -2, 2**31, -(2**31), 2**32, 2**53 + 1, -(2**53) - 1)
_LARGEST: Final = 2**64 - 1
_IDS: Final = (
    (0, 1),
    (1, 2**31),
    (2**31, 0),
    (2**31, 2**32),
    (2**32, 1),
    (2**53, 2**53),
    (2**53 + 1, 2**53 + 1),
    (2**63, 2**63),
    (_LARGEST, _LARGEST - 1),
    (_LARGEST, _LARGEST),
)
# Bounds that lie on the same side of the backend's ids as of the reference's, which are smaller
_BOUNDS: Final = [each for each in _IDS if each[0] == 0 or each[0] >= 2**53]
_CLAUSES: Final = {
    "increment": "CTR-3",
    "xgroup_create": "STR-5",
    "xrange": "STR-2",
    "xrevrange": "STR-2",
    "xdel": "STR-14",
    "xack": "STR-9",
}


class Edges(Dimension):
    """Numbers at the edges of 32, 53 and 64 bits."""

    word = "edges"
    title = "numbers and ids around 2^31, 2^32, 2^53, 2^63 and 2^64"
    promise = (
        "{operation} is exact at the edges of 32, 53 and 64 bits, and refuses what lies beyond."
    )
    hint = (
        "look for a number that is kept in 32 bits or as a float, which has 53 bits: in a script, "
        "a column or a conversion."
    )

    def cells_of(self, operation: Operation) -> list[Cell]:
        if operation.title == "xadd with max_len":
            return []
        return [Cell(operation)] if operation.method in _CLAUSES else []

    def reason(self, operation: Operation) -> str:
        return f"{operation.title} takes no number that has such edges, or a test of its own has it"

    def clause(self, cell: Cell) -> str:
        return _CLAUSES[cell.operation.method]

    def program(self, cell: Cell, trial: Trial) -> Program:
        del trial
        if cell.operation.method == "increment":
            return _counting(cell.operation)
        program: Program = []
        ids = _BOUNDS if "range" in cell.operation.method else _IDS
        for place, (low, high) in enumerate(zip(ids, (*ids[1:], ids[-1]), strict=True)):
            stream = f"stream {place}"
            program += [Call("xadd", (stream, {"field": b"%d" % number}), {}) for number in (1, 2)]
            program.append(Call("xgroup_create", (stream, "all"), {}))
            program.append(Call("xreadgroup", (stream, "all", "consumer"), {}))
            program += _at_an_id(cell.operation.method, stream, low, high)
            program += [Call("xrange", (stream,), {}), Call("xpending", (stream, "all"), {})]
        return program


def _counting(operation: Operation) -> Program:
    program: Program = []
    options = {"ttl": 1_000.0} if Kind.TTL in operation.kinds else {}
    for base in (*_NUMBERS, *(-number for number in _NUMBERS), -(2**63)):
        for delta in _DELTAS:
            key = f"{base} {delta}"
            program += [
                Call("set", (key, b"%d" % base), {}),
                Call("increment", (key, delta), options),
                Call("get", (key,), {}),
            ]
    for delta in (*_NUMBERS, *(-number for number in _NUMBERS), -(2**63)):
        key = f"new {delta}"
        program += [
            Call("increment", (key, delta), options),
            Call("increment", (key, 1), options),
            Call("get", (key,), {}),
        ]
    return program


def _at_an_id(method: str, stream: str, low: tuple[int, int], high: tuple[int, int]) -> list[Call]:
    if method == "xgroup_create":
        return [
            Call("xgroup_create", (stream, "group", low), {}),
            Call("xgroups", (stream,), {}),
        ]
    if method == "xrange":
        return [
            Call("xrange", (stream,), {"start": low, "end": high}),
            Call("xrange", (stream,), {"start": "-", "end": high}),
        ]
    if method == "xrevrange":
        return [
            Call("xrevrange", (stream,), {"end": high, "start": low}),
            Call("xrevrange", (stream,), {"end": high, "start": "-"}),
        ]
    if method == "xdel":
        return [Call("xdel", (stream, [low, high]), {})]
    return [Call("xack", (stream, "all", [low, high]), {})]


async def token_edges(trial: Trial) -> None:
    """Check that tokens are exact, count from any number, and never leave 64 bits."""
    adapter = trial.adapter
    for number in _NUMBERS:
        bindings: dict[Kind, Any] = sample(number)
        key = trial.key(bindings[Kind.KEY])
        token_key = trial.token_key(key)
        await adapter.set(token_key, b"%d" % number)
        if number == 2**63 - 1:
            with pytest.raises(StoreError) as refused:
                await adapter.acquire(key, b"owner", 1_000.0, token_key=token_key)
            assert refused.value.code == ErrorCode.STORE_INCREMENT_FAILED
            assert await adapter.exists(key) is False, "refused, but the claim is taken"
            assert await adapter.get(token_key) == b"%d" % number
            continue
        token = await adapter.acquire(key, b"owner", 1_000.0, token_key=token_key)
        assert type(token) is int
        assert token == number + 1, f"after {number} came {token}"
        assert await adapter.get(token_key) == b"%d" % token
        left = await adapter.ttl(token_key)
        assert left is not None
        assert TOKEN_LIFETIME - 60 < left <= TOKEN_LIFETIME + 1
        assert await adapter.acquire(key, b"owner", 1_000.0, token_key=token_key) is None
        assert await adapter.get(token_key) == b"%d" % token, "a refused call counts"
        assert await adapter.compare_delete(key, b"owner") is True
        if token < 2**63 - 1:
            again = await adapter.acquire(key, b"next", 1_000.0, token_key=token_key)
            assert again == token + 1, f"after {token} came {again}"
