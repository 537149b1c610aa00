"""Building a store."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import (
    JSON,
    MSGPACK,
    Events,
    LoggingTelemetry,
    RecordingAdapter,
    Store,
    StoreError,
)
from igniter_store.backends import adapter_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS: dict[str, Callable[[Any], Any]] = {
    "with_adapter": lambda builder: builder.with_adapter(adapter_from_url("memory://")),
    "with_url": lambda builder: builder.with_url("memory://"),
    "with_service": lambda builder: builder.with_service("another"),
    "with_serializer": lambda builder: builder.with_serializer(MSGPACK),
    "with_logger": lambda builder: builder.with_logger(logging.getLogger("another")),
    "with_telemetry": lambda builder: builder.with_telemetry(LoggingTelemetry()),
    "add_scope": lambda builder: builder.add_scope("org", required=True),
    "add_events": lambda builder: builder.add_events(
        Events.create("user").build(), validate_publish=False
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_each_step_returns_changed_copy_of_builder(step: str) -> None:
    builder = Store.create().with_service("test")
    # No public attribute exposes it.
    before = repr(builder._choices)  # pyright: ignore[reportPrivateUsage]

    changed = STEPS[step](builder)

    assert changed is not builder
    assert repr(changed._choices) != before
    assert repr(builder._choices) == before  # pyright: ignore[reportPrivateUsage]


def test_every_step_is_here() -> None:
    public = {name for name in dir(Store.create()) if not name.startswith("_")}

    assert public - {"build"} == set(STEPS)


async def test_stores_of_one_builder_open_independently(
    igniter_recorder: RecordingAdapter,
) -> None:
    builder = Store.create().with_adapter(igniter_recorder).with_service("test")
    one, another = builder.build(), builder.build()

    await one.open()

    assert (one.is_open, another.is_open) == (True, False)


def test_the_last_choice_counts(igniter_recorder: RecordingAdapter) -> None:
    store = (
        Store.create()
        .with_url("memory://")
        .with_adapter(igniter_recorder)
        .with_service("a")
        .with_service("b")
        .build()
    )

    assert (store.adapter, store.service) == (igniter_recorder, "b")


async def test_builder_branches_do_not_affect_each_other(
    igniter_recorder: RecordingAdapter,
) -> None:
    base = Store.create().with_adapter(igniter_recorder).with_service("test")
    strict = base.add_scope("org", required=True).build()
    free = base.build()

    assert await free.kv.set("k", 1) is True
    with pytest.raises(StoreError):
        await strict.kv.set("k", 1)


@pytest.mark.parametrize("service", ["api", "a b", "é", "a.b", "kv", "*", "{a}", "a" * 200])
async def test_a_service_is_any_text_without_colons(
    service: str, igniter_recorder: RecordingAdapter
) -> None:
    store = Store.create().with_adapter(igniter_recorder).with_service(service).build()

    await store.kv.set("k", 1)

    assert [key async for key in store.dev.iterate("*")] == ["k"]


async def test_json_is_the_default(igniter_recorder: RecordingAdapter) -> None:
    plain = Store.create().with_adapter(igniter_recorder).with_service("test").build()
    json = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_serializer(JSON)
        .build()
    )

    await plain.kv.set("k", {"a": 1})

    assert await json.kv.get("k") == {"a": 1}
