"""Validation: the switches, and what a schema does to payloads."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store import ErrorCode, Events, RecordingAdapter, Store, StoreError

from .declarations import FLUENT, Email, UserCreated
from .inbox import Inbox, turns

GOOD, BAD = {"id": 1}, {"id": "one"}
CONVERTED = UserCreated(1)


@pytest.mark.parametrize("validate_publish", [True, False])
@pytest.mark.parametrize("validate_subscribe", [True, False])
@pytest.mark.parametrize("throw", [True, False])
@pytest.mark.parametrize("payload", [GOOD, BAD], ids=["good", "bad"])
async def test_every_combination_of_the_switches(
    *,
    validate_publish: bool,
    validate_subscribe: bool,
    throw: bool,
    payload: Any,
    igniter_recorder: RecordingAdapter,
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(
            FLUENT,
            validate_publish=validate_publish,
            validate_subscribe=validate_subscribe,
            throw_on_validation_error=throw,
        )
        .build()
    )
    inbox = Inbox()
    await store.events.subscribe("user:created", inbox)
    is_bad = payload is BAD

    code: ErrorCode | None = None

    try:
        await store.events.publish("user:created", payload)
    except StoreError as error:
        code = error.code
    await turns()

    assert code == (
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED if is_bad and validate_publish and throw else None
    )
    published = {"id": 1, "name": "unnamed"} if validate_publish and not is_bad else payload
    expected: Any = CONVERTED if validate_subscribe and not is_bad else published
    is_kept_back = is_bad and throw and (validate_publish or validate_subscribe)
    assert [context.data for context in inbox.got] == ([] if is_kept_back else [expected])


@pytest.mark.parametrize(
    ("validate_publish", "code"), [(True, ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND), (False, None)]
)
async def test_names_are_checked_where_payloads_are(
    *, validate_publish: bool, code: ErrorCode | None, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT, validate_publish=validate_publish)
        .build()
    )
    raised: ErrorCode | None = None

    try:
        await store.events.publish("user:unknown", 1)
    except StoreError as error:
        raised = error.code

    assert raised == code


async def test_publish_sends_value_returned_by_schema(registered: Store[str]) -> None:
    inbox = Inbox()
    await registered.events.subscribe("user:scored", inbox)

    await registered.events.user.scored.publish(4)

    assert await inbox.data(1) == [40]


async def test_pattern_subscription_validates_with_schema_of_event(
    igniter_recorder: RecordingAdapter,
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(FLUENT, validate_subscribe=True)
        .build()
    )
    inbox = Inbox()
    await store.events.subscribe("*", inbox)

    await store.events.publish("user:created", {"id": 1})
    await store.events.publish("user:notifications:email", {"address": "a@b.c"})
    await store.events.publish("free", {"a": 1})

    assert await inbox.data(3) == [UserCreated(1), Email("a@b.c"), {"a": 1}]


def test_validation_switch_applies_to_all_namespaces(igniter_recorder: RecordingAdapter) -> None:
    """A later `add_events` without the switch keeps its value."""
    builder = Store.create().with_adapter(igniter_recorder).with_service("test")

    store = (
        builder.add_events(FLUENT, validate_publish=False)
        .add_events(Events.create("other").event("done", int).build(), validate_subscribe=True)
        .build()
    )

    # No public attribute exposes it.
    registry = store._configuration.events  # pyright: ignore[reportPrivateUsage]
    assert (
        registry.validate_publish,
        registry.validate_subscribe,
        registry.throw_on_validation_error,
    ) == (False, True, True)
