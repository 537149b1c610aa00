"""Every name that telemetry can carry, with the attributes that come with it and their types.

Rule: nothing is emitted that is not here, and nothing is here that is not emitted; a test runs
    every operation to see that.
Rule: keys, values, payloads, scope identifiers and owners are never attributes.
Rule: `started` comes before the arguments were looked at, so it has the base attributes alone.
    `None` is left out.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping


@runtime_checkable
class Telemetry(Protocol):
    """What `with_telemetry` takes."""

    def emit(self, name: str, *, level: str, attributes: Mapping[str, Any]) -> None:
        """Take one event. Called on the event loop, so return at once; don't change `attributes`.
        Raising is logged once and hurts nobody.

        Args:
            name: `igniter.store.<group>.<operation>.<started|success|error>`.
            level: "debug", or "error" for errors.
            attributes: as this module lists them.
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
    "ctx.stream.undecodable": int,
}  # the second only where there are any
_EVENT: Final[Mapping[str, type]] = {"ctx.events.channel": str, "ctx.events.wildcard": bool}

# What an operation knows of itself: before it ran (so errors carry it too), and of its result.
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

# What this has read may still turn out to be undecodable, so its errors carry the result too.
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
"""Each event's name with the attributes that it may carry and their types."""
