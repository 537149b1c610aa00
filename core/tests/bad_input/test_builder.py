"""The builder and `from_url`: bad services, adapters, serializers, loggers and URLs are refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from igniter_store import ConfigurationError, ErrorCode, Store, StoreError

from .wrong_values import NOT_PARTS, NOT_TEXT, SURROGATE

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter

BAD_SERVICES: dict[str, Any] = {**NOT_TEXT, **NOT_PARTS}


@pytest.mark.parametrize("bad", BAD_SERVICES)
def test_a_bad_service_is_refused(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store.create().with_service(BAD_SERVICES[bad])

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


@pytest.mark.parametrize("missing", [None, ""])
def test_a_store_needs_a_service(missing: Any, igniter_recorder: RecordingAdapter) -> None:
    builder = Store.create().with_adapter(igniter_recorder)

    with pytest.raises(StoreError) as caught:
        builder.with_service(missing)
    with pytest.raises(StoreError) as built:
        builder.build()

    assert {caught.value.code, built.value.code} == {ErrorCode.STORE_SERVICE_REQUIRED}


def test_a_store_needs_an_adapter() -> None:
    nothing: Any = None

    with pytest.raises(StoreError) as caught:
        Store.create().with_adapter(nothing)
    with pytest.raises(StoreError) as built:
        Store.create().with_service("test").build()

    assert {caught.value.code, built.value.code} == {ErrorCode.STORE_ADAPTER_REQUIRED}


class Serializer:
    encode = decode = emit = None


BAD_PARTS: dict[str, Any] = {
    "number": 5,
    "text": "memory://",
    "object": object(),
    "class": Serializer,
    "none": None,
}


@pytest.mark.parametrize("bad", BAD_PARTS)
@pytest.mark.parametrize(
    "method", ["with_adapter", "with_serializer", "with_logger", "with_telemetry", "add_events"]
)
def test_a_piece_that_does_not_fit_is_refused(method: str, bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        getattr(Store.create(), method)(BAD_PARTS[bad])

    is_missing = method == "with_adapter" and bad == "none"
    assert caught.value.code == (
        ErrorCode.STORE_ADAPTER_REQUIRED if is_missing else ErrorCode.STORE_CONFIGURATION_INVALID
    )


def test_serializer_with_uncallable_methods_is_refused() -> None:
    serializer: Any = Mock(encode="utf-8", decode="utf-8", spec=["encode", "decode"])

    with pytest.raises(ConfigurationError) as caught:
        Store.create().with_serializer(serializer)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_telemetry_with_uncallable_emit_is_refused() -> None:
    telemetry: Any = Mock(emit="no", spec=["emit"])

    with pytest.raises(ConfigurationError) as caught:
        Store.create().with_telemetry(telemetry)

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


def test_a_logger_adapter_is_a_logger(igniter_recorder: RecordingAdapter) -> None:
    adapter: Any = logging.LoggerAdapter(logging.getLogger("test"))

    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .with_logger(adapter)
        .build()
    )

    assert store.logger is adapter


BAD_URLS: dict[str, Any] = {
    "none": None,
    "empty": "",
    "bytes": b"memory://",
    "no scheme": "localhost:6379",
    "number": 5,
    "broken": "memory://[",
    "surrogate": f"memory://{SURROGATE}@",
    "unknown option": "memory://?color=red",
}


@pytest.mark.parametrize("bad", BAD_URLS)
def test_a_bad_url_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(BAD_URLS[bad], service="test")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID


@pytest.mark.parametrize("url", ["://", "redsi://localhost", "\ud800://x"], ids=ascii)
def test_a_url_of_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url(url, service="test")

    assert caught.value.code == ErrorCode.STORE_BACKEND_UNKNOWN


def test_unknown_backend_option_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Store.from_url("memory://", service="test", color="red")

    assert caught.value.code == ErrorCode.STORE_CONFIGURATION_INVALID
