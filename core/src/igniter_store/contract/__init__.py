"""The backend contract: the API that adapters and the conformance kit import.

Each capability is an abstract class in the module of the same name. `adapter` holds the rules that
apply to every capability; read it first. Besides the contract, adapters and the kit import only
`igniter_store.adapter_tools` and `igniter_store.redis_commands`.
"""

from typing import Final

from igniter_store.contract.adapter import Adapter
from igniter_store.contract.affinity import Affinity
from igniter_store.contract.claims import TOKEN_LIFETIME, Claims
from igniter_store.contract.clock import Clock, ManualClock, Timer, TimerClock
from igniter_store.contract.counters import Counters, count_on
from igniter_store.contract.errors import (
    BackendErrors,
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    CapabilityMissing,
    ClaimLost,
    ClaimUnavailable,
    ConfigurationError,
    ErrorCode,
    EventError,
    InvalidArgument,
    ScopeError,
    SerializationError,
    StoreClosed,
    StoreError,
    class_of,
    store_error,
)
from igniter_store.contract.keyvalue import Condition, Entry, KeyValue
from igniter_store.contract.names import name_from_bytes, name_to_bytes
from igniter_store.contract.patterns import Pattern, escape
from igniter_store.contract.pubsub import (
    GapCallback,
    MessageCallback,
    PubSub,
    Subscription,
    report_callback_error,
)
from igniter_store.contract.scan import START, Scan, ScanPage
from igniter_store.contract.streams import GroupInfo, PendingEntry, StreamEntry, Streams

__all__ = [
    "CAPABILITIES",
    "START",
    "TOKEN_LIFETIME",
    "Adapter",
    "Affinity",
    "BackendErrors",
    "BackendFailed",
    "BackendTimeout",
    "BackendUnavailable",
    "CapabilityMissing",
    "ClaimLost",
    "ClaimUnavailable",
    "Claims",
    "Clock",
    "Condition",
    "ConfigurationError",
    "Counters",
    "Entry",
    "ErrorCode",
    "EventError",
    "GapCallback",
    "GroupInfo",
    "InvalidArgument",
    "KeyValue",
    "ManualClock",
    "MessageCallback",
    "Pattern",
    "PendingEntry",
    "PubSub",
    "Scan",
    "ScanPage",
    "ScopeError",
    "SerializationError",
    "StoreClosed",
    "StoreError",
    "StreamEntry",
    "Streams",
    "Subscription",
    "Timer",
    "TimerClock",
    "class_of",
    "count_on",
    "escape",
    "name_from_bytes",
    "name_to_bytes",
    "report_callback_error",
    "store_error",
]

CAPABILITIES: Final[tuple[type[Adapter], ...]] = (KeyValue, Counters, Claims, PubSub, Streams, Scan)
"""Every capability that an adapter can implement, in the order of the contract."""
