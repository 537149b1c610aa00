"""All names of telemetry events, with their attributes and attribute types.

Rule: only events listed here are emitted, and every event listed here is emitted. A test runs every
    operation to verify this.
Rule: keys, values, payloads, scope identifiers and owners are never attributes.
Rule: `started` is emitted before the arguments are checked, so it has only the base attributes.
    Attributes with the value `None` are left out.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping


@runtime_checkable
class Telemetry(Protocol):
    """The interface of a sink for `with_telemetry`."""

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Receive one event.

        It is called on the event loop, so it must return at once, and it must not change
        `attributes`. If it raises, the error is logged once and doesn't affect the operation.

        Args:
            name: `igniter.store.<group>.<operation>.<started|success|error>`.
            level: "debug", or "error" for errors.
            attributes: the attributes listed in this module.
        """
        ...


BASE: Final[Mapping[str, type]] = MappingProxyType(
    {
        "ctx.store.service": str,
        "ctx.store.namespace": str,
        "ctx.store.backend": str,
        "ctx.store.scope_key": str,
        "ctx.store.scope_depth": int,
    }
)
_ENDED: Final[Mapping[str, type]] = {"ctx.duration_ms": float}
_ERROR: Final[Mapping[str, type]] = {
    "ctx.error.code": str,
    "ctx.error.message": str,
    "ctx.error.operation": str,
}
_STREAM: Final[Mapping[str, type]] = {"ctx.stream.name": str}
_GROUP: Final[Mapping[str, type]] = {**_STREAM, "ctx.stream.group": str, "ctx.stream.consumer": str}
_COUNT: Final[Mapping[str, type]] = {"ctx.stream.count": int}
_READ: Final[Mapping[str, type]] = {
    **_COUNT,
    "ctx.stream.undecodable": int,  # only if there are undecodable entries
}
_EVENT: Final[Mapping[str, type]] = {"ctx.events.channel": str, "ctx.events.wildcard": bool}

# Each operation's attributes: those known before it runs, which errors have too, and its result's.
_OPERATIONS: Final[Mapping[str, tuple[Mapping[str, type], Mapping[str, type]]]] = {
    "kv.get": ({}, {"ctx.kv.found": bool}),
    "kv.set": ({"ctx.kv.ttl": float}, {}),
    "kv.remove": ({}, {"ctx.kv.existed": bool}),
    "kv.exists": ({}, {"ctx.kv.existed": bool}),
    "kv.expire": ({"ctx.kv.ttl": float}, {}),
    "kv.touch": ({"ctx.kv.ttl": float}, {}),
    "kv.ttl": ({}, {"ctx.kv.ttl": float}),
    "kv.persist": ({}, {}),
    "kv.pop": ({}, {"ctx.kv.found": bool}),
    "counter.increment": (
        {"ctx.counter.delta": int, "ctx.counter.ttl": float},
        {"ctx.counter.value": int},
    ),
    "counter.decrement": (
        {"ctx.counter.delta": int, "ctx.counter.ttl": float},
        {"ctx.counter.value": int},
    ),
    "counter.get": ({}, {"ctx.counter.value": int}),
    "counter.expire": ({"ctx.counter.ttl": float}, {}),
    "counter.ttl": ({}, {"ctx.counter.ttl": float}),
    "counter.remove": ({}, {}),
    "batch.get": ({"ctx.batch.count": int}, {"ctx.batch.found": int}),
    "batch.set": ({"ctx.batch.count": int}, {}),
    "batch.remove": ({"ctx.batch.count": int}, {}),
    "claim.acquire": ({"ctx.claim.ttl": float}, {"ctx.claim.acquired": bool}),
    "claim.owner": ({}, {}),
    "claim.ttl": ({}, {"ctx.claim.ttl": float}),
    "claim.release": ({}, {}),
    "claim.renew": ({"ctx.claim.ttl": float}, {}),
    "events.publish": (_EVENT, {}),
    "events.subscribe": (_EVENT, {}),
    "events.unsubscribe": (_EVENT, {}),
    "events.handle": (_EVENT, {}),
    "stream.append": (_STREAM, {}),
    "stream.range": (_STREAM, _READ),
    "stream.length": (_STREAM, _COUNT),
    "stream.trim": (_STREAM, _COUNT),
    "stream.remove": (_STREAM, _COUNT),
    "stream.groups": (_STREAM, _COUNT),
    "stream.drop": (_STREAM, {}),
    "stream.group": (_GROUP, {}),
    "stream.destroy": (_GROUP, {}),
    "stream.read": (_GROUP, _READ),
    "stream.ack": (_GROUP, _COUNT),
    "stream.pending": (_GROUP, _COUNT),
    "stream.claim": (_GROUP, _READ),
    "dev.scan": ({}, {}),
}

# Decoding may fail after the read, so the errors of these operations have the result's too.
_DECODING: Final = frozenset({"kv.pop"})


def _all() -> dict[str, Mapping[str, type]]:
    events: dict[str, Mapping[str, type]] = {}
    for operation, (known, result) in _OPERATIONS.items():
        root = f"igniter.store.{operation}"
        events[f"{root}.started"] = BASE
        events[f"{root}.success"] = MappingProxyType({**BASE, **_ENDED, **known, **result})
        late = result if operation in _DECODING else {}
        events[f"{root}.error"] = MappingProxyType({**BASE, **_ENDED, **_ERROR, **known, **late})
    return events


EVENTS: Final[Mapping[str, Mapping[str, type]]] = MappingProxyType(_all())
"""The name of each event, with its possible attributes and their types."""
