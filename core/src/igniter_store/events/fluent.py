"""Declares events with a builder, as in `@igniter-js/store`.

For example `Events.create("user").event("created", UserCreated).build()`.

Rule: builders are immutable; each call returns a new builder.
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
    """The events declared so far in a namespace, or in a group of it."""

    def __init__(self, path: str, schemas: Mapping[str, Schema]) -> None:
        self._path = path
        self._schemas = schemas

    def event(self, name: str, schema: Any) -> EventsBuilder:
        """Add an event.

        Args:
            name: a name without `.`, spaces and glob characters that doesn't begin with a reserved
                word.
            schema: see `igniter_store.schema`.

        Raises:
            EventError: `STORE_INVALID_EVENT_NAME`, `STORE_RESERVED_NAMESPACE`,
                `STORE_DUPLICATE_EVENT`.
            ConfigurationError: `STORE_CONFIGURATION_INVALID` for an object that can't be a schema.
        """
        return self._with(f"{self._path}:{event_name(name, 'event')}", Schema(schema))

    def group(self, name: str, build: Callable[[EventsBuilder], EventsBuilder]) -> EventsBuilder:
        """Add a group of events under a name of its own.

        `build` gets an empty builder for the group, adds events to it and returns the result.
        Groups can be nested.

        Raises:
            EventError: as in `event`.
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
        # A builder with another path was created elsewhere, so its events would be outside of this
        # namespace.
        if not isinstance(group, EventsBuilder) or group._path != path:
            raise _not_a_builder(path)
        builder = self
        for full_name, schema in group._schemas.items():
            builder = builder._with(full_name, schema)
        return builder

    def build(self) -> EventDefinitions:
        """Return the definitions that `add_events` accepts."""
        return EventDefinitions(self._path.partition(":")[0], dict(self._schemas))

    def _with(self, full_name: str, schema: Schema) -> EventsBuilder:
        if full_name in self._schemas or any(
            known.startswith(f"{full_name}:") for known in self._schemas
        ):
            raise _duplicate(full_name)
        return EventsBuilder(self._path, {**self._schemas, full_name: schema})


class Events:
    """The start of a fluent declaration."""

    @staticmethod
    def create(namespace: str) -> EventsBuilder:
        """Return a builder for the events of `namespace`.

        The namespace contains neither `.` nor `:`, and isn't a reserved word.

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
        f"The function for group {path!r} must return the builder that it gets: lambda g: "
        "g.event(...).",
    )
