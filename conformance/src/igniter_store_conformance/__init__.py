"""The conformance kit of igniter-store: whether an adapter keeps the contract, clause by clause.

from igniter_store_conformance import AdapterSuite, Harness

class TestMyAdapter(AdapterSuite):
    def harness(self) -> Harness:
        return Harness(connect=lambda: MyAdapter("my://localhost"))
"""

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

# Before any of its modules is imported: so that a failed assert of the suite shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

if TYPE_CHECKING:
    from igniter_store_conformance.adapter_suite import AdapterSuite
    from igniter_store_conformance.clauses import CLAUSES, SECTIONS, Clause
    from igniter_store_conformance.harness import Harness, Oracle, ServerControl
    from igniter_store_conformance.states import State

__all__ = ["CLAUSES", "SECTIONS", "AdapterSuite", "Clause", "Harness", "Oracle", "ServerControl", "State"]

# pytest imports this package in every run of whoever installed it, for the plugin; the suite, and hypothesis with it, only when it is used.
_HOMES: Final = {
    "AdapterSuite": "adapter_suite",
    "CLAUSES": "clauses",
    "SECTIONS": "clauses",
    "Clause": "clauses",
    "Harness": "harness",
    "Oracle": "harness",
    "ServerControl": "harness",
    "State": "states",
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
