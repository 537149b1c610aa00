"""Events that a builder declares, as attributes and items of `store.events`."""

from __future__ import annotations

import copy

import pytest
from igniter_store import Events, RecordingAdapter, Store, StoreError

from .inbox import Inbox


async def test_a_registered_event_is_an_attribute(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.user.created.subscribe(inbox)

    await registered.events.user.created.publish({"id": 1})

    [context] = await inbox.take(1)
    assert (context.type, context.data) == ("user:created", {"id": 1, "name": "unnamed"})


async def test_groups_nest(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.subscribe("user:notifications:*", inbox)

    await registered.events.user.notifications.email.publish({"address": "a@b.c"})
    await registered.events.user.notifications.urgent.sms.publish("now")

    assert [context.type for context in await inbox.take(2)] == [
        "user:notifications:email",
        "user:notifications:urgent:sms",
    ]


async def test_registered_event_is_accessible_as_item(
    igniter_recorder: RecordingAdapter,
) -> None:
    """Item access also works for a name that can't be an attribute."""
    events = (
        Events.create("my-app").group("sub-group", lambda g: g.event("password-reset", str)).build()
    )
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events)
        .build()
    )
    inbox = Inbox()
    await store.events["my-app"]["sub-group"]["password-reset"].subscribe(inbox)

    await store.events["my-app"]["sub-group"]["password-reset"].publish("x")

    assert await inbox.data(1) == ["x"]


async def test_a_registered_event_can_be_listened_to(registered: Store[str]) -> None:
    async with registered.events.user.created.listen() as stream:
        await registered.events.publish("user:created", {"id": 2})
        got = (await anext(stream)).data

    assert got == {"id": 2, "name": "unnamed"}


def test_hasattr_returns_false_for_unknown_event(
    registered: Store[str],
) -> None:
    events = registered.events

    assert (hasattr(events, "user"), hasattr(events, "missing"), hasattr(events, "_user")) == (
        True,
        False,
        False,
    )
    assert (
        hasattr(events.user, "created"),
        hasattr(events.user, "deleted"),
        hasattr(events.user, "__wrapped__"),
    ) == (True, False, False)
    assert getattr(events.user, "deleted", None) is None


def test_unknown_event_error_lists_known_events(registered: Store[str]) -> None:
    with pytest.raises(StoreError) as caught:
        _ = registered.events.user.craeted

    assert "user:created" in caught.value.message
    assert caught.value.details["event"] == "user:craeted"


def test_the_events_of_a_store_can_be_copied(registered: Store[str]) -> None:
    assert copy.copy(registered.events).user.created.name == "user:created"


async def test_events_outside_of_every_registered_namespace_are_free(
    registered: Store[str],
) -> None:
    inbox = Inbox()
    await registered.events.subscribe("anything", inbox)

    await registered.events.publish("anything", object.__doc__)

    assert len(await inbox.take(1)) == 1


async def test_a_store_without_a_registry_takes_every_name(igniter_store: Store[str]) -> None:
    assert await igniter_store.events.publish("user:created", {"no": "schema"}) == 0


def test_a_builder_of_events_is_immutable() -> None:
    base = Events.create("user").event("created", int)

    base.event("deleted", int)
    base.group("mail", lambda g: g.event("sent", int))

    assert set(base.build().schemas) == {"user:created"}
