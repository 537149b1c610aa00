"""Declares events as a class, which every type checker understands.

    class UserEvents(EventGroup, namespace="user"):
        created = event(UserCreated)
        notifications = group(NotificationEvents)

Rule: on the class, an attribute is the declaration. On a bound instance
    (`store.events.bind(UserEvents)`), it is the event or group itself.
"""

# pyright: reportPrivateUsage=false
# EventGroup's own names are private, so that event names can't collide with them.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from igniter_store.contract import ErrorCode, store_error
from igniter_store.events.names import event_name, namespace_name
from igniter_store.events.registry import EventDefinitions
from igniter_store.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from typing_extensions import TypeForm

    from igniter_store.events.bound import BoundEvent, EventBus

T = TypeVar("T")
G = TypeVar("G", bound="EventGroup")


class EventDeclaration(Generic[T]):
    """An event of a group, created by `event`."""

    def __init__(self, schema: Any, name: str | None) -> None:
        self.schema: Schema = Schema(schema)
        self.name = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.name = attribute if self.name is None else self.name

    def check(self) -> None:
        """Raise if the name isn't valid for an event.

        `__set_name__` can't do this: Python 3.11 wraps every exception from it in a RuntimeError.
        """
        self.name = event_name(self.name, "event")

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: EventGroup, owner: type) -> BoundEvent[T]: ...
    def __get__(self, instance: EventGroup | None, owner: type) -> Self | BoundEvent[T]:
        return self if instance is None else instance._bound_event(self)


class GroupDeclaration(Generic[G]):
    """A group within a group, created by `group`."""

    def __init__(self, kind: type[G], name: str | None) -> None:
        self.kind = kind
        self.name = name

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.name = attribute if self.name is None else self.name

    def check(self) -> None:
        """Raise if the name isn't valid for a group; see `EventDeclaration.check`."""
        self.name = event_name(self.name, "group")

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: EventGroup, owner: type) -> G: ...
    def __get__(self, instance: EventGroup | None, owner: type) -> Self | G:
        return self if instance is None else instance._bound_group(self)


def event(schema: TypeForm[T], *, name: str | None = None) -> EventDeclaration[T]:
    """Declare an event of an `EventGroup`.

    Args:
        schema: the payload's type; see `igniter_store.schema`.
        name: the event's name if it can't be the attribute's name, such as "password-reset".

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` for an object that can't be a schema.
        EventError: `STORE_INVALID_EVENT_NAME`, `STORE_RESERVED_NAMESPACE`, when the class is
            created.
    """
    return EventDeclaration(schema, name)


def group(kind: type[G], *, name: str | None = None) -> GroupDeclaration[G]:
    """Declare a group of events within an `EventGroup`; `name` as in `event`.

    Raises:
        ConfigurationError: `STORE_CONFIGURATION_INVALID` when `kind` isn't an `EventGroup`.
    """
    if not isinstance(kind, type) or not issubclass(kind, EventGroup):
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            ("A group of events must be a class that inherits EventGroup."),
        )
    return GroupDeclaration(kind, name)


class EventGroup:
    """Events that belong together.

    With `namespace=`, it is a top-level group that can be bound and registered. Without, it is used
    in `group`.

    Raises:
        EventError: `STORE_INVALID_NAMESPACE`, `STORE_RESERVED_NAMESPACE`, `STORE_DUPLICATE_EVENT`,
            when the class is created.
    """

    _namespace: ClassVar[str | None] = None

    def __init__(self, bus: EventBus, path: str) -> None:
        self._bus = bus
        self._path = path

    def __init_subclass__(cls, *, namespace: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if namespace is not None:
            cls._namespace = namespace_name(namespace)
        declarations = _declarations(cls)
        for declaration in declarations:
            declaration.check()
        names = [declaration.name for declaration in declarations]
        for name in names:
            if names.count(name) > 1:
                raise store_error(
                    ErrorCode.STORE_DUPLICATE_EVENT,
                    f"The event or group {name!r} is declared twice in {cls.__name__}. Rename one.",
                )

    def _bound_event(self, declaration: EventDeclaration[T]) -> BoundEvent[T]:
        return self._bus.bound(f"{self._path}:{declaration.name}", declaration.schema)

    def _bound_group(self, declaration: GroupDeclaration[G]) -> G:
        return declaration.kind(self._bus, f"{self._path}:{declaration.name}")


def namespace_of(kind: Any) -> str:
    """Return the namespace of a declared top-level group.

    Raises:
        EventError: `STORE_MISSING_NAMESPACE`.
        ConfigurationError: `STORE_CONFIGURATION_INVALID` when `kind` isn't an `EventGroup`.
    """
    if not isinstance(kind, type) or not issubclass(kind, EventGroup):
        raise store_error(
            ErrorCode.STORE_CONFIGURATION_INVALID,
            ("Events must be a class that inherits EventGroup, or the result of Events...build()."),
        )
    namespace: str | None = kind._namespace
    if namespace is None:
        raise store_error(
            ErrorCode.STORE_MISSING_NAMESPACE,
            f"{kind.__name__} has no namespace. Declare it: class {kind.__name__}(EventGroup, "
            "namespace='...').",
        )
    return namespace


def definitions_of(kind: type[EventGroup]) -> EventDefinitions:
    """Return the events of a declared group for a registry; errors as in `namespace_of`."""
    namespace = namespace_of(kind)
    return EventDefinitions(namespace, dict(_schemas(kind, namespace)))


def _declarations(kind: type[EventGroup]) -> list[EventDeclaration[Any] | GroupDeclaration[Any]]:
    attributes = {
        name: value for owner in reversed(kind.__mro__) for name, value in vars(owner).items()
    }
    return [
        value
        for value in attributes.values()
        if isinstance(value, EventDeclaration | GroupDeclaration)
    ]


def _schemas(kind: type[EventGroup], path: str) -> Iterator[tuple[str, Schema]]:
    for declaration in _declarations(kind):
        full_name = f"{path}:{declaration.name}"
        if isinstance(declaration, EventDeclaration):
            yield full_name, declaration.schema
        else:
            yield from _schemas(declaration.kind, full_name)
