"""The conformance kit of igniter-store: whether an adapter keeps the contract, clause by clause.

from igniter_store_conformance import AdapterSuite, Harness

class TestMyAdapter(AdapterSuite):
    def harness(self) -> Harness:
        return Harness(connect=lambda: MyAdapter("my://localhost"))
"""

import pytest

# Before these modules are imported: so that a failed assert of the suite shows its values.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "blocking",
            "cancellation",
            "claiming",
            "claims",
            "contention",
            "counters",
            "expiry",
            "faults",
            "groups",
            "histories",
            "inbox",
            "keyvalue",
            "lifecycle",
            "model.clauses",
            "model.machines",
            "model.subject",
            "outages",
            "passing_time",
            "processes",
            "pubsub",
            "recovery",
            "running",
            "scan",
            "streams",
            "trial",
        )
    )
)

from igniter_store_conformance.adapter_suite import AdapterSuite  # noqa: E402 - as above
from igniter_store_conformance.clauses import CLAUSES, SECTIONS, Clause  # noqa: E402 - as above
from igniter_store_conformance.harness import Harness, Oracle, ServerControl  # noqa: E402 - as above
from igniter_store_conformance.states import State  # noqa: E402 - as above

__all__ = ["CLAUSES", "SECTIONS", "AdapterSuite", "Clause", "Harness", "Oracle", "ServerControl", "State"]
