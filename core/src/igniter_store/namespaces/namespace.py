"""The base class of all namespaces of a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct

from igniter_store.keys import full_key
from igniter_store.operation import Attempt, Observer, Operation, Sink
from igniter_store.ttl import Ttl, ttl_seconds

if TYPE_CHECKING:
    import logging

    from igniter_store.connection import Capabilities, StoreConnection
    from igniter_store.scopes import Scope
    from igniter_store.serialization import Codec


class Surroundings(Struct, frozen=True):
    """The state that all namespaces of one store share.

    Attributes:
        prefix: the common beginning of the store's keys, up to the colon before the namespace.
        connection: the store's connection, which each operation binds to the running event loop.
        through: the capabilities that operations call: the connection, or a stand-in that raises
            because a required scope is missing.
    """

    service: str
    scopes: tuple[Scope, ...]
    prefix: str
    connection: StoreConnection
    through: Capabilities
    codec: Codec
    sink: Sink | None
    logger: logging.Logger
    backend: str

    def attributes(self, namespace: str) -> dict[str, Any]:
        """Return the telemetry attributes of every operation in `namespace`.

        They never contain a scope's identifier.
        """
        attributes: dict[str, Any] = {
            "ctx.store.service": self.service,
            "ctx.store.namespace": namespace,
        }
        if self.scopes:
            attributes["ctx.store.scope_key"] = self.scopes[-1].key
            attributes["ctx.store.scope_depth"] = len(self.scopes)
        return attributes


class Namespace:
    """A group of operations on keys with a common prefix.

    Attributes:
        word: the namespace's name in keys.
        event_namespace: its name in telemetry events, if that differs.
    """

    word: ClassVar[str]
    event_namespace: ClassVar[str | None] = None

    def __init__(self, surroundings: Surroundings) -> None:
        self._through: Final = surroundings.through
        self._codec: Final = surroundings.codec
        self._prefix: Final = f"{surroundings.prefix}{self.word}:"
        self._affinity: Final = surroundings.connection.affinity
        self._bind: Final = surroundings.connection.bind
        attributes = surroundings.attributes(self.event_namespace or self.word)
        self._observer: Final = Observer(
            surroundings.sink, surroundings.backend, attributes, surroundings.connection
        )

    def _attempt(self, operation: Operation) -> Attempt:
        return self._observer.attempt(operation)

    def _key(self, key: str) -> str:
        # The fast path of `full_key`, which nearly every key takes.
        if type(key) is str and key and key.isascii():
            return self._prefix + key
        return full_key(self._prefix, key)

    async def _expire(self, operation: Operation, key: str, ttl: Ttl) -> bool:
        """Set the TTL of `key`, and return whether the key exists."""
        with self._attempt(operation) as attempt:
            full_key, seconds = self._key(key), ttl_seconds(ttl)
            attempt.note(f"ctx.{self.word}.ttl", seconds)
            return await self._through.keyvalue.expire(full_key, seconds)

    async def _remaining(self, operation: Operation, key: str) -> float | None:
        """Return the remaining TTL of `key`; `None` without a TTL, or without the key."""
        with self._attempt(operation) as attempt:
            left = await self._through.keyvalue.ttl(self._key(key))
            if left is None or math.isinf(left):
                return None
            attempt.note(f"ctx.{self.word}.ttl", left)
            return left
