"""The store: one adapter, one service, and every operation that a user calls.

Rule: a store is cheap; `scope` and `as_actor` return new stores over the same connection.
Rule: the first operation opens the store. `async with store:` opens it on entry and closes it on
    exit.
Rule: if several `async with` blocks use one connection, the last one to end closes it. The block of
    a scope or an actor closes nothing.
Rule: a builder is immutable. Each call checks its arguments and returns a new builder.
Rule: the types of the builder and of its store include the declared scopes, so pyright reports
    `store.scope("nope", 1)` as an error. mypy doesn't, because it treats `LiteralString` as `str`;
    there the call raises.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, LiteralString, TypeVar, overload

from igniter_store.arguments import invalid, plain_text
from igniter_store.backends import adapter_from_url
from igniter_store.connection import Capabilities, RefusedCapabilities, StoreConnection
from igniter_store.contract import ErrorCode, store_error
from igniter_store.events.envelope import Actor
from igniter_store.keys import is_encodable
from igniter_store.namespaces.batch import BatchNamespace
from igniter_store.namespaces.claim import ClaimNamespace
from igniter_store.namespaces.counter import CounterNamespace
from igniter_store.namespaces.dev import DevNamespace
from igniter_store.namespaces.events import EventsNamespace
from igniter_store.namespaces.kv import KeyValueNamespace
from igniter_store.namespaces.namespace import Surroundings
from igniter_store.namespaces.streams import StreamNamespace
from igniter_store.operation import LifecycleAttempt, Observer, Operation
from igniter_store.scopes import (
    Scope,
    identifier_text,
    make_scope,
    missing_scope,
    prefix_of,
)
from igniter_store.settings import Choices, StoreSettings

if TYPE_CHECKING:
    import logging
    from types import TracebackType
    from typing import Never, Self

    from igniter_store.contract import Adapter
    from igniter_store.events.declared import EventGroup
    from igniter_store.events.registry import EventDefinitions
    from igniter_store.serialization import Serializer
    from igniter_store.telemetry.registry import Telemetry

S = TypeVar("S", bound=str)
K = TypeVar("K", bound=LiteralString)

_NOT_BY_CLASS: Final = (
    "Store() can't be called. Use Store.from_url('memory://', service='api') with a URL, or "
    "Store.create().with_adapter(adapter).with_service('api').build() with an adapter."
)

OPEN: Final = Operation("open", ErrorCode.STORE_CONNECTION_FAILED)
CLOSE: Final = Operation("close", ErrorCode.STORE_OPERATION_FAILED)
PING: Final = Operation("ping", ErrorCode.STORE_OPERATION_FAILED)


class Store(Generic[S]):
    """The state that services share.

    Create one with `Store.create()...build()` or `Store.from_url(...)`.

    Attributes:
        kv: values under keys.
        counter: integers that many callers change concurrently.
        claim: at most one owner at a time.
        batch: many keys of `kv` at once.
        events: messages to current subscribers.
        streams: logs whose messages consumer groups share.
        dev: a listing of the existing keys.
    """

    def __init__(
        self,
        configuration: StoreSettings | None = None,
        connection: StoreConnection | None = None,
        scopes: tuple[Scope, ...] = (),
        actor: Actor | None = None,
        **unknown: Never,
    ) -> None:
        self._is_root = connection is None
        # Users try Store("memory://") and Store(adapter); the error shows the right call.
        if unknown or not isinstance(configuration, StoreSettings):
            raise store_error(ErrorCode.STORE_CONFIGURATION_INVALID, _NOT_BY_CLASS)
        self._configuration = configuration
        self._connection = (
            StoreConnection(configuration.adapter) if connection is None else connection
        )
        self._scopes = scopes
        self._actor = actor

    @staticmethod
    def create() -> StoreBuilder[Never]:
        """Return a builder to choose the adapter, the service and other settings."""
        return StoreBuilder()

    @staticmethod
    def from_url(
        url: str, *, service: str, telemetry: Telemetry | None = None, **options: Any
    ) -> Store[str]:
        """Return a store for `url`. The store isn't opened yet.

        Args:
            url: such as `memory://`, `sqlite:///state.db` or `redis://localhost:6379/0`; its
                backend must be installed.
            service: the name that this program's keys begin with. Different services never share
                keys.
            telemetry: receives an event for each operation, as the builder's `with_telemetry`.
                Without it, nothing is measured.
            options: options of the adapter. Loggers, serializers, scopes and events are set with
                `Store.create()`.

        Raises:
            ConfigurationError: `STORE_BACKEND_UNKNOWN` with the extra to install,
                `STORE_SERVICE_REQUIRED`, `STORE_CONFIGURATION_INVALID`.
        """
        builder = Store.create().with_url(url, **options).with_service(service)
        return (builder if telemetry is None else builder.with_telemetry(telemetry)).build()

    @property
    def adapter(self) -> Adapter:
        """The adapter, for calls that must bypass the store."""
        return self._configuration.adapter

    @property
    def service(self) -> str:
        """The service that the keys begin with."""
        return self._configuration.service

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The store's chain of scopes, outermost first."""
        return self._scopes

    @property
    def logger(self) -> logging.Logger:
        """The logger for problems that can't be raised to a caller."""
        return self._configuration.logger

    @property
    def is_open(self) -> bool:
        """True from `open` or the first operation until `close`."""
        return self._connection.is_open

    async def open(self) -> None:
        """Connect to the backend.

        An open store stays as it is. A closed store is opened again; LIF-1.

        Raises:
            BackendUnavailable: `STORE_CONNECTION_FAILED` when the backend can't be reached; LIF-3.
            ConfigurationError: `STORE_CONFIGURATION_INVALID`, which every operation raises in these
                cases: in a second event loop while the first one isn't closed, in a forked child if
                the parent opened the store, and without asyncio; LIF-11, LIF-14.
        """
        with LifecycleAttempt(self._observer, OPEN):
            await self._connection.open()

    async def close(self) -> None:
        """Close the store and all its scopes; idempotent. LIF-5.

        This ends subscriptions and blocked reads, and closes the connection. Running handlers are
        cancelled, and pending calls raise `STORE_CLOSED`. An adapter that was open before this
        store stays open.

        If the event loop in which the store was opened is closed, its remaining resources are
        abandoned. In a forked child, a store that the parent opened is only forgotten, which
        doesn't affect the parent; `open` opens it again in the child (LIF-14).
        """
        with LifecycleAttempt(self._observer, CLOSE):
            await self._connection.close()

    async def ping(self) -> float:
        """Ping the backend and return the round-trip time in seconds.

        Raises:
            BackendUnavailable, BackendTimeout: when the backend doesn't reply.
            StoreClosed: `STORE_CLOSED`.
        """
        with LifecycleAttempt(self._observer, PING):
            return await self._connection.ping()

    def scope(self, key: S, identifier: str | int) -> Store[S]:
        """Return the store of one tenant, over the same connection.

        Nothing is sent. Leaving an `async with` block of the returned store closes nothing.

        Args:
            key: a scope that `add_scope` declared, or any key if no scope was declared. Only
                pyright checks this; mypy accepts any `str`.
            identifier: the tenant's identifier: a `str` without `:` and control characters, or an
                `int`.

        Raises:
            ScopeError: `STORE_SCOPE_KEY_REQUIRED`, `STORE_INVALID_SCOPE_KEY`,
                `STORE_SCOPE_IDENTIFIER_REQUIRED`, `STORE_SCOPE_INVALID`.
        """
        scope = make_scope(key, identifier, self._configuration.scopes)
        return Store(self._configuration, self._connection, (*self._scopes, scope), self._actor)

    def as_actor(self, id: str | int, *, type: str | None = None) -> Store[S]:
        """Return the same store, with this actor as the origin of its events.

        Nothing is sent. Leaving an `async with` block of the returned store closes nothing.

        Raises:
            InvalidArgument: `STORE_ARGUMENT_INVALID` when `id` isn't a `str` or `int`, or is empty.
        """
        name, kind = identifier_text(id), plain_text(type)
        if not name or not is_encodable(name):
            raise invalid(
                "The actor's `id` must be an int or a non-empty str that UTF-8 can encode."
            )
        if type is not None and (not kind or not is_encodable(kind)):
            raise invalid(
                "The actor's `type` must be omitted or a non-empty str that UTF-8 can encode."
            )
        return Store(self._configuration, self._connection, self._scopes, Actor(name, kind))

    @cached_property
    def kv(self) -> KeyValueNamespace:
        """Values under keys."""
        return KeyValueNamespace(self._surroundings)

    @cached_property
    def counter(self) -> CounterNamespace:
        """Integers that many callers change concurrently."""
        return CounterNamespace(self._surroundings)

    @cached_property
    def claim(self) -> ClaimNamespace:
        """At most one owner at a time."""
        return ClaimNamespace(self._surroundings, self._connection)

    @cached_property
    def batch(self) -> BatchNamespace:
        """Many keys of `kv` at once."""
        return BatchNamespace(self._surroundings)

    @cached_property
    def events(self) -> EventsNamespace:
        """Messages to current subscribers."""
        return EventsNamespace(
            self._surroundings, self._connection, self._configuration.events, self._actor
        )

    @cached_property
    def streams(self) -> StreamNamespace:
        """Logs whose messages consumer groups share."""
        return StreamNamespace(self._surroundings)

    @cached_property
    def dev(self) -> DevNamespace:
        """A listing of the existing keys."""
        return DevNamespace(self._surroundings)

    async def __aenter__(self) -> Self:
        with LifecycleAttempt(self._observer, OPEN):
            await self._connection.enter(is_root=self._is_root)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with LifecycleAttempt(self._observer, CLOSE):
            await self._connection.leave()

    def __repr__(self) -> str:
        # Without identifiers, because they name tenants.
        scopes = ", ".join(scope.key for scope in self._scopes)
        return (
            f"<Store {self.service!r} on {self.adapter.name}"
            f"{f', scoped by {scopes}' if scopes else ''}>"
        )

    @cached_property
    def _observer(self) -> Observer:
        return Observer(None, self.adapter.name, {}, self._connection)

    @cached_property
    def _surroundings(self) -> Surroundings:
        configuration = self._configuration
        missing = missing_scope(self._scopes, configuration.scopes)
        through: Capabilities = (
            self._connection if missing is None else RefusedCapabilities(missing)
        )
        return Surroundings(
            service=configuration.service,
            scopes=self._scopes,
            prefix=prefix_of(configuration.service, self._scopes),
            connection=self._connection,
            through=through,
            codec=configuration.codec,
            sink=configuration.sink,
            logger=configuration.logger,
            backend=configuration.adapter.name,
        )


class StoreBuilder(Generic[S]):
    """The builder that `Store.create()` returns; `build()` makes the store."""

    def __init__(self, choices: Choices | None = None) -> None:
        self._choices = Choices() if choices is None else choices

    def with_adapter(self, adapter: Adapter) -> StoreBuilder[S]:
        """Use `adapter`. The store opens it if necessary.

        The store closes only an adapter that it opened.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` when `adapter` isn't an `Adapter`;
                `STORE_ADAPTER_REQUIRED` for `None`.
        """
        return StoreBuilder(self._choices.with_adapter(adapter))

    def with_url(self, url: str, **options: Any) -> StoreBuilder[S]:
        """Use the installed backend for `url`; `options` are options of its adapter.

        Raises:
            ConfigurationError: `STORE_BACKEND_UNKNOWN` with the extra to install,
                `STORE_CONFIGURATION_INVALID`.
        """
        return self.with_adapter(adapter_from_url(url, **options))

    def with_service(self, service: str) -> StoreBuilder[S]:
        """Set the service that all keys begin with: a `str` without `:` and control characters.

        Raises:
            ConfigurationError: `STORE_SERVICE_REQUIRED`, `STORE_CONFIGURATION_INVALID`.
        """
        return StoreBuilder(self._choices.with_service(service))

    def with_serializer(self, serializer: Serializer) -> StoreBuilder[S]:
        """Encode values with `serializer`; the default is JSON.

        It is JSON, MSGPACK, or any object with `encode(value)` and `decode(bytes, type)`. The
        TypeScript library can read only JSON values.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        return StoreBuilder(self._choices.with_serializer(serializer))

    def with_logger(self, logger: logging.Logger) -> StoreBuilder[S]:
        """Log problems that can't be raised to a caller to `logger`.

        The default is the logger "igniter_store". A `logging.LoggerAdapter` is accepted too.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        return StoreBuilder(self._choices.with_logger(logger))

    def with_telemetry(self, telemetry: Telemetry) -> StoreBuilder[S]:
        """Report every operation to `telemetry`.

        It is any object with `emit(name, *, level, attributes)`, such as `LoggingTelemetry()`.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        return StoreBuilder(self._choices.with_telemetry(telemetry))

    def add_scope(
        self, key: K, *, required: bool = False, description: str | None = None
    ) -> StoreBuilder[S | K]:
        """Declare a scope. Once a scope is declared, undeclared scopes are refused.

        Args:
            key: a `str` without `:` and control characters that isn't the name of a namespace.
            required: refuse every operation of a store that isn't in this scope.
            description: a text for readers.

        Raises:
            ScopeError: `STORE_SCOPE_KEY_REQUIRED`, `STORE_INVALID_SCOPE_KEY`,
                `STORE_DUPLICATE_SCOPE`.
        """
        choices = self._choices.add_scope(key, required=required, description=description)
        return StoreBuilder(choices)

    def add_events(
        self,
        events: EventDefinitions | type[EventGroup],
        *,
        validate_publish: bool | None = None,
        validate_subscribe: bool | None = None,
        throw_on_validation_error: bool | None = None,
    ) -> StoreBuilder[S]:
        """Register the events of a namespace, declared with a builder or as a class.

        A switch that is given applies to all registered events from then on.

        Args:
            events: the result of `Events...build()`, or a class that inherits `EventGroup` and has
                a namespace.
            validate_publish: check payloads before they are published, and refuse events that the
                namespace doesn't declare (on by default).
            validate_subscribe: check payloads and convert them before handlers get them (off by
                default).
            throw_on_validation_error: raise for an invalid payload (on by default). If off, the
                problem is logged and the payload is passed on.

        Raises:
            EventError: `STORE_DUPLICATE_NAMESPACE`, `STORE_MISSING_NAMESPACE`.
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        switches = {
            "validate_publish": validate_publish,
            "validate_subscribe": validate_subscribe,
            "throw_on_validation_error": throw_on_validation_error,
        }
        return StoreBuilder(self._choices.add_events(events, switches))

    @overload
    def build(self: StoreBuilder[Never]) -> Store[str]: ...
    @overload
    def build(self: StoreBuilder[S]) -> Store[S]: ...
    def build(self: StoreBuilder[Any]) -> Store[Any]:
        """Return the store. Nothing is sent.

        Raises:
            ConfigurationError: `STORE_ADAPTER_REQUIRED`, `STORE_SERVICE_REQUIRED`.
        """
        return Store(self._choices.settings())
