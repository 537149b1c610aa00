"""Error objects: they survive pickling and copying, and show their context as text and as JSON."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from igniter_store import ErrorCode, StoreError
from igniter_store.contract import store_error
from igniter_store.events.registry import unknown_event


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

    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - this test has just pickled it

    assert type(arrived) is type(error)
    assert arrived.to_dict() == error.to_dict()
    assert (str(arrived), repr(arrived), arrived.args) == (str(error), repr(error), error.args)


def test_unknown_event_error_survives_pickling() -> None:
    error = unknown_event("user:created", {})

    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 - this test has just pickled it

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
