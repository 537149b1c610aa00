"""Keys: a bad one is refused by every method that takes a key."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode

from .operations import TAKES_KEY, failure_of, sent
from .wrong_values import BAD_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from igniter_store import RecordingAdapter, Store


@pytest.mark.parametrize("bad", BAD_NAMES)
@pytest.mark.parametrize("method", TAKES_KEY)
async def test_a_bad_key_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    key, is_missing = BAD_NAMES[bad]

    error = await failure_of(TAKES_KEY[method](igniter_store, key))

    assert error.code == (
        ErrorCode.STORE_KEY_REQUIRED if is_missing else ErrorCode.STORE_KEY_INVALID
    )
    assert error.operation == method
    assert sent(igniter_recorder) == []


class Name(enum.StrEnum):
    KEY = "k"


class OldName(str, enum.Enum):  # noqa: UP042 - as many programs still write it; its str() differs
    KEY = "k"


@pytest.mark.parametrize("key", [Name.KEY, OldName.KEY], ids=["StrEnum", "str and Enum"])
@pytest.mark.parametrize("method", TAKES_KEY)
async def test_an_enum_key_means_its_value(
    method: str, key: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    await igniter_store.open()
    igniter_recorder.calls.clear()

    await TAKES_KEY[method](igniter_store, "k")
    await TAKES_KEY[method](igniter_store, key)

    [with_text, with_enum] = igniter_recorder.calls
    assert with_enum == with_text


def test_every_method_is_here(igniter_store: Store[str]) -> None:
    # A new method must be added to TAKES_KEY: otherwise this test fails.
    store: Mapping[str, Any] = {
        name: getattr(igniter_store, name) for name in ("kv", "counter", "claim", "batch")
    }
    methods = {
        f"{name}.{method}"
        for name, namespace in store.items()
        for method in dir(namespace)
        if not method.startswith("_")
    }

    assert methods - {
        f"{name}.{word}" for name in store for word in ("word", "event_namespace")
    } == set(TAKES_KEY)
