"""The whole suite: every clause of the contract, in one class to inherit."""

from __future__ import annotations

from igniter_store_conformance.abandoning import AbandoningClauses
from igniter_store_conformance.batches import BatchClauses
from igniter_store_conformance.blocked_loop import BlockedLoopClauses
from igniter_store_conformance.blocking import BlockingReadClauses
from igniter_store_conformance.callbacks import CallbackClauses
from igniter_store_conformance.cancellation import CancellationClauses
from igniter_store_conformance.cancelled_claims import CancelledClaimClauses
from igniter_store_conformance.causes import CauseClauses
from igniter_store_conformance.claiming import ClaimingClauses
from igniter_store_conformance.claims import ClaimClauses
from igniter_store_conformance.closing import ClosingClauses
from igniter_store_conformance.contention import ContentionClauses
from igniter_store_conformance.counters import CounterClauses
from igniter_store_conformance.expiry import ExpiryClauses
from igniter_store_conformance.faults import FaultClauses
from igniter_store_conformance.foreign import ForeignClauses
from igniter_store_conformance.forks import ForkClauses
from igniter_store_conformance.freeing import FreeingClauses
from igniter_store_conformance.group_reading import GroupReadingClauses
from igniter_store_conformance.groups import GroupClauses
from igniter_store_conformance.history import HistoryClauses
from igniter_store_conformance.keyvalue import KeyValueClauses
from igniter_store_conformance.kinds import KindClauses
from igniter_store_conformance.lifecycle import LifecycleClauses
from igniter_store_conformance.model.clauses import ModelClauses
from igniter_store_conformance.outages import OutageClauses
from igniter_store_conformance.pending import PendingClauses
from igniter_store_conformance.prefixes import PrefixClauses
from igniter_store_conformance.processes import ProcessClauses
from igniter_store_conformance.pubsub import PubSubClauses
from igniter_store_conformance.ranges import RangeClauses
from igniter_store_conformance.scan import ScanClauses
from igniter_store_conformance.silence import SilenceClauses
from igniter_store_conformance.stream_contention import StreamContentionClauses
from igniter_store_conformance.streams import StreamClauses
from igniter_store_conformance.subscriptions import SubscriptionClauses
from igniter_store_conformance.trimming import TrimmingClauses


class AdapterSuite(
    # pytest runs the tests of the last base first.
    ModelClauses,
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
    """Every test that an adapter has to pass: inherit it, and say in `harness` how to make a client."""
