"""`store.events`: publish messages to current subscribers, by name or by pattern.

Rule: semantics are the clauses PUB of the contract: delivery is at most once, in order for
    each publisher, and nothing is stored for later subscribers.
Rule: a payload is checked against its schema if the event declares one.
Rule: operations raise the same errors as those of `store.kv`.
"""

from __future__ import annotations

import inspect
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, TypeVar

from igniter_store.arguments import invalid, whole_number
from igniter_store.contract import ErrorCode, StoreError, escape
from igniter_store.events.bound import BoundEvent
from igniter_store.events.declared import EventGroup, namespace_of
from igniter_store.events.envelope import Actor, EventContext, Wrapper, unwrap
from igniter_store.events.names import is_pattern, name_to_publish, name_to_subscribe
from igniter_store.events.registry import EventRegistry, unknown_event, unknown_namespace
from igniter_store.events.subscription import EventStream, EventSubscription, Feed, Handler
from igniter_store.namespaces.namespace import Namespace, Surroundings
from igniter_store.operation import Attempt, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store.connection import StoreConnection
    from igniter_store.contract import GapCallback, MessageCallback, Subscription
    from igniter_store.schema import Schema
    from igniter_store.serialization import TypedSerializer

G = TypeVar("G", bound=EventGroup)

PUBLISH: Final = Operation("events.publish", ErrorCode.STORE_PUBLISH_FAILED)
SUBSCRIBE: Final = Operation("events.subscribe", ErrorCode.STORE_SUBSCRIBE_FAILED)
UNSUBSCRIBE: Final = Operation("events.unsubscribe", ErrorCode.STORE_UNSUBSCRIBE_FAILED)
HANDLE: Final = Operation("events.handle", ErrorCode.STORE_OPERATION_FAILED)


class EventsNamespace(Namespace):
    """Events of one store and scope.

    Registered events are also attributes: `store.events.user.created.publish(...)`. For names that
    aren't Python identifiers, use `store.events["user"]`.
    """

    word = "events"

    def __init__(
        self,
        surroundings: Surroundings,
        connection: StoreConnection,
        registry: EventRegistry,
        actor: Actor | None,
    ) -> None:
        super().__init__(surroundings)
        self._connection: Final = connection
        self._decode: Final = self._codec.decoder(Any, takes_text=False)
        self._registry: Final = registry
        self._is_bare: Final = (
            self._observer.sink is None and not registry.schemas and not registry.namespaces
        )
        self._wrapper: Final = Wrapper(self._codec, surroundings.scopes, actor)
        self._logger: Final = surroundings.logger

    async def publish(self, event: str, data: Any) -> int:
        """Send `data` to every subscriber of this event in this store and scope.

        Redis PUBLISH; PUB-2, PUB-3, PUB-11.

        Args:
            event: the full name, such as "user:created". In a registered namespace, the event must
                be registered too.
            data: any value that the serializer can encode. The event's schema checks it first, and
                the schema's result is sent.

        Returns:
            The number of subscriptions that received the event, or 0 if the backend can't count
            them.

        Raises:
            EventError: `STORE_INVALID_EVENT_NAME`, `STORE_SCHEMA_CHANNEL_NOT_FOUND`,
                `STORE_SCHEMA_VALIDATION_FAILED`; nothing was sent.
            SerializationError: `STORE_SERIALIZATION_FAILED`; nothing was sent.
        """
        if self._is_bare:
            # Without telemetry and registered events, the steps of an `Attempt` are inlined. This
            # saves a fifth of the time.
            try:
                if get_ident() != self._affinity.runner._thread_id:  # noqa: SLF001 - see `Affinity.runner`
                    self._bind()
                name = name_to_publish(event)
                return await self._through.pubsub.publish(
                    self._prefix + name, self._wrapper.wrap(name, data)
                )
            except Exception as error:  # noqa: BLE001 - `failed` translates all errors
                # `failed` sets the cause
                raise self._observer.failed(PUBLISH, error, 0.0, {})  # noqa: B904
        with self._attempt(PUBLISH) as attempt:
            name = name_to_publish(event)
            self._note(attempt, name)
            if self._registry.validate_publish:
                self._registry.require(name)
            payload = self._payload(name, data, self._registry.schema(name))
            return await self._through.pubsub.publish(self._prefix + name, payload)

    async def subscribe(
        self, event: str, handler: Handler[Any], *, max_queue: int = 1000
    ) -> EventSubscription:
        r"""Call `handler` with the context of each event.

        Returns once the subscription is live. Unlike `listen`, it is awaited before `async with`:
        `async with await store.events.subscribe("user:*", handler): ...`. Redis SUBSCRIBE,
        PSUBSCRIBE; PUB-1, PUB-7.

        Args:
            event: one name, or a pattern with `*`, `?` and `[ab]`; `\\` escapes the next character.
            handler: a function or coroutine function that accepts one `EventContext`. Bind other
                arguments with `functools.partial`. It is called with one event at a time, in order.
                If it raises, the error is logged and the next event is handled.
            max_queue: how many events can queue for a slow handler. When the queue is full, the
                oldest events are dropped and counted in `.dropped`; a warning is logged once.

        The context's data is plain (a dict for an object), unless the event is registered and
        `validate_subscribe` is on; then it has the schema's type. Subscriptions through a class
        bound with `bind` always get the declared types.

        If the call is cancelled, no subscription remains.

        Raises:
            EventError: `STORE_INVALID_EVENT_NAME`.
            InvalidArgument: `STORE_ARGUMENT_INVALID` when `handler` can't be called with one
                argument, or `max_queue` is invalid.
        """
        return await self.subscribe_typed(event, handler, None, max_queue)

    def listen(self, event: str, *, max_queue: int = 1000) -> EventStream[Any]:
        """Return events to iterate over with `async for`.

        `async with store.events.listen("user:*") as stream: async for ctx in stream: ...`

        The subscription is live inside the `async with` block. Arguments and errors as in
        `subscribe`; invalid arguments raise at once.
        """
        return self.listen_typed(event, None, max_queue)

    def bind(self, events: type[G]) -> G:
        """Bind the declared class `events` to this store.

        `users = store.events.bind(UserEvents); await users.created.publish(...)`

        The class doesn't have to be registered with `add_events`. Its subscribers get data
        converted to the declared types.

        Raises:
            EventError: `STORE_MISSING_NAMESPACE`.
            ConfigurationError: `STORE_CONFIGURATION_INVALID` when `events` isn't an `EventGroup`.
        """
        return events(self, namespace_of(events))

    def __getattr__(self, namespace: str) -> Any:
        # Called only for names that aren't attributes: the registered namespaces. Python itself
        # looks up private names, for example to copy an object.
        if namespace.startswith("_"):
            raise AttributeError(namespace)
        if not self._registry.has_branch(namespace):
            methods = [name for name in dir(type(self)) if not name.startswith("_")]
            raise unknown_namespace(namespace, methods)
        return _step(self, self._registry, namespace)

    def __getitem__(self, namespace: str) -> Any:
        return _step(self, self._registry, name_to_subscribe(namespace))

    def bound(self, event: str, schema: Schema) -> BoundEvent[Any]:
        """Return the declared event with this full name."""
        return BoundEvent(self, event, schema, is_typed=True)

    async def publish_checked(self, event: str, data: Any, schema: Schema) -> int:
        """Publish under a declared name, which needs no further check."""
        with self._attempt(PUBLISH) as attempt:
            self._note(attempt, event)
            return await self._through.pubsub.publish(
                self._prefix + event, self._payload(event, data, schema)
            )

    async def subscribe_typed(
        self, event: str, handler: Handler[Any], schema: Schema | None, max_queue: int
    ) -> EventSubscription:
        """Subscribe, and convert payloads with `schema`."""
        with self._attempt(SUBSCRIBE) as attempt:
            feed = self._feed(event, schema, max_queue)
            self._note(attempt, event)
            if not callable(handler):
                raise invalid(
                    "`handler` must be a function or coroutine function that takes one "
                    "EventContext."
                )
            if not _takes_one(handler):
                raise invalid(
                    "`handler` can't be called with one EventContext. Bind other arguments with "
                    "functools.partial."
                )
            await feed.start()
            try:
                return EventSubscription(feed, handler)
            except StoreError:
                await feed.stop()
                raise

    def listen_typed(self, event: str, schema: Schema | None, max_queue: int) -> EventStream[Any]:
        """Listen, and convert payloads with `schema`."""
        feed = self._feed(event, schema, max_queue)
        return EventStream(feed, lambda: self._attempt_on(SUBSCRIBE, event))

    def _note(self, attempt: Attempt, name: str) -> None:
        if self._observer.sink is not None:
            attempt.note("ctx.events.channel", name)
            attempt.note("ctx.events.wildcard", is_pattern(name))

    def _attempt_on(self, operation: Operation, name: str) -> Attempt:
        return self._observer.attempt(
            operation, {"ctx.events.channel": name, "ctx.events.wildcard": is_pattern(name)}
        )

    def _payload(self, event: str, data: Any, schema: Schema | None) -> bytes:
        if schema is not None and self._registry.validate_publish:
            data = self._validated(schema.validate, data, event)
        return self._wrapper.wrap(event, data)

    def _validated(
        self, validate: Callable[[Any, str, TypedSerializer], Any], data: Any, event: str
    ) -> Any:
        try:
            return validate(data, event, self._codec.typed)
        except StoreError as error:
            if self._registry.throw_on_validation_error:
                raise
            self._logger.warning(
                ("%s The event is published, because throw_on_validation_error is off."),
                error.message,
            )
            return data

    def _feed(self, event: str, schema: Schema | None, max_queue: int) -> Feed:
        name = name_to_subscribe(event)
        size = whole_number(max_queue, "max_queue", least=1)

        async def subscribe(callback: MessageCallback, on_gap: GapCallback) -> Subscription:
            pubsub = self._through.pubsub
            if is_pattern(name):
                return await pubsub.psubscribe(escape(self._prefix) + name, callback, on_gap=on_gap)
            return await pubsub.subscribe(self._prefix + name, callback, on_gap=on_gap)

        def read(channel: str, payload: bytes) -> EventContext[Any]:
            context = unwrap(self._decode(payload), channel.removeprefix(self._prefix))
            if schema is not None:
                return context.with_data(
                    schema.receive(context.data, context.type, self._codec.typed)
                )
            registered = (
                self._registry.schema(context.type) if self._registry.validate_subscribe else None
            )
            return (
                context
                if registered is None
                else context.with_data(
                    self._validated(registered.receive, context.data, context.type)
                )
            )

        return Feed(
            name,
            connection=self._connection,
            logger=self._logger,
            subscribe=subscribe,
            read=read,
            handling=lambda: self._attempt_on(HANDLE, name),
            unsubscribing=lambda: self._attempt_on(UNSUBSCRIBE, name),
            max_queue=size,
        )


class _Branch:
    """A registered namespace or group, whose attributes are its events and groups."""

    def __init__(self, events: EventsNamespace, registry: EventRegistry, path: str) -> None:
        self._events = events
        self._registry = registry
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _step(self._events, self._registry, f"{self._path}:{name}")

    def __getitem__(self, name: str) -> Any:
        return _step(self._events, self._registry, f"{self._path}:{name_to_subscribe(name)}")


def _takes_one(handler: Handler[Any]) -> bool:
    try:
        # The signature of the decorator, not of the wrapped function: it may add arguments.
        signature = inspect.signature(handler, follow_wrapped=False)
    # some C functions have no signature, and Python 3.14 evaluates annotations here
    except Exception:  # noqa: BLE001
        return True
    try:
        signature.bind(object())
    except TypeError:
        return False
    return True


def _step(events: EventsNamespace, registry: EventRegistry, path: str) -> Any:
    schema = registry.schema(path)
    if schema is not None:
        bound: BoundEvent[Any] = BoundEvent(events, path, schema, is_typed=False)
        return bound
    if registry.has_branch(path):
        return _Branch(events, registry, path)
    raise unknown_event(path, registry.schemas)
