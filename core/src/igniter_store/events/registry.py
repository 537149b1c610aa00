"""The registered events of a store, with their schemas and validation switches."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from igniter_store.contract import ErrorCode, EventError, store_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from igniter_store.schema import Schema


class UnknownEvent(EventError, AttributeError):  # noqa: N818 - named as the other errors
    """Raised when a path isn't a registered event.

    It is also an `AttributeError`, so that `hasattr` and `getattr` work on `store.events`.
    """


class EventDefinitions(Struct, frozen=True):
    """The events of one namespace, by full name.

    `Events...build()` and a declared group produce it.
    """

    namespace: str
    schemas: dict[str, Schema]


class EventRegistry(Struct, frozen=True):
    """All events registered with `add_events`.

    Attributes:
        schemas: the schemas by full name, `<namespace>:[<group>:]...<event>`.
        namespaces: the registered namespaces.
        validate_publish: check payloads before they are published, and refuse events that a
            registered namespace doesn't declare.
        validate_subscribe: check payloads before handlers get them, and convert them to the
            schema's type.
        throw_on_validation_error: raise for an invalid payload; otherwise log it and pass it on.
    """

    schemas: dict[str, Schema] = {}
    namespaces: tuple[str, ...] = ()
    validate_publish: bool = True
    validate_subscribe: bool = False
    throw_on_validation_error: bool = True

    def with_events(
        self, definitions: EventDefinitions, switches: Mapping[str, bool]
    ) -> EventRegistry:
        """Return this registry with another namespace added.

        Raises:
            EventError: `STORE_DUPLICATE_NAMESPACE`.
        """
        if definitions.namespace in self.namespaces:
            raise store_error(
                ErrorCode.STORE_DUPLICATE_NAMESPACE,
                f"The events namespace {definitions.namespace!r} is registered already. Merge the "
                "two, or rename one.",
            )
        return EventRegistry(
            {**self.schemas, **definitions.schemas},
            (*self.namespaces, definitions.namespace),
            **{**_switches(self), **switches},
        )

    def schema(self, event: str) -> Schema | None:
        """Return the schema of the event with this full name, or `None`."""
        return self.schemas.get(event)

    def has_branch(self, path: str) -> bool:
        """Return whether `path` is a namespace or a group that contains events."""
        return any(name.startswith(f"{path}:") for name in self.schemas)

    def require(self, event: str) -> None:
        """Refuse an event that its registered namespace doesn't declare.

        Such a name is a typo, and no subscriber would ever receive the event.

        Raises:
            EventError: `STORE_SCHEMA_CHANNEL_NOT_FOUND`.
        """
        namespace = event.partition(":")[0]
        if namespace in self.namespaces and event not in self.schemas:
            raise unknown_event(event, self.schemas)


def unknown_namespace(name: str, methods: list[str]) -> UnknownEvent:
    """Return the error for `store.events.<name>` that is neither a method nor a namespace."""
    close = get_close_matches(name, methods, 1)
    return UnknownEvent(
        ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND,
        f"`events` has no method {name!r}, and no namespace of this name is registered. "
        + (f"Did you mean {close[0]}()? " if close else "")
        + "Register namespaces with add_events().",
        details={"event": name, "known": []},
    )


def unknown_event(path: str, schemas: Mapping[str, Any]) -> UnknownEvent:
    """Return the error for a path that isn't an event."""
    namespace = path.partition(":")[0]
    known = sorted(name for name in schemas if name.startswith(f"{namespace}:"))
    close = get_close_matches(path, known, 1)
    return UnknownEvent(
        ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND,
        f"The event {path!r} isn't registered. "
        + (f"Did you mean {close[0]!r}? " if close else "")
        + (
            f"The namespace {namespace!r} has {', '.join(known)}."
            if known
            else "Register its namespace with add_events()."
        ),
        details={"event": path, "known": known},
    )


def _switches(registry: EventRegistry) -> dict[str, bool]:
    return {
        "validate_publish": registry.validate_publish,
        "validate_subscribe": registry.validate_subscribe,
        "throw_on_validation_error": registry.throw_on_validation_error,
    }
