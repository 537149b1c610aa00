"""The context of an event: its name, time, data, scopes and actor."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from igniter_store import Actor, EventContext, Scope, Store

from .inbox import Inbox


async def test_event_context_has_name_time_and_data(igniter_store: Store[str]) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("user:*", inbox)
    before = datetime.now(UTC)

    await igniter_store.events.publish("user:created", {"id": 1})

    [context] = await inbox.take(1)
    assert (context.type, context.data, context.scope, context.scopes, context.actor) == (
        "user:created",
        {"id": 1},
        None,
        (),
        None,
    )
    # Its time is truncated to milliseconds.
    assert before - timedelta(milliseconds=1) <= context.timestamp <= datetime.now(UTC)
    assert context.timestamp.tzinfo is UTC


async def test_event_context_has_scope_chain_and_innermost_scope(
    igniter_store: Store[str],
) -> None:
    inbox = Inbox()
    store = igniter_store.scope("org", "o1").scope("workspace", 7)
    await store.events.subscribe("e", inbox)

    await store.events.publish("e", 1)

    [context] = await inbox.take(1)
    assert context.scope == Scope("workspace", "7")
    assert context.scopes == (Scope("org", "o1"), Scope("workspace", "7"))


@pytest.mark.parametrize(
    ("id", "type", "actor"),
    [
        ("u1", "user", Actor("u1", "user")),
        ("u1", None, Actor("u1")),
        (7, None, Actor("7")),
        ("é", "ü", Actor("é", "ü")),
    ],
)
async def test_event_context_names_actor(
    id: str | int, type: str | None, actor: Actor, igniter_store: Store[str]
) -> None:
    inbox = Inbox()
    await igniter_store.events.subscribe("e", inbox)

    await igniter_store.as_actor(id, type=type).events.publish("e", 1)

    [context] = await inbox.take(1)
    assert context.actor == actor


async def test_scopes_of_acting_store_inherit_actor(
    igniter_store: Store[str],
) -> None:
    """The original store still publishes without an actor."""
    inbox = Inbox()
    await igniter_store.scope("org", 1).events.subscribe("e", inbox)
    acting = igniter_store.as_actor("u1")

    await acting.scope("org", 1).events.publish("e", 1)
    await igniter_store.scope("org", 1).events.publish("e", 2)

    assert [context.actor for context in await inbox.take(2)] == [Actor("u1"), None]


def test_an_event_context_is_immutable() -> None:
    context: Any = EventContext("e", 1, datetime.now(UTC))

    with pytest.raises(dataclasses.FrozenInstanceError):
        context.data = 2

    assert context.data == 1
