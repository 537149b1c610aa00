"""One event of a store, with its name and schema.

Rule: attribute access on `store.events` and bound classes return these objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from igniter_store.events.subscription import EventStream, EventSubscription, Handler
    from igniter_store.schema import Schema

T = TypeVar("T")


class EventBus(Protocol):
    """The interface through which bound events publish and subscribe."""

    def bound(self, event: str, schema: Schema) -> BoundEvent[Any]:
        """Return the event with this full name."""
        ...

    async def publish_checked(self, event: str, data: Any, schema: Schema) -> int:
        """Publish under a name that is known to be valid."""
        ...

    async def subscribe_typed(
        self, event: str, handler: Handler[Any], schema: Schema | None, max_queue: int
    ) -> EventSubscription:
        """Subscribe; with a schema, convert payloads to its type."""
        ...

    def listen_typed(self, event: str, schema: Schema | None, max_queue: int) -> EventStream[Any]:
        """Listen; with a schema, convert payloads to its type."""
        ...


class BoundEvent(Generic[T]):
    """An event to publish, subscribe to and listen to.

    Attributes:
        name: the event's full name ("user:created").
    """

    def __init__(self, bus: EventBus, name: str, schema: Schema, *, is_typed: bool) -> None:
        self.name = name
        self._bus = bus
        self._schema = schema
        # As in `@igniter-js/store`, payloads of a fluent registry stay plain data unless
        # validate_subscribe is set. A declared class promises its types to the type checker, so its
        # payloads are always converted.
        self._wanted = schema if is_typed else None

    async def publish(self, data: T) -> int:
        """Check `data` against the schema and publish it, as `store.events.publish`.

        Raises:
            EventError: `STORE_SCHEMA_VALIDATION_FAILED`; nothing was published.
        """
        return await self._bus.publish_checked(self.name, data, self._schema)

    async def subscribe(self, handler: Handler[T], *, max_queue: int = 1000) -> EventSubscription:
        """Call `handler` for each of these events, as `store.events.subscribe`.

        It is also awaited before `async with`.
        """
        return await self._bus.subscribe_typed(self.name, handler, self._wanted, max_queue)

    def listen(self, *, max_queue: int = 1000) -> EventStream[T]:
        """Return these events to iterate over, as `store.events.listen`."""
        return self._bus.listen_typed(self.name, self._wanted, max_queue)
