"""The whole suite: every clause of the contract, in one class to inherit."""

from __future__ import annotations

from igniter_store_conformance.model.tests import ModelClauses
from igniter_store_conformance.suite.claims.cancelled_claims import CancelledClaimClauses
from igniter_store_conformance.suite.claims.claims import ClaimClauses
from igniter_store_conformance.suite.concurrency.keys import ContentionClauses
from igniter_store_conformance.suite.concurrency.processes import ProcessClauses
from igniter_store_conformance.suite.concurrency.streams import StreamContentionClauses
from igniter_store_conformance.suite.counters import CounterClauses
from igniter_store_conformance.suite.crossed import CrossedClauses
from igniter_store_conformance.suite.faults.blocked_loop import BlockedLoopClauses
from igniter_store_conformance.suite.faults.connections import FaultClauses
from igniter_store_conformance.suite.faults.half_open import SilenceClauses
from igniter_store_conformance.suite.faults.outages import OutageClauses
from igniter_store_conformance.suite.keyvalue.batches import BatchClauses
from igniter_store_conformance.suite.keyvalue.expiry import ExpiryClauses
from igniter_store_conformance.suite.keyvalue.kinds import KindClauses
from igniter_store_conformance.suite.keyvalue.values import KeyValueClauses
from igniter_store_conformance.suite.lifecycle.cancellation import CancellationClauses
from igniter_store_conformance.suite.lifecycle.closing import ClosingClauses
from igniter_store_conformance.suite.lifecycle.ended_loops import AbandoningClauses
from igniter_store_conformance.suite.lifecycle.error_causes import CauseClauses
from igniter_store_conformance.suite.lifecycle.forks import ForkClauses
from igniter_store_conformance.suite.lifecycle.freed_errors import FreeingClauses
from igniter_store_conformance.suite.lifecycle.opening import LifecycleClauses
from igniter_store_conformance.suite.pubsub.callbacks import CallbackClauses
from igniter_store_conformance.suite.pubsub.publishing import PubSubClauses
from igniter_store_conformance.suite.pubsub.subscriptions import SubscriptionClauses
from igniter_store_conformance.suite.scan.cursors import ScanClauses
from igniter_store_conformance.suite.scan.delete_prefix import PrefixClauses
from igniter_store_conformance.suite.scan.foreign_keys import ForeignClauses
from igniter_store_conformance.suite.streams.appending import StreamClauses
from igniter_store_conformance.suite.streams.autoclaim import ClaimingClauses
from igniter_store_conformance.suite.streams.blocking import BlockingReadClauses
from igniter_store_conformance.suite.streams.groups import GroupClauses
from igniter_store_conformance.suite.streams.history import HistoryClauses
from igniter_store_conformance.suite.streams.pending import PendingClauses
from igniter_store_conformance.suite.streams.ranges import RangeClauses
from igniter_store_conformance.suite.streams.reading import GroupReadingClauses
from igniter_store_conformance.suite.streams.trimming import TrimmingClauses


class AdapterSuite(
    # pytest runs the tests of the last base first.
    ModelClauses,
    CrossedClauses,
    OutageClauses,
    FreeingClauses,
    SilenceClauses,
    FaultClauses,
    BlockedLoopClauses,
    ForkClauses,
    ProcessClauses,
    StreamContentionClauses,
    ContentionClauses,
    ForeignClauses,
    PrefixClauses,
    ScanClauses,
    BlockingReadClauses,
    HistoryClauses,
    ClaimingClauses,
    PendingClauses,
    GroupReadingClauses,
    GroupClauses,
    TrimmingClauses,
    RangeClauses,
    StreamClauses,
    CallbackClauses,
    SubscriptionClauses,
    PubSubClauses,
    CancelledClaimClauses,
    ClaimClauses,
    CounterClauses,
    ExpiryClauses,
    KindClauses,
    BatchClauses,
    KeyValueClauses,
    CancellationClauses,
    ClosingClauses,
    AbandoningClauses,
    CauseClauses,
    LifecycleClauses,
):
    """Every test that an adapter has to pass.

    Inherit this class, and define `harness` to describe how a client is made.
    """
