"""Handlers: subscribing refuses an object that can't be called with one `EventContext`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from igniter_store import ErrorCode, EventGroup, Store, event, group

from .operations import failure_of, sent
from .wrong_values import unawaited

if TYPE_CHECKING:
    from collections.abc import Callable

    from igniter_store import RecordingAdapter

    from .operations import Call

NOT_CALLABLE: dict[str, Any] = {
    "none": None,
    "number": 5,
    "text": "print",
    "coroutine": unawaited(),
}


@pytest.mark.parametrize("bad", NOT_CALLABLE)
async def test_a_handler_that_cannot_be_called_is_refused(
    bad: str, igniter_store: Any, igniter_recorder: RecordingAdapter
) -> None:
    error = await failure_of(igniter_store.events.subscribe("e", NOT_CALLABLE[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert sent(igniter_recorder) == []


def with_more(handler: Callable[..., None]) -> Callable[[Any], None]:
    """A decorator that adds an argument."""

    @functools.wraps(handler)
    def wrapper(context: Any) -> None:
        handler(context, 1)

    return wrapper


class NoteEvents(EventGroup):
    email = event(int)


class DeclaredEvents(EventGroup, namespace="user"):
    created = event(int)
    notes = group(NoteEvents)


SUBSCRIBES: dict[str, Call] = {
    "name": lambda s, handler: s.events.subscribe("user:created", handler),
    "fluent": lambda s, handler: s.events.user.created.subscribe(handler),
    "declared": lambda s, handler: s.events.bind(DeclaredEvents).created.subscribe(handler),
    "group": lambda s, handler: s.events.bind(DeclaredEvents).notes.email.subscribe(handler),
}


def take_nothing() -> None: ...


def take_one(a: Any) -> None: ...


def take_two(a: Any, b: Any) -> None: ...


def take_one_or_two(a: Any, b: Any = 1) -> None: ...


def take_all(*all: Any) -> None: ...


def take_by_name(*, context: Any) -> None: ...


def take_another_by_name(context: Any, *, store: Any) -> None: ...


OTHER_PARAMETERS: dict[str, Any] = {
    "none": take_nothing,
    "two": take_two,
    "by name": take_by_name,
    "another by name": take_another_by_name,
    "method": [0].clear,
    "partial": functools.partial(take_one, 1),
}
ONE_PARAMETER: dict[str, Any] = {
    "one": take_one,
    "one or two": take_one_or_two,
    "any number": take_all,
    "method": [0].append,
    "partial": functools.partial(take_two, 1),
    "decorated": with_more(take_two),
    "no signature": type,
    "mock": Mock(),
}


@pytest.mark.parametrize("bad", OTHER_PARAMETERS)
@pytest.mark.parametrize("way", SUBSCRIBES)
async def test_a_handler_of_other_parameters_is_refused(
    way: str, bad: str, igniter_recorder: RecordingAdapter
) -> None:
    store = (
        Store.create()
        .with_adapter(igniter_recorder)
        .with_service("test")
        .add_events(DeclaredEvents)
        .build()
    )

    error = await failure_of(SUBSCRIBES[way](store, OTHER_PARAMETERS[bad]))

    assert error.code == ErrorCode.STORE_ARGUMENT_INVALID
    assert "one EventContext" in error.message
    assert sent(igniter_recorder) == []


@pytest.mark.parametrize("good", ONE_PARAMETER)
async def test_a_handler_that_takes_one_argument_is_taken(
    good: str, igniter_store: Store[str], igniter_recorder: RecordingAdapter
) -> None:
    subscription = await igniter_store.events.subscribe("e", ONE_PARAMETER[good])

    assert subscription.is_live is True
    assert sent(igniter_recorder) == ["subscribe"]
