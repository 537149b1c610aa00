"""Error codes: a scenario raises each of them, and each belongs to one class and one status."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from igniter_store import (
    BackendTimeout,
    BackendUnavailable,
    ErrorCode,
    EventGroup,
    Events,
    InvalidArgument,
    Store,
    StoreError,
    event,
)
from igniter_store.contract import class_of, store_error

from .adapters import Bench, Remote, Uncancellable, install

Scenario = Callable[[Bench], Awaitable[Any]]


def calling(function: Callable[[Bench], Any]) -> Scenario:
    async def scenario(bench: Bench) -> Any:
        return function(bench)

    return scenario


async def without_sockets(bench: Bench) -> None:
    install(bench.monkeypatch, "remote", Remote)
    bench.monkeypatch.setattr("igniter_store.backends.sys", SimpleNamespace(platform="emscripten"))
    Store.from_url("remote://", service="test")


async def required_scope(bench: Bench) -> None:
    store = (
        Store.create()
        .with_adapter(bench.recorder)
        .with_service("test")
        .add_scope("org", required=True)
        .build()
    )
    await store.kv.get("k")


async def wrong_payload(bench: Bench) -> None:
    events = Events.create("user").event("created", int).build()
    store = (
        Store.create().with_adapter(bench.recorder).with_service("test").add_events(events).build()
    )
    await store.events.publish("user:created", "one")


async def wrong_stored_type(bench: Bench) -> None:
    await bench.store.kv.set("k", "text")
    await bench.store.kv.get("k", int)


async def unsubscribing(bench: Bench) -> None:
    subscription = await bench.over(Uncancellable(bench.recorder)).events.subscribe("e", print)
    await subscription.cancel()


async def after_close(bench: Bench) -> None:
    await bench.store.close()
    await bench.store.kv.get("k")


def raised_by_an_adapter(code: ErrorCode) -> Scenario:
    return lambda bench: bench.failing(store_error(code, "A message of an adapter.")).kv.get("k")


def untranslated(call: Callable[[Any], Awaitable[Any]]) -> Scenario:
    return lambda bench: call(bench.failing(ValueError("driver")))


class Nowhere(EventGroup):
    created = event(int)


SCENARIOS: dict[ErrorCode, Scenario] = {
    ErrorCode.STORE_ADAPTER_REQUIRED: calling(
        lambda _: Store.create().with_service("test").build()
    ),
    ErrorCode.STORE_SERVICE_REQUIRED: calling(
        lambda bench: Store.create().with_adapter(bench.recorder).build()
    ),
    ErrorCode.STORE_CONFIGURATION_INVALID: calling(lambda _: Store.create().with_service("a:b")),
    ErrorCode.STORE_ENVIRONMENT_REQUIRED: without_sockets,
    ErrorCode.STORE_BACKEND_UNKNOWN: calling(
        lambda _: Store.from_url("mongodb://localhost", service="test")
    ),
    ErrorCode.STORE_SCOPE_KEY_REQUIRED: calling(lambda bench: bench.store.scope("", 1)),
    ErrorCode.STORE_SCOPE_IDENTIFIER_REQUIRED: calling(lambda bench: bench.store.scope("org", "")),
    ErrorCode.STORE_SCOPE_INVALID: calling(lambda bench: bench.store.scope("org", "1:2")),
    ErrorCode.STORE_INVALID_SCOPE_KEY: calling(lambda bench: bench.store.scope("kv", 1)),
    ErrorCode.STORE_DUPLICATE_SCOPE: calling(
        lambda _: Store.create().add_scope("org").add_scope("org")
    ),
    ErrorCode.STORE_SCOPE_REQUIRED: required_scope,
    ErrorCode.STORE_KEY_REQUIRED: lambda bench: bench.store.kv.get(""),
    ErrorCode.STORE_KEY_INVALID: lambda bench: bench.store.kv.get("\ud800"),
    ErrorCode.STORE_VALUE_REQUIRED: lambda bench: bench.store.claim.once("k", None),
    ErrorCode.STORE_TTL_INVALID: lambda bench: bench.store.kv.set("k", 1, ttl=0),
    ErrorCode.STORE_ARGUMENT_INVALID: lambda bench: bench.store.counter.increment("k", 1.5),
    ErrorCode.STORE_BATCH_KEYS_REQUIRED: lambda bench: bench.store.batch.get("k"),
    ErrorCode.STORE_BATCH_ENTRIES_REQUIRED: lambda bench: bench.store.batch.set(None),
    ErrorCode.STORE_STREAM_NAME_REQUIRED: lambda bench: bench.store.streams.length(""),
    ErrorCode.STORE_STREAM_GROUP_REQUIRED: calling(
        lambda bench: bench.store.streams.group("", "c")
    ),
    ErrorCode.STORE_STREAM_CONSUMER_REQUIRED: calling(
        lambda bench: bench.store.streams.group("g", "")
    ),
    ErrorCode.STORE_SCAN_PATTERN_REQUIRED: lambda bench: bench.store.dev.scan(""),
    ErrorCode.STORE_SCHEMA_VALIDATION_FAILED: wrong_payload,
    ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND: calling(lambda bench: bench.store.events.user),
    ErrorCode.STORE_INVALID_NAMESPACE: calling(lambda _: Events.create("a.b")),
    ErrorCode.STORE_RESERVED_NAMESPACE: calling(lambda _: Events.create("igniter")),
    ErrorCode.STORE_DUPLICATE_NAMESPACE: calling(
        lambda _: (
            Store.create()
            .add_events(Events.create("user").build())
            .add_events(Events.create("user").build())
        )
    ),
    ErrorCode.STORE_INVALID_EVENT_NAME: lambda bench: bench.store.events.publish("user:*", 1),
    ErrorCode.STORE_DUPLICATE_EVENT: calling(
        lambda _: Events.create("user").event("created", int).event("created", int)
    ),
    ErrorCode.STORE_MISSING_NAMESPACE: calling(lambda bench: bench.store.events.bind(Nowhere)),
    ErrorCode.STORE_SERIALIZATION_FAILED: lambda bench: bench.store.kv.set("k", object()),
    ErrorCode.STORE_DESERIALIZATION_FAILED: wrong_stored_type,
    ErrorCode.STORE_OPERATION_FAILED: untranslated(lambda store: store.kv.exists("k")),
    ErrorCode.STORE_GET_FAILED: untranslated(lambda store: store.kv.get("k")),
    ErrorCode.STORE_SET_FAILED: untranslated(lambda store: store.kv.set("k", 1)),
    ErrorCode.STORE_DELETE_FAILED: untranslated(lambda store: store.kv.remove("k")),
    ErrorCode.STORE_INCREMENT_FAILED: lambda bench: bench.store.counter.increment("k", 2**63),
    ErrorCode.STORE_PUBLISH_FAILED: untranslated(lambda store: store.events.publish("e", 1)),
    ErrorCode.STORE_SUBSCRIBE_FAILED: untranslated(
        lambda store: store.events.subscribe("e", print)
    ),
    ErrorCode.STORE_UNSUBSCRIBE_FAILED: unsubscribing,
    ErrorCode.STORE_BATCH_FAILED: untranslated(lambda store: store.batch.get(["k"])),
    ErrorCode.STORE_CLAIM_FAILED: untranslated(lambda store: store.claim.once("k", "w")),
    ErrorCode.STORE_STREAM_APPEND_FAILED: untranslated(lambda store: store.streams.append("s", 1)),
    ErrorCode.STORE_STREAM_READ_FAILED: untranslated(lambda store: store.streams.range("s")),
    ErrorCode.STORE_STREAM_GROUP_CREATE_FAILED: untranslated(
        lambda store: store.streams.group("g", "c").ensure("s")
    ),
    ErrorCode.STORE_STREAM_ACK_FAILED: untranslated(
        lambda store: store.streams.group("g", "c").ack("s", ["1-1"])
    ),
    ErrorCode.STORE_SCAN_FAILED: lambda bench: bench.store.dev.scan("*", cursor="none"),
    ErrorCode.STORE_STREAM_GROUP_MISSING: lambda bench: bench.store.streams.group("g", "c").read(
        "s"
    ),
    ErrorCode.STORE_CAPABILITY_UNSUPPORTED: lambda bench: bench.over(Remote()).kv.get("k"),
    ErrorCode.STORE_CONNECTION_FAILED: lambda bench: bench.failing(
        ConnectionRefusedError("driver")
    ).kv.get("k"),
    ErrorCode.STORE_NOT_CONNECTED: raised_by_an_adapter(ErrorCode.STORE_NOT_CONNECTED),
    ErrorCode.STORE_TIMEOUT: lambda bench: bench.failing(TimeoutError("driver")).kv.get("k"),
    ErrorCode.STORE_CLOSED: after_close,
    ErrorCode.STORE_CIRCUIT_OPEN: raised_by_an_adapter(ErrorCode.STORE_CIRCUIT_OPEN),
    ErrorCode.STORE_CLAIM_UNAVAILABLE: raised_by_an_adapter(ErrorCode.STORE_CLAIM_UNAVAILABLE),
    ErrorCode.STORE_CLAIM_LOST: raised_by_an_adapter(ErrorCode.STORE_CLAIM_LOST),
}


@pytest.mark.parametrize("code", ErrorCode)
async def test_every_code_is_raised_somewhere(code: ErrorCode, bench: Bench) -> None:
    with pytest.raises(StoreError) as caught:
        await SCENARIOS[code](bench)

    assert caught.value.code is code
    assert isinstance(caught.value, class_of(code))
    assert str(code) in str(caught.value)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_codes_text_is_its_name(code: ErrorCode) -> None:
    assert code.value == code.name == str(code) == json.loads(json.dumps(code))


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_belongs_to_one_class(code: ErrorCode) -> None:
    owner = class_of(code)

    assert owner is not StoreError
    assert issubclass(owner, StoreError)
    assert type(store_error(code, "m")) is owner


def test_every_class_says_when_it_is_raised() -> None:
    classes = {class_of(code) for code in ErrorCode} | {StoreError}

    assert {owner.__name__: (owner.__doc__ or "")[:12] for owner in classes} == {
        owner.__name__: "Raised when " for owner in classes
    }


@pytest.mark.parametrize(
    ("owner", "builtin"),
    [
        (InvalidArgument, ValueError),
        (BackendUnavailable, ConnectionError),
        (BackendTimeout, TimeoutError),
    ],
)
def test_some_classes_are_caught_as_python_names_them(
    owner: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(owner, builtin)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_http_status(code: ErrorCode) -> None:
    assert store_error(code, "m").status in {400, 404, 409, 500, 503}


@pytest.mark.parametrize("code", ErrorCode)
def test_only_unavailable_and_timeout_errors_are_retryable(code: ErrorCode) -> None:
    error = store_error(code, "m")

    assert error.retryable is issubclass(class_of(code), BackendUnavailable | BackendTimeout)
    assert error.maybe_applied is False
