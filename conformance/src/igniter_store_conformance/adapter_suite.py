"""The whole suite: every clause of the contract, in one class to inherit."""

from __future__ import annotations

from igniter_store_conformance.blocking import BlockingReadClauses
from igniter_store_conformance.cancellation import CancellationClauses
from igniter_store_conformance.claiming import ClaimingClauses
from igniter_store_conformance.claims import ClaimClauses
from igniter_store_conformance.contention import ContentionClauses
from igniter_store_conformance.counters import CounterClauses
from igniter_store_conformance.expiry import ExpiryClauses
from igniter_store_conformance.faults import FaultClauses
from igniter_store_conformance.groups import GroupClauses
from igniter_store_conformance.keyvalue import KeyValueClauses
from igniter_store_conformance.lifecycle import LifecycleClauses
from igniter_store_conformance.model.clauses import ModelClauses
from igniter_store_conformance.outages import OutageClauses
from igniter_store_conformance.processes import ProcessClauses
from igniter_store_conformance.pubsub import PubSubClauses
from igniter_store_conformance.scan import ScanClauses
from igniter_store_conformance.streams import StreamClauses


class AdapterSuite(
    # pytest runs the tests of the last base first.
    ModelClauses,
    OutageClauses,
    FaultClauses,
    ProcessClauses,
    ContentionClauses,
    ScanClauses,
    BlockingReadClauses,
    ClaimingClauses,
    GroupClauses,
    StreamClauses,
    PubSubClauses,
    ClaimClauses,
    CounterClauses,
    ExpiryClauses,
    KeyValueClauses,
    CancellationClauses,
    LifecycleClauses,
):
    """Every test that an adapter has to pass: inherit it, and say in `harness` how to make a client."""
