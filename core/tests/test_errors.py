"""Every error code: its cause, its message, and the data that a message never contains."""

from __future__ import annotations

import asyncio
import copy
import enum
import json
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID

import msgspec
import pydantic
import pytest
from igniter_store import (
    BackendFailed,
    BackendTimeout,
    BackendUnavailable,
    ConfigurationError,
    ErrorCode,
    EventGroup,
    Events,
    InvalidArgument,
    RecordingAdapter,
    Store,
    StoreError,
    event,
)
from igniter_store.backends import GROUP
from igniter_store.contract import Adapter, Subscription, class_of, store_error
from igniter_store.events.registry import unknown_event

SECRET = "hunter2-in-clear"  # noqa: S105 - must never be shown


class Broken(RecordingAdapter):
    """Raises `error` from every method, once it is set."""

    error: BaseException | None = None

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.error is not None:
            raise self.error
        return await super().pass_on(method, *args, **kwargs)


class Uncancellable(RecordingAdapter):
    """An adapter whose subscriptions can't be cancelled."""

    async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super().pass_on(method, *args, **kwargs)
        return Stuck() if isinstance(answer, Subscription) else answer


class Stuck(Subscription):
    async def cancel(self) -> None:
        raise ValueError(SECRET)


class Remote(Adapter):
    """A backend with sockets."""

    name = "remote"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> float:
        return 0.0


class Bench:
    """The fixtures of the scenarios."""

    def __init__(self, recorder: RecordingAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = Broken(recorder)
        self.monkeypatch = monkeypatch
        self.store: Any = self.over(recorder)
        self.recorder = recorder

    def over(self, adapter: Adapter) -> Store[str]:
        return Store.create().with_adapter(adapter).with_service("test").build()

    def failing(self, error: BaseException) -> Any:
        self.broken.error = error
        return self.over(self.broken)


@pytest.fixture
def bench(igniter_recorder: RecordingAdapter, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(igniter_recorder, monkeypatch)


Scenario = Callable[[Bench], Awaitable[Any]]


def calling(function: Callable[[Bench], Any]) -> Scenario:
    async def scenario(bench: Bench) -> Any:
        return function(bench)

    return scenario


def install(monkeypatch: pytest.MonkeyPatch, scheme: str, adapter: type[Adapter]) -> None:
    class Point(EntryPoint):
        def load(self) -> type[Adapter]:
            return adapter

    def entry_points(group: str, **_: str) -> list[EntryPoint]:
        return [Point(scheme, "a.module:Adapter", group)] if group == GROUP else []

    monkeypatch.setattr("igniter_store.backends.entry_points", entry_points)


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


nothing: Any = None
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
    assert type(caught.value) is class_of(code) or issubclass(type(caught.value), class_of(code))
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


def complete(code: ErrorCode) -> StoreError:
    return store_error(
        code,
        "the failure",
        operation="kv.set",
        backend="redis",
        details={"count": 1},
        retryable=True,
        maybe_applied=True,
    )


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_survives_the_way_to_another_process(code: ErrorCode) -> None:
    error = complete(code)

    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(arrived) is type(error)
    assert arrived.to_dict() == error.to_dict()
    assert (str(arrived), repr(arrived), arrived.args) == (str(error), repr(error), error.args)


def test_unknown_event_error_survives_pickling() -> None:
    error = unknown_event("user:created", {})

    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(arrived) is type(error)
    assert arrived.to_dict() == error.to_dict()


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_can_be_copied(code: ErrorCode) -> None:
    error = complete(code)

    assert copy.copy(error).to_dict() == copy.deepcopy(error).to_dict() == error.to_dict()


def test_to_dict_returns_every_field_as_json() -> None:
    error = complete(ErrorCode.STORE_TIMEOUT)

    assert json.loads(json.dumps(error.to_dict())) == {
        "name": "BackendTimeout",
        "code": "STORE_TIMEOUT",
        "message": "the failure",
        "operation": "kv.set",
        "backend": "redis",
        "status": 503,
        "details": {"count": 1},
        "retryable": True,
        "maybe_applied": True,
    }


def test_error_text_names_operation_and_backend() -> None:
    error = complete(ErrorCode.STORE_TIMEOUT)

    assert str(error) == "the failure [STORE_TIMEOUT, kv.set on redis, maybe applied]"
    assert repr(error) == f"<BackendTimeout {error}>"


@pytest.mark.parametrize(
    "value",
    [ValueError("x"), None, "STORE_TIMEOUT", StoreError, {"code": "STORE_TIMEOUT"}],
    ids=repr,
)
def test_is_store_error_rejects_other_objects(value: object) -> None:
    assert StoreError.is_store_error(value) is False


@pytest.mark.parametrize("code", ErrorCode)
def test_our_errors_are_store_errors(code: ErrorCode) -> None:
    assert StoreError.is_store_error(store_error(code, "m")) is True


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (TimeoutError("t"), ErrorCode.STORE_TIMEOUT),
        (ConnectionResetError("c"), ErrorCode.STORE_CONNECTION_FAILED),
        (OSError("o"), ErrorCode.STORE_GET_FAILED),
        (KeyError("k"), ErrorCode.STORE_GET_FAILED),
        (asyncio.InvalidStateError("i"), ErrorCode.STORE_GET_FAILED),
    ],
    ids=lambda raised: type(raised).__name__,
)
async def test_adapter_exception_is_translated_and_kept_as_cause(
    raised: Exception, code: ErrorCode, bench: Bench
) -> None:
    with pytest.raises(StoreError) as caught:
        await bench.failing(raised).kv.get("k")

    assert caught.value.code == code
    assert caught.value.__cause__ is raised
    assert (caught.value.operation, caught.value.backend) == ("kv.get", "memory")


async def test_adapter_error_gains_operation_and_backend(
    bench: Bench,
) -> None:
    """The same error object reaches the caller."""
    raised = store_error(
        ErrorCode.STORE_OPERATION_FAILED,
        "m",
        details={"server": "busy"},
        retryable=True,
        maybe_applied=True,
    )

    with pytest.raises(BackendFailed) as caught:
        await bench.failing(raised).kv.set("k", 1)

    assert caught.value is raised
    assert (caught.value.operation, caught.value.backend, caught.value.maybe_applied) == (
        "kv.set",
        "memory",
        True,
    )


LIFECYCLE: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "open": lambda store: store.open(),
    "aenter": lambda store: store.__aenter__(),
    "ping": lambda store: store.ping(),
    "first operation": lambda store: store.kv.get("k"),
}


@pytest.mark.parametrize("how", LIFECYCLE)
async def test_opening_lets_no_drivers_exception_through(how: str, bench: Bench) -> None:
    raised = ConnectionRefusedError("driver")

    with pytest.raises(BackendUnavailable) as caught:
        await LIFECYCLE[how](bench.failing(raised))

    assert caught.value.code == ErrorCode.STORE_CONNECTION_FAILED
    assert caught.value.__cause__ is raised


async def test_closing_lets_no_drivers_exception_through(bench: Bench) -> None:
    store = bench.over(bench.broken)
    await store.open()
    bench.broken.error = RuntimeError("driver")

    with pytest.raises(StoreError) as caught:
        await store.close()

    assert caught.value.__cause__ is bench.broken.error


async def test_a_failed_close_can_be_finished(bench: Bench) -> None:
    store = bench.over(bench.broken)
    await store.open()
    bench.broken.error = store_error(ErrorCode.STORE_CONNECTION_FAILED, "m")
    with pytest.raises(StoreError):
        await store.close()
    bench.broken.error = None

    await store.close()

    assert bench.broken.is_open is False


@pytest.mark.clause("LIF-4")
async def test_cancellation_propagates_and_store_stays_usable(bench: Bench) -> None:
    class Slow(RecordingAdapter):
        async def pass_on(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if method == "exists":
                waiting.set()
                await asyncio.Event().wait()
            return await super().pass_on(method, *args, **kwargs)

    waiting = asyncio.Event()
    store = bench.over(Slow(bench.recorder))
    operation = asyncio.ensure_future(store.kv.exists("k"))
    await waiting.wait()

    operation.cancel()

    with pytest.raises(asyncio.CancelledError) as caught:
        await operation
    assert caught.value.__cause__ is None
    assert await store.kv.set("k", 1) is True


async def test_a_cancellation_that_the_adapter_raises_passes_untouched(bench: Bench) -> None:
    raised = asyncio.CancelledError()

    with pytest.raises(asyncio.CancelledError) as caught:
        await bench.failing(raised).kv.set("k", 1)

    assert caught.value is raised


# --- Data that a message never contains -----------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class User(msgspec.Struct, forbid_unknown_fields=True):
    name: Literal["avery"]
    age: int = 0


class Tagged(msgspec.Struct, tag="tagged"):
    name: str


class OtherTagged(msgspec.Struct, tag="other"):
    name: str


class Model(pydantic.BaseModel):
    name: Literal["avery"]
    age: int = 0


class Strict(pydantic.BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise ValueError(f"{name} is not allowed")


@dataclass
class Checked:
    name: str

    def __post_init__(self) -> None:
        raise ValueError(f"{self.name} is not allowed")


class Talkative:
    """A schema, and a serializer, that quotes its input."""

    def validate(self, value: Any) -> Any:
        raise ValueError(f"{value!r} is wrong")

    def encode(self, value: Any) -> bytes:
        if value == "ok":
            return b"ok"
        raise ValueError(f"{value!r} is wrong")

    def decode(self, data: bytes, type: Any) -> Any:
        raise ValueError(f"{data!r} is wrong")


class Shown:
    """An object whose repr contains its secret."""

    def __init__(self) -> None:
        self.password = SECRET

    def __repr__(self) -> str:
        return SECRET

    __str__ = __repr__


class Reduced(pydantic.BaseModel):
    password: str = SECRET
    extra: Any = object()

    @pydantic.field_serializer("extra")
    def show(self, extra: Any) -> str:
        raise ValueError(f"{self.password} can't be shown")


def circle() -> list[Any]:
    values: list[Any] = [SECRET]
    values.append(values)
    return values


UNENCODABLE: dict[str, Any] = {
    "object": Shown(),
    "object in a list": [SECRET, Shown()],
    "nan beside it": {"password": SECRET, "weight": float("nan")},
    "keys": {7: SECRET, "password": SECRET},
    "secret key": {(SECRET,): 1},
    "split surrogates": SECRET + "\ud83d\ude00",
    "model": Reduced(),
    "struct": Tagged(name=Shown()),  # type: ignore[arg-type]  # code without a type checker
    "circle": circle(),
    "exception": ValueError(SECRET),
}
WRITES: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "kv.set": lambda store, value: store.kv.set("k", value),
    "batch.set": lambda store, value: store.batch.set({"a": SECRET, "k": value}),
    "claim.once": lambda store, value: store.claim.once("k", value),
    "claim.release": lambda store, value: store.claim.release("k", value),
    "publish": lambda store, value: store.events.publish("e", value),
    "append": lambda store, value: store.streams.append("s", value),
}
UNDECODABLE: dict[str, tuple[Any, Any]] = {
    "another type": (SECRET, int),
    "an enum": (SECRET, Colour),
    "a literal": (SECRET, Literal["red", "blue"]),
    "an enum as a key": ({SECRET: 1}, dict[Colour, int]),
    "a struct's literal": ({"name": SECRET}, User),
    "a struct's other field": ({"name": "avery", SECRET: 1}, User),
    "a tag": ({"type": SECRET}, Tagged | OtherTagged),
    "a model": ({"name": SECRET}, Model),
    "models": ([{"name": SECRET}], list[Model]),
    "a model that quotes": ({"name": SECRET}, Strict),
    "a dataclass that quotes": ({"name": SECRET}, Checked),
    "a value in a mapping": ({SECRET: SECRET}, dict[str, int]),
    "not a container": ({"a": [SECRET]}, dict[str, list[int]]),
    "a date": (SECRET, datetime),
    "a uuid": (SECRET, UUID),
}
READS: dict[str, Callable[[Any, Any, Any], Awaitable[Any]]] = {}


def reading(
    read: Callable[[Any, Any, Any], Awaitable[Any]],
) -> Callable[[Any, Any, Any], Awaitable[Any]]:
    READS[read.__name__] = read
    return read


@reading
async def get(store: Any, value: Any, wanted: Any) -> None:
    await store.kv.set("k", value)
    await store.kv.get("k", wanted)


@reading
async def pop(store: Any, value: Any, wanted: Any) -> None:
    await store.kv.set("k", value)
    await store.kv.pop("k", wanted)


@reading
async def batch_get(store: Any, value: Any, wanted: Any) -> None:
    await store.kv.set("k", value)
    await store.batch.get(["k"], wanted)


@reading
async def stream_range(store: Any, value: Any, wanted: Any) -> None:
    await store.streams.append("s", value)
    _ = (await store.streams.range("s", type=wanted))[0].message


@reading
async def stream_read(store: Any, value: Any, wanted: Any) -> None:
    group = store.streams.group("g", "c")
    await group.ensure("s")
    await store.streams.append("s", value)
    _ = (await group.read("s", type=wanted))[0].message


@reading
async def foreign_entry(store: Any, value: Any, wanted: Any) -> None:
    await store.adapter.xadd("igniter:store:test:streams:s", {"password": SECRET.encode()})
    _ = (
        await store.streams.range("s", type=wanted if isinstance(value, dict) else dict[str, int])
    )[0].message


@reading
async def publish(store: Any, value: Any, wanted: Any) -> None:
    events = Events.create("user").event("created", wanted).build()
    checked = (
        Store.create().with_adapter(store.adapter).with_service("test").add_events(events).build()
    )
    await checked.events.publish("user:created", value)


class Witness:
    """A telemetry sink that keeps every event."""

    def __init__(self) -> None:
        self.emitted: list[Any] = []

    def emit(self, name: str, *, level: str, attributes: Any) -> None:
        self.emitted.append((name, level, dict(attributes)))


def visible_text(error: StoreError, caplog: pytest.LogCaptureFixture, witness: Witness) -> str:
    formatter = logging.Formatter("%(message)s")
    return "\n".join(
        [
            *traceback.format_exception(error),
            str(error),
            repr(error),
            repr(error.args),
            repr(error.to_dict()),
            repr(pickle.loads(pickle.dumps(error))),  # noqa: S301 - our own bytes
            *(formatter.format(record) for record in caplog.records),
            repr(witness.emitted),
        ]
    )


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def watched(igniter_recorder: RecordingAdapter, witness: Witness) -> Store[str]:
    return (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_telemetry(witness)
        .build()
    )


@pytest.mark.parametrize("kind", UNENCODABLE)
@pytest.mark.parametrize("method", WRITES)
async def test_encoding_error_never_shows_value(
    method: str, kind: str, watched: Store[str], witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(StoreError) as caught:
        await WRITES[method](watched, UNENCODABLE[kind])

    assert caught.value.code == ErrorCode.STORE_SERIALIZATION_FAILED
    assert SECRET not in visible_text(caught.value, caplog, witness)


@pytest.mark.parametrize("kind", UNDECODABLE)
@pytest.mark.parametrize("method", READS)
async def test_a_value_of_another_type_is_never_shown(
    method: str, kind: str, watched: Store[str], witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(StoreError) as caught:
        await READS[method](watched, *UNDECODABLE[kind])

    assert caught.value.code in {
        ErrorCode.STORE_DESERIALIZATION_FAILED,
        ErrorCode.STORE_SCHEMA_VALIDATION_FAILED,
    }
    assert SECRET not in visible_text(caught.value, caplog, witness)


@pytest.mark.parametrize("how", ["validate_subscribe", "bound"])
@pytest.mark.parametrize("kind", UNDECODABLE)
async def test_a_payload_that_subscribers_refuse_is_never_shown(
    kind: str,
    how: str,
    igniter_recorder: RecordingAdapter,
    witness: Witness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    payload, wanted = UNDECODABLE[kind]
    declared: Any = type("Declared", (EventGroup,), {"created": event(wanted)}, namespace="user")
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_telemetry(witness)
        .add_events(declared, validate_publish=False, validate_subscribe=True)
        .build()
    )
    got: list[Any] = []
    done = asyncio.Event()
    bound = store.events.bind(declared)
    subscription = await (
        bound.created.subscribe(got.append)
        if how == "bound"
        else store.events.subscribe("user:created", got.append)
    )
    await store.events.subscribe("user:done", lambda _: done.set())

    await store.events.publish("user:created", payload)
    await subscription.cancel()

    assert got == []
    assert SECRET not in "\n".join(map(str, caplog.records)) + caplog.text + repr(witness.emitted)


@pytest.mark.parametrize("method", ["encode", "decode"])
async def test_custom_serializer_error_text_is_never_shown(
    method: str,
    igniter_recorder: RecordingAdapter,
    witness: Witness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: Any = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_serializer(Talkative())
        .build()
    )
    await store.kv.set("k", "ok")
    await store.adapter.set("igniter:store:test:kv:k", SECRET.encode())

    with pytest.raises(StoreError) as caught:
        await (store.kv.set("k", SECRET) if method == "encode" else store.kv.get("k"))

    assert SECRET not in visible_text(caught.value, caplog, witness)


async def test_custom_schema_error_text_is_never_shown(
    igniter_recorder: RecordingAdapter, witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events.create("user").event("created", Talkative()).build()
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events)
        .build()
    )

    with pytest.raises(StoreError) as caught:
        await store.events.publish("user:created", SECRET)

    assert caught.value.code == ErrorCode.STORE_SCHEMA_VALIDATION_FAILED
    assert SECRET not in visible_text(caught.value, caplog, witness)


async def test_log_of_invalid_payload_never_shows_it(
    igniter_recorder: RecordingAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    """With `throw_on_validation_error=False`, publishing only logs the mismatch."""
    events = Events.create("user").event("created", Colour).build()
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events, throw_on_validation_error=False)
        .build()
    )

    await store.events.publish("user:created", SECRET)

    assert "does not fit" in caplog.text
    assert SECRET not in caplog.text


async def test_counter_error_never_shows_stored_value(
    watched: Store[str], witness: Witness, caplog: pytest.LogCaptureFixture
) -> None:
    adapter: Any = watched.adapter
    await adapter.set("igniter:store:test:counter:c", SECRET.encode())

    with pytest.raises(StoreError) as read:
        await watched.counter.get("c")
    with pytest.raises(StoreError) as counted:
        await watched.counter.increment("c")

    assert SECRET not in visible_text(read.value, caplog, witness) + visible_text(
        counted.value, caplog, witness
    )


async def test_driver_exception_text_is_only_in_cause(bench: Bench) -> None:
    with pytest.raises(StoreError) as caught:
        await bench.failing(ValueError(SECRET)).kv.get("k")

    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.to_dict()}"
    assert caught.value.__cause__ is bench.broken.error


URLS = [
    f"redsi://user:{SECRET}@localhost",
    f"memory://user:{SECRET}@localhost",
    f"memory://?password={SECRET}",
    f"memory://localhost:{SECRET}",
    f"user:{SECRET}@redis://localhost",
    f"{SECRET}@://localhost",
    f"user:{SECRET}@localhost:6379",
    f"memory://[{SECRET}",
    f"memory://name/{SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_urls_password_is_never_shown(
    url: str, caplog: pytest.LogCaptureFixture, witness: Witness
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url, service="test")

    assert SECRET not in visible_text(caught.value, caplog, witness)


@pytest.mark.parametrize("raised", [ValueError, RuntimeError])
def test_adapter_error_about_url_is_never_shown(
    raised: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    witness: Witness,
) -> None:
    class Quoting(Remote):
        @classmethod
        def from_url(cls, url: str, **options: Any) -> Any:
            raise raised(f"bad: {url} {options}")

    install(monkeypatch, "quoting", Quoting)

    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(f"quoting://user:{SECRET}@localhost", service="test", password=SECRET)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
    assert SECRET not in visible_text(caught.value, caplog, witness)


def test_a_store_shows_no_identifier(igniter_store: Store[str]) -> None:
    assert SECRET not in repr(igniter_store.scope("org", SECRET))
