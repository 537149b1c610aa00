"""Any argument of a builder, a declaration or a scope leads to a result or to a StoreError."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igniter_store import (
    JSON,
    MSGPACK,
    EventGroup,
    Events,
    LoggingTelemetry,
    Store,
    event,
    group,
)

from .outcomes import Method, method, outcome
from .strategies import (
    ANYTHING,
    EVENTS,
    EXAMPLES,
    FLAGS,
    IDENTIFIERS,
    KEYS,
    NUMBERS,
    TEXT,
    TYPES,
    mixed,
)

pytestmark = pytest.mark.full


class Declared(EventGroup, namespace="declared"):
    created = event(int)


def declare(namespace: Any, name: Any, schema: Any) -> Any:
    return type(
        "Arbitrary", (EventGroup,), {"created": event(schema, name=name)}, namespace=namespace
    )


def declare_group(kind: Any, name: Any) -> Any:
    return type(
        "Arbitrary", (EventGroup,), {"inner": group(kind, name=name)}, namespace="arbitrary"
    )


def built(store: Any, builder: Any) -> Any:
    return builder.with_adapter(store.adapter).with_service("test").build()


def unchanged(builder: Any) -> Any:
    return builder


NAMES = mixed("created", "mail", "a b", "__x")
SCHEMAS = TYPES | ANYTHING
# The exception of another callable is the caller's own and is passed on.
BUILDS = mixed(unchanged).filter(lambda build: build is unchanged or not callable(build))
ASSEMBLING: dict[str, Method] = {
    "scope": method(
        lambda store, given: store.scope(**given).kv.get("k"),
        key=mixed("org", "kv"),
        identifier=IDENTIFIERS,
    ),
    "as_actor": method(
        lambda store, given: store.as_actor(**given).events.publish("e", 1),
        id=IDENTIFIERS,
        type=mixed(None, "user"),
    ),
    "group": method(
        lambda store, given: store.streams.group(**given).ensure("s"),
        group=mixed("g"),
        consumer=mixed("c"),
    ),
    "listen": method(
        lambda store, given: store.events.listen(**given), event=EVENTS, max_queue=NUMBERS
    ),
    "events[]": method(
        lambda store, given: store.events[given["name"]], name=mixed("user", "missing")
    ),
    "events[][]": method(
        lambda store, given: store.events["user"][given["name"]], name=mixed("created", "deleted")
    ),
    "events.bind": method(lambda store, given: store.events.bind(**given), events=mixed(Declared)),
    "with_adapter": method(
        lambda _, given: Store.create().with_adapter(**given), adapter=mixed(None)
    ),
    "with_url": method(
        lambda _, given: Store.create().with_url(**given), url=mixed("memory://"), max_keys=NUMBERS
    ),
    "with_text url": method(
        lambda _, given: Store.create().with_url(**given), url=TEXT.map("memory://".__add__)
    ),
    "with_unknown url": method(
        lambda _, given: Store.create().with_url(**given), url=TEXT.map("{}://localhost".format)
    ),
    "with_unknown option": method(
        lambda _, given: Store.create().with_url("memory://", **given["options"]),
        options=st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
    ),
    "with_service": method(lambda _, given: Store.create().with_service(**given), service=KEYS),
    "with_serializer": method(
        lambda store, given: built(store, Store.create().with_serializer(given["piece"])).kv.set(
            "k", 1
        ),
        piece=mixed(JSON, MSGPACK),
    ),
    "with_logger": method(
        lambda store, given: built(store, Store.create().with_logger(given["piece"])),
        piece=mixed(logging.getLogger("x")),
    ),
    "with_telemetry": method(
        lambda store, given: built(store, Store.create().with_telemetry(given["piece"])).kv.get(
            "k"
        ),
        piece=mixed(LoggingTelemetry()),
    ),
    "add_scope": method(
        lambda _, given: Store.create().add_scope(**given),
        key=mixed("org", "events"),
        required=FLAGS,
        description=mixed(None, "text"),
    ),
    "add_events": method(
        lambda _, given: Store.create().add_events(**given),
        events=mixed(Declared, Events.create("user").build()),
        validate_publish=FLAGS,
        validate_subscribe=FLAGS,
        throw_on_validation_error=FLAGS,
    ),
    "Events.create": method(
        lambda _, given: Events.create(**given).build(), namespace=mixed("user", "a.b")
    ),
    "Events.event": method(
        lambda _, given: Events.create("user").event(**given).build(), name=NAMES, schema=SCHEMAS
    ),
    "Events.group": method(
        lambda _, given: Events.create("user").group(**given).build(),
        name=NAMES,
        build=BUILDS,
    ),
    "EventGroup": method(
        lambda _, given: declare(**given), namespace=mixed("user", None), name=NAMES, schema=SCHEMAS
    ),
    "EventGroup group": method(
        lambda _, given: declare_group(**given), kind=mixed(Declared), name=NAMES
    ),
    "from_url": method(
        lambda _, given: Store.from_url(**given), url=mixed("memory://"), service=KEYS
    ),
}


@pytest.mark.parametrize("name", ASSEMBLING)
@EXAMPLES
@given(data=st.data())
def test_assembly_returns_or_raises_store_error(name: str, data: st.DataObject) -> None:
    chosen = ASSEMBLING[name]
    arguments = chosen.draw(data)

    broken_rules = outcome(chosen.call, arguments)

    assert broken_rules == []
