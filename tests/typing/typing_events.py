# pyright: reportUnnecessaryTypeIgnoreComment=error
"""How type checkers see declared events. Checked by mypy and pyright, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from igniter_store import (
    BoundEvent,
    EventContext,
    EventGroup,
    EventStream,
    EventSubscription,
    Store,
    event,
    group,
)


@dataclass
class UserCreated:
    id: int


@dataclass
class Email:
    address: str


class NotificationEvents(EventGroup):
    email = event(Email)
    numbers = event(list[int])


class UserEvents(EventGroup, namespace="user"):
    created = event(UserCreated)
    notifications = group(NotificationEvents)


def handle_created(context: EventContext[UserCreated]) -> None:
    assert_type(context.data, UserCreated)


async def handle_created_later(context: EventContext[UserCreated]) -> None:
    assert_type(context.data.id, int)


def handle_email(context: EventContext[Email]) -> None:
    assert_type(context.data.address, str)


async def a_bound_class_is_itself_with_bound_events(store: Store[str]) -> None:
    users = store.events.bind(UserEvents)

    assert_type(users, UserEvents)
    assert_type(users.created, BoundEvent[UserCreated])
    assert_type(users.notifications, NotificationEvents)
    assert_type(users.notifications.email, BoundEvent[Email])
    assert_type(users.notifications.numbers, BoundEvent[list[int]])


async def what_is_published_has_to_be_of_the_declared_type(store: Store[str]) -> None:
    users = store.events.bind(UserEvents)

    assert_type(await users.created.publish(UserCreated(1)), int)
    # the test: another event's payload
    await users.created.publish(Email("a@b.c"))  # type: ignore[arg-type]
    # the test: numbers
    await users.notifications.numbers.publish(["one"])  # type: ignore[list-item]


async def handlers_get_the_declared_type(store: Store[str]) -> None:
    users = store.events.bind(UserEvents)

    assert_type(await users.created.subscribe(handle_created), EventSubscription)
    await users.created.subscribe(handle_created_later)
    await users.created.subscribe(lambda context: print(context.data.id))  # noqa: T201 - never run
    # the test: another event's handler
    await users.created.subscribe(handle_email)  # type: ignore[arg-type]


async def listeners_get_the_declared_type(store: Store[str]) -> None:
    users = store.events.bind(UserEvents)

    assert_type(users.created.listen(), EventStream[UserCreated])
    async with users.created.listen() as stream:
        async for context in stream:
            assert_type(context.data, UserCreated)
    async with store.events.listen("user:*") as anything:
        async for untyped in anything:
            assert_type(untyped, EventContext[Any])


async def what_was_not_declared_is_an_error(store: Store[str]) -> None:
    users = store.events.bind(UserEvents)

    users.deleted  # type: ignore[attr-defined]  # noqa: B018 - the checker must refuse it
