"""The settings of a store: what the builder's calls have chosen, each checked at once.

Rule: `Choices` is immutable. Each method checks its arguments and returns new choices.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct, structs

from igniter_store.arguments import boolean, invalid
from igniter_store.contract import Adapter, ErrorCode, store_error
from igniter_store.events.declared import definitions_of
from igniter_store.events.registry import EventDefinitions, EventRegistry
from igniter_store.keys import checked_name, is_part
from igniter_store.operation import Sink
from igniter_store.scopes import ScopeDefinition, scope_key
from igniter_store.serialization import JSON, Codec, Serializer
from igniter_store.telemetry.registry import Telemetry

if TYPE_CHECKING:
    from igniter_store.events.declared import EventGroup


class StoreSettings(Struct, frozen=True):
    """The settings that all stores over one connection share."""

    adapter: Adapter
    service: str
    codec: Codec
    logger: logging.Logger
    sink: Sink | None
    scopes: dict[str, ScopeDefinition]
    events: EventRegistry


class Choices(Struct, frozen=True):
    """The settings that were chosen so far. The methods are documented at `StoreBuilder`."""

    adapter: Adapter | None = None
    service: str | None = None
    serializer: Serializer = JSON
    logger: logging.Logger = logging.getLogger("igniter_store")
    telemetry: Telemetry | None = None
    scopes: dict[str, ScopeDefinition] = {}
    events: EventRegistry = EventRegistry()

    def with_adapter(self, adapter: Any) -> Self:
        """Choose the adapter."""
        if adapter is None:
            raise _adapter_required()
        if not _is(adapter, Adapter):
            raise _invalid(
                "with_adapter() takes an Adapter, such as MemoryAdapter(). For a URL, use "
                "with_url()."
            )
        return structs.replace(self, adapter=adapter)

    def with_service(self, service: Any) -> Self:
        """Choose the service."""
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
        return structs.replace(self, service=name)

    def with_serializer(self, serializer: Any) -> Self:
        """Choose the serializer."""
        if not _is(serializer, Serializer) or not _has(serializer, "encode", "decode"):
            raise _invalid(
                "A serializer must be an object (not a class) with encode(value) -> bytes and "
                "decode(bytes, type) -> value."
            )
        return structs.replace(self, serializer=serializer)

    def with_logger(self, logger: Any) -> Self:
        """Choose the logger."""
        if not _is(logger, logging.Logger, logging.LoggerAdapter):
            raise _invalid("with_logger() takes a logging.Logger.")
        return structs.replace(self, logger=logger)

    def with_telemetry(self, telemetry: Any) -> Self:
        """Choose the telemetry sink."""
        if not _is(telemetry, Telemetry) or not _has(telemetry, "emit"):
            raise _invalid(
                "Telemetry must be an object (not a class) with emit(name, *, level, attributes)."
            )
        return structs.replace(self, telemetry=telemetry)

    def add_scope(self, key: Any, *, required: Any, description: Any) -> Self:
        """Declare one more scope."""
        name = scope_key(key)
        if name in self.scopes:
            raise store_error(
                ErrorCode.STORE_DUPLICATE_SCOPE,
                (f"The scope {name!r} is already declared. Declare each scope once."),
            )
        if description is not None and not isinstance(description, str):
            raise invalid("`description` must be a str or omitted.")
        definition = ScopeDefinition(name, boolean(required, "required"), description)
        return structs.replace(self, scopes={**self.scopes, name: definition})

    def add_events(
        self, events: EventDefinitions | type[EventGroup], switches: dict[str, Any]
    ) -> Self:
        """Register the events of a namespace; a switch that is `None` stays as it is."""
        given: Any = events
        definitions: EventDefinitions = (
            given if isinstance(given, EventDefinitions) else definitions_of(given)
        )
        switched = {
            name: boolean(value, name) for name, value in switches.items() if value is not None
        }
        return structs.replace(self, events=self.events.with_events(definitions, switched))

    def settings(self) -> StoreSettings:
        """Return the settings, if adapter and service were chosen."""
        if self.adapter is None:
            raise _adapter_required()
        if self.service is None:
            raise store_error(
                ErrorCode.STORE_SERVICE_REQUIRED,
                ("The service name is missing. Call with_service('api')."),
            )
        return StoreSettings(
            adapter=self.adapter,
            service=self.service,
            codec=Codec(self.serializer),
            logger=self.logger,
            sink=None if self.telemetry is None else Sink(self.telemetry, self.logger),
            scopes=dict(self.scopes),
            events=self.events,
        )


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
