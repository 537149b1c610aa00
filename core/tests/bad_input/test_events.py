"""Events: bad names are refused by every method that takes one, and so are unknown events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from igniter_store import ErrorCode, Events, Store, StoreError

from .operations import TAKES_EVENT, failure_of, sent
from .wrong_values import BAD_NAMES

if TYPE_CHECKING:
    from igniter_store import RecordingAdapter

BAD_EVENT_NAMES: dict[str, Any] = {bad: name for bad, (name, _) in BAD_NAMES.items()}


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
@pytest.mark.parametrize("method", TAKES_EVENT)
async def test_a_bad_event_name_is_refused(
    method: str, bad: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(TAKES_EVENT[method](igniter_store, BAD_EVENT_NAMES[bad]))

    assert error.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
def test_listening_refuses_a_bad_event_name(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.events.listen(BAD_EVENT_NAMES[bad])

    assert caught.value.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert igniter_recorder.calls == []


@pytest.mark.parametrize("bad", BAD_EVENT_NAMES)
def test_looking_up_a_namespace_refuses_a_bad_name(bad: str, igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        igniter_store.events[BAD_EVENT_NAMES[bad]]

    assert caught.value.code == ErrorCode.STORE_INVALID_EVENT_NAME


@pytest.mark.parametrize("name", ["user:*", "user:?", "user:[ab]", "user\\:"])
async def test_nothing_is_published_under_a_pattern(
    name: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.events.publish(name, 1))

    assert error.code == ErrorCode.STORE_INVALID_EVENT_NAME
    assert sent(igniter_recorder) == []


async def test_publish_refuses_unknown_name_in_registered_namespace(
    igniter_recorder: RecordingAdapter,
) -> None:
    events = Events.create("user").event("created", int).build()
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(events)
        .build()
    )

    error = await failure_of(store.events.publish("user:craeted", 1))

    assert error.code == ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND
    assert sent(igniter_recorder) == []


def test_attribute_access_to_an_unknown_event_is_refused(igniter_store: Any) -> None:
    with pytest.raises(StoreError) as caught:
        _ = igniter_store.events.user

    assert caught.value.code == ErrorCode.STORE_SCHEMA_CHANNEL_NOT_FOUND


def test_misspelt_method_error_names_the_method(igniter_store: Any) -> None:
    with pytest.raises(AttributeError, match=r"no method 'pubish'.*Did you mean publish\(\)\?"):
        _ = igniter_store.events.pubish
