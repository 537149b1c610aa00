"""The conformance kit of igniter-store: tests an adapter against the contract, clause by clause.

A test class for an adapter:

    from igniter_store_conformance import AdapterSuite, Harness

    class TestMyAdapter(AdapterSuite):
        def harness(self) -> Harness:
            return Harness(connect=lambda: MyAdapter("my://localhost"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

# This comes before any import of the suite, so that its failed asserts show their values.
pytest.register_assert_rewrite(
    *(f"{__name__}.{package}" for package in ("engine", "tools", "suite", "model"))
)

if TYPE_CHECKING:
    from igniter_store_conformance.engine.harness import Harness, Oracle, ServerControl
    from igniter_store_conformance.spec.clauses import CLAUSES, SECTIONS, Clause
    from igniter_store_conformance.spec.states import State
    from igniter_store_conformance.suite.adapter_suite import AdapterSuite

__all__ = [
    "CLAUSES",
    "SECTIONS",
    "AdapterSuite",
    "Clause",
    "Harness",
    "Oracle",
    "ServerControl",
    "State",
]

# pytest imports this package in every run, for the plugin. The suite, which needs hypothesis, is
# imported only when it is used.
_HOMES: Final = {
    "AdapterSuite": "suite.adapter_suite",
    "CLAUSES": "spec.clauses",
    "SECTIONS": "spec.clauses",
    "Clause": "spec.clauses",
    "Harness": "engine.harness",
    "Oracle": "engine.harness",
    "ServerControl": "engine.harness",
    "State": "spec.states",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
