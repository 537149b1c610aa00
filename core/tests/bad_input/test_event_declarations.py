"""Declared events: bad, reserved and duplicate names, schemas and groups are refused."""

from __future__ import annotations

from typing import Any

import pytest
from igniter_store import ErrorCode, EventGroup, Events, Store, StoreError, event, group

from .wrong_values import NOT_TEXT, SURROGATE

BAD_NAMESPACES: dict[str, Any] = {
    **NOT_TEXT,
    "empty": "",
    "surrogate": SURROGATE,
    "dot": "a.b",
    "colon": "a:b",
}


@pytest.mark.parametrize("bad", BAD_NAMESPACES)
def test_a_bad_events_namespace_is_refused(bad: str) -> None:
    name = BAD_NAMESPACES[bad]

    with pytest.raises(StoreError) as caught:
        Events.create(name)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {}, namespace=name)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_INVALID_NAMESPACE}


RESERVED_NAMESPACES = [
    "igniter",
    "ign",
    "__internal",
    "__",
    "Igniter",
    "IGN",
    "igniter-store",
    "ign_events",
    "__-x",
    "__internal_x",
]


@pytest.mark.parametrize("name", RESERVED_NAMESPACES)
def test_a_reserved_events_namespace_is_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create(name)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {}, namespace=name)

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_RESERVED_NAMESPACE}


@pytest.mark.parametrize("name", ["ignition", "igniters", "user", "_", "a b", "kv"])
def test_a_namespace_that_only_looks_reserved_is_taken(name: str) -> None:
    definitions = Events.create(name).build()

    assert definitions.namespace == name


def unchanged(builder: Any) -> Any:
    return builder


def elsewhere(builder: Any) -> Any:
    return Events.create("other").event("created", int)


def nothing_taken() -> None:
    pass


def nothing_returned(builder: Any) -> None:
    pass


BAD_REGISTERED: dict[str, Any] = {
    **NOT_TEXT,
    "empty": "",
    "surrogate": SURROGATE,
    "dot": "a.b",
    "space": "a b",
    "star": "a*",
    "set": "[a]",
}


@pytest.mark.parametrize("bad", [*BAD_REGISTERED, "none"])
def test_bad_fluent_event_or_group_name_is_refused(bad: str) -> None:
    builder: Any = Events.create("user")
    name = BAD_REGISTERED.get(bad)

    with pytest.raises(StoreError) as caught:
        builder.event(name, int)
    with pytest.raises(StoreError) as grouped:
        builder.group(name, unchanged)

    assert {caught.value.code, grouped.value.code} == {ErrorCode.STORE_INVALID_EVENT_NAME}


@pytest.mark.parametrize("bad", BAD_REGISTERED)
def test_bad_declared_event_or_group_name_is_refused(bad: str) -> None:
    class Inner(EventGroup):
        done = event(int)

    name = BAD_REGISTERED[bad]

    with pytest.raises(StoreError) as caught:
        type("Declared", (EventGroup,), {"created": event(int, name=name)}, namespace="user")
    with pytest.raises(StoreError) as grouped:
        type("Declared", (EventGroup,), {"inner": group(Inner, name=name)}, namespace="user")

    assert {caught.value.code, grouped.value.code} == {ErrorCode.STORE_INVALID_EVENT_NAME}


@pytest.mark.parametrize("name", ["igniter", "ignite", "IGN", "__private"])
def test_a_reserved_event_name_is_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event(name, int)
    with pytest.raises(StoreError) as declared:
        type("Declared", (EventGroup,), {"created": event(int, name=name)}, namespace="user")

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_RESERVED_NAMESPACE}


BAD_SCHEMAS: dict[str, Any] = {
    "none": None,
    "number": 5,
    "text": "int",
    "list": [],
    "object": object(),
}


@pytest.mark.parametrize("bad", BAD_SCHEMAS)
def test_a_schema_that_nothing_converts_to_is_refused(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event("created", BAD_SCHEMAS[bad])
    with pytest.raises(StoreError) as declared:
        event(BAD_SCHEMAS[bad])

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_CONFIGURATION_INVALID}


def test_an_event_is_registered_once() -> None:
    builder = Events.create("user").event("created", int)

    with pytest.raises(StoreError) as caught:
        builder.event("created", int)
    with pytest.raises(StoreError) as declared:
        type(
            "Declared",
            (EventGroup,),
            {"a": event(int, name="x"), "b": event(int, name="x")},
            namespace="user",
        )

    assert {caught.value.code, declared.value.code} == {ErrorCode.STORE_DUPLICATE_EVENT}


def test_group_and_event_with_same_name_are_refused() -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").event("mail", int).group(
            "mail", lambda group: group.event("sent", int)
        )
    with pytest.raises(StoreError) as reverse:
        Events.create("user").group("mail", lambda group: group.event("sent", int)).event(
            "mail", int
        )

    assert {caught.value.code, reverse.value.code} == {ErrorCode.STORE_DUPLICATE_EVENT}


BAD_GROUPS: dict[str, Any] = {
    "none": None,
    "number": 5,
    "no argument": nothing_taken,
    "nothing returned": nothing_returned,
    "another builder": elsewhere,
}


@pytest.mark.parametrize("bad", BAD_GROUPS)
def test_a_group_that_is_not_built_is_refused(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Events.create("user").group("mail", BAD_GROUPS[bad])

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_events_that_were_not_built_are_refused() -> None:
    builder: Any = Events.create("user")

    with pytest.raises(StoreError) as caught:
        Store.create().add_events(builder)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_a_namespace_is_registered_once() -> None:
    builder = Store.create().add_events(Events.create("user").build())

    with pytest.raises(StoreError) as caught:
        builder.add_events(Events.create("user").event("created", int).build())

    assert caught.value.code == ErrorCode.STORE_DUPLICATE_NAMESPACE


def test_declared_events_without_a_namespace_are_refused(igniter_store: Store[str]) -> None:
    class Nowhere(EventGroup):
        created = event(int)

    with pytest.raises(StoreError) as bound:
        igniter_store.events.bind(Nowhere)
    with pytest.raises(StoreError) as registered:
        Store.create().add_events(Nowhere)

    assert {bound.value.code, registered.value.code} == {ErrorCode.STORE_MISSING_NAMESPACE}


NOT_DECLARED: dict[str, Any] = {
    "none": None,
    "number": 5,
    "another class": int,
    "text": "UserEvents",
}


@pytest.mark.parametrize("bad", NOT_DECLARED)
def test_only_declared_events_are_bound_and_grouped(bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as bound:
        igniter_store.events.bind(NOT_DECLARED[bad])
    with pytest.raises(StoreError) as grouped:
        group(NOT_DECLARED[bad])

    assert {bound.value.code, grouped.value.code} == {ErrorCode.STORE_CONFIGURATION_INVALID}


@pytest.mark.parametrize(
    "switch", ["validate_publish", "validate_subscribe", "throw_on_validation_error"]
)
@pytest.mark.parametrize("bad", [0, 1, "yes"])
def test_a_switch_is_true_or_false(switch: str, bad: Any) -> None:
    add: Any = Store.create().add_events

    with pytest.raises(StoreError) as caught:
        add(Events.create("user").build(), **{switch: bad})

    assert caught.value.code == ErrorCode.STORE_ARGUMENT_INVALID
