"""igniter-store: a typed, async API for state that services share.

It behaves the same on every backend.
"""

from igniter_store.contract.errors import (
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
)
from igniter_store.contract.scan import ScanPage
from igniter_store.contract.streams import GroupInfo
from igniter_store.events.bound import BoundEvent
from igniter_store.events.declared import EventGroup, event, group
from igniter_store.events.envelope import Actor, EventContext
from igniter_store.events.fluent import Events
from igniter_store.events.subscription import EventStream, EventSubscription
from igniter_store.namespaces.batch import BatchEntry
from igniter_store.namespaces.groups import ConsumerGroup, PendingMessage
from igniter_store.namespaces.messages import StreamMessage
from igniter_store.scopes import Scope
from igniter_store.serialization import JSON, MSGPACK, Serializer
from igniter_store.store import Store, StoreBuilder
from igniter_store.telemetry.logging import LoggingTelemetry
from igniter_store.telemetry.registry import Telemetry
from igniter_store.ttl import Ttl
from igniter_store.wrappers.recording import RecordingAdapter

__all__ = [
    "JSON",
    "MSGPACK",
    "Actor",
    "BackendFailed",
    "BackendTimeout",
    "BackendUnavailable",
    "BatchEntry",
    "BoundEvent",
    "CapabilityMissing",
    "ClaimLost",
    "ClaimUnavailable",
    "ConfigurationError",
    "ConsumerGroup",
    "ErrorCode",
    "EventContext",
    "EventError",
    "EventGroup",
    "EventStream",
    "EventSubscription",
    "Events",
    "GroupInfo",
    "InvalidArgument",
    "LoggingTelemetry",
    "PendingMessage",
    "RecordingAdapter",
    "ScanPage",
    "Scope",
    "ScopeError",
    "SerializationError",
    "Serializer",
    "Store",
    "StoreBuilder",
    "StoreClosed",
    "StoreError",
    "StreamMessage",
    "Telemetry",
    "Ttl",
    "event",
    "group",
]
