"""Events that a class declares, bound to a store or registered."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store import ErrorCode, RecordingAdapter, Store, StoreError, event

from .declarations import Email, Order, UserCreated, UserEvents
from .inbox import Inbox, turns


async def test_bound_event_is_received_as_declared_type(
    igniter_store: Store[str],
) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await users.created.subscribe(inbox)

    await users.created.publish(UserCreated(1, "Avery"))

    assert await inbox.data(1) == [UserCreated(1, "Avery")]


async def test_bound_event_is_received_as_pydantic_model(igniter_store: Store[str]) -> None:
    users = igniter_store.events.bind(UserEvents)

    async with users.ordered.listen() as stream:
        await users.ordered.publish(Order(id=7))
        got = (await anext(stream)).data

    assert got == Order(id=7)


async def test_bound_groups_nest_and_keep_their_given_names(igniter_store: Store[str]) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await igniter_store.events.subscribe("user:*", inbox)

    await users.notifications.email.publish(Email("a@b.c"))
    await users.account.notifications.password_reset.publish("x")

    assert [context.type for context in await inbox.take(2)] == [
        "user:notifications:email",
        "user:my-account:notifications:password-reset",
    ]


async def test_bound_event_refuses_invalid_payload(
    igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    users: Any = igniter_store.events.bind(UserEvents)

    with pytest.raises(StoreError) as caught:
        await users.created.publish({"id": "one"})

    assert caught.value.code == ErrorCode.STORE_SCHEMA_VALIDATION_FAILED
    assert igniter_recorder.named("publish") == []


async def test_bound_subscription_logs_and_skips_invalid_payload(
    igniter_store: Store[str], caplog: pytest.LogCaptureFixture
) -> None:
    users, inbox = igniter_store.events.bind(UserEvents), Inbox()
    await users.created.subscribe(inbox)

    await igniter_store.events.publish("user:created", {"id": "one"})
    await users.created.publish(UserCreated(1))

    assert await inbox.data(1) == [UserCreated(1)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_bound_class_works_in_its_stores_scope(igniter_store: Store[str]) -> None:
    inbox, elsewhere = Inbox(), Inbox()
    await igniter_store.scope("org", 1).events.bind(UserEvents).created.subscribe(inbox)
    await igniter_store.events.bind(UserEvents).created.subscribe(elsewhere)

    await igniter_store.scope("org", 1).events.bind(UserEvents).created.publish(UserCreated(1))

    assert await inbox.data(1) == [UserCreated(1)]
    await turns()
    assert elsewhere.got == []


async def test_a_declared_class_can_be_registered(igniter_recorder: RecordingAdapter) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(UserEvents)
        .build()
    )
    inbox = Inbox()
    await store.events.user.notifications.email.subscribe(inbox)

    await store.events.publish("user:notifications:email", {"address": "a@b.c"})

    assert await inbox.data(1) == [{"address": "a@b.c"}]


def test_declaration_becomes_event_when_bound(
    igniter_store: Store[str],
) -> None:
    users = igniter_store.events.bind(UserEvents)

    assert type(UserEvents.created).__name__ == "EventDeclaration"
    assert users.created.name == "user:created"
    assert users.notifications.password_reset.name == "user:notifications:password-reset"


def test_a_declared_class_can_be_extended(igniter_store: Store[str]) -> None:
    class MoreUserEvents(UserEvents):
        deleted = event(int)

    users = igniter_store.events.bind(MoreUserEvents)

    assert (users.created.name, users.deleted.name) == ("user:created", "user:deleted")
