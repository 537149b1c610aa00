"""The table of operations is complete, and every operation meets every dimension."""

from __future__ import annotations

import inspect
import re

import pytest
from igniter_store.contract import CAPABILITIES, Adapter
from igniter_store_conformance import CLAUSES, AdapterSuite
from igniter_store_conformance.crossing.dimensions import DIMENSIONS
from igniter_store_conformance.spec.operations import APART, OPERATIONS, PARAMETERS

_LIFE = {"open", "close"}


def _methods() -> dict[str, type[Adapter]]:
    capabilities: tuple[type[Adapter], ...] = (Adapter, *CAPABILITIES)
    return {
        method: capability
        for capability in capabilities
        for method in capability.__abstractmethods__ - _LIFE
    }


def test_every_method_has_its_parameters() -> None:
    for method, capability in _methods().items():
        names = [*inspect.signature(getattr(capability, method)).parameters][1:]
        assert [*PARAMETERS[method]] == names, method
    assert PARAMETERS.keys() == _methods().keys()


def test_every_method_has_an_operation() -> None:
    apart = {method for methods in APART.values() for method in methods}

    assert {operation.method for operation in OPERATIONS} | apart == _methods().keys()
    assert all(_methods()[each.method] in _bases(each.capability) for each in OPERATIONS)


def _bases(capability: type[Adapter]) -> tuple[type, ...]:
    return capability.__mro__


def test_calls_use_parameters_of_the_method() -> None:
    for operation in OPERATIONS:
        for step in (*operation.before, operation.call):
            method = getattr(_methods()[step.method], step.method)
            options = {**step.options}
            if step.method == "acquire":
                options["token_key"] = ""
            inspect.signature(method).bind(None, *step.arguments, **options)


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda dimension: dimension.word)
def test_every_operation_has_a_test_or_a_reason(dimension: object) -> None:
    chosen = next(each for each in DIMENSIONS if each is dimension)

    for operation in OPERATIONS:
        cells = chosen.cells_of(operation)
        assert cells or chosen.reason(operation)
        assert {chosen.clause(cell) for cell in cells} <= CLAUSES.keys()


def test_every_cell_has_a_test() -> None:
    cells = sum(len(dimension.cells()) for dimension in DIMENSIONS)
    crossed = [
        name
        for name in AdapterSuite.clause_tests()
        if getattr(AdapterSuite, name).__module__.endswith(".crossed")
        and not re.search("_race_|_messages_|_tokens", name)
    ]

    assert len(crossed) == cells
