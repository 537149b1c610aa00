"""Declare events with a builder, as in `@igniter-js/store`: `Events.create("user").event("created",
UserCreated).build()`.

Rule: builders are immutable; each call returns a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igniter_store.contract import ErrorCode, store_error
from igniter_store.events.names import event_name, namespace_name
from igniter_store.events.registry import EventDefinitions
from igniter_store.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class EventsBuilder:
    """The events of a namespace, or of a group in it, as far as they are declared."""

    def __init__(self, path: str, schemas: Mapping[str, Schema]) -> None:
        self._path = path
        self._schemas = schemas

    def event(self, name: str, schema: Any) -> EventsBuilder:
        """Add an event.

        Args:
            name: without `.`, spaces and glob characters, not beginning with a reserved word.
            schema: see `igniter_store.schema`.

        Raises:
            EventError: `STORE_INVALID_EVENT_NAME`, `STORE_RESERVED_NAMESPACE`,
                `STORE_DUPLICATE_EVENT`.
            ConfigurationError: `STORE_CONFIGURATION_INVALID` for something that can't be a schema.
        """
        return self._with(f"{self._path}:{event_name(name, 'event')}", Schema(schema))

    def group(self, name: str, build: Callable[[EventsBuilder], EventsBuilder]) -> EventsBuilder:
        """Add the events that `build` adds to the builder it is given, under a name of their own.
        Groups nest.

        Raises:
            EventError: as `event`.
            ConfigurationError: `STORE_CONFIGURATION_INVALID` when `build` doesn't return the
                builder.
        """
        path = f"{self._path}:{event_name(name, 'group')}"
        if any(known == path or known.startswith(f"{path}:") for known in self._schemas):
            raise _duplicate(path)
        try:
            group = build(EventsBuilder(path, {}))
        except TypeError as error:
            raise _not_a_builder(path) from error
        # Another path: a builder that was made elsewhere, whose events would not be under this
        # namespace.
        if not isinstance(group, EventsBuilder) or group._path != path:
            raise _not_a_builder(path)
        builder = self
        for full_name, schema in group._schemas.items():
            builder = builder._with(full_name, schema)
        return builder

    def build(self) -> EventDefinitions:
        """What `add_events` takes."""
        return EventDefinitions(self._path.partition(":")[0], dict(self._schemas))

    def _with(self, full_name: str, schema: Schema) -> EventsBuilder:
        if full_name in self._schemas or any(
            known.startswith(f"{full_name}:") for known in self._schemas
        ):
            raise _duplicate(full_name)
        return EventsBuilder(self._path, {**self._schemas, full_name: schema})


class Events:
    """Where a fluent declaration begins."""

    @staticmethod
    def create(namespace: str) -> EventsBuilder:
        """A builder for the events of `namespace`, which holds no `.` and no `:` and is none of the
        reserved words.

        Raises:
            EventError: `STORE_INVALID_NAMESPACE`, `STORE_RESERVED_NAMESPACE`.
        """
        return EventsBuilder(namespace_name(namespace), {})


def _duplicate(full_name: str) -> Exception:
    return store_error(
        ErrorCode.STORE_DUPLICATE_EVENT,
        f"The event or group {full_name!r} is declared twice. Rename one.",
    )


def _not_a_builder(path: str) -> Exception:
    return store_error(
        ErrorCode.STORE_CONFIGURATION_INVALID,
        f"The function for group {path!r} must return the builder that it gets: lambda g: g.event(...).",
    )
