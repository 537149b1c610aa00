"""Builds a store step by step.

Rule: a builder is immutable. Each call checks its arguments and returns a new builder.
Rule: the types of the builder and of its store include the declared scopes, so pyright reports
    `store.scope("nope", 1)` as an error. mypy doesn't, because it treats `LiteralString` as `str`;
    there the call raises.
"""

from __future__ import annotations

import logging
from typing import Any, Generic, LiteralString, Never, TypeVar, cast, overload

from msgspec import Struct, structs

from igniter_store.arguments import boolean, invalid
from igniter_store.backends import adapter_from_url
from igniter_store.contract import Adapter, ErrorCode, store_error
from igniter_store.events.declared import EventGroup, definitions_of
from igniter_store.events.registry import EventDefinitions, EventRegistry
from igniter_store.keys import checked_name, is_part
from igniter_store.operation import Sink
from igniter_store.scopes import ScopeDefinition, scope_key
from igniter_store.serialization import JSON, Codec, Serializer
from igniter_store.store import Store, StoreSettings
from igniter_store.telemetry.registry import Telemetry

S = TypeVar("S", bound=str)
K = TypeVar("K", bound=LiteralString)


class _Choices(Struct, frozen=True):
    """The settings of a builder, made by its calls so far."""

    adapter: Adapter | None = None
    service: str | None = None
    serializer: Serializer = JSON
    logger: logging.Logger = logging.getLogger("igniter_store")
    telemetry: Telemetry | None = None
    scopes: dict[str, ScopeDefinition] = {}
    events: EventRegistry = EventRegistry()


class StoreBuilder(Generic[S]):
    """The builder that `Store.create()` returns; `build()` makes the store."""

    def __init__(self, choices: _Choices | None = None) -> None:
        self._choices = _Choices() if choices is None else choices

    def with_adapter(self, adapter: Adapter) -> StoreBuilder[S]:
        """Use `adapter`. The store opens it if necessary.

        The store closes only an adapter that it opened.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID` when `adapter` isn't an `Adapter`;
                `STORE_ADAPTER_REQUIRED` for `None`.
        """
        if adapter is None:
            raise _adapter_required()
        if not _is(adapter, Adapter):
            raise _invalid(
                "with_adapter() takes an Adapter, such as MemoryAdapter(). For a URL, use "
                "with_url()."
            )
        return self._with(adapter=adapter)

    def with_url(self, url: str, **options: Any) -> StoreBuilder[S]:
        """Use the installed backend for `url`; `options` are options of its adapter.

        Raises:
            ConfigurationError: `STORE_BACKEND_UNKNOWN` with the extra to install,
                `STORE_CONFIGURATION_INVALID`.
        """
        return self._with(adapter=adapter_from_url(url, **options))

    def with_service(self, service: str) -> StoreBuilder[S]:
        """Set the service that all keys begin with: a `str` without `:` and control characters.

        Raises:
            ConfigurationError: `STORE_SERVICE_REQUIRED`, `STORE_CONFIGURATION_INVALID`.
        """
        name = checked_name(
            service,
            "service",
            ErrorCode.STORE_SERVICE_REQUIRED,
            invalid=ErrorCode.STORE_CONFIGURATION_INVALID,
        )
        if not is_part(name):
            raise _invalid(
                "The service name contains ':' or a control character, so it could be mistaken "
                "for a scope. Use letters, digits and '-'."
            )
        return self._with(service=name)

    def with_serializer(self, serializer: Serializer) -> StoreBuilder[S]:
        """Encode values with `serializer`; the default is JSON.

        It is JSON, MSGPACK, or any object with `encode(value)` and `decode(bytes, type)`. The
        TypeScript library can read only JSON values.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        if not _is(serializer, Serializer) or not _has(serializer, "encode", "decode"):
            raise _invalid(
                "A serializer must be an object (not a class) with encode(value) -> bytes and "
                "decode(bytes, type) -> value."
            )
        return self._with(serializer=serializer)

    def with_logger(self, logger: logging.Logger) -> StoreBuilder[S]:
        """Log problems that can't be raised to a caller to `logger`.

        The default is the logger "igniter_store". A `logging.LoggerAdapter` is accepted too.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        if not _is(logger, logging.Logger, logging.LoggerAdapter):
            raise _invalid("with_logger() takes a logging.Logger.")
        return self._with(logger=logger)

    def with_telemetry(self, telemetry: Telemetry) -> StoreBuilder[S]:
        """Report every operation to `telemetry`.

        It is any object with `emit(name, *, level, attributes)`, such as `LoggingTelemetry()`.

        Raises:
            ConfigurationError: `STORE_CONFIGURATION_INVALID`.
        """
        if not _is(telemetry, Telemetry) or not _has(telemetry, "emit"):
            raise _invalid(
                "Telemetry must be an object (not a class) with emit(name, *, level, attributes)."
            )
        return self._with(telemetry=telemetry)

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
        name = scope_key(key)
        if name in self._choices.scopes:
            raise store_error(
                ErrorCode.STORE_DUPLICATE_SCOPE,
                (f"The scope {name!r} is already declared. Declare each scope once."),
            )
        if description is not None and not isinstance(description, str):
            raise invalid("`description` must be a str or omitted.")
        definition = ScopeDefinition(name, boolean(required, "required"), description)
        return cast(
            "StoreBuilder[S | K]", self._with(scopes={**self._choices.scopes, name: definition})
        )

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
        given_events: Any = events
        definitions: EventDefinitions = (
            given_events
            if isinstance(given_events, EventDefinitions)
            else definitions_of(given_events)
        )
        given = {
            "validate_publish": validate_publish,
            "validate_subscribe": validate_subscribe,
            "throw_on_validation_error": throw_on_validation_error,
        }
        switches = {
            name: boolean(value, name) for name, value in given.items() if value is not None
        }
        return self._with(events=self._choices.events.with_events(definitions, switches))

    @overload
    def build(self: StoreBuilder[Never]) -> Store[str]: ...
    @overload
    def build(self: StoreBuilder[S]) -> Store[S]: ...
    def build(self: StoreBuilder[Any]) -> Store[Any]:
        """Return the store. Nothing is sent.

        Raises:
            ConfigurationError: `STORE_ADAPTER_REQUIRED`, `STORE_SERVICE_REQUIRED`.
        """
        choices = self._choices
        if choices.adapter is None:
            raise _adapter_required()
        if choices.service is None:
            raise store_error(
                ErrorCode.STORE_SERVICE_REQUIRED,
                ("The service name is missing. Call with_service('api')."),
            )
        return Store(
            StoreSettings(
                adapter=choices.adapter,
                service=choices.service,
                codec=Codec(choices.serializer),
                logger=choices.logger,
                sink=None if choices.telemetry is None else Sink(choices.telemetry, choices.logger),
                scopes=dict(choices.scopes),
                events=choices.events,
            )
        )

    def _with(self, **changes: Any) -> StoreBuilder[S]:
        return StoreBuilder(structs.replace(self._choices, **changes))


def _adapter_required() -> Exception:
    return store_error(
        ErrorCode.STORE_ADAPTER_REQUIRED,
        "The adapter is missing. Call with_adapter(MemoryAdapter()) or with_url('memory://') "
        "before build().",
    )


def _is(piece: Any, *kinds: type) -> bool:
    # A class has the methods of its instances, but calling them needs an instance.
    return isinstance(piece, kinds) and not isinstance(piece, type)


def _has(piece: Any, *methods: str) -> bool:
    return all(callable(getattr(piece, method)) for method in methods)


def _invalid(message: str) -> Exception:
    return store_error(ErrorCode.STORE_CONFIGURATION_INVALID, message)
