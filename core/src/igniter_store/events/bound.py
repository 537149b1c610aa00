"""One event of a store, with its name and schema: what attribute access and bound classes give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from igniter_store.events.subscription import EventStream, EventSubscription, Handler
    from igniter_store.schema import Schema

T = TypeVar("T")


class EventBus(Protocol):
    """What events are published and subscribed through."""

    def bound(self, event: str, schema: Schema) -> BoundEvent[Any]:
        """The event with this full name."""
        ...

    async def publish_checked(self, event: str, data: Any, schema: Schema) -> int:
        """Publish under a name that is known to be right."""
        ...

    async def subscribe_typed(
        self, event: str, handler: Handler[Any], schema: Schema | None, max_queue: int
    ) -> EventSubscription:
        """Subscribe, and convert what comes to the schema's type where there is one."""
        ...

    def listen_typed(self, event: str, schema: Schema | None, max_queue: int) -> EventStream[Any]:
        """Listen, and convert what comes to the schema's type where there is one."""
        ...


class BoundEvent(Generic[T]):
    """An event that can be published, subscribed to and listened to.

    Attributes:
        name: its full name ("user:created").
    """

    def __init__(self, bus: EventBus, name: str, schema: Schema, *, is_typed: bool) -> None:
        self.name = name
        self._bus = bus
        self._schema = schema
        # A fluent registry gives its payloads as they came, unless validate_subscribe is set, as in
        # `@igniter-js/store`. A declared class promises its types to the type checker, so its
        # payloads are always converted.
        self._wanted = schema if is_typed else None

    async def publish(self, data: T) -> int:
        """Publish `data` after its schema checked it; as `store.events.publish`.

        Raises:
            EventError: `STORE_SCHEMA_VALIDATION_FAILED`; nothing was published.
        """
        return await self._bus.publish_checked(self.name, data, self._schema)

    async def subscribe(self, handler: Handler[T], *, max_queue: int = 1000) -> EventSubscription:
        """Call `handler` for each such event; as `store.events.subscribe`, and awaited before
        `async with`, too.
        """
        return await self._bus.subscribe_typed(self.name, handler, self._wanted, max_queue)

    def listen(self, *, max_queue: int = 1000) -> EventStream[T]:
        """Iterate over such events; as `store.events.listen`."""
        return self._bus.listen_typed(self.name, self._wanted, max_queue)
